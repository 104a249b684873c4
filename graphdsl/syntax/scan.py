"""Cuts any text into tokens, wrong ones too: what the recovery from syntax errors looks at."""
from __future__ import annotations

import re
from typing import NamedTuple

from graphdsl.diagnostics import Span

# Within an expression two words stand side by side only if one of them is one of these.
OPERATOR_WORDS = frozenset('and or not in if else'.split())

_GOES_ON = {'->', ',', '=', '+', '-', '*', '/', '//', '%', '**', '<', '<=', '>', '>=', '==', '!=', '=>', '&&', '||',
            *OPERATOR_WORDS}

_TOKEN = re.compile(r'''
    (?P<comment> (?:(?<=[\r\n])|\A)[ \t]*(?://|--)[ \t]*\w+[ \t]+(?!(?:and|or|not|in|if|else)\b)\w[^\r\n]* | /\*)
  | (?P<blank>   [ \t]+ | \#[^\r\n]*)
  | (?P<newline> \r\n | \r | \n)
  | (?P<string>  "(?:[^"\\\r\n]|\\.)*" | '(?:[^'\\\r\n]|\\.)*')
  | (?P<open_string> ["'][^\r\n]*)
  | (?P<quotes>  [“”„‘’«»`][^\r\n“”„‘’«»`]*[“”‘’«»`] )
  | (?P<word>    [^\W\d]\w*)
  | (?P<number>  [0-9][0-9_]*(?:\.[0-9][0-9_]*)?(?:[eE][+-]?[0-9]+)?)
  | (?P<open>    [\[({])
  | (?P<close>   [\])}])
  | (?P<sign>    -> | => | \.\. | \*\* | // | [<>=!:+*/-]= | && | \|\| | [-+*/%<>=,;:.?~])
  | (?P<strange> [\s\S])
''', re.VERBOSE)


class Token(NamedTuple):
    """A piece of a text.

    Attributes:
        kind: A group of the pattern above.
        indent: The column of the first token on its line, counted from 0.
    """

    kind: str
    text: str
    start: int
    end: int
    indent: int

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)

    @property
    def goes_on(self) -> bool:
        """Whether a statement goes on after this token at the end of a line."""
        return self.text in _GOES_ON

    @property
    def ends_operand(self) -> bool:
        return self.kind in ('string', 'number') or self.text in (')', ']') or self.is_name

    @property
    def starts_operand(self) -> bool:
        return self.kind in ('string', 'number') or self.text in ('(', '[') or self.is_name

    @property
    def is_name(self) -> bool:
        return self.kind == 'word' and self.text not in OPERATOR_WORDS


def scan(text: str) -> list[Token]:
    """Cuts a text into tokens; blanks and comments are left out, newlines are not."""
    tokens: list[Token] = []
    position = line = indent = 0
    at_start = True
    last_close = text.rfind('*/')
    while position < len(text):
        match = _TOKEN.match(text, position)
        kind, start, position = match.lastgroup, match.start(), match.end()
        if kind == 'blank':
            continue
        if kind == 'newline':
            line, at_start = position, True
        elif kind == 'open_string':     # what closes brackets behind it is no part of it
            position = start + max(len(match[0].rstrip(' \t)]}')), 1)
        elif kind == 'comment':
            start, position = _foreign_comment(text, start, position, last_close)
        if at_start and kind != 'newline':
            indent, at_start = start - line, False
        tokens.append(Token(kind, text[start:position], start, position, indent))
    return tokens


def _foreign_comment(text: str, start: int, end: int, last_close: int) -> tuple[int, int]:
    """Returns where a comment in the way of another language starts and ends."""
    if not text.startswith('/*', start):
        return end - len(text[start:end].lstrip()), end
    return start, text.find('*/', end) + 2 if last_close >= end else end
