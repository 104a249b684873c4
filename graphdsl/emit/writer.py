"""Lines of generated Python, each with the place of the graph file that it comes from."""
from __future__ import annotations

import contextlib
from typing import Iterator, Optional

from graphdsl.diagnostics import Source, Span


class Writer:
    """Collects lines, indented by the blocks they stand in.

    Args:
        source: The graph file; a line that comes from it says so in a comment, ``# line 14``.

    Attributes:
        spans: The span that each line comes from, by its number, counted from 1.
    """

    def __init__(self, source: Source):
        self._source = source
        self._lines: list[str] = []
        self._indent = ''
        self.spans: dict[int, Span] = {}

    def line(self, text: str = '', span: Optional[Span] = None) -> None:
        """Adds a line; an empty one separates."""
        if span is not None:
            self.spans[len(self._lines) + 1] = span
            text = f'{text}  # line {self._source.position(span.start)[0]}'
        self._lines.append(self._indent + text if text else '')

    def lines(self, *texts: str) -> None:
        for text in texts:
            self.line(text)

    @contextlib.contextmanager
    def block(self, head: str, span: Optional[Span] = None) -> Iterator[None]:
        """Adds the head of a block; what follows within the context stands in it."""
        self.line(head, span)
        outer, self._indent = self._indent, self._indent + '    '
        yield
        self._indent = outer

    def text(self) -> str:
        return '\n'.join(self._lines) + '\n'
