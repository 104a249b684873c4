"""Lines of generated Python, each with the place of the graph file that it comes from."""
from __future__ import annotations

import contextlib
from typing import ContextManager, Iterator, Optional

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
        self._closed = ('', '', 0)
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
        with self._indented(head):
            yield

    @contextlib.contextmanager
    def _indented(self, head: str) -> Iterator[None]:
        outer, self._indent = self._indent, self._indent + '    '
        yield
        self._indent = outer
        self._closed = (head, outer, len(self._lines))

    def within(self, head: str) -> ContextManager[None]:
        """Returns a block with a head, or none for an empty one; a block that ends here goes on under its head."""
        if not head:
            return contextlib.nullcontext()
        return self._indented(head) if self._closed == (head, self._indent, len(self._lines)) else self.block(head)

    def text(self) -> str:
        return '\n'.join(self._lines) + '\n'
