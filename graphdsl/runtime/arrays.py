"""Variables, arrays and numbers, and the ways between them."""
from __future__ import annotations

from typing import Any, Iterable, Optional

import chainer
import numpy


def array(v: Any) -> Any:
    """Returns the array of a variable; anything else as it is."""
    return v.array if isinstance(v, chainer.Variable) else v


def detach(v: Any) -> Any:
    """Returns a value without its history: a variable for floats, a bare array for others, numbers as they are."""
    values = _values(v)
    if _kind(values) == 'f':
        return chainer.Variable(values, requires_grad=False)
    return values


def cast(v: Any, like: Any = None) -> Any:
    """Makes floats of integers and booleans, as they meet floats.

    Args:
        v: Variable, array or number.
        like: Variable or array whose dtype is taken if it is a float's, else it is that of ``chainer.config.dtype``.

    Returns:
        A variable without gradient; ``v`` itself if it is no array of integers or booleans.
    """
    values = _values(v)
    if _kind(values) not in ('i', 'u', 'b'):
        return v
    dtype = like.dtype if _kind(like) == 'f' else float_dtype()
    return chainer.Variable(values.astype(dtype), requires_grad=False)


def float_dtype() -> numpy.dtype:
    """Returns the dtype of ``chainer.config.dtype``."""
    return chainer.get_dtype(map_mixed16=numpy.float16)


def _values(v: Any) -> Any:
    """Returns the array of a variable or of one element that was taken from an array; anything else as it is."""
    return numpy.asarray(v) if isinstance(v, numpy.generic) else array(v)


def _kind(v: Any) -> Optional[str]:
    """Returns the kind of an array's dtype, None for what is no array."""
    return v.dtype.kind if isinstance(v, (chainer.Variable, *chainer.get_array_types())) else None


def filled(value: float, like: Any, dtype: Any = None) -> Any:
    """Writes a number as the array that a Chainer function asks for.

    Args:
        value: The number.
        like: Variable or array whose shape, dtype and device are taken.
        dtype: A dtype to take instead, such as ``'int32'`` for targets.

    Returns:
        A variable without gradient for floats, a bare array for others.
    """
    values = array(like)
    device = chainer.backend.get_device_from_array(values)
    with chainer.using_device(device):
        return detach(device.xp.full(values.shape, value, dtype or values.dtype))


def constant(value: float, like: Any, dtype: Any = None) -> Any:
    """Writes a number as an array without axes, for Chainer functions that broadcast.

    Args:
        value: The number.
        like: Variable or array whose dtype and device are taken.
        dtype: A dtype to take instead.

    Returns:
        A variable without gradient for floats, a bare array for others.
    """
    device = chainer.backend.get_device_from_array(array(like))
    with chainer.using_device(device):
        return detach(device.xp.full((), value, dtype or like.dtype))


def scalar(v: Any) -> Any:
    """Returns the number in an array of one element; a number as it is.

    Raises:
        ValueError: If the array has another number of elements.
    """
    values = _values(v)
    if _kind(values) is None:
        return values
    if values.size != 1:
        raise ValueError(f'an array of the shape {list(values.shape)} is no number; take its `mean` or `sum`')
    return float(values.item())


def is_finite(parameters: Iterable[chainer.Parameter]) -> bool:
    """Tells whether all gradients are finite. A parameter without one counts as finite.

    The answers of a GPU are gathered there and fetched once.
    """
    finite: Any = True
    for parameter in parameters:
        if parameter.grad is not None:
            with chainer.using_device(parameter.device):
                finite = parameter.device.xp.isfinite(parameter.grad).all() & finite
    return bool(finite)
