"""What an iteration of a graph in a Trainer costs beyond the Chainer calls that it makes.

    uv run python benchmarks/overhead.py

The bare loop draws, converts, computes, clears, differentiates, updates and reports, each by one call of Chainer's.
"""
from __future__ import annotations

import measure  # noqa: F401 - first: it sets the number of BLAS threads

import statistics
import tempfile
import time
from typing import Callable

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator
from chainer.training import StandardUpdater, Trainer
from chainer.training.triggers import IntervalTrigger

import graphdsl

BATCH = 64
BLOCK = 10
BLOCKS = 1501
GRAPH = """
input x: float32[64], t: int32
model net = Linear(32) -> relu -> Linear(32) -> relu -> Linear(10)
x -> net -> y
loss kl = softmax_cross_entropy(y, t)
optimizer Adam() owns net
"""


class Net(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(64, 32)
            self.linear_2 = L.Linear(32, 32)
            self.linear_3 = L.Linear(32, 10)

    def forward(self, x):
        return self.linear_3(F.relu(self.linear_2(F.relu(self.linear_1(x)))))


def digits() -> SerialIterator:
    """Sixteen minibatches of what could be digits."""
    random = numpy.random.RandomState(0)
    return SerialIterator(TupleDataset(random.rand(1024, 64).astype('f'), random.randint(0, 10, 1024).astype('i')),
                          BATCH, shuffle=False)


class ByHand(StandardUpdater):
    """An updater that makes the Chainer calls of the graph."""

    def __init__(self):
        self.net = Net()
        self.parameters = list(self.net.params())
        super().__init__(digits(), chainer.optimizers.Adam().setup(self.net))

    def update_core(self):
        self.net.cleargrads()
        x, t = self.converter(self.get_iterator('main').next(), self.device)
        loss = F.softmax_cross_entropy(self.net(chainer.Variable(x, requires_grad=False)), t)
        chainer.grad([loss], self.parameters, set_grad=True)
        self.get_optimizer('main').update()
        chainer.report({'kl': loss})


def bare_loop() -> Callable[[int], None]:
    """Makes a function that does some iterations by the same Chainer calls and nothing else."""
    net = Net()
    reporter = chainer.Reporter()
    reporter.add_observer('main', net)
    iterator = digits()
    optimizer = chainer.optimizers.Adam().setup(net)
    parameters = list(net.params())

    def run(iterations: int) -> None:
        for _ in range(iterations):
            with reporter.scope({}):
                net.cleargrads()
                x, t = chainer.dataset.concat_examples(iterator.next())
                loss = F.softmax_cross_entropy(net(chainer.Variable(x, requires_grad=False)), t)
                chainer.grad([loss], parameters, set_grad=True)
                optimizer.update()
                chainer.report({'kl': loss})
    return run


class InTurn(IntervalTrigger):
    """Ends a run, and lets it take turns with another, block by block of iterations.

    Args:
        other: Runs as many iterations as it is told to.

    Attributes:
        times: Seconds of each block, of the run and of the other.
    """

    def __init__(self, other: Callable[[int], None]):
        super().__init__(BLOCK * BLOCKS, 'iteration')
        self.times: list[tuple[float, float]] = []
        self._other = other
        self._start = 0.0

    def __call__(self, trainer: Trainer) -> bool:
        if trainer.updater.iteration % BLOCK == 0:
            middle = time.process_time()
            self._other(BLOCK)
            end = time.process_time()
            self.times.append((middle - self._start, end - middle))
            self._start = time.process_time()
        return super().__call__(trainer)


def measured(updater, other: Callable[[int], None]) -> list[tuple[float, float]]:
    """Runs an updater in a Trainer, in turn with another loop; returns the seconds of blocks, without the first."""
    turns = InTurn(other)
    with tempfile.TemporaryDirectory() as out:
        Trainer(updater, turns, out).run()
    return turns.times[2:]


def main() -> None:
    updaters = {'graphdsl': graphdsl.compile(GRAPH).updater(digits()), 'by hand': ByHand()}
    print('64-32-32-10 MLP, batch 64; an iteration in a Trainer takes so many times as long as one of a bare loop')
    for name, updater in updaters.items():
        times = measured(updater, bare_loop())
        ratio = statistics.median(ours / bare for ours, bare in times)
        microseconds = 1e6 * statistics.median(bare for _, bare in times) / BLOCK
        print(f'{name:>9} {ratio:6.3f}   (bare loop: {microseconds:.0f} us)')


if __name__ == '__main__':
    main()
