"""A statement as far as it was read: what the explanations of syntax errors look at."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Optional, Sequence

from graphdsl.diagnostics import Diagnostic, Span
from graphdsl.syntax import words
from graphdsl.syntax.scan import Token


@dataclass(frozen=True)
class Reading:
    """A statement that is wrong at one of its tokens.

    Attributes:
        tokens: Its tokens, without what its braces hold.
        at: Which of them is the first that cannot stand where it does; their number if the statement ends too early.
        accepted: What could stand there: texts of words and signs, and ``NAME``, ``NUMBER``, ``STRING``.
        braces: The kind of braces that the statement stands in, of :data:`graphdsl.syntax.words.BRACES`.
        opening: The first word of the statement with these braces, None on the top level.
        end: What comes after the statement: ``'statement'`` for a sign, ``'line'`` or ``'file'``.
    """

    tokens: Sequence[Token]
    at: int
    accepted: Collection[str]
    braces: str = ''
    opening: Optional[Token] = None
    end: str = 'line'

    @property
    def first(self) -> Token:
        return self.tokens[0]

    @property
    def token(self) -> Optional[Token]:
        """The token that cannot stand there, None at the end."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    @property
    def text(self) -> str:
        """The text of that token, an empty string at the end."""
        return self.tokens[self.at].text if self.at < len(self.tokens) else ''

    @property
    def previous(self) -> Optional[Token]:
        return self.tokens[self.at - 1] if self.at else None

    @property
    def before(self) -> str:
        """The text of the token before, an empty string at the start."""
        return self.tokens[self.at - 1].text if self.at else ''

    @property
    def after(self) -> str:
        """The text of the token after, an empty string at the end."""
        return self.tokens[self.at + 1].text if self.at + 1 < len(self.tokens) else ''

    @property
    def span(self) -> Span:
        """The place of the token, or the one after the end of the statement."""
        end = self.tokens[-1].end
        return self.token.span if self.token else Span(end, end)

    @property
    def is_keyword(self) -> bool:
        """Whether the first word is that of a statement, and not the name of a value."""
        return bool(words.form(self.first.text, self.braces)) and (
            len(self.tokens) < 2 or self.tokens[1].kind in ('word', 'number', 'string') or self.tokens[1].text == '{')

    @property
    def depth(self) -> int:
        """How many parentheses and brackets are open before the token."""
        before = [token.text for token in self.tokens[:self.at]]
        return sum(before.count(c) for c in '([') - sum(before.count(c) for c in ')]')

    def form(self) -> str:
        """Returns the step that helps in general: how this statement is written."""
        others = [token.text for token in self.tokens[1:self.at]]
        found = words.form(self.first.text, self.braces, others) if self.is_keyword else ''
        if len(self.tokens) > 2 and self.tokens[2].text == '(':
            found = words.BODIES.get(self.first.text, found)
        return f'write `{found}`' if found else ''

    def found(self) -> str:
        """Says what stands there instead."""
        return f'`{self.text}` cannot stand here' if self.token else f'the {self.end} ends here'

    def wrong(self, code: str, message: str, span: Optional[Span] = None, **details) -> Diagnostic:
        """Makes a diagnostic at the token, if not elsewhere."""
        return Diagnostic(code, message, span or self.span, **details)
