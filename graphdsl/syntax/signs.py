"""Explains signs that are wrong by themselves, and signs of other languages."""
from __future__ import annotations

import unicodedata
from typing import Mapping, Optional, Sequence

from graphdsl.diagnostics import Diagnostic, Edit, Place, Span
from graphdsl.syntax.brackets import Brackets
from graphdsl.syntax.reading import Reading
from graphdsl.syntax.scan import Token

_LOOKALIKES = {'−': '-', '–': '-', '—': '-', '→': '->', '⇒': '->', '×': '*', '·': '*', '÷': '/', '≤': '<=', '≥': '>=',
               '≠': '!=', '…': '..', '，': ',', '；': ';', '、': ','}
_INSTEAD = {
    '^': 'a power is written `a ** b`', '@': 'multiply matrices with `matmul(a, b)`',
    '\\': 'a line goes on after an operator or a comma, and within `()` and `[]`',
    '$': 'params are used by their names alone', '&': 'on numbers write `and`', '|': 'on numbers write `or`',
    '!': 'write `not`',
}
_CLOSING = {'(': ')', '[': ']', '{': '}'}


def wrong_by_itself(tokens: Sequence[Token], positions: Sequence[int], brackets: Brackets, everything: Sequence[Token]
                    ) -> Optional[Diagnostic]:
    """Returns what is wrong with the signs of a statement, whatever they stand for; None if nothing is.

    Args:
        tokens: Those of the statement.
        positions: Where they are among all tokens.
        brackets: Which brackets belong together.
        everything: All tokens.
    """
    for token in tokens:
        found = _strange(token)
        if found is not None:
            return found
    for token, i in zip(tokens, positions):
        found = _bracket(token, i, brackets, everything)
        if found is not None:
            return found
    return None


def _strange(token: Token) -> Optional[Diagnostic]:
    text = token.text
    if token.kind == 'comment':
        sign = text[:2]
        edits = (Edit(Span(token.start, token.start + 2), '#'),) if sign != '/*' else ()
        return Diagnostic('G017', f'`{sign}` starts no comment', Span(token.start, token.start + 2),
                          help='a comment goes from `#` to the end of its line', edits=edits)
    if token.kind == 'open_string':
        return Diagnostic('G011', 'this string does not end', Span(token.start, token.start + 1), reason='opened here',
                          help='close it with the same quote, on the same line')
    if token.kind == 'quotes':
        return Diagnostic('G018', 'strings stand in straight quotes', token.span, reason='these are others',
                          help=f'write `"{text[1:-1]}"`', edits=(Edit(token.span, f'"{text[1:-1]}"'),))
    if token.kind == 'word' and not text.isascii():
        return Diagnostic('G018', f'`{text}` cannot be a name', token.span,
                          reason='names are made of the letters A to Z, digits and `_`')
    return _strange_sign(token) if token.kind == 'strange' else None


def _strange_sign(token: Token) -> Diagnostic:
    text = token.text
    meant = _LOOKALIKES.get(text) or unicodedata.normalize('NFKC', text)
    shown = text if text.isprintable() and not text.isspace() else f'U+{ord(text):04X}'
    if meant != text and meant.isascii():
        what = f'`{meant}`' if meant.strip() else 'a space'
        return Diagnostic('G018', f'`{shown}` is no sign of the language', token.span, help=f'did you mean {what}?',
                          edits=(Edit(token.span, meant),))
    return Diagnostic('G018', f'`{shown}` is no sign of the language', token.span, help=_INSTEAD.get(text, ''),
                      edits=(Edit(token.span, 'not '),) if text == '!' else ())


def _bracket(token: Token, i: int, brackets: Brackets, everything: Sequence[Token]) -> Optional[Diagnostic]:
    text = token.text
    if i in brackets.unclosed:
        end = brackets.ends[i]
        closing = _CLOSING[text]
        if end == len(everything):
            return Diagnostic('G012', f'unclosed `{text}`', token.span,
                              reason=f'opened here, and the file ends without its `{closing}`')
        places = (Place(everything[end].span, f'the `{closing}` is missing before this'),) if text == '{' else ()
        return Diagnostic('G012', f'unclosed `{text}`', token.span, reason=f'opened here; its `{closing}` is missing',
                          places=places)
    if i in brackets.extra:
        return Diagnostic('G013', f'this `{text}` closes nothing', token.span,
                          reason='there is no open bracket before it', help='remove it, or open it where it begins')
    if i in brackets.mismatched:
        opening = everything[brackets.mismatched[i]]
        wanted = _CLOSING[opening.text]
        return Diagnostic('G014', f'`{text}` does not close `{opening.text}`', token.span,
                          reason=f'a `{wanted}` is wanted here', places=(Place(opening.span, 'opened here'),))
    return None


# Signs that are read, and mean something else in other languages

def foreign(reading: Reading) -> Optional[Diagnostic]:
    """Explains a sign or number that is written as in other languages; None if the mistake is another."""
    rules = (_logic, _equals, _arrow, _question, _comment, _number, _inclusive, _colon)
    return next(filter(None, (rule(reading) for rule in rules)), None)


_LOGIC: Mapping[str, str] = {'&&': 'and', '||': 'or'}


def _logic(reading: Reading) -> Optional[Diagnostic]:
    word = _LOGIC.get(reading.text)
    if word is None:
        return None
    return reading.wrong('G015', f'`{reading.text}` is written `{word}`',
                         edits=(Edit(reading.span, word),), help=f'did you mean `{word}`?')


def _equals(reading: Reading) -> Optional[Diagnostic]:
    text, span = reading.text, reading.span
    if text == '==' and '=' in reading.accepted:
        return reading.wrong('G015', '`==` compares, and `=` binds a name', help='did you mean `=`?',
                             edits=(Edit(span, '='),))
    before = {token.text for token in reading.tokens[:reading.at]}
    if text == '=' and reading.first.text in ('if', 'stop', 'step', 'update', 'loss') and not reading.depth and (
            before & {'if', 'when'}):
        return reading.wrong('G015', '`=` binds a name, and `==` compares', help='did you mean `==`?',
                             edits=(Edit(span, '=='),))
    if text in (':=', ':') and '=' in reading.accepted and reading.depth == 0 and '{' not in reading.accepted:
        return reading.wrong('G015', f'`{text}` binds no name', help='did you mean `=`?', edits=(Edit(span, '='),))
    if len(text) == 2 and text[1] == '=' and text[0] in '+-*/' and reading.depth == 0:
        return reading.wrong('G015', f'there is no `{text}`', reason='every name is bound once',
                             help='give the result a name of its own; what changes over time is a `state`')
    return None


def _arrow(reading: Reading) -> Optional[Diagnostic]:
    if reading.text == '=>' and not reading.depth:
        return reading.wrong('G015', 'the arrow is `->`', help='did you mean `->`?', edits=(Edit(reading.span, '->'),))
    return None


def _question(reading: Reading) -> Optional[Diagnostic]:
    if reading.text != '?':
        return None
    return reading.wrong('G015', '`?` chooses no value', help='write `a if condition else b`')


def _comment(reading: Reading) -> Optional[Diagnostic]:
    """Finds `x = 1 // a comment`, of which `1 // a` can be read."""
    slashes = [token for token in reading.tokens[max(reading.at - 2, 0):reading.at + 1] if token.text == '//']
    if slashes and not reading.depth and (reading.token is None or reading.token.kind in ('word', 'sign', 'number')):
        at = slashes[0].span
        if reading.at < 2 or reading.token is not None:
            return reading.wrong('G017', '`//` starts no comment', at, help='a comment goes from `#` to the end of its '
                                 'line', edits=(Edit(at, '#'),))
    return None


def _number(reading: Reading) -> Optional[Diagnostic]:
    tokens, at = reading.tokens, reading.at
    if at and reading.token and tokens[at - 1].kind == 'number' and tokens[at - 1].end == reading.token.start \
            and reading.token.kind == 'word':
        return reading.wrong('G019', f'`{reading.before}{reading.text}` is no number',
                             Span(tokens[at - 1].start, reading.token.end),
                             help='numbers are decimal, such as `31`, `0.5` or `1e-3`; a word needs a space before it')
    if at > 1 and reading.before == '.' and tokens[at - 2].kind == 'number' \
            and tokens[at - 2].end == tokens[at - 1].start:
        return _digit_missing(Span(tokens[at - 2].start, tokens[at - 1].end), f'{tokens[at - 2].text}.0')
    if reading.text == '.' and at + 1 < len(tokens) and tokens[at + 1].kind == 'number' \
            and tokens[at + 1].start == reading.token.end:
        return _digit_missing(Span(reading.token.start, tokens[at + 1].end), f'0.{tokens[at + 1].text}')
    return None


def _digit_missing(span: Span, number: str) -> Diagnostic:
    return Diagnostic('G019', 'a number has digits on both sides of its dot', span, help=f'did you mean `{number}`?',
                      edits=(Edit(span, number),))


def _inclusive(reading: Reading) -> Optional[Diagnostic]:
    """Finds the range `0..=n` of Rust."""
    if reading.before != '..' or reading.text != '=':
        return None
    tokens, at = reading.tokens, reading.at
    closed = at + 2 < len(tokens) and tokens[at + 1].starts_operand and tokens[at + 2].text in ('{', ']')
    if not closed:
        return reading.wrong('G015', 'a range leaves out its end', help='write `0..n + 1` to include it')
    last = tokens[at + 1].text
    beyond = str(int(last) + 1) if last.isdigit() and len(last) < 10 else f'{last} + 1'
    return reading.wrong('G015', 'a range leaves out its end', help=f'write `..{beyond}` to include it',
                         edits=(Edit(Span(reading.token.start, tokens[at + 1].end), beyond),))


def _colon(reading: Reading) -> Optional[Diagnostic]:
    if reading.text != ':':
        return None
    if '{' in reading.accepted:
        return reading.wrong('G025', 'statements are grouped by braces, not by `:`', reason='expected `{`',
                             help=f'write `{reading.first.text} ... {{`, and `}}` after the last statement')
    if reading.depth and '=' in reading.accepted:
        return reading.wrong('G028', f'an argument is named with `=`: `{reading.before}=...`', help='did you mean `=`?',
                             edits=(Edit(reading.span, '='),))
    return None
