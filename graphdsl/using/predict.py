"""The outputs of a graph."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional, Sequence

import chainer
import numpy

from graphdsl.compiled import CompiledGraph
from graphdsl.plan.plan import Computation
from graphdsl.runtime import stateful
from graphdsl.runtime.arrays import array
from graphdsl.runtime.data import DataError
from graphdsl.runtime.data.errors import listing
from graphdsl.runtime.seeds import generators_of_its_own
from graphdsl.using.data import Data, Minibatch, device_of


@dataclass(frozen=True)
class Prediction:
    """What was computed.

    Attributes:
        values: Arrays by the names of the outputs, in main memory.
        has_rows: Names of those whose first axis counts the rows.
        left_out: Of each output that was not computed, the inputs that were not there.
    """

    values: Mapping[str, numpy.ndarray]
    has_rows: frozenset[str]
    left_out: Mapping[str, tuple[str, ...]]


def predict(graph: CompiledGraph, data: Data, outputs: Sequence[str] = (), batch: Optional[int] = None,
            seed: Optional[int] = None, rows: Optional[int] = None) -> Prediction:
    """Computes outputs with ``train=False``, minibatch by minibatch.

    Args:
        graph: The graph.
        data: What it reads.
        outputs: Names of those that are wanted, or of families; by default all.
        batch: Rows of a minibatch. By default, as in training; one, where a model has a state that goes on from
            one call to the next.
        seed: Of the noise; None takes the file's.
        rows: Of outputs that are made of noise alone; None takes as many as a minibatch has.

    Raises:
        DataError: If no output can be computed, or is called so, or the rows do not fit together.
        GraphError: If the data do not fit the inputs, or something goes wrong at a line of the graph.
    """
    wanted = _wanted(graph, outputs)
    values: dict[str, numpy.ndarray] = {}
    has_rows: set[str] = set()
    left_out: dict[str, tuple[str, ...]] = {}
    for computation in graph.plan.prediction:
        names = [str(key) for key in computation.results if str(key) in wanted]
        missing = data.lacks(computation.sources)
        if missing:
            left_out.update(dict.fromkeys(names, tuple(missing)))
        elif names:
            minibatches = _minibatches(graph, computation, data, batch, rows)
            found, growing = _computed(graph, computation, minibatches, seed)
            values.update((name, found[name]) for name in names)
            has_rows.update(growing & set(names))
    if not values:
        raise DataError('no output can be computed: ' + said_left_out(left_out))
    return Prediction({name: values[name] for name in wanted if name in values}, frozenset(has_rows), left_out)


def said_left_out(left_out: Mapping[str, Sequence[str]]) -> str:
    """Says what would be needed for what was not computed."""
    needed: dict[tuple[str, ...], list[str]] = {}
    for name, missing in left_out.items():
        needed.setdefault(tuple(missing), []).append(name)
    return '; '.join(f'{_quoted(names)} need{"s" if len(names) == 1 else ""} {_quoted(missing)}'
                     for missing, names in needed.items())


def _quoted(names: Sequence[str]) -> str:
    return ', '.join(f'`{name}`' for name in names)


def _wanted(graph: CompiledGraph, outputs: Sequence[str]) -> list[str]:
    """Returns the names of the outputs that are asked for, members of families one by one."""
    known = {str(key): key.base for key in graph.plan.graph.outputs}
    if not known:
        raise DataError('the graph has no outputs', 'write `output NAME = EXPRESSION` in it')
    unknown = [name for name in outputs if name not in known and name not in known.values()]
    if unknown:
        raise DataError(f'there is no output {unknown[0]!r}', f'there are {listing(known)}')
    return [name for name, base in known.items() if not outputs or name in outputs or base in outputs]


def _minibatches(graph: CompiledGraph, computation: Computation, data: Data, batch: Optional[int],
                 rows: Optional[int]) -> Iterator[Minibatch]:
    models = {str(key): graph.models[str(key)] for one in computation.forward for key in one.assignment.models}
    streams = {i.name: i.stream for i in (*graph.inputs, *graph.noises)}
    read = [str(key) for key in computation.inputs]
    usual = graph.settings.batch_of(streams[read[0]] if read else '')
    size = batch or (1 if stateful.is_stateful(models) else usual)
    noises = [name for name in read if name not in computation.sources]
    if rows is not None and not computation.sources:
        return _of_noise(rows, size)
    return _or(data.minibatches(computation.sources, noises, size), usual)


def _of_noise(rows: int, size: int) -> Iterator[Minibatch]:
    for start in range(0, rows, size):
        yield min(size, rows - start), {}


def _or(minibatches: Iterator[Minibatch], rows: int) -> Iterator[Minibatch]:
    """Yields minibatches; where there is none, one without data."""
    first = next(minibatches, None)
    yield (rows, {}) if first is None else first
    yield from minibatches


def _computed(graph: CompiledGraph, computation: Computation, minibatches: Iterator[Minibatch], seed: Optional[int]
              ) -> tuple[dict[str, numpy.ndarray], set[str]]:
    """Returns outputs, and the names of those whose first axis counts the rows."""
    function = graph.predictions[computation.sources]
    found: dict[str, list[tuple[int, numpy.ndarray]]] = {}
    noise = graph.evaluation_noise(graph.settings.seed if seed is None else seed)
    with chainer.using_config('train', False), chainer.no_backprop_mode(), generators_of_its_own(), \
            stateful.set_aside(graph.models), graph.origin.errors():
        for rows, batch in minibatches:
            complete = graph.complete(batch, graph.streams, noise, device_of(graph), rows)
            for name, value in function(complete).items():
                found.setdefault(name, []).append((rows, _in_main_memory(value)))
    growing = _growing(graph, computation)
    return {name: _joined(parts, name in growing) for name, parts in found.items()}, growing


def _in_main_memory(value: Any) -> numpy.ndarray:
    return numpy.asarray(chainer.get_device('@numpy').send(array(value)))


def _growing(graph: CompiledGraph, computation: Computation) -> set[str]:
    """Returns the names of the outputs whose first axis grows with the minibatch, which a few zeros show."""
    shapes: list[dict[str, tuple[int, ...]]] = []
    for rows in (2, 4):
        with chainer.using_config('train', False), chainer.no_backprop_mode(), generators_of_its_own(), \
                stateful.set_aside(graph.models), graph.origin.errors(), numpy.errstate(all='ignore'):
            batch = {name: _sent(value, graph) for name, value in graph.zeros(rows).items()}
            values = graph.predictions[computation.sources](batch)
            shapes.append({name: _in_main_memory(value).shape for name, value in values.items()})
    return {name for name, shape in shapes[0].items() if shape[:1] != shapes[1][name][:1]}


def _sent(value: Any, graph: CompiledGraph) -> Any:
    if isinstance(value, chainer.Variable):
        return chainer.Variable(device_of(graph).send(value.array), requires_grad=False)
    return device_of(graph).send(value) if isinstance(value, numpy.ndarray) else value


def _joined(parts: Sequence[tuple[int, numpy.ndarray]], has_rows: bool) -> numpy.ndarray:
    """Returns what minibatches came to: one after the other, or their mean, in which one counts by its rows."""
    values = [value for _, value in parts]
    if has_rows:
        return _concatenated(values)
    if all(numpy.array_equal(value, values[0]) for value in values):
        return values[0]
    mean = sum(value * (rows / sum(rows for rows, _ in parts)) for rows, value in parts)
    return mean.astype(values[0].dtype) if values[0].dtype.kind == 'f' else mean


def _concatenated(values: Sequence[numpy.ndarray]) -> numpy.ndarray:
    if len({value.shape[1:] for value in values}) > 1:
        shapes = ', '.join(str(list(shape)) for shape in sorted({value.shape for value in values}))
        raise DataError(f'minibatches have outputs of the shapes {shapes}, which do not fit on each other',
                        'give rows whose axes of any length are equally long')
    return numpy.concatenate(values)
