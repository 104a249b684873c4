"""Minibatches as the inputs of a graph."""
from __future__ import annotations

from typing import Any, Optional, Sequence

import chainer
import numpy
from chainer.dataset import convert

from graphdsl.runtime.data import DataError
from graphdsl.runtime.settings import Input


def convert_batch(batch: list, converter, device, columns: Optional[Sequence[str]],
                  inputs: Sequence[Input]) -> list:
    """Turns examples into the arrays of a graph's inputs.

    Args:
        batch: Examples, as an iterator gives them.
        converter: A Chainer converter, such as :func:`chainer.dataset.concat_examples`.
        device (chainer.backend.Device): Where the arrays go; None leaves them where they are.
        columns: Names of the dataset's columns, if it has names.
        inputs: The inputs, in order.

    Returns:
        A value per input: a variable without gradient for floats, an array for integers.

    Raises:
        DataError: If the examples don't fit the inputs.
    """
    converted = convert._call_converter(converter, batch, device)
    return [_as_declared(value, i) for value, i in zip(_in_order(converted, columns, inputs), inputs)]


def _in_order(converted: Any, columns: Optional[Sequence[str]], inputs: Sequence[Input]) -> Sequence:
    if not isinstance(converted, (tuple, list, dict)):
        converted = (converted,)
    if isinstance(converted, (tuple, list)) and columns is not None:
        converted = dict(zip(columns, converted))
    if isinstance(converted, dict):
        missing = next((i.name for i in inputs if i.name != '_' and i.name not in converted), None)
        if missing is not None:
            raise DataError(f'the data has no column {missing!r}', 'its columns are ' + ', '.join(map(repr, converted)))
        return [converted.get(i.name) for i in inputs]
    if len(converted) != len(inputs):
        raise DataError(f'the data has {len(converted)} columns, and {len(inputs)} are declared',
                        'name every column in order; `_` stands for one that is not wanted')
    return converted


def _as_declared(value: Any, i: Input) -> Any:
    """Casts an array to the declared dtype and checks its shape."""
    if i.name == '_':
        return value
    if isinstance(value, chainer.Variable):
        value = value.array
    if not hasattr(value, 'dtype'):
        value = numpy.asarray(value)
    if value.shape[1:] != i.shape:
        raise DataError(f'{i.name!r} is declared as {i.dtype}{list(i.shape)}, and an example of the data has the '
                        f'shape {list(value.shape[1:])}', 'the shape is that of one example, without the batch axis')
    dtype = numpy.dtype(i.dtype)
    if value.dtype != dtype:
        if value.dtype.kind == 'f' and dtype.kind != 'f':
            raise DataError(f'{i.name!r} is declared as {i.dtype}, and the data is {value.dtype}',
                            f'declare it as {value.dtype}, or round it in the data')
        value = value.astype(dtype)
    # A bare float array would be asked for its gradient by some functions.
    return chainer.Variable(value, requires_grad=False) if dtype.kind == 'f' else value


def examples(inputs: Sequence[Input]) -> dict[str, Any]:
    """Returns two examples of zeros for every input, by name."""
    arrays = {i.name: numpy.zeros((2, *i.shape), i.dtype) for i in inputs if i.name != '_'}
    return {name: chainer.Variable(array, requires_grad=False) if array.dtype.kind == 'f' else array
            for name, array in arrays.items()}
