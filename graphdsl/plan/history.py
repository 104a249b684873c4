"""Which values of a run need a history: what gradients pass on their way from a loss to what is moved."""
from __future__ import annotations

from typing import Collection, Iterable, Sequence

from graphdsl.semantics import flow
from graphdsl.semantics.computation import (
    Apply, Assignment, Builtin, Expression, Key, ModelName, Previous, Reference, walk)


def points(assignments: Iterable[Assignment]) -> tuple[Key, ...]:
    """Returns the values that gradients are taken with respect to by `grad`, each once."""
    return tuple(dict.fromkeys(node.arguments[1].key for assignment in assignments
                               for node in walk(*assignment.stages) if _is_gradient(node)))


def _is_gradient(node: Expression) -> bool:
    return isinstance(node, Apply) and node.callee == Builtin('grad')


class History:
    """Tells which assignments of a run need a history.

    Args:
        assignments: In the order of computation.
        losses: What is differentiated.
        moved: Models whose parameters get gradients.
        sources: Values that gradients are taken with respect to.
    """

    def __init__(self, assignments: Sequence[Assignment], losses: Collection[Key], moved: Collection[Key],
                 sources: Collection[Key]):
        wanted = set(losses)
        flows = {id(a): flow.gradient_sources(a) for a in assignments}
        differentiating = {id(a) for a in assignments if any(map(_is_gradient, walk(*a.stages)))}
        for assignment in reversed(assignments):
            if id(assignment) in differentiating or wanted.intersection(assignment.results):
                wanted.update(flows[id(assignment)][0])
        moving = self._moving = set(sources)
        self._moved = set(moved)
        self._wanted = wanted
        self._having: set[int] = set(differentiating)
        for assignment in assignments:
            operands, callees = flows[id(assignment)]
            if moving.intersection(operands) or any(callee.key in moved for callee in callees):
                moving.update(assignment.results)
                if wanted.intersection(assignment.results):
                    self._having.add(id(assignment))

    def has(self, assignment: Assignment) -> bool:
        """Says whether the results of an assignment need a history."""
        return id(assignment) in self._having

    def is_wanted(self, assignment: Assignment) -> bool:
        """Says whether gradients flow to the results of an assignment."""
        return bool(self._wanted.intersection(assignment.results))

    def stages_without(self, assignment: Assignment) -> int:
        """Returns how many stages at the start of an assignment need none, although its results do."""
        if not self.has(assignment):
            return 0
        stages = [list(flow.differentiable(stage)) for stage in assignment.stages]
        count = next((i for i, nodes in enumerate(stages) if any(map(self._moves, nodes))), 0)
        # What a stage does not differentiate with respect to the one before needs none before it.
        cuts = [i for i, nodes in enumerate(stages) if i and not any(isinstance(n, Previous) for n in nodes)]
        return max([count, *cuts])

    def _moves(self, node: Expression) -> bool:
        if isinstance(node, Reference):
            return node.key in self._moving
        return _is_gradient(node) or (isinstance(node, Apply) and isinstance(node.callee, ModelName)
                                      and node.callee.key in self._moved)
