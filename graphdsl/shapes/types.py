"""Dtypes and shapes, with the batch axis told from the others."""
from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple, Sequence, Union

import chainer
import numpy

#: Rows of the minibatches that tell which axes grow with the batch. They are even, as some graphs halve theirs.
FEW, MORE = 2, 4
#: Lengths of axes of any length.
SHORT, LONG = 8, 12


class ArrayType(NamedTuple):
    """What an array is.

    Attributes:
        dtype: Name of its dtype.
        shape: Lengths of its axes: integers, or texts such as ``'B'`` where they grow with the batch, and ``'?'``
            where they grow with an axis of any length.
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


def symbolic(few: Type, more: Type, longer: Type = None) -> Type:
    """Returns a type whose axes are named by the batch.

    Args:
        few: With ``FEW`` rows in a minibatch.
        more: The same with ``MORE`` rows; None where it is not known, and an axis of ``FEW`` is taken for the batch.
        longer: The same as ``few`` with longer axes where inputs have any length; they become ``'?'``.
    """
    if isinstance(few, ArrayType):
        if _is_alike(few, more):
            shape = list(map(_length, few.shape, more.shape))
        else:
            shape = ['B' if not i and n == FEW else n for i, n in enumerate(few.shape)]
        if _is_alike(few, longer):
            shape = ['?' if n != m else text for text, n, m in zip(shape, few.shape, longer.shape)]
        return few._replace(shape=tuple(shape))
    if isinstance(few, tuple):
        others = [other if isinstance(other, tuple) and len(other) == len(few) else (None,) * len(few)
                  for other in (more, longer)]
        return tuple(map(symbolic, few, *others))
    return few


def _is_alike(one: ArrayType, other: Type) -> bool:
    return isinstance(other, ArrayType) and len(other.shape) == len(one.shape)


def _length(few: int, more: int) -> Union[int, str]:
    slope = Fraction(more - few, MORE - FEW)
    if not slope:
        return few
    rest = few - slope * FEW
    text = 'B' if slope == 1 else f'{slope} B' if slope.denominator == 1 else f'B / {1 / slope}'
    return text if not rest else f'{text} {"+" if rest > 0 else "-"} {abs(rest)}'
