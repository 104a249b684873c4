"""Which values of a run need a history, and when: what gradients pass on their way from a loss to what is moved."""
from __future__ import annotations

from typing import Iterable, Mapping, Sequence

from graphdsl.semantics import flow
from graphdsl.semantics.computation import (
    Apply, Assignment, Builtin, Expression, Key, ModelName, Previous, Reference)
from graphdsl.plan.plan import ALWAYS, NEVER, Guard, both, either


def points(assignments: Iterable[Assignment]) -> tuple[Key, ...]:
    """Returns the values that gradients are taken with respect to by `grad`, each once."""
    return tuple(dict.fromkeys(key for assignment in assignments for key in assignment.points))


def _is_gradient(node: Expression) -> bool:
    return isinstance(node, Apply) and node.callee == Builtin('grad')


class History:
    """Tells when the assignments of a run need a history.

    Args:
        assignments: In the order of computation.
        losses: What is differentiated, and when.
        moved: Models whose parameters get gradients, and when.
        sources: Values that gradients are taken with respect to.
    """

    def __init__(self, assignments: Sequence[Assignment], losses: Mapping[Key, Guard], moved: Mapping[Key, Guard],
                 sources: Iterable[Key]):
        self._moved = moved
        self._moving: dict[Key, Guard] = dict.fromkeys(sources, ALWAYS)
        self._wanted: dict[int, Guard] = {}
        asked = {key: {guard} for key, guard in losses.items()}
        for assignment in reversed(assignments):
            self._wanted[id(assignment)] = either(*(
                guard for key in assignment.results for guard in asked.get(key, ())))
            through = self._demand(assignment)
            if through != NEVER:
                for key in flow.gradient_sources(assignment)[0]:
                    asked.setdefault(key, set()).add(through)
        self._stages: dict[int, tuple[Guard, ...]] = {}
        for assignment in assignments:
            moving = self._motion(assignment)
            for key in assignment.results:
                self._moving[key] = either(self._moving.get(key, NEVER), moving[-1])
            self._stages[id(assignment)] = tuple(map(both, moving, self._wants(assignment)))

    def stages(self, assignment: Assignment) -> tuple[Guard, ...]:
        """Returns when the result of each stage of an assignment needs a history."""
        return self._stages[id(assignment)]

    def is_wanted(self, assignment: Assignment) -> bool:
        """Says whether gradients may flow to the results of an assignment."""
        return self._wanted[id(assignment)] != NEVER

    def _demand(self, assignment: Assignment) -> Guard:
        """Returns when gradients flow through an assignment: always, if it takes some itself."""
        return ALWAYS if assignment.points else self._wanted[id(assignment)]

    def _wants(self, assignment: Assignment) -> list[Guard]:
        """Returns when gradients flow to the result of each stage; what a stage does not differentiate gets none."""
        wanted = [self._demand(assignment)]
        for stage in reversed(assignment.stages[1:]):
            passes = assignment.points or any(isinstance(node, Previous) for node in flow.differentiable(stage))
            wanted.append(wanted[-1] if passes else NEVER)
        return wanted[::-1]

    def _motion(self, assignment: Assignment) -> list[Guard]:
        """Returns when something that is moved stands upstream of the result of each stage."""
        found: list[Guard] = []
        for stage in assignment.stages:
            found.append(either(*{found[-1] if isinstance(node, Previous) and found else self._moves(node)
                                  for node in flow.differentiable(stage)}))
        return found

    def _moves(self, node: Expression) -> Guard:
        if isinstance(node, Reference):
            return self._moving.get(node.key, NEVER)
        if isinstance(node, Apply) and isinstance(node.callee, ModelName):
            return self._moved.get(node.callee.key, NEVER)
        return ALWAYS if _is_gradient(node) else NEVER
