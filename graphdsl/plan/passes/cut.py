"""Cut: what has nothing to learn upstream gets no history, and what is computed for reports alone none either.

A frozen trunk keeps nothing for a backward pass, nor does the generator in the critic's step.
"""
from __future__ import annotations

from dataclasses import replace
from graphdsl.semantics.computation import Assignment, Key
from graphdsl.semantics.needs import Needs
from graphdsl.plan.history import History, points
from graphdsl.plan.plan import Operation, Plan, Step


def cut(plan: Plan) -> Plan:
    """Takes histories away where no gradient passes."""
    needs = Needs(plan.graph)
    order = {id(assignment): i for i, assignment in enumerate(plan.graph.assignments)}
    # What later steps take over, as they need it.
    taken: dict[str, dict[int, Operation]] = {step.name: {} for step in plan.steps}
    steps = []
    for step in reversed(plan.steps):
        assignments = [one.assignment for one in (*(one.operation for one in step.reused), *step.forward)]
        history = _history(step, sorted(assignments, key=lambda one: order[id(one)]), needs)
        reused = tuple(one._replace(operation=_cut(one.operation, history)) for one in step.reused)
        for operation, name in reused:
            asked = taken[name].get(id(operation.assignment))
            taken[name][id(operation.assignment)] = operation if asked is None else _for_both(operation, asked)
        forward = [_cut(one, history) for one in step.forward]
        steps.append(replace(
            step, reused=reused,
            forward=tuple(_for_both(one, taken[step.name].get(id(one.assignment), one)) for one in forward),
            metrics=tuple(replace(one, has_history=False) for one in step.metrics)))
    return replace(plan, steps=tuple(reversed(steps)))


def _history(step: Step, assignments: list[Assignment], needs: Needs) -> History:
    differentiated = {term.loss for one in step.backward for term in one.losses}
    losses = differentiated | {report.key for report in step.reports if needs.root(report.key) in differentiated}
    moved: set[Key] = {unit.model for one in step.backward for units in (*one.units, one.unused) for unit in units}
    return History(assignments, losses, moved, points(assignments))


def _cut(one: Operation, history: History) -> Operation:
    return replace(one, has_history=history.has(one.assignment), is_wanted=history.is_wanted(one.assignment),
                   stages_without=history.stages_without(one.assignment))


def _for_both(one: Operation, other: Operation) -> Operation:
    """Returns an operation with the history that either of two steps needs."""
    if not (one.has_history and other.has_history):
        return one if one.has_history else replace(other, guard=one.guard)
    return replace(one, is_wanted=one.is_wanted or other.is_wanted,
                   stages_without=min(one.stages_without, other.stages_without))
