"""Lines that break where they are too long, and lists of names and values."""
from __future__ import annotations

from typing import Iterable, Iterator, Optional, Sequence

from graphdsl.diagnostics import Span
from graphdsl.emit.loops import repetitions
from graphdsl.emit.writer import Writer

_WIDTH = 100


def write_wrapped(writer: Writer, head: str, items: Iterable[str], tail: str, span: Optional[Span] = None) -> None:
    """Writes a line, or several where the items are too long for one; items that repeat come from a loop."""
    items = list(looped(list(items), head[-1:]))
    whole = head + ', '.join(items) + tail
    if len(whole) <= _WIDTH:
        writer.line(whole, span)
        return
    with writer.block(head, span):
        line = ''
        for item in items:
            if line and len(line) + len(item) > _WIDTH:
                writer.line(f'{line},')
                line = ''
            line = f'{line}, {item}' if line else item
        writer.line(line)
    writer.line(tail)


def write_dictionary(writer: Writer, head: str, items: Iterable[tuple[str, str, Optional[Span]]], tail: str) -> None:
    """Writes a dictionary, a line for each name with its value, and where it comes from."""
    items = list(items)
    if not items:
        writer.line(head + '{}' + tail)
        return
    with writer.block(head + '{'):
        texts = [f'{name!r}: {value}' for name, value, _ in items]
        for at, found in repetitions(texts, [span for _, _, span in items], longest=1):
            text = texts[at] if found is None else f'**{{{found.texts[0]} for i in {found.range}}}'
            writer.line(f'{text},', items[at][2])
    writer.line('}' + tail)


def looped(items: Sequence[str], bracket: str = '') -> Iterator[str]:
    """Yields items, with a loop in place of those that repeat.

    Args:
        items: Of a call, a list or a dictionary.
        bracket: What the list or dictionary opens with.
    """
    for at, found in repetitions(items, longest=1):
        if found is None:
            yield items[at]
        elif bracket == '{':
            yield f'**{{{found.texts[0]} for i in {found.range}}}'
        elif bracket == '[' and found.count == len(items):
            yield f'{found.texts[0]} for i in {found.range}'
        else:
            yield f'*({found.texts[0]} for i in {found.range})'
