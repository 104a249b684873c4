"""Names in messages: families in short, rows of names cut in the middle."""
from __future__ import annotations

from itertools import groupby
from typing import Hashable, Iterable, Sequence, TypeVar

from graphdsl.semantics.computation import Key

_MOST_LISTED = 5
_MOST_IN_A_ROW = 8

Item = TypeVar('Item')


def members(keys: Iterable[Key]) -> str:
    """Returns names for a sentence: ``head[0]`` to ``head[15]`` for a whole stretch of a family."""
    names: list[str] = []
    for base, group in groupby(sorted(set(keys)), lambda key: (key.base, len(key.index))):
        family = list(group)
        numbers = [key.index[0] for key in family] if base[1] == 1 else []
        if len(family) > 2 and numbers == list(range(numbers[0], numbers[0] + len(family)) if numbers else ()):
            names.append(f'`{family[0]}` to `{family[-1]}`')
        else:
            names.extend(f'`{key}`' for key in family)
    return listing(names)


def listing(names: Sequence[str], most: int = _MOST_LISTED) -> str:
    """Returns names as ``a, b and c``, those in the middle of many left out."""
    if len(names) > most + 1:
        names = [*names[:most - 1], f'{len(names) - most} more', names[-1]]
    return ' and '.join(filter(None, [', '.join(names[:-1]), *names[-1:]]))


def with_article(noun: str) -> str:
    """Returns ``an optimizer`` for ``optimizer``."""
    return f'an {noun}' if noun[0] in 'aeiou' else f'a {noun}'


def circle_of(names: Sequence[object]) -> str:
    """Returns a note on names each of which leads to the next, and the last to the first: all of them."""
    return 'the circle is ' + ' -> '.join(f'`{name}`' for name in (*names, names[0]))


def row(names: Sequence[object]) -> str:
    """Returns names with arrows between them, the middle of a long row left out."""
    quoted = [f'`{name}`' for name in names]
    if len(quoted) > _MOST_IN_A_ROW + 1:
        half = _MOST_IN_A_ROW // 2
        quoted[half:-half] = [f'... {len(quoted) - 2 * half} more ...']
    return ' -> '.join(quoted)


def grouped(items: Iterable[Item], key) -> list[list[Item]]:
    """Returns items by what they have in common, groups in the order of their first items."""
    found: dict[Hashable, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return list(found.values())
