"""Prints the data between phases: a dataclass per line, its fields indented below it."""
from __future__ import annotations

import dataclasses
from typing import Any, Iterator

_WIDTH = 100


def dump(value: Any) -> str:
    """Returns a tree or graph as text, without its spans."""
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
        if field.name not in ('span', 'text'):
            yield field.name, getattr(value, field.name)


def _short(value: Any) -> str:
    if dataclasses.is_dataclass(value):
        return f'{type(value).__name__}({", ".join(f"{n}={_short(v)}" for n, v in _fields(value))})'
    if isinstance(value, tuple) and hasattr(value, '_fields'):
        return str(value)
    if isinstance(value, tuple):
        return f'({", ".join(map(_short, value))})'
    return repr(value)
