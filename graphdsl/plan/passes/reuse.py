"""Reuse: a step takes over what a step before has computed from the same draws and the same weights.

The generator that a critic's step has run on some noise need not run again for its own step on the same batch.
"""
from __future__ import annotations

from dataclasses import replace
from typing import Iterator, Sequence

from graphdsl.semantics.computation import Assignment, Key, Literal, ModelName
from graphdsl.semantics.graph import Graph
from graphdsl.semantics.needs import Needs
from graphdsl.semantics.repeatable import is_repeatable
from graphdsl.plan.history import points
from graphdsl.plan.plan import ALWAYS, NEVER, Draw, Plan, Reused, Step
from graphdsl.plan.statistics import has_statistics


# Assignments that are looked at in all pairs of steps: beyond this, steps compute for themselves.
_MOST_COMPARED = 300_000


def reuse(plan: Plan) -> Plan:
    """Lets steps hand values on, each from the latest step that has it."""
    steps = list(plan.steps)
    compared = 0
    needs = Needs(plan.graph)
    computing: dict[int, list[int]] = {}
    for later, step in enumerate(steps):
        needed = {id(one.assignment) for one in step.forward if _is_certain(step)}
        for earlier in sorted({i for one in needed for i in computing.get(one, ())}, reverse=True):
            compared += len(plan.graph.assignments) + later - earlier
            if compared > _MOST_COMPARED:
                break
            shared = _Pair(plan.graph, needs, steps[earlier:later + 1]).shared()
            if shared:
                steps[earlier], steps[later] = _handed_on(plan.graph, steps[earlier], steps[later], shared)
        for one in _computed_for_sure(steps[later]):
            computing.setdefault(one, []).append(later)
    return replace(plan, steps=tuple(steps))


def _computed_for_sure(step: Step) -> set[int]:
    """Returns the assignments, by their identity, that a step computes in every iteration."""
    if step.condition is not None or not _is_certain(step):
        return set()
    return {id(one.assignment) for one in step.forward if one.guard == ALWAYS}


def _is_certain(step: Step) -> bool:
    """Says whether a step, if its condition holds, runs, and each run is complete in itself."""
    return step.kind is None or (step.kind == 'repeat' and isinstance(step.count, Literal) and step.count.value >= 1)


class _Pair:
    """What the last of some consecutive steps can take over from the first.

    Args:
        graph: The graph.
        needs: What its values are computed from.
        steps: The two steps, and those between them.
    """

    def __init__(self, graph: Graph, needs: Needs, steps: Sequence[Step]):
        self._graph = graph
        self._needs = needs
        self._earlier, *_, self._later = self._steps = steps
        self._repeats = 'repeat' in (self._earlier.kind, self._later.kind)
        self._chains = {model.key: model.chain for model in graph.models}
        self._points = {*points(one.assignment for one in self._earlier.forward),
                        *points(one.assignment for one in self._later.forward)}

    def shared(self) -> list[Assignment]:
        """Returns the assignments, in the order of computation."""
        computed = _computed_for_sure(self._earlier)
        moved = set(_moved_before(self._graph, self._steps))
        while True:
            same = self._same(moved)
            shared = [one.assignment for one in self._later.forward if id(one.assignment) in computed
                      and not one.assignment.is_number and same.issuperset(one.assignment.results)]
            # What depends on a model that has to run in both steps is computed in both.
            again = {key for a in shared for key in a.models if not self._can_run_once(key, shared)}
            if not again:
                return shared
            moved |= again

    def _same(self, moved: set[Key]) -> set[Key]:
        """Returns the values that are the same in both steps.

        Args:
            moved: Models and states that are not.
        """
        same = {state.key for state in self._graph.states} - moved
        same |= _drawn_again(self._graph, self._needs, self._steps) - self._points
        for assignment in self._graph.assignments:
            if (same.issuperset(assignment.operands) and moved.isdisjoint(assignment.models)
                    and self._points.isdisjoint(assignment.results) and not assignment.needs_batch_size
                    and is_repeatable(assignment, self._chains)):
                same.update(assignment.results)
        return same

    def _can_run_once(self, model: Key, shared: Sequence[Assignment]) -> bool:
        """Says whether a model's running statistics end up the same if the earlier step runs it for both."""
        quiet = dict(self._later.quiet)
        one = next(one for one in self._graph.models if one.key == model)
        if one.is_frozen or not has_statistics(one.chain) or quiet.get(model) == NEVER:
            return True
        ours = set(map(id, shared))
        calls = [one for step in (self._earlier, self._later) for one in step.forward if model in one.assignment.models]
        return (not self._repeats and self._later.condition is None and model not in quiet
                and all(one.guard == ALWAYS and id(one.assignment) in ours for one in calls)
                and not any(isinstance(callee, ModelName) and callee.key == model and callee.mode
                            for step in self._steps for one in step.forward for callee in one.assignment.callees))


def _moved_before(graph: Graph, steps: Sequence[Step]) -> Iterator[Key]:
    """Yields the models and states that move after the first of some steps and before the end of the last one."""
    *before, last = steps
    owns = {optimizer.name: optimizer.owns for optimizer in graph.optimizers}
    for step in [*before, last] if last.kind == 'repeat' else before:
        yield from (unit.model for optimizer, _ in step.updates for unit in owns[optimizer])
    names = {step.name for step in before}
    yield from (change.key for change in graph.nexts if change.after in names)


def _drawn_again(graph: Graph, needs: Needs, steps: Sequence[Step]) -> set[Key]:
    """Returns the inputs and noise that are the same in the first and the last of some steps."""
    first, *between, last = steps
    certain = {draw[:2] for draw in first.draws if draw.guard == ALWAYS}
    fresh = {draw[:2] for step in between for draw in step.draws if not draw.again}
    # The condition of a step draws noise when it is reached.
    fresh |= {('noise', str(key)) for step in (*between, last) for expression in (step.condition, step.count)
              if expression is not None for key in needs.leaves(expression)}
    return {key for draw in last.draws if draw.again and draw[:2] in certain - fresh for key in _keys(graph, draw)}


def _keys(graph: Graph, draw: Draw) -> Iterator[Key]:
    if draw.kind == 'stream':
        yield from (Key(i.name) for i in graph.inputs if i.stream == draw.name)
    else:
        yield from (noise.key for noise in graph.noises if str(noise.key) == draw.name)


def _handed_on(graph: Graph, earlier: Step, later: Step, shared: Sequence[Assignment]) -> tuple[Step, Step]:
    """Returns both steps, the later of which takes over some assignments."""
    ours = set(map(id, shared))
    rest = replace(
        later, forward=tuple(one for one in later.forward if id(one.assignment) not in ours),
        reused=later.reused + tuple(Reused(one, earlier.name) for one in later.forward if id(one.assignment) in ours))
    read = rest.read()
    rest = replace(rest, draws=tuple(
        draw._replace(is_read=not draw.again or not read.isdisjoint(_keys(graph, draw))) for draw in rest.draws))
    # These moved in the later step's own calls, which the earlier one makes now.
    moving = {model for a in shared for model in a.models} - {model for model, _ in later.quiet}
    handed = [key for a in shared for key in a.results if key in read and key not in earlier.handed]
    return replace(earlier, handed=earlier.handed + tuple(handed),
                   quiet=tuple((model, guard) for model, guard in earlier.quiet if model not in moving)), rest
