"""Plans what an iteration does from what the graph says: each value once, each loss differentiated by itself.

What needs less work with the same results is up to :mod:`graphdsl.plan.passes`.
"""
from __future__ import annotations

from typing import Iterable, Mapping, Sequence

from graphdsl.semantics import flow
from graphdsl.semantics.computation import Assignment, Key, Reference, walk
from graphdsl.semantics.graph import Graph
from graphdsl.semantics.graph import Step as CheckedStep
from graphdsl.semantics.needs import Needs, steps_of, streams_read, terms_of
from graphdsl.plan.demands import Demand, passes_by_loss
from graphdsl.plan.evaluation import evaluations, predictions
from graphdsl.plan.guards import Conditions, guarded
from graphdsl.plan.pools import pools_of
from graphdsl.plan.plan import (
    ALWAYS, NEVER, Draw, Guard, Operation, Plan, Report, Step, WeightedLoss, both, either)
from graphdsl.plan.statistics import quiet_models


def plan(graph: Graph) -> Plan:
    """Plans the run of a checked graph."""
    needs = Needs(graph)
    steps = [_StepPlanner(graph, needs, step) for step in steps_of(graph)]
    last: dict[Key, _StepPlanner] = {}
    for metric in graph.metrics:
        step = next((s for s in reversed(steps) if needs.follows(metric.key, s.available)), None)
        if step is not None:
            last[metric.key] = step
    metrics = [m.key for m in graph.metrics]
    reached = flow.Reach(graph.assignments, [loss.key for loss in graph.losses]).models()
    return Plan(graph, tuple(step.plan([m for m in metrics if last.get(m) is step], reached) for step in steps),
                pools_of(graph), evaluations(graph, needs, [*(loss.key for loss in graph.losses), *metrics]),
                predictions(graph, needs, graph.outputs))


class _StepPlanner:
    """Plans one step.

    Args:
        graph: The graph.
        needs: What its values are computed from.
        step: The step, as checked.

    Attributes:
        guards: When each value is computed or drawn in a run.
        available: The values that a run has when all conditions hold.
    """

    def __init__(self, graph: Graph, needs: Needs, step: CheckedStep):
        self._graph = graph
        self._needs = needs
        self._step = step
        self._conditions = Conditions()
        self._demands = list(self._demanded())
        self._losses = self._needed_losses()
        self._numbers = needs.assignments(node.key for condition in self._conditions.all() for node in
                                          walk(condition.expression) if isinstance(node, Reference))
        early = set(map(id, self._numbers))
        self.guards = guarded(self._losses, [a for a in graph.assignments if id(a) not in early])
        self._forward = [a for a in needs.assignments(self._losses) if id(a) not in early]
        self._draws = self._drawn()
        drawn = {draw.name for draw in self._draws if draw.kind == 'stream'}
        for i in graph.inputs:
            if i.stream in drawn:
                self.guards[Key(i.name)] = next(d.guard for d in self._draws if d[:2] == ('stream', i.stream))
        for key in [*(state.key for state in graph.states), *(k for a in self._numbers for k in a.results)]:
            self.guards[key] = ALWAYS
        self.available = {key for key, guard in self.guards.items() if guard != NEVER}

    def _demanded(self) -> Iterable[Demand]:
        """Yields what each optimizer asks of a run, in the order of the file."""
        updates = {update.optimizer: update for update in self._step.updates}
        conditions = {loss.key: loss.condition for loss in self._graph.losses}
        for optimizer in self._graph.optimizers:
            update = updates.get(optimizer.name)
            if update is None:
                continue
            updated = self._conditions.guard(update.condition, f'updates {optimizer.name}')
            losses = [WeightedLoss(term.loss, term.weight, both(updated, self._conditions.guard(
                conditions[term.loss], f'has {term.loss}')))
                for term in terms_of(update, optimizer)]
            present = NEVER
            for loss in losses:
                present = either(present, loss.guard)
            yield Demand(optimizer.name, optimizer.owns, present, tuple(losses))

    def _needed_losses(self) -> dict[Key, Guard]:
        """Returns the losses that a run minimizes, in the order of the file, each with when."""
        found: dict[Key, Guard] = {}
        for demand in self._demands:
            for loss, _, guard in demand.losses:
                found[loss] = either(found.get(loss, NEVER), guard)
        return {loss.key: found[loss.key] for loss in self._graph.losses if loss.key in found}

    def _drawn(self) -> tuple[Draw, ...]:
        again = self._step.again
        draws = []
        for stream in streams_read(self._graph, self._forward):
            inputs = {Key(i.name) for i in self._graph.inputs if i.stream == stream}
            guard = self._read_when(inputs)
            draws.append(Draw('stream', stream, again is not None, guard))
        in_conditions = {node.key for condition in self._conditions.all() for node in walk(condition.expression)
                         if isinstance(node, Reference)} | {k for a in self._numbers for k in a.operands}
        for noise in self._graph.noises:
            guard = ALWAYS if noise.key in in_conditions else self._read_when({noise.key})
            if guard != NEVER:
                draws.append(Draw('noise', str(noise.key), again == 'batch', guard))
                self.guards[noise.key] = guard
        return tuple(draws)

    def _read_when(self, keys: set[Key]) -> Guard:
        found = NEVER
        for assignment in self._forward:
            if keys.intersection(assignment.operands):
                found = either(found, self.guards[assignment.results[0]])
        return found

    def plan(self, metrics: Sequence[Key], reached: Mapping[Key, set[Key]]) -> Step:
        """Returns the step.

        Args:
            metrics: Those that this step reports.
            reached: The models that each loss sends gradients to, losses in the order of the file.
        """
        extra, reported = self._computed_metrics(metrics)
        reached = {loss: models for loss, models in reached.items() if loss in self._losses}
        backward = passes_by_loss(self._demands, reached, self._graph.optimizers)
        forward = tuple(_with_history(a, self.guards[a.results[0]]) for a in self._forward)
        read = {key for change in self._graph.nexts for key in self._needs.leaves(change.expression)}
        kept = tuple(Report(key, self.guards[key]) for key in sorted(read) if key in self.guards)
        step = self._step
        return Step(step.name, step.condition, step.kind, step.count, self._conditions.all(), self._draws,
                    self._numbers, forward, extra, backward,
                    tuple((demand.optimizer, demand.guard) for demand in self._demands),
                    tuple(Report(loss, guard) for loss, guard in self._losses.items()) + reported,
                    quiet_models(self._graph, self._forward, self._demands), kept)

    def _computed_metrics(self, metrics: Sequence[Key]) -> tuple[tuple[Operation, ...], tuple[Report, ...]]:
        """Returns what is computed for reports alone, and when each metric is reported."""
        wanted: dict[Key, Guard] = {}
        for metric in metrics:
            wanted[metric] = self._present(metric)
        needed = [a for a in self._needs.assignments(metrics) if not self.available.intersection(a.results)]
        guards = guarded(wanted, needed)
        for key, guard in guards.items():
            self.guards.setdefault(key, guard)
        return (tuple(_with_history(a, guards[a.results[0]]) for a in needed),
                tuple(Report(metric, guard) for metric, guard in wanted.items()))

    def _present(self, metric: Key) -> Guard:
        """Returns when all that a metric is computed from is there."""
        found, pending = ALWAYS, [metric]
        while pending:
            key = pending.pop()
            if key in self.available:
                found = both(found, self.guards[key])
            elif key in self._needs.maker:
                pending.extend(self._needs.maker[key].operands)
        return found


def _with_history(assignment: Assignment, guard: Guard) -> Operation:
    return Operation(assignment, (ALWAYS,) * len(assignment.stages), guard)
