"""A pool of past values, half of which are swapped in for new ones."""
from __future__ import annotations

from typing import Any

import chainer
import numpy

from graphdsl.runtime.data import DataError
from graphdsl.runtime.random_state import serialize_random_state


class Pool:
    """Keeps some of the examples that went through it.

    As for the images in A. Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial
    Training" (2017), in the form of the code of CycleGAN: example by example, so that one that has just been put in
    may come out again.

    Args:
        size (int): How many examples it holds.
        state (numpy.random.RandomState): Its generator, part of what it saves.
    """

    def __init__(self, size: int, state: numpy.random.RandomState):
        if size < 1:
            raise ValueError(f'a pool holds at least one example, and this one {size}')
        self._size = size
        self._state = state
        self._examples: Any = None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def swap(self, array: Any) -> Any:
        """Puts a minibatch in, and takes one of the same shape out.

        Args:
            array: The minibatch, examples along the first axis.

        Returns:
            An array of its own: each example is the one that was put in, or one from before.
        """
        device = chainer.backend.get_device_from_array(array)
        result = array.copy()
        with chainer.using_device(device):
            examples = self._room(array, device)
            for i in range(len(array)):
                if self._count < self._size:
                    examples[self._count] = array[i]
                    self._count += 1
                elif self._state.random_sample() < 0.5:
                    k = self._state.randint(self._size)
                    result[i] = examples[k]
                    examples[k] = array[i]
        return result

    def _room(self, array: Any, device) -> Any:
        """Returns the array of kept examples, on the device."""
        if self._examples is None:
            self._examples = device.xp.zeros((self._size, *array.shape[1:]), array.dtype)
        elif chainer.backend.get_device_from_array(self._examples) != device:
            self._examples = device.send(self._examples)
        return self._examples

    def serialize(self, serializer) -> None:
        """Saves the examples and the generator, or sets them to what was saved.

        Raises:
            DataError: If more examples were saved than it holds.
        """
        serialize_random_state(serializer['generator'], self._state)
        if isinstance(serializer, chainer.Serializer):
            serializer('count', self._count)
            if self._count:
                serializer('examples', self._examples[:self._count])
            return
        self._count = serializer('count', self._count)
        if self._count > self._size:
            raise DataError(f'a pool of {self._size} is to be loaded with {self._count} examples',
                            'the size must not shrink from one run to the next')
        self._examples = None
        if self._count:
            saved = serializer('examples', None)
            self._examples = numpy.zeros((self._size, *saved.shape[1:]), saved.dtype)
            self._examples[:self._count] = saved
