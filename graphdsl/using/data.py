"""The data that a graph is used on: arrays by name, or an entry of its own data blocks."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping, Optional, Protocol, Sequence

import chainer
import numpy
from chainer.dataset import concat_examples
from chainer.datasets import DictDataset
from chainer.iterators import SerialIterator

from graphdsl.runtime.batches import convert_batch, once
from graphdsl.runtime.data import DataError
from graphdsl.runtime.data.errors import listing
from graphdsl.runtime.program import Program
from graphdsl.runtime.settings import Input

#: A minibatch: how many rows it has, and values by name.
Minibatch = tuple[int, Mapping[str, Any]]


class Data(Protocol):
    """What a graph is used on."""

    def lacks(self, inputs: Iterable[str]) -> list[str]:
        """Returns which of some inputs are not there."""

    def minibatches(self, inputs: Sequence[str], noises: Sequence[str], batch: int) -> Iterator[Minibatch]:
        """Goes through all rows in their order; with neither inputs nor noises, there is no minibatch."""

    def iterators(self, batch: Optional[int]) -> dict[str, Any]:
        """Makes an iterator, which does not repeat, of each stream all whose inputs are there."""


@dataclass(frozen=True)
class Arrays:
    """Arrays by name of the inputs, or noises, that they stand for.

    Attributes:
        program: The graph.
        columns: Arrays whose first axis counts the rows; a list of arrays where an axis has any length.
        numbers: Values of noises that are numbers.
    """

    program: Program
    columns: Mapping[str, Any]
    numbers: Mapping[str, float]

    @classmethod
    def of(cls, program: Program, given: Mapping[str, Any]) -> Arrays:
        """Takes what is given by name; names that the graph does not read are left alone.

        Raises:
            GraphError: If an array is none.
        """
        columns, numbers = {}, {}
        for i in _readable(program):
            if i.name in given and i.dtype is None:
                numbers[i.name] = given[i.name]
            elif i.name in given:
                with program.origin.reading([i], i.stream, f'`{i.name}`'):
                    columns[i.name] = _column(given[i.name], i)
        return cls(program, columns, numbers)

    def lacks(self, inputs: Iterable[str]) -> list[str]:
        return [name for name in inputs if name not in self.columns]

    def minibatches(self, inputs: Sequence[str], noises: Sequence[str], batch: int) -> Iterator[Minibatch]:
        names = [name for name in (*inputs, *noises) if name in self.columns]
        if not names:
            return
        declared = [i for i in _readable(self.program) if i.name in names]
        iterator = SerialIterator(self._dataset(names), batch, repeat=False, shuffle=False)
        for rows in iterator:
            with self.program.origin.reading(declared, declared[0].stream, 'the data'):
                values = convert_batch(rows, concat_examples, device_of(self.program), None, declared)
            yield len(rows), {**self.numbers, **dict(zip((i.name for i in declared), values))}

    def iterators(self, batch: Optional[int]) -> dict[str, Any]:
        found = {}
        for stream in self.program.streams:
            names = [i.name for i in self.program.inputs if i.stream == stream and i.name != '_']
            if names and not self.lacks(names):
                found[stream] = once(self._dataset(names), batch or self.program.settings.batch_of(stream))
        return found

    def _dataset(self, names: Sequence[str]) -> DictDataset:
        lengths = {name: len(self.columns[name]) for name in names}
        if len(set(lengths.values())) > 1:
            raise DataError('the data has different numbers of rows: '
                            + ', '.join(f'{n} of {name!r}' for name, n in lengths.items()))
        if not max(lengths.values()):
            raise DataError(f'the data has no rows of {listing(lengths)}')
        return DictDataset(**{name: self.columns[name] for name in names})


@dataclass(frozen=True)
class Entry:
    """An entry of the data blocks of a graph, such as ``test``.

    Attributes:
        program: The graph.
        name: Of the entry.
        datasets: By stream, of those that have it.
    """

    program: Program
    name: str
    datasets: Mapping[str, Any]

    @classmethod
    def of(cls, program: Program, name: str) -> Entry:
        """Reads an entry.

        Raises:
            GraphError: If the data cannot be read.
            DataError: If no data block has it.
        """
        datasets = program.datasets()
        found = {stream: entries[name] for stream, entries in datasets.items() if name in entries}
        if not found:
            known = dict.fromkeys(entry for entries in datasets.values() for entry in entries)
            raise DataError(f'no data block has an entry {name!r}', f'there are {listing(known)}' if known else
                            'the graph has no data block: give it data')
        return cls(program, name, found)

    def lacks(self, inputs: Iterable[str]) -> list[str]:
        streams = {i.name: i.stream for i in self.program.inputs}
        return [name for name in inputs if streams[name] not in self.datasets]

    def minibatches(self, inputs: Sequence[str], noises: Sequence[str], batch: int) -> Iterator[Minibatch]:
        streams = list(dict.fromkeys(i.stream for i in self.program.inputs if i.name in inputs))
        for batches in zip(*(self._of_stream(stream, batch) for stream in streams)):
            values: dict[str, Any] = {}
            for each in batches:
                values.update(each[1])
            yield batches[0][0], values

    def _of_stream(self, stream: str, batch: int) -> Iterator[Minibatch]:
        declared = [i for i in self.program.inputs if i.stream == stream]
        dataset = self.datasets[stream]
        with self.program.origin.reading(declared, stream, f'the entry `{self.name}`'):
            for rows in once(dataset, batch):
                values = convert_batch(rows, concat_examples, device_of(self.program),
                                       getattr(dataset, 'columns', None), declared)
                yield len(rows), {i.name: value for i, value in zip(declared, values) if i.name != '_'}

    def iterators(self, batch: Optional[int]) -> dict[str, Any]:
        return {stream: once(dataset, batch or self.program.settings.batch_of(stream))
                for stream, dataset in self.datasets.items()}


def by_name(graph: Any, data: Any) -> Mapping[str, Any]:
    """Gives an array the name of the single input that the outputs of a graph need.

    Raises:
        DataError: If they need several, or none.
    """
    if isinstance(data, Mapping) or not graph.plan.prediction:
        return data if isinstance(data, Mapping) else {}
    needed = dict.fromkeys(name for computation in graph.plan.prediction for name in computation.sources)
    if len(needed) != 1:
        raise DataError(f'the outputs need {listing(needed)}' if needed else 'no output needs an input',
                        'give arrays by name: {' + ', '.join(f"'{name}': ..." for name in needed) + '}')
    return dict.fromkeys(needed, data)


def device_of(program: Program) -> Any:
    """Returns where the models are."""
    return next(iter(program.models.values())).device if program.models else chainer.get_device('@numpy')


def _readable(program: Program) -> list[Input]:
    """Returns what a graph reads: its inputs, and noise, which may be given as well."""
    return [*(i for i in program.inputs if i.name != '_'),
            *(Input(n.name, n.dtype, n.shape, n.stream) for n in program.noises)]


def _column(values: Any, i: Input) -> Any:
    if isinstance(values, (list, tuple)) and None in i.shape:
        return [numpy.asarray(value) for value in values]
    try:
        array = chainer.as_array(values) if hasattr(values, 'dtype') else numpy.asarray(values)
    except ValueError as error:
        raise DataError(f'{i.name!r} is no array: {error}', 'give an array whose first axis counts the rows') from None
    if array.dtype.kind not in 'biuf':
        raise DataError(f'{i.name!r} is an array of {array.dtype}, and numbers are needed')
    if not array.ndim:
        raise DataError(f'{i.name!r} is a single number, and its first axis should count the rows', 'give an array')
    if len(array.shape) == len(i.shape) and all(n in (None, m) for n, m in zip(i.shape, array.shape)):
        raise DataError(f'{i.name!r} has the shape {list(array.shape)} of a single example, and its first axis should '
                        'count the rows', f'give `{i.name}[None]`')
    return array
