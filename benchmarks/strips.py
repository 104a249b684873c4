"""One trunk and N heads: the founding article's updater and the best one we can write by hand, against graphdsl.

    uv run python benchmarks/strips.py
"""
from __future__ import annotations

import measure  # first: it sets the number of BLAS threads

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator
from chainer.training import StandardUpdater

import graphdsl

BATCH = 64
GRAPH = """
param count = 5
input x: float32[1, 8, 8 * count], t: int32[count]
model trunk = Convolution2D(32, ksize=3, pad=1) -> relu -> max_pooling_2d(2)
    -> Convolution2D(64, ksize=3, pad=1) -> relu -> max_pooling_2d(2)
    -> Linear(256) -> relu
x -> trunk -> h
for i in 0..count {
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    optimizer Adam() owns head[i]
}
optimizer Adam() owns trunk
"""


class Trunk(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv_1 = L.Convolution2D(None, 32, 3, pad=1)
            self.conv_2 = L.Convolution2D(None, 64, 3, pad=1)
            self.linear = L.Linear(None, 256)

    def forward(self, x):
        h = F.max_pooling_2d(F.relu(self.conv_1(x)), 2)
        h = F.max_pooling_2d(F.relu(self.conv_2(h)), 2)
        return F.relu(self.linear(h))


class HandWritten(StandardUpdater):
    """What both hand-written updaters share."""

    def __init__(self, iterator, trunk, heads):
        self.trunk, self.heads = trunk, heads
        optimizers = {str(i): chainer.optimizers.Adam().setup(model) for i, model in enumerate([trunk, *heads])}
        super().__init__(iterator, optimizers)

    def losses(self):
        x, t = self.converter(self.get_iterator('main').next(), self.device)
        h = self.trunk(chainer.Variable(x, requires_grad=False))
        losses = [F.softmax_cross_entropy(head(h), t[:, i]) for i, head in enumerate(self.heads)]
        chainer.report({f'digit[{i}]': loss for i, loss in enumerate(losses)})
        return losses

    def cleargrads(self):
        for model in [self.trunk, *self.heads]:
            model.cleargrads()

    def step(self):
        for optimizer in self.get_all_optimizers().values():
            optimizer.update()


class Founding(HandWritten):
    """The founding article's: one backward pass per loss."""

    def update_core(self):
        losses = self.losses()
        self.cleargrads()
        for loss in losses:
            loss.backward()
        self.step()


class Joint(HandWritten):
    """The best that we know to write by hand: one backward pass from all losses."""

    def update_core(self):
        losses = self.losses()
        self.cleargrads()
        for loss in losses:
            loss.grad = numpy.ones_like(loss.array)
        chainer.backward(losses)
        self.step()


def variants(heads: int) -> dict:
    random = numpy.random.RandomState(0)
    dataset = TupleDataset(random.rand(1024, 1, 8, 8 * heads).astype('f'),
                           random.randint(0, 10, (1024, heads)).astype('i'))

    def iterator():
        return SerialIterator(dataset, BATCH, shuffle=False)

    def by_hand(updater):
        return updater(iterator(), Trunk(), [L.Linear(None, 10) for _ in range(heads)])

    graph = graphdsl.compile(GRAPH, params={'count': heads})
    return {'founding': by_hand(Founding).update, 'joint': by_hand(Joint).update,
            'graphdsl': graph.updater(iterator()).update}


def main() -> None:
    print('CNN trunk, batch 64; how many times as long as graphdsl takes an iteration of')
    print(f'{"heads":>5} {"founding":>9} {"best by hand":>13} {"graphdsl, ms":>13}')
    for heads in (1, 2, 5, 8, 16):
        times = measure.interleaved(variants(heads), rounds=60)
        milliseconds = 1e3 * sorted(times['graphdsl'])[len(times['graphdsl']) // 2]
        print(f'{heads:>5} {measure.ratio(times, "founding", "graphdsl"):>9.2f} '
              f'{measure.ratio(times, "joint", "graphdsl"):>13.2f} {milliseconds:>13.1f}')


if __name__ == '__main__':
    main()
