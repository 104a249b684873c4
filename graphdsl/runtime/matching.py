"""Where integers, or numbers, meet floats: all get the floats' dtype."""
from __future__ import annotations

import functools
import operator
from typing import Any, Callable

import chainer.functions as F
import numpy

from graphdsl.runtime.arrays import array, cast, filled, float_dtype

_OPERATORS: dict[str, Callable] = {'+': operator.add, '-': operator.sub, '*': operator.mul, '/': operator.truediv,
                                   '//': operator.floordiv, '**': operator.pow}

# These compare with labels: a number beside an array stands for as many integers.
_WITH_LABELS = (F.sigmoid_cross_entropy, F.binary_accuracy)
_AVERAGING = (F.average, F.mean, F.sum)


def mixed(symbol: str, *operands: Any) -> Any:
    """Applies an operator to arrays of which some hold integers or truth values, and to numbers.

    Args:
        symbol (str): Such as ``'*'``.
        operands: Arrays, variables and Python numbers.

    Returns:
        What the operator gives once integers that meet a float have its dtype; where none is an array of floats,
        that of Chainer's configuration. Integers alone stay integers, but for ``/``; they come as a bare array.
    """
    if any(map(_is_float, operands)) or symbol == '/' or any(isinstance(o, float) for o in operands):
        like = _like(operands)
        operands = tuple(o if _is_number(o) else cast(o, like) for o in operands)
    else:       # Chainer adds and multiplies variables of floats only
        operands = tuple(map(array, operands))
    return functools.reduce(_OPERATORS[symbol], operands)


def matched(function: Callable, positions: tuple[int, ...], *arguments: Any, **keywords: Any) -> Any:
    """Calls a function whose arrays must have one dtype.

    Args:
        function: Of :mod:`chainer.functions`.
        positions: Which of its arguments are arrays, or lists of arrays.
        arguments: Some of the arrays hold integers or truth values, or are Python numbers. A sum counts truth values.
        keywords: Further arguments.
    """
    met = [v for i in positions for v in (arguments[i] if isinstance(arguments[i], (list, tuple)) else [arguments[i]])]
    like = _like(met)
    if function is F.add and like is None:
        return sum(array(v).astype(numpy.int32) if array(v).dtype.kind == 'b' else array(v) for v in met)
    shape_of = next(a for a in (like, *met, *arguments) if a is not None and not _is_number(a))
    dtype = numpy.dtype(numpy.int32) if function in _WITH_LABELS else _common_dtype(function, met, like)

    def fitted(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(map(fitted, value))
        if _is_number(value):
            return filled(value, shape_of, dtype=dtype)
        if function in _WITH_LABELS or value.dtype == dtype:
            return value
        return cast(value, like) if dtype.kind == 'f' else array(value).astype(dtype)

    return function(*[fitted(a) if i in positions else a for i, a in enumerate(arguments)], **keywords)


def _common_dtype(function: Callable, met: list[Any], like: Any) -> numpy.dtype:
    """Returns the dtype that values get: that of a float, or what holds all integers; averages are of floats."""
    if like is not None:
        return like.dtype
    if function in _AVERAGING or any(isinstance(v, float) for v in met):
        return float_dtype()
    arrays = [v.dtype for v in met if not _is_number(v)]
    return numpy.result_type(*arrays) if arrays else numpy.dtype(numpy.int32)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _is_float(value: Any) -> bool:
    return getattr(getattr(value, 'dtype', None), 'kind', '') == 'f'


def _like(values: Any) -> Any:
    """Returns the first array of floats, None if there is none."""
    return next(filter(_is_float, values), None)
