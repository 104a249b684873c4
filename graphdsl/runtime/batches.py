"""Minibatches as the inputs of a graph."""
from __future__ import annotations

import difflib
import math
from typing import Any, Callable, Iterable, Optional, Sequence

import chainer
import numpy
from chainer.dataset import convert
from chainer.iterators import SerialIterator

from graphdsl.runtime.data import DataError
from graphdsl.runtime.settings import Input


class ColumnError(DataError):
    """Raised for a column that does not fit its input.

    Args:
        code (str): Of the diagnostic.
        column (str): Name of the input; empty where it is about all of them.
        message (str): What is wrong.
        help (str): The next step.
    """

    def __init__(self, code: str, column: str, message: str, help: str = ''):
        super().__init__(message, help)
        self.code = code
        self.column = column


class ColumnErrors(DataError):
    """Raised for examples that do not fit the inputs.

    Attributes:
        errors (tuple of ColumnError): What is wrong with each column.
    """

    def __init__(self, errors: Iterable[ColumnError]):
        self.errors = tuple(errors)
        super().__init__('; '.join(map(str, self.errors)))

    def parts(self) -> tuple[DataError, ...]:
        return self.errors


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
        ColumnErrors: If the examples don't fit the inputs; with all columns that don't.

    Where an input has axes of any length, its examples are filled up to the longest of the minibatch. A converter
    other than Chainer's :func:`~chainer.dataset.concat_examples` is trusted with this.
    """
    if converter is convert.concat_examples and any([None in i.shape for i in inputs]):
        batch, columns = _filled_up(batch, columns, inputs)
    converted = convert._call_converter(converter, batch, device)
    values = _in_order(converted, columns, inputs)
    try:
        return [_as_declared(value, i) for value, i in zip(values, inputs)]
    except ColumnError:
        raise ColumnErrors(_of_each(_check, zip(values, inputs))) from None


def once(dataset: Any, batch: int) -> Any:
    """Makes an iterator that goes through a dataset once, in its order.

    Args:
        dataset: The examples, or what has an iterator of its own.
        batch (int): How many examples a minibatch has; the last may have less.
    """
    if hasattr(dataset, 'iterator'):
        return dataset.iterator(batch, False)
    return SerialIterator(dataset, batch, repeat=False, shuffle=False)


def _of_each(action: Callable, arguments: Iterable[tuple]) -> list[ColumnError]:
    """Returns what an action raises for each of some arguments."""
    errors = []
    for one in arguments:
        try:
            action(*one)
        except ColumnError as error:
            errors.append(error)
    return errors


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
    ragged = [(place, i) for place, i in enumerate(declared) if i is not None and None in i.shape]
    errors = _of_each(_check_ragged, ((values[place], i) for place, i in ragged))
    if errors:
        raise ColumnErrors(errors)
    for place, i in ragged:
        values[place] = _of_one_shape(values[place], i)
    return list(zip(*values)), columns


def _check_ragged(column: list, i: Input) -> None:
    for value in column:
        array = value if hasattr(value, 'dtype') else numpy.asarray(value)
        _check_shape(array.shape, i)
        _check_dtype(array.dtype, i)


def _of_one_shape(column: list, i: Input) -> list:
    arrays = [value if hasattr(value, 'dtype') else numpy.asarray(value) for value in column]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) == 1:
        return arrays
    if i.pad is None and i.name != '_':
        first, last = list(shapes[0]), list(shapes[-1])
        raise ColumnErrors([ColumnError(
            'G511', i.name, f'examples of {i.name!r} in one minibatch have the shapes {first} and {last}',
            f'say what fills up the shorter ones: `{_type(i)} pad 0`')])
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
        missing = [i.name for i in inputs if i.name != '_' and i.name not in converted]
        if missing:
            raise ColumnErrors(ColumnError('G514', name, f'the data has no column {name!r}',
                                           _columns_help(name, list(converted))) for name in missing)
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
        has = '1 column' if columns == 1 else f'{columns} columns'
        raise ColumnErrors([ColumnError('G513', '', f'the data has {has}, and {declared}',
                                        'name every column in order; `_` stands for one that is not wanted')])


def _columns_help(name: str, columns: list[str]) -> str:
    close = difflib.get_close_matches(name, columns, 1)
    return 'its columns are ' + ', '.join(map(repr, columns)) + (f'; did you mean {close[0]!r}?' if close else '')


def _check(value: Any, i: Input) -> None:
    """Checks an array, or what is made one."""
    if i.name != '_':
        value = chainer.as_array(value) if hasattr(value, 'dtype') else numpy.asarray(value)
        _check_shape(value.shape[1:], i)
        _check_dtype(value.dtype, i)


def _check_shape(shape: Sequence[int], i: Input) -> None:
    if len(shape) != len(i.shape) or any(length not in (None, n) for length, n in zip(i.shape, shape)):
        raise ColumnError('G511', i.name, f'{i.name!r} is declared as {_type(i)}, and an example of the data has the '
                                          f'shape {list(shape)}', _shape_help(tuple(shape), i))


def _shape_help(shape: tuple[int, ...], i: Input) -> str:
    """Says what to declare, for what the data has."""
    as_it_is = f'declare it as `{i.name}: {_type(i._replace(shape=shape))}`'
    if i.shape[1:] == shape:
        return f'{as_it_is}: the shape is that of one example, without the batch axis'
    if None in i.shape:
        return f'{as_it_is}, with `?` for axes of any length'
    if sorted(i.shape) == sorted(shape):
        return f'its axes are in another order: {as_it_is}, and `transpose` it in the graph'
    if math.prod(i.shape) == math.prod(shape):
        return f'it has as many elements: {as_it_is}, and `reshape` it in the graph'
    return as_it_is


def _check_dtype(dtype: numpy.dtype, i: Input) -> None:
    if dtype.kind == 'f' and numpy.dtype(i.dtype).kind != 'f':
        raise ColumnError('G512', i.name, f'{i.name!r} is declared as {i.dtype}, and the data is {dtype}',
                          f'labels are made integers in the data; declare it as {dtype} only if these are no labels')


def _type(i: Input) -> str:
    lengths = ', '.join('?' if length is None else str(length) for length in i.shape)
    return f'{i.dtype}[{lengths}]' if lengths else i.dtype


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
