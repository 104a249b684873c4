"""What a file has come to so far, counted against the limits."""
from __future__ import annotations

from graphdsl.diagnostics import Mistake, Span, mistake
from graphdsl.limits import Limits


class Work:
    """Counts what all statements and blocks of a file come to.

    Args:
        limits: What it may come to.
    """

    def __init__(self, limits: Limits = Limits()):
        self.limits = limits
        self._statements = 0
        self._expressions = 0

    def add_statements(self, count: int, span: Span) -> None:
        """Counts statements that are unrolled.

        Raises:
            TooMuch: If there are too many.
        """
        self._statements += count
        limit = self.limits.statements
        if self._statements > limit:
            raise TooMuch(mistake('G209', f'this unrolls to more than {limit:,} statements', span,
                                  reason='with all that is unrolled before it',
                                  help=self.limits.advice('statements', self._statements)))

    def add_expressions(self, count: int, span: Span) -> None:
        """Counts parts of expressions.

        Raises:
            TooMuch: If there are too many.
        """
        self._expressions += count
        limit = self.limits.expressions
        if self._expressions > limit:
            raise TooMuch(mistake('G032', f'the expressions of this file have more than {limit:,} parts', span,
                                  reason='counted in each turn of the loops around them',
                                  help=self.limits.advice('expressions')))


class TooMuch(Exception):
    """Ends the check of a file, whatever statement it is at: all that follows would be too much as well."""

    def __init__(self, found: Mistake):
        self.diagnostic = found.diagnostic
        super().__init__(found.diagnostic.message)
