"""A text and places in it."""
from __future__ import annotations

import bisect
import re
from dataclasses import dataclass

_NEWLINE = re.compile(r'\r\n?|\n')


@dataclass(frozen=True)
class Span:
    """A stretch of a source text: offsets of its first character and of the one after its last."""

    start: int
    end: int


class Source:
    """A text and the name it is shown under.

    Args:
        text (str): The text of a graph file.
        name (str): Its path, or a name such as ``<graph>`` for a text without a file.
    """

    def __init__(self, text: str, name: str = '<graph>'):
        self.text = text
        self.name = name
        self._line_starts = [0] + [match.end() for match in _NEWLINE.finditer(text)]

    def position(self, offset: int) -> tuple[int, int]:
        """Returns the line and column of a character, both counted from 1."""
        line = bisect.bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Returns a line by its number, without the newline."""
        start = self._line_starts[number - 1]
        newline = _NEWLINE.search(self.text, start)
        return self.text[start:newline.start() if newline else None]

    def __getitem__(self, span: Span) -> str:
        return self.text[span.start:span.end]
