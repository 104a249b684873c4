"""What the names of reports say.

``digit[2]`` and ``k`` are of the graph, ``trunk.alpha`` is a rate, ``validation/digit[2]`` was computed in an
evaluation, and ``trunk/weights/norm`` is a statistic of a model.
"""
from __future__ import annotations

import re
from typing import Any, Iterable, Mapping

#: What Chainer adds to each entry of the log.
COUNTS = ('epoch', 'iteration', 'elapsed_time')
_MEMBER = re.compile(r'\[.*\]')


def evaluation_of(name: str) -> str:
    """Returns the name of the evaluation that reports a value, such as ``validation``; empty for training."""
    before, *rest = name.split('/')
    return before if len(rest) == 1 else ''


def is_statistic(name: str) -> bool:
    """Says whether a report is a statistic of a model."""
    return name.count('/') == 2


def base_of(name: str) -> str:
    """Returns the name without the evaluation that reports it."""
    return name.split('/')[1] if evaluation_of(name) else name


def family_of(name: str) -> str:
    """Returns the name that all members of a family share: ``digit[*]`` for ``digit[2]``."""
    return _MEMBER.sub('[*]', name)


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Returns the members of each family, and every other name alone."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(family_of(name), []).append(name)
    return groups


def folded(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces the members of each family in a log entry by their mean, as ``digit[*]``."""
    return {group: sum(entry[name] for name in members) / len(members) if len(members) > 1 else entry[members[0]]
            for group, members in grouped(entry).items()}
