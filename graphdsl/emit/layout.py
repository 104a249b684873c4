"""Lines that break where they are too long, and lists of names and values."""
from __future__ import annotations

from typing import Iterable, Optional

from graphdsl.diagnostics import Span
from graphdsl.emit.writer import Writer

_WIDTH = 100


def write_wrapped(writer: Writer, head: str, items: Iterable[str], tail: str, span: Optional[Span] = None) -> None:
    """Writes a line, or several where the items are too long for one."""
    items = list(items)
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
        for name, value, span in items:
            writer.line(f'{name!r}: {value},', span)
    writer.line('}' + tail)
