"""Plans what an iteration does from what the graph says: each value once, each loss differentiated by itself.

What needs less work with the same results is up to :mod:`graphdsl.plan.passes`.
"""
from __future__ import annotations

from typing import Iterable, Sequence

from graphdsl.semantics import flow
from graphdsl.semantics.computation import Assignment, Key, Reference, walk
from graphdsl.semantics.graph import Graph, Unit
from graphdsl.semantics.graph import Step as CheckedStep
from graphdsl.semantics.needs import Needs, steps_of, terms_of
from graphdsl.plan.demands import Demand, passes_by_loss
from graphdsl.plan.evaluation import evaluations, predictions
from graphdsl.plan.guards import Conditions, guarded
from graphdsl.plan.pools import pools_of
from graphdsl.plan.plan import (
    ALWAYS, NEVER, Draw, Guard, Operation, Plan, Report, Step, WeightedLoss, both, either)
from graphdsl.plan.statistics import has_statistics, quiet_models


def plan(graph: Graph) -> Plan:
    """Plans the run of a checked graph."""
    whole = _Whole(graph)
    steps = [_StepPlanner(whole, step) for step in steps_of(graph)]
    metrics = [m.key for m in graph.metrics]
    reported: list[list[Key]] = [[] for _ in steps]
    for metric, numbers in whole.needs.following(metrics, [step.available for step in steps]).items():
        if numbers:
            reported[numbers.bit_length() - 1].append(metric)
    return Plan(graph, tuple(map(_StepPlanner.plan, steps, reported)), pools_of(graph),
                evaluations(graph, whole.needs, [*(loss.key for loss in graph.losses), *metrics]),
                predictions(graph, whole.needs, graph.outputs))


class _Whole:
    """What the planning of a step asks of the graph as a whole.

    Attributes:
        needs: What its values are computed from.
        losses, optimizers, models, streams, noises: By key or name, each with its place in the file.
        stream_of: The stream of each input that is used.
        inputs: Of each stream.
        reached: The models that each loss sends gradients to.
        owners: The optimizers that own a model or some of it, each with what it owns.
        with_statistics: Models that train and may keep running statistics.
        read: Values that the rules of states read.
    """

    def __init__(self, graph: Graph):
        self.needs = Needs(graph)
        self.losses = {loss.key: (i, loss) for i, loss in enumerate(graph.losses)}
        self.optimizers = {optimizer.name: (i, optimizer) for i, optimizer in enumerate(graph.optimizers)}
        self.streams = {name: i for i, name in enumerate([stream.name for stream in graph.streams] or ['main'])}
        self.noises = {noise.key: i for i, noise in enumerate(graph.noises)}
        self.stream_of = {Key(i.name): i.stream for i in graph.inputs if i.name != '_'}
        self.inputs: dict[str, list[Key]] = {}
        for i in graph.inputs:
            self.inputs.setdefault(i.stream, []).append(Key(i.name))
        self.reached = flow.Reach(graph.assignments, list(self.losses)).models()
        self.owners: dict[Key, list[tuple[str, Unit]]] = {}
        for optimizer in graph.optimizers:
            for unit in optimizer.owns:
                self.owners.setdefault(unit.model, []).append((optimizer.name, unit))
        self.with_statistics = {model.key: i for i, model in enumerate(graph.models)
                                if not model.is_frozen and has_statistics(model.chain)}
        self.read = {key for change in graph.nexts for key in self.needs.leaves(change.expression)}


class _StepPlanner:
    """Plans one step.

    Args:
        whole: The graph.
        step: The step, as checked.

    Attributes:
        guards: When each value is computed or drawn in a run.
        available: The values that a run has when all conditions hold.
    """

    def __init__(self, whole: _Whole, step: CheckedStep):
        self._whole = whole
        self._needs = needs = whole.needs
        self._step = step
        self._conditions = Conditions()
        self._demands = list(self._demanded())
        self._losses = self._needed_losses()
        self._numbers = needs.assignments(node.key for condition in self._conditions.all() for node in
                                          walk(condition.expression) if isinstance(node, Reference))
        early = set(map(id, self._numbers))
        self._forward = [a for a in needs.assignments(self._losses) if id(a) not in early]
        self.guards = guarded(self._losses, self._forward)
        self._draws = self._drawn()
        for draw in self._draws:
            if draw.kind == 'stream':
                self.guards.update(dict.fromkeys(whole.inputs[draw.name], draw.guard))
        self.guards.update(dict.fromkeys((key for a in self._numbers for key in a.results), ALWAYS))
        self.available = {key for key, guard in self.guards.items() if guard != NEVER}

    def _demanded(self) -> Iterable[Demand]:
        """Yields what each optimizer asks of a run, in the order of the file."""
        optimizers, all_losses = self._whole.optimizers, self._whole.losses
        for update in sorted(self._step.updates, key=lambda update: optimizers[update.optimizer][0]):
            optimizer = optimizers[update.optimizer][1]
            updated = self._conditions.guard(update.condition, f'updates {optimizer.name}')
            losses = [WeightedLoss(term.loss, term.weight, both(updated, self._conditions.guard(
                all_losses[term.loss][1].condition, f'has {term.loss}')))
                for term in terms_of(update, optimizer)]
            yield Demand(optimizer.name, optimizer.owns, either(*(loss.guard for loss in losses)), tuple(losses))

    def _needed_losses(self) -> dict[Key, Guard]:
        """Returns the losses that a run minimizes, in the order of the file, each with when."""
        found: dict[Key, set[Guard]] = {}
        for demand in self._demands:
            for loss, _, guard in demand.losses:
                found.setdefault(loss, set()).add(guard)
        return {loss: either(*found[loss]) for loss in sorted(found, key=lambda loss: self._whole.losses[loss][0])}

    def _drawn(self) -> tuple[Draw, ...]:
        whole, again = self._whole, self._step.again
        streams: dict[str, set[Guard]] = {}
        noises: dict[Key, set[Guard]] = {}
        for assignment in self._forward:
            guard = self.guards[assignment.results[0]]
            for key in assignment.operands:
                if key in whole.stream_of:
                    streams.setdefault(whole.stream_of[key], set()).add(guard)
                elif key in whole.noises:
                    noises.setdefault(key, set()).add(guard)
        in_conditions = {node.key for condition in self._conditions.all() for node in walk(condition.expression)
                         if isinstance(node, Reference)} | {k for a in self._numbers for k in a.operands}
        noises.update({key: {ALWAYS} for key in in_conditions if key in whole.noises})
        draws = [Draw('stream', stream, again is not None, either(*streams[stream]))
                 for stream in sorted(streams, key=whole.streams.__getitem__)]
        for key in sorted(noises, key=whole.noises.__getitem__):
            self.guards[key] = either(*noises[key])
            draws.append(Draw('noise', str(key), again == 'batch', self.guards[key]))
        return tuple(draws)

    def plan(self, metrics: Sequence[Key]) -> Step:
        """Returns the step.

        Args:
            metrics: Those that this step reports.
        """
        extra, reported = self._computed_metrics(metrics)
        whole = self._whole
        backward = passes_by_loss(self._demands, {loss: whole.reached[loss] for loss in self._losses}, whole.owners)
        forward = tuple(_with_history(a, self.guards[a.results[0]]) for a in self._forward)
        kept = tuple(Report(key, self.guards[key]) for key in sorted(self.guards) if key in whole.read)
        step = self._step
        return Step(step.name, step.condition, step.kind, step.count, self._conditions.all(), self._draws,
                    self._numbers, forward, extra, backward,
                    tuple((demand.optimizer, demand.guard) for demand in self._demands),
                    tuple(Report(loss, guard) for loss, guard in self._losses.items()) + reported,
                    quiet_models(whole.with_statistics, self._forward, self._demands), kept)

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
        found, pending, seen = ALWAYS, [metric], set()
        while pending:
            key = pending.pop()
            if key in seen:
                continue
            seen.add(key)
            if key in self.available:
                found = both(found, self.guards[key])
            elif key in self._needs.maker:
                pending.extend(self._needs.maker[key].operands)
        return found


def _with_history(assignment: Assignment, guard: Guard) -> Operation:
    return Operation(assignment, (ALWAYS,) * len(assignment.stages), guard)
