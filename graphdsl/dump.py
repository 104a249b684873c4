"""Prints the data between phases: a dataclass per line, its fields indented below it."""
from __future__ import annotations

import dataclasses
from typing import Any, Iterator

from graphdsl.diagnostics import Span

_WIDTH = 100


def dump(value: Any) -> str:
    """Returns a tree or graph as text, without its spans and what has its default."""
    return '\n'.join(_lines(value)) + '\n'


def _lines(value: Any) -> Iterator[str]:
    short = _short(value)
    if len(short) <= _WIDTH or not (dataclasses.is_dataclass(value) or isinstance(value, tuple)):
        yield short
    elif dataclasses.is_dataclass(value):
        yield type(value).__name__
        for name, field in _fields(value):
            yield from _indented(_lines(field), f'{name}: ')
    else:
        yield ''
        for item in value:
            yield from _indented(_lines(item), '- ')


def _indented(lines: Iterator[str], head: str) -> Iterator[str]:
    yield f'  {head}{next(lines)}'.rstrip()
    for line in lines:
        yield f'    {line}'


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if field.name not in ('span', 'text') and content != field.default:
            yield field.name, 'somewhere' if isinstance(content, Span) else content


def _short(value: Any) -> str:
    if dataclasses.is_dataclass(value):
        return f'{type(value).__name__}({", ".join(f"{n}={_short(v)}" for n, v in _fields(value))})'
    if isinstance(value, tuple) and hasattr(value, '_fields'):
        return str(value)
    if isinstance(value, tuple):
        return f'({", ".join(map(_short, value))})'
    return repr(value)
