"""Splits a text with mistakes into statements."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Sequence

from graphdsl.diagnostics import Span
from graphdsl.syntax.brackets import Brackets, starts_statement
from graphdsl.syntax.scan import Token


@dataclass(frozen=True)
class Part:
    """A statement, right or wrong.

    Attributes:
        tokens: Its tokens, without newlines and what its braces hold.
        positions: Where these are in the list of all tokens.
        braces: Positions of the braces that open in it.
    """

    tokens: tuple[Token, ...]
    positions: tuple[int, ...]
    braces: tuple[int, ...]

    @property
    def first(self) -> str:
        return self.tokens[0].text


class Splitter:
    """Splits what some braces hold, or a whole file.

    Args:
        tokens: All tokens.
        brackets: Which of them belong together.
    """

    def __init__(self, tokens: Sequence[Token], brackets: Brackets):
        self._tokens = tokens
        self._brackets = brackets

    def split(self, start: int, stop: int) -> Iterator[Part]:
        """Yields the statements between two positions."""
        kept: list[int] = []
        braces: list[int] = []
        i = start
        while i < stop:
            token = self._tokens[i]
            if token.text == ';' or (token.kind == 'newline' and self._ends(kept, i, stop)):
                if kept:
                    yield self._part(kept, braces)
                kept, braces = [], []
            elif token.kind != 'newline':
                kept.append(i)
                if token.text == '{':
                    braces.append(i)
                    i = self._brackets.ends[i]
                    if i < stop and kept[-1] not in self._brackets.unclosed:
                        kept.append(i)
                    else:
                        yield self._part(kept, braces)
                        kept, braces = [], []
                        continue
                elif token.kind == 'open' and i not in self._brackets.unclosed:
                    end = self._brackets.ends[i]
                    kept += (j for j in range(i + 1, end + 1) if self._tokens[j].kind != 'newline')
                    i = end
            i += 1
        if kept:
            yield self._part(kept, braces)

    def _part(self, kept: list[int], braces: list[int]) -> Part:
        return Part(tuple(self._tokens[i] for i in kept), tuple(kept), tuple(braces))

    def _ends(self, kept: list[int], i: int, stop: int) -> bool:
        """Says whether a newline ends the statement before it."""
        if not kept:
            return True
        while i < stop and self._tokens[i].kind == 'newline':
            i += 1
        if i == stop:
            return True
        following = self._tokens[i]
        if following.text in ('->', 'else'):
            return False
        if following.text == '{':
            return self._tokens[kept[-1]].text == '}'
        last = self._tokens[kept[-1]]
        goes_on = last.goes_on or last.text in ('(', '[')
        return not goes_on or starts_statement(self._tokens, i)


def extent(tokens: Sequence[Token]) -> Span:
    """Returns the place from the first to the last of some tokens."""
    return Span(tokens[0].start, tokens[-1].end)
