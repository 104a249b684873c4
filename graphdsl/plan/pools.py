"""Pools of past values: where they are, and what they are called."""
from __future__ import annotations

from typing import Iterator

from graphdsl.semantics.computation import Apply, Assignment, Builtin, walk
from graphdsl.semantics.graph import Graph


def pools_in(assignment: Assignment) -> Iterator[tuple[str, int]]:
    """Yields the names and sizes of an assignment's pools, in the order of its calls of `history`."""
    calls = [node for node in walk(*assignment.stages) if isinstance(node, Apply) and node.callee == Builtin('history')]
    name = str(assignment.results[0])
    for number, node in enumerate(calls):
        yield (name if number == 0 else f'{name}/{number + 1}'), node.arguments[1].value


def pools_of(graph: Graph) -> tuple[tuple[str, int], ...]:
    """Returns the names and sizes of all pools."""
    return tuple(pool for assignment in graph.assignments for pool in pools_in(assignment))
