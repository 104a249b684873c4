"""Dtypes and shapes, with the batch axis told from the others."""
from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple, Sequence, Union

import chainer
import numpy

#: Rows of the minibatches that tell which axes grow with the batch. They are even, as some graphs halve theirs.
FEW, MORE = 2, 4


class ArrayType(NamedTuple):
    """What an array is.

    Attributes:
        dtype: Name of its dtype.
        shape: Lengths of its axes: integers, or texts such as ``'B'`` where they grow with the batch.
    """

    dtype: str
    shape: tuple[Union[int, str], ...]

    def __str__(self) -> str:
        return self.dtype + shape_text(self.shape) if self.shape else self.dtype


#: Of an array, of several values, or None for what is neither, such as a number.
Type = Union[ArrayType, tuple, None]


def shape_text(shape: Sequence[Union[int, str]]) -> str:
    return f'[{", ".join(map(str, shape))}]'


def type_of(value: Any) -> Type:
    """Returns what a value is."""
    if isinstance(value, (tuple, list)):
        return tuple(map(type_of, value))
    if isinstance(value, (chainer.Variable, *chainer.get_array_types(), numpy.generic)):
        return None if value.dtype is None else ArrayType(value.dtype.name, tuple(value.shape))
    return None


def symbolic(few: Type, more: Type) -> Type:
    """Returns a type whose axes are named by the batch.

    Args:
        few: With ``FEW`` rows in a minibatch.
        more: The same with ``MORE`` rows; None where it is not known, and an axis of ``FEW`` is taken for the batch.
    """
    if isinstance(few, ArrayType):
        others = more.shape if isinstance(more, ArrayType) and len(more.shape) == len(few.shape) else None
        if others is None:
            return few._replace(shape=tuple('B' if not i and n == FEW else n for i, n in enumerate(few.shape)))
        return few._replace(shape=tuple(map(_length, few.shape, others)))
    if isinstance(few, tuple):
        others = more if isinstance(more, tuple) and len(more) == len(few) else (None,) * len(few)
        return tuple(map(symbolic, few, others))
    return few


def _length(few: int, more: int) -> Union[int, str]:
    slope = Fraction(more - few, MORE - FEW)
    if not slope:
        return few
    rest = few - slope * FEW
    text = 'B' if slope == 1 else f'{slope} B' if slope.denominator == 1 else f'B / {1 / slope}'
    return text if not rest else f'{text} {"+" if rest > 0 else "-"} {abs(rest)}'
