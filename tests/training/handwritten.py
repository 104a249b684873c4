"""Strips of digits and their networks as a Chainer user writes them, with nothing of graphdsl."""
import functools

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator
from chainer.training import StandardUpdater
from sklearn.datasets import load_digits


@functools.lru_cache(maxsize=None)
def strips(count, examples=32, dtype=numpy.float64):
    """Real digits, ``count`` of them side by side in an image, and their labels."""
    bunch = load_digits()
    images = (bunch.images[:examples * count] / 16).astype(dtype)
    labels = bunch.target[:examples * count].astype(numpy.int32)
    chosen = numpy.random.RandomState(0).randint(len(images), size=(examples, count))
    return TupleDataset(images[chosen].transpose(0, 2, 1, 3).reshape(examples, 1, 8, -1), labels[chosen])


def in_order(dataset, batch=4):
    """An iterator that gives the same minibatches to everyone."""
    return SerialIterator(dataset, batch, shuffle=False)


class Trunk(chainer.Chain):

    def __init__(self, count):
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution2D(1, 4, ksize=3, pad=1)
            self.linear = L.Linear(4 * 4 * 4 * count, 16)

    def forward(self, x):
        h = F.max_pooling_2d(F.relu(self.conv(x)), 2)
        return F.relu(self.linear(h))


class NormalizedTrunk(chainer.Chain):
    """No bias before the normalization: its gradient is 0, but for rounding that Adam would blow up."""

    def __init__(self, count):
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution2D(1, 4, ksize=3, pad=1, nobias=True)
            self.bn = L.BatchNormalization(4)
            self.linear = L.Linear(4 * 4 * 4 * count, 16)

    def forward(self, x):
        h = F.max_pooling_2d(F.relu(self.bn(self.conv(x))), 2)
        return F.relu(self.linear(F.dropout(h, 0.3)))


class Head(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear = L.Linear(16, 10)

    def forward(self, h):
        return self.linear(h)


class FoundingUpdater(StandardUpdater):
    """The founding article's: a loss and an optimizer for each head, the sum of all gradients for the trunk."""

    def __init__(self, iterator, trunk, heads, make_optimizer):
        self.trunk = trunk
        self.heads = heads
        optimizers = {f'head[{i}]': make_optimizer().setup(head) for i, head in enumerate(heads)}
        optimizers['trunk'] = make_optimizer().setup(trunk)
        super().__init__(iterator, optimizers)

    @property
    def models(self):
        return {'trunk': self.trunk, **{f'head[{i}]': head for i, head in enumerate(self.heads)}}

    def update_core(self):
        x, t = self.converter(self.get_iterator('main').next(), self.device)
        h = self.trunk(x)
        losses = []
        for i, head in enumerate(self.heads):
            losses.append(F.softmax_cross_entropy(head(h), t[:, i]))
        self.trunk.cleargrads()
        for head in self.heads:
            head.cleargrads()
        for loss in losses:
            loss.backward()
        for optimizer in self.get_all_optimizers().values():
            optimizer.update()


def arrays(model):
    """Parameters and running averages of a model, in the order of their names."""
    target = {}
    model.serialize(chainer.serializers.DictionarySerializer(target))
    return [target[name] for name in sorted(target) if target[name].dtype.kind == 'f']


def gradients(model):
    return [parameter.grad for _, parameter in sorted(model.namedparams())]


def difference(ours, theirs):
    """The largest difference of two arrays, relative to the largest value of the second."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype == numpy.float64
    scale = abs(theirs).max()
    return abs(ours - theirs).max() / scale if scale else abs(ours).max()
