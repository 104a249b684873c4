"""What is computed without training: losses, metrics and outputs, together where they need the same streams."""
from __future__ import annotations

from typing import Iterable, Mapping

from graphdsl.semantics.computation import Key
from graphdsl.semantics.graph import Graph
from graphdsl.semantics.needs import Needs, sources, streams_of
from graphdsl.plan.history import History, points
from graphdsl.plan.plan import Computation, Operation


def evaluations(graph: Graph, needs: Needs, keys: Iterable[Key]) -> tuple[Computation, ...]:
    """Returns how reports are computed, those that need the same streams together."""
    return _grouped(graph, needs, keys, streams_of(graph))


def predictions(graph: Graph, needs: Needs, keys: Iterable[Key]) -> tuple[Computation, ...]:
    """Returns how outputs are computed, those that need the same inputs together."""
    return _grouped(graph, needs, keys, sources(graph, {Key(i.name): i.name for i in graph.inputs}))


def _grouped(graph: Graph, needs: Needs, keys: Iterable[Key], origins: Mapping[Key, tuple[str, ...]]
             ) -> tuple[Computation, ...]:
    groups: dict[tuple[str, ...], list[Key]] = {}
    for key in keys:
        groups.setdefault(origins[key], []).append(key)
    drawn = {key: i for i, key in enumerate((*(Key(i.name) for i in graph.inputs), *(n.key for n in graph.noises)))}
    return tuple(_computation(drawn, needs, group, results) for group, results in groups.items())


def rows_of(graph: Graph, streams: Iterable[str]) -> str:
    """Returns the stream whose minibatches `batch_size` counts: the first of those that are drawn, or of the file."""
    return next(iter(streams), graph.streams[0].name if graph.streams else 'main')


def _computation(drawn: Mapping[Key, int], needs: Needs, sources: tuple[str, ...], results: list[Key]) -> Computation:
    assignments = needs.assignments(results)
    read = {*results, *(key for a in assignments for key in a.operands)}
    inputs = sorted((key for key in read if key in drawn), key=drawn.__getitem__)
    history = History(assignments, {}, {}, points(assignments))
    forward = tuple(Operation(a, history.stages(a)) for a in assignments)
    return Computation(sources, tuple(inputs), forward, tuple(results))
