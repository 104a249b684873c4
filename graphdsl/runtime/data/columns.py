"""The dataset that the sources make."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping, Optional, Union

import numpy

from graphdsl.runtime.data.errors import DataError


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Columns:
    """Dataset of tuples from arrays of equal length, which may have names.

    It is what :class:`chainer.datasets.TupleDataset` and :class:`chainer.datasets.DictDataset` are, in one: an
    example is always a tuple with one value per array, so iterators and :func:`chainer.dataset.concat_examples`
    take it as they take a ``TupleDataset``; the names stand beside the examples, not in each of them. It doesn't
    change: the values that it gives are read-only views of its arrays.

    ``Columns([images, labels])`` has columns without names, ``Columns({'x': images, 't': labels})`` has named
    ones.

    Args:
        arrays (sequence of arrays or dict): The columns. The first axis counts the examples.
        classes (dict): Names of the classes of a column of integers, in the order of their numbers, by the
            column's name in its source, or by its place where columns have no names.

    Attributes:
        arrays (tuple of numpy.ndarray): The columns, read-only.
        columns (tuple of str): Their names, or ``None``. Named columns meet inputs by name, others by order.
        classes (dict): As given.

    Raises:
        DataError: If there is no array or no example, or the lengths differ.

    """

    arrays: tuple[numpy.ndarray, ...]
    columns: Optional[tuple[str, ...]]
    classes: dict[Union[str, int], tuple[str, ...]]

    def __init__(self, arrays: Union[Iterable, Mapping], classes: Optional[Mapping] = None):
        named = isinstance(arrays, Mapping)
        columns = tuple(arrays) if named else None
        arrays = tuple(_read_only(array) for array in (arrays.values() if named else arrays))
        if not arrays:
            raise DataError('a dataset needs at least one column')
        if any(array.ndim == 0 for array in arrays) or len({len(array) for array in arrays}) > 1:
            sizes = zip(columns or range(len(arrays)), arrays)
            raise DataError('the columns have different lengths: ' + ', '.join(
                f'{name} {len(array) if array.ndim else "is a single number"}' for name, array in sizes))
        if not len(arrays[0]):
            raise DataError('there are no examples')
        for name, value in (('arrays', arrays), ('columns', columns), ('classes', dict(classes or {}))):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return list(zip(*[array[index] for array in self.arrays]))
        if isinstance(index, (list, numpy.ndarray)):
            return [self[i] for i in numpy.arange(len(self))[index]]
        return tuple([array[index] for array in self.arrays])

    def __repr__(self) -> str:
        names = self.columns or range(len(self.arrays))
        each = (f'{name}: {array.dtype}{list(array.shape[1:]) or ""}' for name, array in zip(names, self.arrays))
        return f'<Columns of {len(self)} examples, {", ".join(each)}>'


def _read_only(array) -> numpy.ndarray:
    view = numpy.asarray(array).view()
    view.flags.writeable = False
    return view
