"""What a training iteration draws: minibatches, noise, values from pools."""
from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

import numpy

from graphdsl.runtime.arrays import array, detach
from graphdsl.runtime.noise import Noise, draw, wrap
from graphdsl.runtime.pool import Pool
from graphdsl.runtime.random_state import serialize_random_state
from graphdsl.runtime.seeds import random_state


class Draws:
    """Draws, and remembers the latest draws of an iteration.

    Args:
        minibatch: Function that draws from a stream: a list of the values of the stream's inputs.
        batch_sizes: Function that tells how many examples a stream's minibatch has.
        noises: What may be drawn beside data.
        seed (int): Of the run.
        device (chainer.backend.Device): Where noise goes; None leaves it in main memory.
        pools: Sizes of the pools by name.
    """

    def __init__(self, minibatch: Callable[[str], list], batch_sizes: Callable[[str], int], noises: Sequence[Noise],
                 seed: int, device=None, pools: Mapping[str, int] = {}):
        self._draw = minibatch
        self._batch_sizes = batch_sizes
        self._noises = {noise.name: noise for noise in noises}
        self._device = device
        self._states = {name: random_state(seed, f'noise/{name}') for name in self._noises}
        self._pools = {name: Pool(size, random_state(seed, f'history/{name}')) for name, size in pools.items()}
        self.begin()

    def begin(self) -> None:
        """Starts an iteration: forgets the latest draws."""
        self._minibatches: dict[str, list] = {}
        self._values: dict[str, Any] = {}
        self._taken: dict[str, Any] = {}

    def minibatch(self, stream: str, again: bool = False) -> list:
        """Draws from a stream.

        Args:
            stream (str): Its name.
            again (bool): Whether to give the latest minibatch of this iteration, if there is one.

        Returns:
            The values of the stream's inputs, in order.
        """
        if not again or stream not in self._minibatches:
            self._minibatches[stream] = self._draw(stream)
        return self._minibatches[stream]

    def noise(self, name: str, again: bool = False) -> Any:
        """Draws noise, with as many rows as its stream's minibatch.

        Args:
            name (str): Its name.
            again (bool): Whether to give the latest draw of this iteration, if there is one.

        Returns:
            As :func:`graphdsl.runtime.noise.draw` gives it.
        """
        if not again or name not in self._values:
            noise = self._noises[name]
            self._values[name] = draw(noise, self._states[name], self.batch_size(noise.stream), self._device)
        return self._values[name]

    def batch_size(self, stream: str) -> int:
        """Returns the rows of a stream's latest minibatch in this iteration, or what its minibatches have."""
        for value in self._minibatches.get(stream, ()):
            if getattr(value, 'shape', ()):
                return len(value)
        return self._batch_sizes(stream)

    def history(self, name: str, value: Any) -> Any:
        """Puts a value into a pool, and takes one out.

        Args:
            name (str): Name of the pool.
            value: Variable or array, examples along the first axis.

        Returns:
            A variable without gradient for floats, an array for integers.
        """
        self._taken[name] = detach(self._pools[name].swap(array(value)))
        return self._taken[name]

    @property
    def latest(self) -> tuple[dict[str, list], dict[str, Any], dict[str, Any]]:
        """The latest minibatches of this iteration by stream, noise by name, and values from pools by name."""
        return self._minibatches, self._values, self._taken

    def serialize(self, serializer) -> None:
        """Saves the generators and pools, or sets them to what was saved."""
        for name, state in self._states.items():
            serialize_random_state(serializer[f'noise:{name}'], state)
        for name, pool in self._pools.items():
            pool.serialize(serializer[f'history:{name}'])


class ZeroDraws:
    """Draws some rows of zeros again and again, in place of :class:`Draws`.

    Args:
        columns: Names of each stream's inputs, in order, by stream.
        examples: Values by name.
        noises: What may be drawn beside data.
        device (chainer.backend.Device): Where noise goes.
        rows (int): How many rows.
    """

    def __init__(self, columns: Mapping[str, Sequence[str]], examples: Mapping[str, Any], noises: Sequence[Noise] = (),
                 device=None, rows: int = 2):
        self._columns = columns
        self._examples = examples
        self._noises = {noise.name: noise for noise in noises}
        self._device = device
        self._rows = rows

    def begin(self) -> None:
        """Does nothing."""

    def minibatch(self, stream: str, again: bool = False) -> list:
        """Returns the examples of a stream; None for a column that has none."""
        return [self._examples.get(name) for name in self._columns[stream]]

    def noise(self, name: str, again: bool = False) -> Any:
        """Returns zeros as noise would be; a permutation is the identity."""
        noise = self._noises[name]
        if noise.dtype is None:
            return 0.0
        values = numpy.zeros((self._rows, *noise.shape), noise.dtype)
        if noise.distribution == 'permutation':
            values[...] = numpy.arange(values.shape[-1])
        return wrap(values, self._device)

    def batch_size(self, stream: str) -> int:
        """Returns how many rows there are."""
        return self._rows

    def history(self, name: str, value: Any) -> Any:
        """Returns the value without its history."""
        return detach(value)

    def serialize(self, serializer) -> None:
        """Does nothing."""
