"""Noise: random values that a graph reads like inputs."""
from __future__ import annotations

from typing import Any, NamedTuple, Optional

import chainer
import numpy

from graphdsl.runtime.data import DataError


class Noise(NamedTuple):
    """A declared noise.

    Attributes:
        name: Its name.
        dtype: Name of its dtype; None if each draw is one number.
        shape: Shape without the batch axis.
        distribution: ``'normal'``, ``'uniform'``, ``'bernoulli'``, ``'categorical'`` or ``'permutation'``.
        arguments: Of the distribution, in order. That of a permutation may be ``'batch_size'``.
        stream: The stream whose minibatches tell the number of rows.
    """

    name: str
    dtype: Optional[str]
    shape: tuple[int, ...]
    distribution: str
    arguments: tuple
    stream: str


def draw(noise: Noise, state: numpy.random.RandomState, rows: int, device=None) -> Any:
    """Draws a noise once.

    Args:
        noise: What to draw.
        state: The generator.
        rows (int): Length of the batch axis.
        device (chainer.backend.Device): Where the array goes; None leaves it in main memory.

    Returns:
        A variable without gradient of shape ``(rows, *noise.shape)`` if the dtype is a float, a bare array of this
        shape if it is another, a Python float if there is none.

    Raises:
        DataError: If a permutation has another length than what it permutes.
    """
    if noise.dtype is None:
        return float(_sample(noise, state, None))
    if noise.distribution == 'permutation':
        values = _permutations(noise, state, rows)
    else:
        values = _sample(noise, state, (rows, *noise.shape))
    return wrap(values.astype(noise.dtype, copy=False), device)


def wrap(array: numpy.ndarray, device=None) -> Any:
    """Sends an array to a device, and makes a float array a variable without gradient."""
    if device is not None:
        array = device.send(array)
    return chainer.Variable(array, requires_grad=False) if array.dtype.kind == 'f' else array


def _sample(noise: Noise, state: numpy.random.RandomState, size: Optional[tuple[int, ...]]) -> Any:
    arguments = noise.arguments
    if noise.distribution == 'normal':
        return state.normal(*arguments, size)
    if noise.distribution == 'uniform':
        return state.uniform(*arguments, size)
    if noise.distribution == 'bernoulli':
        return state.random_sample(size) < arguments[0]
    if noise.distribution == 'categorical':
        n = arguments[0]
        if isinstance(n, (tuple, list)):
            return state.choice(len(n), size=size, p=n)
        return state.randint(n, size=size)
    raise ValueError(f'{noise.distribution!r} is no distribution of `{noise.name}`')


def _permutations(noise: Noise, state: numpy.random.RandomState, rows: int) -> numpy.ndarray:
    n = rows if noise.arguments[0] == 'batch_size' else noise.arguments[0]
    if noise.shape:
        if noise.shape != (n,):
            raise DataError(f'`{noise.name}` is a permutation of {n} in the shape {list(noise.shape)}',
                            f'declare the shape as [{n}], or without a shape to permute the minibatch')
        return numpy.array([state.permutation(n) for _ in range(rows)], dtype=int).reshape(rows, n)
    if n != rows:
        raise DataError(f'`{noise.name}` is a permutation of {n}, and the minibatch has {rows} examples',
                        'write `permutation(batch_size)` to permute the minibatch')
    return state.permutation(rows)
