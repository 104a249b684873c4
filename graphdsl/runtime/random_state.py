"""Random generators as a part of snapshots."""
from __future__ import annotations

import random

import numpy


def serialize_random_state(serializer, state) -> None:
    """Saves a generator, or sets it to what was saved.

    Args:
        serializer (chainer.AbstractSerializer): Of the generator alone.
        state (numpy.random.RandomState): The generator. ``numpy.random`` itself stands for the global one.
    """
    kind, keys, position, has_gauss, cached_gaussian = state.get_state()
    keys = serializer('keys', keys)
    position = serializer('position', int(position))
    has_gauss = serializer('has_gauss', int(has_gauss))
    cached_gaussian = serializer('cached_gaussian', float(cached_gaussian))
    state.set_state((kind, keys, position, has_gauss, cached_gaussian))


def serialize_global(serializer) -> None:
    """Saves NumPy's global generator, which dropout draws from, and Python's, or sets them to what was saved.

    CuPy's cannot be read. It needs no saving, see :func:`graphdsl.runtime.seeds.reseed`.
    """
    serialize_random_state(serializer, numpy.random)
    version, words, gauss = random.getstate()
    words = serializer('python', numpy.asarray(words))
    has_gauss = serializer('python_has_gauss', int(gauss is not None))
    gauss = serializer('python_gauss', gauss or 0.0)
    random.setstate((version, tuple(map(int, words)), float(gauss) if has_gauss else None))
