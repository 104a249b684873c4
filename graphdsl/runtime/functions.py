"""The functions of the language that Chainer lacks."""
from __future__ import annotations

from typing import Any, Optional

import chainer
import numpy

from graphdsl.runtime.arrays import array, detach, float_dtype


class ReverseGradient(chainer.FunctionNode):
    """Identity whose gradient is reversed.

    See: Y. Ganin et al., "Domain-Adversarial Training of Neural Networks" (2016).

    Args:
        scale (float): What the reversed gradient is multiplied by.
    """

    def __init__(self, scale: float):
        self.scale = float(scale)

    def forward(self, inputs):
        return inputs

    def backward(self, indexes, grad_outputs):
        return -self.scale * grad_outputs[0],


def reverse_gradient(x: Any, scale: float) -> chainer.Variable:
    """Returns ``x``; its gradient is ``-scale`` times that of the result."""
    return ReverseGradient(scale).apply((x,))[0]


def ones_like(v: Any, dtype: Any = None) -> Any:
    """Returns ones of the shape of a value.

    Args:
        v: Variable or array.
        dtype: Dtype of the result; None takes that of ``v``.

    Returns:
        A variable without gradient for floats, a bare array for others, on the device of ``v``.
    """
    return _filled_like(v, 1, dtype)


def zeros_like(v: Any, dtype: Any = None) -> Any:
    """Returns zeros of the shape of a value; see :func:`ones_like`."""
    return _filled_like(v, 0, dtype)


def _filled_like(v: Any, value: int, dtype: Any) -> Any:
    device = chainer.backend.get_device_from_array(array(v))
    with chainer.using_device(device):
        return detach(device.xp.full(v.shape, value, dtype or v.dtype))


def one_hot(t: Any, n: int) -> chainer.Variable:
    """Writes labels as vectors with a single one.

    Args:
        t: Integers from 0 to ``n - 1``, of any shape.
        n (int): Number of classes.

    Returns:
        A variable without gradient of shape ``t.shape + (n,)`` and the dtype of ``chainer.config.dtype``.

    Raises:
        ValueError: If there is another label.
    """
    labels = array(t)
    if labels.dtype.kind not in 'iu':
        raise ValueError(f'`one_hot` takes integers, and was given {labels.dtype}')
    device = chainer.backend.get_device_from_array(labels)
    with chainer.using_device(device):
        if labels.size and not (0 <= int(labels.min()) and int(labels.max()) < n):
            raise ValueError(f'`one_hot` has {n} classes, and was given labels from {int(labels.min())} to '
                             f'{int(labels.max())}')
        hot = labels[..., None] == device.xp.arange(n)
        return chainer.Variable(hot.astype(float_dtype()), requires_grad=False)


def arange(n: int) -> numpy.ndarray:
    """Returns the integers from 0 to ``n - 1``."""
    return numpy.arange(n, dtype=numpy.int32)


def point(x: Any) -> chainer.Variable:
    """Makes a value a point that :func:`gradient` can be taken at.

    Args:
        x: Variable or array of floats.

    Returns:
        ``x`` itself if its gradient can be asked for, else a variable of the same array.

    Raises:
        TypeError: If it is no array of floats.
    """
    values = array(x)
    dtype = getattr(values, 'dtype', None)
    if dtype is None or dtype.kind != 'f':
        raise TypeError(f'`grad` takes a gradient at floats only, and was given {dtype or type(values).__name__}')
    if isinstance(x, chainer.Variable) and x.requires_grad:
        return x
    return chainer.Variable(values, requires_grad=True)


def gradient(y: chainer.Variable, x: chainer.Variable, twice: bool = True) -> chainer.Variable:
    """Differentiates the sum of a value.

    Args:
        y: What is differentiated.
        x: Where: a variable that ``y`` was computed from.
        twice (bool): Whether the result can be differentiated again.

    Returns:
        A variable of the shape of ``x``; zeros if ``y`` doesn't depend on it.
    """
    result: Optional[chainer.Variable] = chainer.grad([y], [x], enable_double_backprop=twice)[0]
    return zeros_like(x) if result is None else result
