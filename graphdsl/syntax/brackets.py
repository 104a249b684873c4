"""Matches brackets in a text with mistakes."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Sequence

from graphdsl.syntax.scan import OPERATOR_WORDS, Token
from graphdsl.syntax.words import KEYWORDS

_PAIRS = {')': '(', ']': '[', '}': '{'}


@dataclass
class Brackets:
    """Which brackets belong together; all are positions in a list of tokens.

    Attributes:
        ends: Where what each opening bracket holds ends: at its closing bracket, or, for one that is never closed,
            where it should have been.
        unclosed: Opening brackets that are never closed.
        extra: Closing brackets that close nothing.
        mismatched: Closing brackets of another kind than the opening one, with that one.
    """

    ends: dict[int, int] = field(default_factory=dict)
    unclosed: set[int] = field(default_factory=set)
    extra: set[int] = field(default_factory=set)
    mismatched: dict[int, int] = field(default_factory=dict)

    def wrong_braces(self, tokens: Sequence[Token]) -> int:
        return sum(tokens[i].text in '{}' for i in (*self.unclosed, *self.extra))


def match(tokens: Sequence[Token]) -> Brackets:
    """Matches the brackets of a file.

    Braces that don't match are told by the indentation of lines, if that leaves no more of them.
    """
    plain = _Matching(tokens, by_indentation=False).run()
    wrong = plain.wrong_braces(tokens)
    if not wrong:
        return plain
    indented = _Matching(tokens, by_indentation=True).run()
    return indented if indented.wrong_braces(tokens) <= wrong else plain


def starts_statement(tokens: Sequence[Token], i: int) -> bool:
    """Says whether a line surely starts a statement: with its keyword, and a name that cannot go on otherwise."""
    if tokens[i].text not in KEYWORDS - {'if'} or i + 1 == len(tokens):     # `if` may go on with a choice
        return False
    return tokens[i + 1].kind == 'word' and tokens[i + 1].text not in _CLAUSES


# After a keyword that is the name of something, these go on with the statement in which it is named.
_CLAUSES = OPERATOR_WORDS | set('''
    accumulate after at decay epoch epochs evaluation evaluations every except follows for from iteration iterations
    like load minimizes of on owns pad partly repeat stalls unroll when'''.split())


class _Matching:

    def __init__(self, tokens: Sequence[Token], by_indentation: bool):
        self.tokens = tokens
        self.by_indentation = by_indentation
        self.found = Brackets()
        self.opened: list[int] = []
        self.inside: set[int] = set()       # braces that hold something: on their line, or indented behind it

    def run(self) -> Brackets:
        at_start = True
        for i, token in enumerate(self.tokens):
            if token.kind == 'newline':
                at_start = True
                continue
            if at_start:
                at_start = False
                self._line(i)
            if token.kind == 'open':
                if token.text == '{':
                    self._give_up_parentheses(i)
                    if i + 1 < len(self.tokens) and self.tokens[i + 1].kind != 'newline':
                        self.inside.add(i)
                self.opened.append(i)
            elif token.kind == 'close':
                self._close(i)
        while self.opened:
            self._give_up(len(self.tokens))
        return self.found

    def _line(self, i: int) -> None:
        """Gives up what surely ended before a line."""
        if self.opened and self._top() != '{' and (starts_statement(self.tokens, i) or self._has_arrow(i)):
            self._give_up_parentheses(i)
        if self.by_indentation:
            self._line_by_indentation(i)

    def _line_by_indentation(self, i: int) -> None:
        token = self.tokens[i]
        while (brace := self._brace()) is not None:
            indent = self.tokens[brace].indent
            if indent < token.indent:
                self.inside.add(brace)
            ends = indent == token.indent and brace in self.inside and token.kind != 'close' and token.text != 'else'
            if indent <= token.indent and not ends:
                return
            self._give_up_parentheses(i)
            self._give_up(i)

    def _has_arrow(self, i: int) -> bool:
        """Says whether there is an arrow in a line before what closes a bracket of a line before."""
        depth = 0
        while i < len(self.tokens) and self.tokens[i].kind != 'newline' and depth >= 0:
            token = self.tokens[i]
            if token.text == '->':
                return True
            depth += (token.kind == 'open') - (token.kind == 'close')
            i += 1
        return False

    def _top(self) -> str:
        return self.tokens[self.opened[-1]].text if self.opened else ''

    def _brace(self) -> Optional[int]:
        return next((i for i in reversed(self.opened) if self.tokens[i].text == '{'), None)

    def _give_up(self, i: int) -> None:
        opening = self.opened.pop()
        self.found.unclosed.add(opening)
        self.found.ends[opening] = i

    def _give_up_parentheses(self, i: int) -> None:
        while self.opened and self._top() != '{':
            self._give_up(i)

    def _close(self, i: int) -> None:
        wanted = _PAIRS[self.tokens[i].text]
        if wanted == '{':
            self._give_up_parentheses(i)
        if not self.opened or (wanted != '{' and self._top() == '{'):
            self.found.extra.add(i)
            return
        opening = self.opened.pop()
        self.found.ends[opening] = i
        if self.tokens[opening].text != wanted:
            self.found.mismatched[i] = opening
