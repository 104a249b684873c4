"""Plans what an iteration does from what the graph says."""
from __future__ import annotations

from typing import Iterable, Mapping

from graphdsl.check import flow
from graphdsl.check.catalog import RANDOM
from graphdsl.check.graph import Apply, Assignment, Function, Graph, Key, callees, operands, walk
from graphdsl.plan.joint import joint_passes
from graphdsl.plan.plan import Computation, Plan, Step


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
    drawn = _streams(graph, forward)
    available = known | {Key(i.name) for i in graph.inputs if i.stream in drawn}
    metrics = [m.key for m in graph.metrics if _is_free(m.key, available, maker)]
    extra = [a for a in _needed(graph, maker, metrics) if not known.intersection(a.results)]
    reached = {loss: {model for a in flow.reaching([loss], maker) for model in callees(a)} for loss in graph.losses}
    return Step('main', drawn, forward, tuple(extra), joint_passes(graph.optimizers, reached),
                tuple(optimizer.name for optimizer in graph.optimizers),
                tuple(loss for loss in graph.losses if loss in known) + tuple(metrics))


def _needed(graph: Graph, maker: Mapping[Key, Assignment], keys: Iterable[Key]) -> tuple[Assignment, ...]:
    """Returns what some values are computed by, in the order of computation."""
    needed = {id(assignment) for assignment in flow.reaching(keys, maker)}
    return tuple(assignment for assignment in graph.assignments if id(assignment) in needed)


def _streams(graph: Graph, assignments: Iterable[Assignment]) -> tuple[str, ...]:
    """Returns the streams whose inputs some assignments read."""
    read = {key for assignment in assignments for key in operands(assignment)}
    return tuple(dict.fromkeys(i.stream for i in graph.inputs if Key(i.name) in read))


def _is_free(metric: Key, available: set[Key], maker: Mapping[Key, Assignment]) -> bool:
    """Says whether a metric follows from what a run has by functions alone, none of them random."""
    pending = [metric]
    while pending:
        key = pending.pop()
        if key in available:
            continue
        if key not in maker or callees(maker[key]) or _is_random(maker[key]):
            return False
        pending.extend(operands(maker[key]))
    return True


def _is_random(assignment: Assignment) -> bool:
    calls = (node.callee for node in walk(*assignment.stages) if isinstance(node, Apply))
    return any(isinstance(callee, Function) and callee.name in RANDOM for callee in calls)


def _computation(graph: Graph, maker: Mapping[Key, Assignment], results: Iterable[Key]) -> Computation:
    results = tuple(results)
    forward = _needed(graph, maker, results)
    read = {key for assignment in forward for key in operands(assignment)} | set(results)
    inputs = tuple(i.name for i in graph.inputs if Key(i.name) in read)
    return Computation(inputs, forward, results)
