"""Decides which newlines end a statement."""
from __future__ import annotations

from typing import Iterator

from lark import Token

from graphdsl.diagnostics import Span, mistake

_OPENING = {'LPAR', 'LSQB'}
_CLOSING = {'RPAR', 'RSQB'}
_GOES_ON = {'_ARROW', 'COMMA', 'EQUAL', 'SUM_OPERATOR', 'TERM_OPERATOR', 'POWER', 'COMPARISON',
            'AND', 'OR', 'NOT', 'IN', 'IF', 'ELSE'}


class Newlines:
    """Drops the newlines inside ``()`` and ``[]`` and after an operator, as Lark's post-lexer.

    It also refuses words that touch, such as ``10epochs``, which Lark would read as two.
    """

    always_accept = ('_NEWLINE',)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        depth = 0
        previous = None
        for token in stream:
            if token.type == '_NEWLINE':
                if depth or (previous is not None and previous.type in _GOES_ON):
                    continue
            elif token.type in _OPENING:
                depth += 1
            elif token.type in _CLOSING:
                depth = max(depth - 1, 0)
            if previous is not None and _touch(previous, token):
                raise mistake('G001', f'`{token}` cannot stand here', Span(token.start_pos, token.end_pos),
                              help=f'put a space between `{previous}` and `{token}`')
            previous = token
            yield token


def _touch(left: Token, right: Token) -> bool:
    return left.end_pos == right.start_pos and _is_word(left[-1]) and _is_word(right[0])


def _is_word(character: str) -> bool:
    return character.isalnum() or character == '_'
