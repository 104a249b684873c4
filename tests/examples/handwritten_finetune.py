"""Fine-tuning as a careful Chainer user writes it: the head first, the trunk later and more slowly."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer.training import StandardUpdater


class Trunk(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(1, 16, ksize=3, pad=1)
            self.convolution2d_2 = L.Convolution2D(16, 32, ksize=3, pad=1)

    def forward(self, x):
        h = F.max_pooling_2d(F.relu(self.convolution2d_1(x)), 2)
        return F.max_pooling_2d(F.relu(self.convolution2d_2(h)), 2)


class Head(chainer.Chain):

    def __init__(self, classes=10):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(32 * 2 * 2, classes)

    def forward(self, h):
        return self.linear_1(h)


class ThawUpdater(StandardUpdater):

    def __init__(self, iterator, thaw=10):
        self.trunk = Trunk()
        self.head = Head()
        self.models = {'trunk': self.trunk, 'head': self.head}
        self.thaw = thaw
        super().__init__(iterator, {'head': chainer.optimizers.Adam(alpha=1e-2).setup(self.head),
                                    'trunk': chainer.optimizers.Adam(alpha=3e-4).setup(self.trunk)})

    def update_core(self):
        thawed = self.epoch >= self.thaw
        x, t = self.converter(self.get_iterator('main').next(), self.device)
        with chainer.using_config('enable_backprop', thawed):
            h = self.trunk(x)
        y = self.head(h)
        kl = F.softmax_cross_entropy(y, t)
        self.trunk.cleargrads()
        self.head.cleargrads()
        kl.backward()
        self.get_optimizer('head').update()
        # Adam would move a trunk that has no gradient, once it has momentum.
        if thawed:
            self.get_optimizer('trunk').update()
        chainer.report({'kl': kl, 'accuracy': F.accuracy(y, t)})
