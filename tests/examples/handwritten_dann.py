"""Domain adaptation as a Chainer user writes it, with a function node that reverses gradients."""
import math

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.training import StandardUpdater


class Reverse(chainer.FunctionNode):

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, inputs):
        return inputs

    def backward(self, indexes, gradients):
        return -self.scale * gradients[0],


class Conv(chainer.Chain):

    def __init__(self, inputs, channels):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(inputs, channels, ksize=3, pad=1)

    def forward(self, x):
        return F.max_pooling_2d(F.relu(self.convolution2d_1(x)), 2)


class Trunk(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv_1 = Conv(1, 16)
            self.conv_2 = Conv(16, 32)
            self.linear_1 = L.Linear(32 * 2 * 2, 64)

    def forward(self, x):
        return F.relu(self.linear_1(self.conv_2(self.conv_1(x))))


class Reader(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(64, 10)

    def forward(self, h):
        return self.linear_1(h)


class Judge(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(64, 64)
            self.linear_2 = L.Linear(64, 1)

    def forward(self, h):
        return self.linear_2(F.relu(self.linear_1(h)))


def shift(images):
    return numpy.roll(images, 1, axis=3)


class DANNUpdater(StandardUpdater):
    """Trains for a number of epochs that is known from the start: the reversed gradient grows meanwhile."""

    def __init__(self, labelled, shifted, epochs, strength=0.3, rate=0.02):
        self.trunk, self.reader, self.judge = Trunk(), Reader(), Judge()
        self.models = {'trunk': self.trunk, 'reader': self.reader, 'judge': self.judge}
        self.epochs = epochs
        self.strength = strength
        everything = chainer.ChainList(*self.models.values())
        super().__init__({'main': labelled, 'shifted': shifted},
                         chainer.optimizers.MomentumSGD(lr=rate).setup(everything))

    def update_core(self):
        progress = self.epoch_detail / self.epochs      # before the iterators move
        scale = self.strength * (2 / (1 + math.exp(-10 * progress)) - 1)
        x, t = self.converter(self.get_iterator('main').next(), self.device)
        u, _ = self.converter(self.get_iterator('shifted').next(), self.device)

        h, g = self.trunk(x), self.trunk(shift(u))
        y = self.reader(h)
        label = F.softmax_cross_entropy(y, t)
        p = self.judge(Reverse(scale).apply((h,))[0])
        q = self.judge(Reverse(scale).apply((g,))[0])
        domain = F.mean(F.softplus(-p)) + F.mean(F.softplus(q))

        optimizer = self.get_optimizer('main')
        optimizer.target.cleargrads()
        (label + domain).backward()
        optimizer.update()
        chainer.report({'label': label, 'domain': domain, 'source': F.accuracy(y, t)})
