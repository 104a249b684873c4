"""Cut: what has nothing to learn upstream gets no history, and what is computed for reports alone none either.

A frozen trunk keeps nothing for a backward pass, nor does the generator in the critic's step.
"""
from __future__ import annotations

from dataclasses import replace

from graphdsl.semantics.computation import Assignment, Key
from graphdsl.semantics.needs import Needs
from graphdsl.plan.history import History, points
from graphdsl.plan.plan import ALWAYS, NEVER, Guard, Operation, Plan, Step, either


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
            forward=tuple(_for_both(one, taken[step.name][id(one.assignment)])
                          if id(one.assignment) in taken[step.name] else one for one in forward),
            metrics=tuple(replace(one, history=(NEVER,) * len(one.history)) for one in step.metrics)))
    return replace(plan, steps=tuple(reversed(steps)))


def _history(step: Step, assignments: list[Assignment], needs: Needs) -> History:
    # Of the names of one value, any may be differentiated.
    roots: dict[Key, Guard] = {}
    moved: dict[Key, Guard] = {}
    for one in step.backward:
        for loss, _, guard in one.losses:
            roots[needs.root(loss)] = either(roots.get(needs.root(loss), NEVER), guard)
        for (_, guard), units in zip(one.optimizers, one.units):
            for unit in units:
                moved[unit.model] = either(moved.get(unit.model, NEVER), guard)
        moved.update({unit.model: ALWAYS for unit in one.unused})
    names = [*roots, *(report.key for report in step.reports),
             *(term.loss for one in step.backward for term in one.losses)]
    losses = {name: roots[needs.root(name)] for name in names if needs.root(name) in roots}
    return History(assignments, losses, moved, points(assignments))


def _cut(one: Operation, history: History) -> Operation:
    return replace(one, history=history.stages(one.assignment), is_wanted=history.is_wanted(one.assignment))


def _for_both(one: Operation, other: Operation) -> Operation:
    """Returns an operation of the first of two steps with the history that either needs."""
    # What holds in the other step can't be told yet.
    later = [NEVER if guard == NEVER else ALWAYS for guard in other.history]
    return replace(one, history=tuple(map(either, one.history, later)), is_wanted=one.is_wanted or other.is_wanted)
