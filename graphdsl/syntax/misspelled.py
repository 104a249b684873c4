"""Explains words of the language that are misspelled or stand in the wrong braces."""
from __future__ import annotations

from typing import Optional

from graphdsl.diagnostics import Diagnostic, Edit, Place, Span
from graphdsl.syntax import words
from graphdsl.syntax.reading import Reading

_LIMIT = 3
_IS_A_RUN = {'repeat', 'accumulate', 'unroll'}


def wrong_word(reading: Reading) -> Optional[Diagnostic]:
    """Explains a wrong word; None if the mistake is another."""
    return _misplaced(reading) or _first_word(reading) or _clause(reading) or _setting_sign(reading)


def _misplaced(reading: Reading) -> Optional[Diagnostic]:
    """Finds statements that stand in braces of another kind."""
    word, braces = reading.first.text, reading.braces
    places = (Place(reading.opening.span, f'in the braces of this `{reading.opening.text}`'),) \
        if reading.opening and braces else ()
    if not braces:
        wanted = words.home(word, braces)
        if not wanted or reading.at != 1 or reading.token is None or not _is_operand(reading):
            return None
        return reading.wrong('G022', f'`{word}` stands in the braces of `{_ARTICLE[wanted]}`', reading.first.span,
                             help=f'write `{_AROUND[wanted].format(words.form(word, wanted))}`')
    if reading.at:
        return None
    wanted = words.home(word, braces)
    if wanted:
        return reading.wrong('G022', f'`{word}` stands in the braces of `{wanted}`', places=places,
                             reason=f'in those of `{braces}` stand {words.BRACES[braces]}')
    if word in words.FORMS['']:
        return reading.wrong('G022', f'a `{word}` cannot stand in the braces of `{braces}`', places=places,
                             reason='it stands outside of them', help=f'in these braces stand {words.BRACES[braces]}')
    return None


_ARTICLE = {'train': 'train', 'optimizer': 'optimizer', 'step': 'step'}
_AROUND = {'train': 'train {{ {} }}', 'optimizer': 'optimizer Adam() {{ {} }}', 'step': 'step NAME {{ {} }}'}


def _is_operand(reading: Reading) -> bool:
    return reading.token.kind in ('word', 'number', 'string')


def _first_word(reading: Reading) -> Optional[Diagnostic]:
    """Finds a first word that is no keyword, though a name or braces come after it."""
    first, braces = reading.first, reading.braces
    if first.kind != 'word' or words.form(first.text, braces) or reading.at > (0 if braces else 1):
        return None
    known = [*words.FORMS[braces], *words.ANYWHERE]
    close = words.closest(first.text, known)
    if braces:
        if not close and len(reading.tokens) > 1 and reading.tokens[1].text in ('=', ':'):
            return None
        return _no_statement(reading, close, f'in the braces of `{braces}` stand {words.BRACES[braces]}',
                             Place(reading.opening.span, 'in these braces') if reading.opening else None)
    if reading.token is None or not (reading.token.is_name or reading.text == '{'):
        return None
    if not close and len(first.text) >= _LIMIT:
        inner = words.closest(first.text, [w for kind in words.FORMS for w in words.FORMS[kind]])
        if inner:
            return _no_statement(reading, '', f'`{inner}` stands in the braces of `{words.home(inner, braces)}`', None)
    return _no_statement(reading, close, 'an edge is written `x -> m -> y`, a value `y = m(x)`', None)


def _no_statement(reading: Reading, close: str, otherwise: str, place: Optional[Place]) -> Diagnostic:
    first = reading.first
    return reading.wrong('G021', f'no statement starts with `{first.text}`' if not reading.braces else
                         f'no line of `{reading.braces}` starts with `{first.text}`', first.span,
                         places=(place,) if place else (),
                         help=f'did you mean `{close}`?' if close else otherwise,
                         edits=(Edit(first.span, close),) if close else ())


def _clause(reading: Reading) -> Optional[Diagnostic]:
    """Finds a misspelled word within a statement."""
    if reading.token is None or reading.token.kind != 'word' or len(reading.text) < _LIMIT or not reading.at:
        return None
    close = words.closest(reading.text, [word for word in reading.accepted if word.isalpha() and word.islower()])
    if not close or close == reading.text:
        return None
    whole = f' of `{reading.first.text}`' if reading.is_keyword else ''
    return reading.wrong('G021', f'`{reading.text}` is no word{whole}', help=f'did you mean `{close}`?',
                         edits=(Edit(reading.span, close),))


def _setting_sign(reading: Reading) -> Optional[Diagnostic]:
    """Finds `batch = 64` in the braces of `train`, and `lr = 0.1` in those of an optimizer."""
    tokens, braces = reading.tokens, reading.braces
    if not braces or len(tokens) < 2 or reading.at > 1:
        return None
    if tokens[1].text in ('=', ':') and tokens[0].text in words.FORMS[braces]:
        return reading.wrong('G021', f'`{tokens[0].text}` takes its value without `{tokens[1].text}`', tokens[1].span,
                             help=f'write `{words.form(tokens[0].text, braces)}`',
                             edits=(Edit(Span(tokens[0].end, tokens[1].end), ''),)
                             if len(tokens) > 2 and tokens[2].start > tokens[1].end else ())
    if tokens[1].text == '=' and braces == 'optimizer':
        return reading.wrong('G022', 'hyperparameters stand among the arguments of an optimizer', tokens[0].span,
                             help=f'write `optimizer Adam({tokens[0].text}=...) owns ...`')
    if braces != 'data' and tokens[0].kind == 'word' and tokens[1].text in ('=', '->', '[', ':'):
        return reading.wrong('G022', f'values are not computed in the braces of `{braces}`', tokens[0].span,
                             help=f'in these braces stand {words.BRACES[braces]}; put it outside of them')
    return None
