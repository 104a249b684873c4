"""Random generators: where they come from, and who may move them."""
from __future__ import annotations

import contextlib
import random
import zlib
from typing import Iterator

import chainer
import numpy
from chainer.backends import cuda
from chainer.iterators import ShuffleOrderSampler


def random_state(seed: int, name: str) -> numpy.random.RandomState:
    """Makes the generator of a stream from the seed of the run and the stream's name."""
    return numpy.random.RandomState(zlib.crc32(f'{seed}/{name}'.encode()))


class SeededOrder(ShuffleOrderSampler):
    """Shuffles the examples of a stream by a generator of its own, which is a part of snapshots.

    Args:
        seed (int): Of the run.
        stream (str): Name of the stream.
    """

    def __init__(self, seed: int, stream: str):
        self.state = random_state(seed, stream)
        super().__init__(self.state)


def set_seed(seed: int) -> None:
    """Seeds the global generators: NumPy's and CuPy's, for initial weights and dropout, and Python's."""
    random.seed(seed)
    numpy.random.seed(seed)
    if cuda.available:
        cuda.cupy.random.seed(seed)


def reseed(device: chainer.backend.Device, seed: int, iteration: int) -> None:
    """Seeds the generator of a GPU for an iteration.

    The state of CuPy's generator cannot be saved. Where it follows from the iteration, a resumed run draws what it
    would have drawn.
    """
    if isinstance(device, chainer.backend.GpuDevice):
        with chainer.using_device(device):
            device.xp.random.seed(zlib.crc32(f'{seed}/{iteration}'.encode()))


@contextlib.contextmanager
def generators_of_its_own(seed: int = 0) -> Iterator[None]:
    """Lets what stands within draw from generators of its own, and gives the global ones back as they were."""
    python_state = random.getstate()
    state = numpy.random.get_state()
    gpu_state = cuda.cupy.random.get_random_state() if cuda.available else None
    random.seed(seed)
    numpy.random.seed(seed)
    if gpu_state is not None:
        cuda.cupy.random.set_random_state(cuda.cupy.random.RandomState(seed))
    try:
        yield
    finally:
        random.setstate(python_state)
        numpy.random.set_state(state)
        if gpu_state is not None:
            cuda.cupy.random.set_random_state(gpu_state)
