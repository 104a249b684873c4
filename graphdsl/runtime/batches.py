"""Minibatches as the inputs of a graph."""
from __future__ import annotations

from typing import Any, Optional, Sequence

import chainer
import numpy
from chainer.dataset import convert

from graphdsl.runtime.data import DataError
from graphdsl.runtime.settings import Input

_DTYPES = {name: numpy.dtype(name) for name in ('float32', 'float64', 'int32', 'int64')}


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

    Where an input has axes of any length, its examples are filled up to the longest of the minibatch. A converter
    other than Chainer's :func:`~chainer.dataset.concat_examples` is trusted with this.
    """
    if converter is convert.concat_examples and any([None in i.shape for i in inputs]):
        batch, columns = _filled_up(batch, columns, inputs)
    converted = convert._call_converter(converter, batch, device)
    return [_as_declared(value, i) for value, i in zip(_in_order(converted, columns, inputs), inputs)]


def _filled_up(batch: list, columns: Optional[Sequence[str]], inputs: Sequence[Input]):
    """Returns the examples as tuples in which ragged columns have one shape, and the names of their columns."""
    if isinstance(batch[0], dict):
        columns = tuple(batch[0])
        batch = [[example[name] for name in columns] for example in batch]
    elif not isinstance(batch[0], tuple):
        batch = [[example] for example in batch]
    if columns is None:
        _check_number(len(batch[0]), inputs)
    named = {i.name: i for i in inputs}
    declared = inputs if columns is None else [named.get(name) for name in columns]
    values = [list(column) for column in zip(*batch)]
    for place, (column, i) in enumerate(zip(values, declared)):
        if i is not None and None in i.shape:
            values[place] = _of_one_shape(column, i)
    return list(zip(*values)), columns


def _of_one_shape(column: list, i: Input) -> list:
    arrays = [value if hasattr(value, 'dtype') else numpy.asarray(value) for value in column]
    for array in arrays:
        _check_shape(array.shape, i)
        _check_dtype(array.dtype, i)
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) == 1:
        return arrays
    if i.pad is None and i.name != '_':
        raise DataError(f'examples of {i.name!r} in one minibatch have the shapes {list(shapes[0])} and '
                        f'{list(shapes[-1])}', f'say what fills up the shorter ones: `{_type(i)} pad 0`')
    longest = [max(lengths) for lengths in zip(*shapes)]
    xp = chainer.backend.get_array_module(arrays[0])
    filled = xp.full((len(arrays), *longest), i.pad or 0, i.dtype)
    for row, array in zip(filled, arrays):
        row[tuple(slice(length) for length in array.shape)] = array
    return list(filled)


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
    _check_number(len(converted), inputs)
    return converted


def _as_declared(value: Any, i: Input) -> Any:
    """Casts an array to the declared dtype and checks its shape."""
    if i.name == '_':
        return value
    if type(value) is not numpy.ndarray:
        value = value.array if isinstance(value, chainer.Variable) else value
        value = value if hasattr(value, 'dtype') else numpy.asarray(value)
    dtype = _DTYPES.get(i.dtype) or numpy.dtype(i.dtype)
    # Almost always everything is as it was declared, and nothing else has to be asked.
    if value.shape[1:] != i.shape:
        _check_shape(value.shape[1:], i)
    if value.dtype != dtype:
        _check_dtype(value.dtype, i)
        value = value.astype(dtype)
    # A bare float array would be asked for its gradient by some functions.
    return chainer.Variable(value, requires_grad=False) if dtype.kind == 'f' else value


def _check_number(columns: int, inputs: Sequence[Input]) -> None:
    if columns != len(inputs):
        declared = f'{len(inputs)} {"is" if len(inputs) == 1 else "are"} declared'
        raise DataError(f'the data has {columns} columns, and {declared}',
                        'name every column in order; `_` stands for one that is not wanted')


def _check_shape(shape: Sequence[int], i: Input) -> None:
    if len(shape) != len(i.shape) or any(length not in (None, n) for length, n in zip(i.shape, shape)):
        raise DataError(f'{i.name!r} is declared as {_type(i)}, and an example of the data has the shape {list(shape)}',
                        'the shape is that of one example, without the batch axis')


def _check_dtype(dtype: numpy.dtype, i: Input) -> None:
    if dtype.kind == 'f' and numpy.dtype(i.dtype).kind != 'f':
        raise DataError(f'{i.name!r} is declared as {i.dtype}, and the data is {dtype}',
                        f'declare it as {dtype}, or round it in the data')


def _type(i: Input) -> str:
    return f'{i.dtype}[{", ".join("?" if length is None else str(length) for length in i.shape)}]'


def examples(inputs: Sequence[Input], rows: int = 2, length: int = 8) -> dict[str, Any]:
    """Returns examples of zeros for every input, by name.

    Args:
        inputs: The inputs.
        rows (int): How many examples.
        length (int): Of axes of any length.
    """
    arrays = {i.name: numpy.zeros((rows, *[length if n is None else n for n in i.shape]), i.dtype)
              for i in inputs if i.name != '_'}
    return {name: chainer.Variable(array, requires_grad=False) if array.dtype.kind == 'f' else array
            for name, array in arrays.items()}
