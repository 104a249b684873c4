"""Three heads learn on a trunk that is frozen: the first two blocks of a VGG net, as one would take pretrained."""
from __future__ import annotations

import functools

import chainer
import chainer.functions as F
import chainer.links as L
from chainer.training import StandardUpdater

from . import strips
from .program import Program

COUNT = 3
VGG = """Convolution2D(32, ksize=3, pad=1) -> relu -> Convolution2D(32, ksize=3, pad=1) -> relu
    -> max_pooling_2d(2) -> Convolution2D(64, ksize=3, pad=1) -> relu
    -> Convolution2D(64, ksize=3, pad=1) -> relu -> max_pooling_2d(2) -> Linear(256) -> relu"""
GRAPH = (strips.GRAPH.replace('model trunk', 'frozen model trunk').replace('optimizer Adam() owns trunk\n', '')
         .replace('TRUNK', VGG))


class VGGTrunk(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(1, 32, 3, pad=1)
            self.convolution2d_2 = L.Convolution2D(32, 32, 3, pad=1)
            self.convolution2d_3 = L.Convolution2D(32, 64, 3, pad=1)
            self.convolution2d_4 = L.Convolution2D(64, 64, 3, pad=1)
            self.linear_1 = L.Linear(64 * 2 * 2 * COUNT, 256)

    def forward(self, x):
        h = F.relu(self.convolution2d_2(F.relu(self.convolution2d_1(x))))
        h = F.relu(self.convolution2d_4(F.relu(self.convolution2d_3(F.max_pooling_2d(h, 2)))))
        return F.relu(self.linear_1(F.max_pooling_2d(h, 2)))


class Usual(StandardUpdater):
    """The founding article's loop, with the trunk's update disabled: every loss still goes through all of it."""

    def __init__(self, iterators, models):
        self.trunk, *self.heads = models.values()
        self.trunk.disable_update()
        super().__init__(iterators, adams(models))

    def update_core(self):
        x, t = self.converter(self.get_iterator('main').next(), self.device)
        h = self.trunk(x)
        losses = [F.softmax_cross_entropy(head(h), t[:, i]) for i, head in enumerate(self.heads)]
        for model in [self.trunk, *self.heads]:
            model.cleargrads()
        for loss in losses:
            loss.backward()
        for optimizer in self.get_all_optimizers().values():
            optimizer.update()
        chainer.report({f'digit[{i}]': loss for i, loss in enumerate(losses)})


class Best(StandardUpdater):
    """The trunk without history, all heads as one."""

    def __init__(self, iterators, models):
        self.trunk, *self.heads = models.values()
        self.parameters = [parameter for head in self.heads for parameter in head.params()]
        super().__init__(iterators, adams(models))

    def update_core(self):
        x, t = self.converter(self.get_iterator('main').next(), self.device)
        for parameter in self.parameters:
            parameter.cleargrad()
        with chainer.no_backprop_mode(), chainer.using_config('train', False):
            h = self.trunk(x)
        chainer.report(strips.differentiate_stacked(self.heads, h, t, []))
        for optimizer in self.get_all_optimizers().values():
            optimizer.update()


def models() -> dict[str, chainer.Chain]:
    return {'trunk': VGGTrunk(), **{f'head[{i}]': strips.Head(256) for i in range(COUNT)}}


def adams(models):
    return {name: chainer.optimizers.Adam().setup(model) for name, model in models.items() if name != 'trunk'}


PROGRAMS = (Program('frozen_trunk', GRAPH, models, Usual, Best,
                    functools.partial(strips.datasets, COUNT), {'count': COUNT}, passes=('stacking',)),)
