"""The datasets of a run, the file's or the caller's, and iterators over them."""
from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Sequence

from chainer.dataset import Iterator
from chainer.iterators import SerialIterator

from graphdsl.diagnostics import Diagnostic
from graphdsl.options import RunError
from graphdsl.runtime.batches import convert_batch
from graphdsl.runtime.data import DataError
from graphdsl.runtime.program import Program
from graphdsl.runtime.seeds import SeededOrder, generators_of_its_own


def datasets_of(program: Program, given: Optional[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the datasets or iterators of a run, by stream and then by entry.

    Args:
        program: The graph.
        given: By entry, or by stream and then by entry; None takes the file's.

    Raises:
        GraphError: If data of the file cannot be read.
        RunError: If a stream has no data, or there is no stream by a name.
    """
    by_stream = _by_stream(program, given or {})
    missing = [name for name in program.streams if name not in by_stream]
    found = {**(program.datasets() if missing else {}), **by_stream}
    for name in program.streams:
        if name not in found:
            raise RunError('the graph has no data block: give the data to `trainer(data=...)`')
        if 'train' not in found[name]:
            raise RunError(f'`data` has nothing to train on for {name!r}: give an entry `train`')
    return {name: found[name] for name in program.streams}


def _by_stream(program: Program, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    if not all(isinstance(entries, Mapping) for entries in given.values()):
        if len(program.streams) > 1:
            raise RunError(f'the graph has several streams: give `data` for each of {program.streams}')
        given = {program.streams[0]: given}
    unknown = [name for name in given if name not in program.streams]
    if unknown:
        raise RunError(f'there is no stream {unknown[0]!r} to give data to: the graph has {program.streams}')
    return {name: dict(entries) for name, entries in given.items()}


def training_iterator(program: Program, stream: str, dataset: Any, batch: int, order: SeededOrder) -> Iterator:
    """Makes an iterator whose minibatches are full; one that the caller made is left as it is."""
    if isinstance(dataset, Iterator):
        return dataset
    with program.origin.reading(program.inputs, stream, 'the training data'):
        if hasattr(dataset, 'iterator'):
            return dataset.iterator(batch, True)
        if len(dataset) < batch:
            raise DataError(f'the training data has {len(dataset)} examples, and a minibatch takes {batch}',
                            'say a smaller `batch` in `train`, or in the data block')
    return SerialIterator(dataset, batch, order_sampler=order)


def problems_of(program: Program, stream: str, entry: str, dataset: Any, converter: Callable
                ) -> Sequence[Diagnostic]:
    """Returns how the first examples of a dataset don't fit the inputs; its iterator draws them again."""
    if isinstance(dataset, Iterator):
        return ()
    inputs = [i for i in program.inputs if i.stream == stream]
    try:
        with generators_of_its_own():
            first = dataset.iterator(2, False).next() if hasattr(dataset, 'iterator') else \
                [dataset[i] for i in range(min(len(dataset), 2))]
            if first and inputs:
                convert_batch(first, converter, None, getattr(dataset, 'columns', None), inputs)
    except DataError as error:
        return program.origin.errors_of_stream(error, program.inputs, stream, f'seen in `{entry}`')
    except Exception:       # of a dataset of the user's own: it has its place when the iteration meets it
        pass
    return ()


def evaluation_iterator(entry: str, dataset: Any, batch: int) -> Iterator:
    """Makes an iterator over all examples once; one that the caller made is left as it is."""
    if isinstance(dataset, Iterator):
        if getattr(dataset, 'repeat', False):
            raise RunError(f'the iterator for {entry!r} repeats, and an evaluation would never end: '
                           'make it with `repeat=False`')
        return dataset
    if hasattr(dataset, 'iterator'):
        return dataset.iterator(batch, False)
    return SerialIterator(dataset, batch, repeat=False, shuffle=False)
