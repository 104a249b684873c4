"""Code of a user's own that fails, each in a way of its own; programs of this folder import it."""
import sys

import chainer
import chainer.functions as F
import numpy
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator


def is_trial(v):
    """Tells the first iteration, on two zeros, from the others."""
    return len(v) == 2


def lopsided(y, t):
    log_p = F.log_softmax(y)
    if not is_trial(y):
        raise ValueError('these labels are of no use to me')
    return -F.mean(F.select_item(log_p, t))


def ending(y):
    if not is_trial(y):
        sys.exit()
    return F.mean(y)


def hungry(y):
    if not is_trial(y):
        numpy.empty((2 ** 29, 2 ** 29), 'f')
    return F.mean(y)


_struck = set()


def once(y):
    """Is NaN the first time it sees real data, and never again."""
    is_first = not is_trial(y) and not _struck
    if not is_trial(y):
        _struck.add(1)
    return F.mean(y) * (float('nan') if is_first else 1.0)


class _OneWay(chainer.FunctionNode):

    def forward(self, inputs):
        return inputs[0] * 1,

    def backward(self, indexes, grad_outputs):
        if not is_trial(grad_outputs[0]):
            raise chainer.utils.type_check.InvalidType('a way', 'no way', 'this is a one-way street')
        return grad_outputs


def one_way(y):
    return _OneWay().apply((y,))[0]


def points(examples=100, bad=None):
    """Points, one of which is not a number."""
    x = numpy.ones((examples, 4), 'f')
    if bad is not None:
        x[bad, 1] = numpy.nan
    return TupleDataset(x, numpy.zeros(examples, 'i'))


class Torn(TupleDataset):
    """Points, of which one cannot be read."""

    def __init__(self, page):
        super().__init__(*points()._datasets)
        self.page = page

    def get_example(self, i):
        return self[i]

    def __getitem__(self, index):
        if index == self.page:
            raise OSError(f'page {index} is torn')
        return super().__getitem__(index)


class Short(TupleDataset):
    """Points that are read once."""

    def __init__(self):
        super().__init__(*points()._datasets)

    def iterator(self, batch, repeat):
        return SerialIterator(self, batch, repeat=False, shuffle=False)


def shuffled(y):
    return chainer.Variable(numpy.sort(y.array, axis=0))


def hesitant(y):
    return F.relu(y) if y.array[0, 0] > 0 else F.tanh(y)
