"""The order of computation."""
from __future__ import annotations

import heapq
from typing import Iterable, Mapping, Sequence

from graphdsl.check.graph import Assignment, Key, operands
from graphdsl.diagnostics import Place, mistake


def in_order(assignments: Sequence[Assignment]) -> tuple[Assignment, ...]:
    """Sorts assignments so that each comes after those it reads, ties in the order of the file.

    Raises:
        Mistake: If some depend on each other in a circle; it names the whole circle.
    """
    maker = {key: i for i, assignment in enumerate(assignments) for key in assignment.results}
    needs = [{maker[key] for key in operands(a) if key in maker} for a in assignments]
    users: list[list[int]] = [[] for _ in assignments]
    for i, needed in enumerate(needs):
        for j in needed:
            users[j].append(i)
    missing = [len(needed) for needed in needs]
    ready = [i for i, count in enumerate(missing) if not count]
    order = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for user in users[i]:
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, user)
    if len(order) < len(assignments):
        raise _cycle(assignments, needs, set(range(len(assignments))) - set(order))
    return tuple(assignments[i] for i in order)


def _cycle(assignments, needs, left: set[int]):
    i = min(left)
    path: list[int] = []
    while i not in path:
        path.append(i)
        i = min(needs[i] & left)
    # Each assignment of the path needs the next: the values flow the other way.
    circle = path[path.index(i):][::-1]
    names = [str(assignments[j].results[0]) for j in circle]
    first, *others = circle
    return mistake('G301', 'these values depend on each other in a circle', assignments[first].span,
                   reason=' -> '.join([*names, names[0]]),
                   places=tuple(Place(assignments[j].span, f'makes `{assignments[j].results[0]}`') for j in others[:8]),
                   help='a value of the minibatch before must be a `state`; otherwise cut the circle')


def reaching(keys: Iterable[Key], maker: Mapping[Key, Assignment]) -> list[Assignment]:
    """Returns the assignments that some values are computed by, in no particular order.

    Args:
        keys: The values.
        maker: The assignment that makes each value.
    """
    found: dict[int, Assignment] = {}
    pending = list(keys)
    while pending:
        assignment = maker.get(pending.pop())
        if assignment is not None and id(assignment) not in found:
            found[id(assignment)] = assignment
            pending.extend(operands(assignment))
    return list(found.values())
