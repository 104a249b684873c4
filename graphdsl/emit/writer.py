"""Lines of generated Python, each with the place of the graph file that it comes from."""
from __future__ import annotations

import contextlib
from typing import Any, ContextManager, Iterator, Mapping, NamedTuple, Optional, Sequence

from graphdsl.diagnostics import Source, Span
from graphdsl.emit.loops import repetitions


class _Line(NamedTuple):
    """A line; one that goes on with a statement begun above is no place to begin a loop at."""

    indent: int
    text: str
    span: Optional[Span]
    goes_on: bool
    region: Any


class Writer:
    """Collects lines, indented by the blocks they stand in.

    Args:
        source: The graph file; a line that comes from it says so in a comment, ``# line 14``.
    """

    def __init__(self, source: Source):
        self._source = source
        self._lines: list[_Line] = []
        self._indent = 0
        self._goes_on = False
        self._region: Any = None
        self._closed = ('', 0, 0)

    @property
    def regions(self) -> Mapping[int, Any]:
        """The region of the plan that each line belongs to, by its number."""
        return {number: line.region for number, line in enumerate(self._lines, 1) if line.region is not None}

    @property
    def spans(self) -> Mapping[int, Span]:
        """The span that each line comes from, by its number, counted from 1."""
        return {number: line.span for number, line in enumerate(self._lines, 1) if line.span is not None}

    def line(self, text: str = '', span: Optional[Span] = None) -> None:
        """Adds a line; an empty one separates."""
        self._lines.append(_Line(self._indent, text, span, self._goes_on, self._region))

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
        outer = self._indent, self._goes_on
        self._indent, self._goes_on = self._indent + 1, not head.endswith(':')
        yield
        self._indent, self._goes_on = outer
        self._closed = (head, self._indent, len(self._lines))

    def within(self, head: str) -> ContextManager[None]:
        """Returns a block with a head, or none for an empty one; a block that ends here goes on under its head."""
        if not head:
            return contextlib.nullcontext()
        return self._indented(head) if self._closed == (head, self._indent, len(self._lines)) else self.block(head)

    @contextlib.contextmanager
    def region(self, region: Any) -> Iterator[None]:
        """Lets the lines within the context belong to a region."""
        outer, self._region = self._region, region
        yield
        self._region = outer

    @contextlib.contextmanager
    def loops(self) -> Iterator[None]:
        """Writes a loop for statements that repeat within the context."""
        start = len(self._lines)
        yield
        written = self._lines[start:]
        del self._lines[start:]
        marks = [(line.indent, line.span, line.goes_on) for line in written]
        for at, found in repetitions([line.text for line in written], marks):
            if found is None or not _is_block(written[at:at + len(found.texts)]):
                self._lines.extend(written[at:at + (1 if found is None else found.count * len(found.texts))])
                continue
            self._lines.append(written[at]._replace(text=f'for i in {found.range}:', span=None))
            self._lines.extend(line._replace(indent=line.indent + 1, text=text)
                               for line, text in zip(written[at:], found.texts))

    def text(self) -> str:
        return '\n'.join(map(self._written, self._lines)) + '\n'

    def _written(self, line: _Line) -> str:
        comment = '' if line.span is None else f'  # line {self._source.position(line.span.start)[0]}'
        return '    ' * line.indent + line.text + comment if line.text else ''


def _is_block(lines: Sequence[_Line]) -> bool:
    """Says whether lines can be the body of a loop."""
    return not lines[0].goes_on and all(line.indent >= lines[0].indent for line in lines)
