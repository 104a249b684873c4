"""Names in few words: the members of a family as ``head[*]``."""
from __future__ import annotations

import re
from typing import Iterable, Mapping, Sequence

_MEMBER = re.compile(r'(.*)\[(\d+)\]')


def base_of(name: str) -> str:
    """Returns ``head`` for ``head[2]``, and a name that is no member as it is."""
    return name.partition('[')[0]


def sizes(names: Iterable[str]) -> dict[str, int]:
    """Returns how many of some names each family has."""
    found: dict[str, int] = {}
    for name in names:
        found[base_of(name)] = found.get(base_of(name), 0) + 1
    return found


def folded(names: Iterable[str], families: Mapping[str, int]) -> list[str]:
    """Writes families, each where its first member stands, as ``head[*]`` or ``head[0..3]``.

    Args:
        names: In any order.
        families: How many members there are of each.
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(base_of(name), []).append(name)
    return [text for base, members in groups.items() for text in _family(base, members, families.get(base, 0))]


def _family(base: str, members: Sequence[str], size: int) -> Sequence[str]:
    if len(members) < 2:
        return members
    if len(members) == size:
        return [f'{base}[*]']
    indices = sorted(int(match[2]) for match in map(_MEMBER.fullmatch, members) if match)
    if len(indices) == len(members) and indices == list(range(indices[0], indices[0] + len(indices))):
        return [f'{base}[{indices[0]}..{indices[-1] + 1}]']
    return members
