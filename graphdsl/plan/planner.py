"""Plans what an iteration does from what the graph says."""
from __future__ import annotations

from dataclasses import replace
from typing import Iterable, Mapping

from graphdsl.semantics import flow
from graphdsl.semantics.catalog import RANDOM
from graphdsl.semantics.graph import Assignment, Callee, ChainType, Function, Graph, Input, Key, Reference
from graphdsl.plan.joint import joint_passes
from graphdsl.plan.plan import BackwardPass, Computation, Plan, Step, WeightedLoss


def plan(graph: Graph) -> Plan:
    """Plans the run of a checked graph.

    Args:
        graph: Without steps: one step updates all optimizers.
    """
    maker = {key: assignment for assignment in graph.assignments for key in assignment.results}
    reports = [*graph.losses, *(metric.key for metric in graph.metrics)]
    return Plan(graph, (_only_step(graph, maker),), _computation(graph, maker, reports),
                _computation(graph, maker, graph.outputs))


def _only_step(graph: Graph, maker: Mapping[Key, Assignment]) -> Step:
    minimized = dict.fromkeys(term.loss for optimizer in graph.optimizers for term in optimizer.terms)
    forward = _needed(graph, maker, minimized)
    known = {key for assignment in forward for key in assignment.results}
    drawn = tuple(dict.fromkeys(i.stream for i in _inputs(graph, forward)))
    available = known | {Key(i.name) for i in graph.inputs if i.stream in drawn}
    metrics = [m.key for m in graph.metrics if _is_free(m.key, available, maker)]
    extra = [a for a in _needed(graph, maker, metrics) if not known.intersection(a.results)]
    reached = flow.Reach(graph.assignments, graph.losses).models()
    backward = tuple(_without_aliases(one, maker) for one in joint_passes(graph.optimizers, reached))
    return Step('main', drawn, forward, tuple(extra), backward,
                tuple(optimizer.name for optimizer in graph.optimizers),
                tuple(loss for loss in graph.losses if loss in known) + tuple(metrics))


def _without_aliases(backward: BackwardPass, maker: Mapping[Key, Assignment]) -> BackwardPass:
    """Adds the weights of losses that name one value, since a value is differentiated once."""
    weights: dict[Key, float] = {}
    for loss, weight in backward.losses:
        while loss in maker and isinstance(maker[loss].stages[0], Reference):
            loss = maker[loss].stages[0].key
        weights[loss] = weights.get(loss, 0.0) + weight
    if len(weights) == len(backward.losses):
        return backward
    return replace(backward, losses=tuple(WeightedLoss(loss, weight) for loss, weight in weights.items()))


def _needed(graph: Graph, maker: Mapping[Key, Assignment], keys: Iterable[Key]) -> tuple[Assignment, ...]:
    """Returns what some values are computed by, in the order of computation."""
    needed = {id(assignment) for assignment in flow.reaching(keys, maker)}
    return tuple(assignment for assignment in graph.assignments if id(assignment) in needed)


def _inputs(graph: Graph, assignments: Iterable[Assignment]) -> list[Input]:
    """Returns the inputs that some assignments read; for the size of the minibatch, one of any."""
    assignments = list(assignments)
    read = {key for assignment in assignments for key in assignment.operands}
    named = [i for i in graph.inputs if i.name != '_']
    inputs = [i for i in named if Key(i.name) in read]
    return inputs or (named[:1] if any(a.needs_batch_size for a in assignments) else [])


def _is_free(metric: Key, available: set[Key], maker: Mapping[Key, Assignment]) -> bool:
    """Says whether a metric follows from what a run has by functions alone, none of them random."""
    pending = [metric]
    while pending:
        key = pending.pop()
        if key in available:
            continue
        if key not in maker or maker[key].models or _is_random(maker[key].callees):
            return False
        pending.extend(maker[key].operands)
    return True


def _is_random(called: Iterable[Callee]) -> bool:
    """Says whether one of some callees draws random numbers, within a block without links too."""
    pending, seen = list(called), set()
    while pending:
        callee = pending.pop()
        if isinstance(callee, Function) and callee.name in RANDOM:
            return True
        if isinstance(callee, ChainType) and id(callee) not in seen:
            seen.add(id(callee))
            pending.extend(inner for assignment in callee.assignments for inner in assignment.callees)
    return False


def _computation(graph: Graph, maker: Mapping[Key, Assignment], results: Iterable[Key]) -> Computation:
    results = tuple(results)
    forward = _needed(graph, maker, results)
    read = {i.name for i in _inputs(graph, forward)} | {str(key) for key in results}
    return Computation(tuple(i.name for i in graph.inputs if i.name in read), forward, results)
