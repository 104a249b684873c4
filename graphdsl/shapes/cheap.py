"""Runs of models for their shapes alone: what takes time or memory is left out."""
from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator
from unittest import mock

import chainer
import numpy
from chainer.functions.connection.convolution_2d import Convolution2DFunction
from chainer.functions.connection.deconvolution_2d import Deconvolution2DFunction
from chainer.functions.connection.linear import LinearFunction


@contextlib.contextmanager
def shapes_alone() -> Iterator[None]:
    """Lets parameters be zeros and products of matrices be computed for one channel alone.

    The zeros take no memory before they are written to, and no initializer is called. Chainer checks all types as
    ever, and works out all shapes; only the numbers are zeros, for which they are meant.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(chainer.initializers, 'generate_array', _zeros))
        stack.enter_context(mock.patch.object(chainer.Parameter, '__init__', _without_gradient(chainer.Parameter)))
        for function, axis in ((Convolution2DFunction, 0), (Deconvolution2DFunction, 1)):
            forward = function._forward_cpu_core
            stack.enter_context(mock.patch.object(function, '_forward_cpu_core', _thin_convolution(forward, axis)))
        stack.enter_context(mock.patch.object(LinearFunction, 'forward', _thin_product(LinearFunction.forward)))
        yield


def _zeros(initializer: Any, shape: Any, xp: Any, dtype: Any = None, device: Any = None) -> Any:
    """Takes the place of :func:`chainer.initializers.generate_array`."""
    return xp.zeros(shape, chainer.get_dtype(dtype or getattr(initializer, 'dtype', None)))


def _without_gradient(parameter: type) -> Callable:
    """Returns the construction of a parameter that fills no gradient with NaNs, as Chainer's does for a known shape."""
    initialize = parameter.__init__

    def init(self, initializer=None, shape=None, name=None, **options):
        is_later = shape is not None and not isinstance(initializer, chainer.get_array_types())
        initialize(self, initializer, None if is_later else shape, name, **options)
        if is_later:
            self.initialize(shape)
    return init


def _thin_convolution(forward: Callable, axis: int) -> Callable:
    """Returns the forward pass of a convolution; the output channels are along some axis of its weights."""
    def thin(function, x, W, b):
        y, = forward(function, x[:, :1], W[:1, :1], None if b is None else b[:1])
        return numpy.zeros((len(x), W.shape[axis], *y.shape[2:]), y.dtype),
    return thin


def _thin_product(forward: Callable) -> Callable:
    def thin(function, inputs):
        x, W, *b = inputs
        y, = forward(function, (x[:, :1], W[:1, :1], *(one[:1] for one in b)))
        return numpy.zeros((len(x), len(W)), y.dtype),
    return thin
