"""Metrics that cost a run next to nothing: they follow from what it has, and disturb nothing."""
from __future__ import annotations

from typing import Collection, Mapping

from graphdsl.semantics.computation import Assignment, Key
from graphdsl.semantics.graph import Graph
from graphdsl.semantics.needs import is_pure


class Free:
    """Tells which values follow from others by functions alone.

    Args:
        graph: The graph.
        maker: The assignment that makes each value.
    """

    def __init__(self, graph: Graph, maker: Mapping[Key, Assignment]):
        self._maker = maker
        self._states = {state.key for state in graph.states}

    def follows(self, value: Key, available: Collection[Key]) -> bool:
        """Says whether a value follows from what a run has, without a model, random numbers or a pool."""
        pending = [value]
        while pending:
            key = pending.pop()
            if key in available or key in self._states:
                continue
            assignment = self._maker.get(key)
            if assignment is None or assignment.models or not all(map(is_pure, assignment.callees)):
                return False
            pending.extend(assignment.operands)
        return True
