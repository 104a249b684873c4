"""Runs programs on data that is drawn at random, and stops what takes too long."""
from __future__ import annotations

import contextlib
import resource
import signal
from pathlib import Path
from typing import Any, Iterator

import chainer
import numpy
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator

import graphdsl

_ROWS = 3


class Hang(BaseException):
    """Something took too long. No handler of errors takes it for one."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises :class:`Hang` in what takes longer."""
    def stop(*_: Any) -> None:
        raise Hang(f'more than {seconds} seconds')

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def little_memory(more: int = 2 ** 31) -> Iterator[None]:
    """Lets Python ask for so many bytes more and not for all that there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def column(one: Any, random: numpy.random.RandomState, is_ragged: bool = True) -> list[numpy.ndarray]:
    """Draws examples of an input."""
    dtype = numpy.dtype(one.dtype or 'float32')
    found = []
    for _ in range(_ROWS):
        length = random.randint(1, 5) if is_ragged and one.pad is not None else 3
        shape = [length if n is None else n for n in one.shape]
        found.append(numpy.asarray(random.randn(*shape) if dtype.kind == 'f' else random.randint(0, 2, shape), dtype))
    return found


def iterators(graph: graphdsl.CompiledGraph, random: numpy.random.RandomState) -> dict[str, SerialIterator]:
    """Returns iterators over examples that are drawn at random, by stream."""
    found = {}
    for stream in graph.streams:
        columns = [column(one, random) for one in graph.inputs if one.stream == stream]
        found[stream] = SerialIterator(TupleDataset(*columns or [range(_ROWS)]), _ROWS, shuffle=False)
    return found


def iterate(graph: graphdsl.CompiledGraph, iterations: int = 1, seed: int = 0) -> list[dict[str, float]]:
    """Does some iterations, and evaluates; returns what is reported, as numbers."""
    random = numpy.random.RandomState(seed)
    updater = graph.updater(iterators(graph, random), length=(3, 'iteration'))
    numpy.random.seed(seed)
    found = []
    for _ in range(iterations):
        observation: dict[str, Any] = {}
        with chainer.Reporter().scope(observation):
            updater.update()
        found.append(numbers(observation))
    batch = {one.name: numpy.stack(column(one, random, False)) for one in graph.inputs if one.name != '_'}
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        found.append(numbers(graph.reports(batch)))
        graph.outputs(batch)
    return found


def numbers(observation: dict[str, Any]) -> dict[str, float]:
    return {name: float(getattr(value, 'array', value)) for name, value in observation.items()}
