"""Random generators as a part of snapshots."""
from __future__ import annotations

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
    """Saves NumPy's global generator, which dropout draws from, or sets it to what was saved."""
    serialize_random_state(serializer, numpy.random)
