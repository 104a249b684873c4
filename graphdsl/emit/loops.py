"""Loops for what repeats: what a graph file says in a `for`, its module says in one, too.

A repetition is told by its text alone: lines that are equal but for integers that count up by one. The loop does the
same in the same order. A text that has a loop already is left as it is, and so are strings with a backslash.
"""
from __future__ import annotations

import re
from typing import Any, Iterator, NamedTuple, Optional, Sequence

#: Fewer repetitions read better as they are.
FEWEST = 3

_PIECE = re.compile(r"""
    (?P<string>'[^'\\]*'|"[^"\\]*")
    |(?P<other>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\W\d]\w*|\d+\.\d*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|[^\w'"]+)
    |(?P<integer>\d+)""", re.VERBOSE)
_HAS_COUNTER = re.compile(r"\bi\b|\bf['\"]")
_INTEGER = re.compile(r'(\d+)')


class Repetition(NamedTuple):
    """Texts that are one but for a counter.

    Attributes:
        texts: With ``i`` for the counter; several if that many repeat together.
        start: What it starts at.
        count: How many repetitions there are.
    """

    texts: tuple[str, ...]
    start: int
    count: int

    @property
    def range(self) -> str:
        """The values of the counter, as Python."""
        return f'range({self.count})' if not self.start else f'range({self.start}, {self.start + self.count})'


def repetitions(texts: Sequence[str], marks: Sequence[Any] = (), longest: int = 32
                ) -> Iterator[tuple[int, Optional[Repetition]]]:
    """Goes over lines, or items of a list, a repetition at a time.

    Args:
        texts: What may repeat.
        marks: What has to be equal beside each text.
        longest: How many texts at the most repeat together.

    Yields:
        The position of a text that stands for itself, with None, or of the first of a repetition.
    """
    lines = [_line(text, mark) for text, mark in zip(texts, marks or [None] * len(texts))]
    at = 0
    while at < len(texts):
        found = _repetition(texts, lines, at, longest)
        yield at, found
        at += 1 if found is None else found.count * len(found.texts)


class _Line(NamedTuple):
    """A text in pieces: what has to be equal, and the integers."""

    shape: tuple[Any, ...]
    integers: tuple[int, ...]


def _line(text: str, mark: Any) -> _Line:
    if _HAS_COUNTER.search(text):
        return _Line((mark, text), ())
    shape: list[Any] = [mark]
    integers: list[int] = []
    for piece in _PIECE.finditer(text):
        for part in [piece[0]] if piece.lastgroup == 'other' else _INTEGER.split(piece[0]):
            if _is_integer(part):
                integers.append(int(part))
                part = None
            shape.append(part)
    return _Line(tuple(shape), tuple(integers))


def _is_integer(text: str) -> bool:
    """Says whether a text is an integer as Python writes it, without leading zeros."""
    return text.isdecimal() and str(int(text)) == text


def _repetition(texts: Sequence[str], lines: Sequence[_Line], at: int, longest: int) -> Optional[Repetition]:
    for length in range(1, min(longest, (len(texts) - at) // FEWEST) + 1):
        if lines[at + length].shape == lines[at].shape:
            return _of_length(texts, lines, at, length)
    return None


def _of_length(texts: Sequence[str], lines: Sequence[_Line], at: int, length: int) -> Optional[Repetition]:
    first, second = lines[at:at + length], lines[at + length:at + 2 * length]
    if any(a.shape != b.shape for a, b in zip(first, second)):
        return None
    steps = [[y - x for x, y in zip(a.integers, b.integers)] for a, b in zip(first, second)]
    counting = [x for line, step in zip(first, steps) for x, s in zip(line.integers, step) if s]
    if not counting or any(s not in (0, 1) for step in steps for s in step):
        return None
    count = 2
    while at + (count + 1) * length <= len(lines) and all(
            _is_repeated(lines[at + count * length + j], first[j], steps[j], count) for j in range(length)):
        count += 1
    if count < FEWEST:
        return None
    start = min(counting)
    return Repetition(tuple(_with_counter(texts[at + j], steps[j], start) for j in range(length)), start, count)


def _is_repeated(line: _Line, first: _Line, step: Sequence[int], count: int) -> bool:
    return line.shape == first.shape and all(
        y == x + s * count for x, y, s in zip(first.integers, line.integers, step))


def _with_counter(text: str, step: Sequence[int], start: int) -> str:
    """Writes ``i`` for the integers of a text that count up."""
    steps = iter(step)

    def counted(part: str) -> str:
        if not _is_integer(part) or not next(steps):
            return part
        return f'i + {int(part) - start}' if int(part) > start else 'i'

    def replaced(piece: re.Match) -> str:
        if piece.lastgroup == 'other':
            return piece[0]
        parts = _INTEGER.split(piece[0])
        written = [counted(part) for part in parts]
        if piece.lastgroup == 'integer':
            is_alone = text[:piece.start()].rstrip().endswith(('[', '(', ',')) and \
                text[piece.end():].startswith((']', ')', ','))
            return ''.join(written) if written == parts or is_alone or 'i' in written else f'({"".join(written)})'
        if written == parts:
            return piece[0]
        return 'f' + ''.join(f'{{{new}}}' if new != old else new.replace('{', '{{').replace('}', '}}')
                             for old, new in zip(parts, written))

    return _PIECE.sub(replaced, text)
