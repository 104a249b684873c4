"""What a step runs, and where gradients flow in it."""
from __future__ import annotations

from typing import Iterable, Optional

from graphdsl.plan.plan import BackwardPass, Plan, Step
from graphdsl.semantics.computation import Assignment, Key
from graphdsl.semantics.flow import gradient_sources
from graphdsl.tools.draw.sketch import Arrow


class Running:
    """What runs, and where gradients flow.

    Args:
        plan: The plan.
        step: Name of the step to look at; None for all of them.

    Attributes:
        updated: Names of the optimizers that the step updates; none for all steps.
    """

    def __init__(self, plan: Plan, step: Optional[str]):
        steps = [one for one in plan.steps if step is None or one.name == step]
        self.updated = {name for one in steps for name, _ in one.updates} if step is not None else set()
        self._computed = None if step is None else {id(assignment) for one in steps for assignment in _computed(one)}
        self._passes = [_Pass(one, backward) for one in steps for backward in one.backward]
        self._all = self._passes if step is None else [_Pass(one, backward) for one in plan.steps
                                                       for backward in one.backward]

    def computes(self, arrow: Arrow) -> bool:
        """Says whether what an arrow leads to is computed."""
        return self._computed is None or id(arrow.user) in self._computed

    def has_gradient(self, arrow: Arrow) -> bool:
        """Says whether gradients flow back along an arrow."""
        return not (arrow.flow.is_cut or arrow.is_lost) and any(
            one.wants(arrow) and one.moves(arrow) for one in self._passes)

    def might_have_gradient(self, arrow: Arrow) -> bool:
        """Says whether something that is ever trained stands before an arrow."""
        return any(one.moves(arrow) for one in self._all)


class _Pass:
    """The way that the gradients of a backward pass take."""

    def __init__(self, step: Step, backward: BackwardPass):
        self._models = {unit.model for units in backward.units for unit in units}
        self._moving: set[Key] = set()
        assignments = list(_computed(step))
        for assignment in assignments:
            values, callees = gradient_sources(assignment)
            if self._moving.intersection(values) or any(callee.key in self._models for callee in callees):
                self._moving.update(assignment.results)
        asked = {term.loss for term in backward.losses}
        self._wanted: set[int] = set()
        for assignment in reversed(assignments):
            if asked.intersection(assignment.results):
                self._wanted.add(id(assignment))
                asked.update(gradient_sources(assignment)[0])

    def wants(self, arrow: Arrow) -> bool:
        """Says whether gradients arrive at the head of an arrow."""
        return id(arrow.user) in self._wanted

    def moves(self, arrow: Arrow) -> bool:
        """Says whether a model that is trained stands before an arrow."""
        return not (self._moving.isdisjoint(arrow.flow.values) and self._models.isdisjoint(arrow.flow.models))


def _computed(step: Step) -> Iterable[Assignment]:
    yield from (reused.operation.assignment for reused in step.reused)
    yield from step.assignments
