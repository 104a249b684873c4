"""Three heads learn on a trunk that is frozen."""
from __future__ import annotations

import functools

import chainer
import chainer.functions as F
from chainer.training import StandardUpdater

from . import strips
from .program import Program

COUNT = 3
GRAPH = (strips.GRAPH.replace('model trunk', 'frozen model trunk').replace('optimizer Adam() owns trunk\n', '')
         .replace('TRUNK', strips.CNN))


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


def adams(models):
    return {name: chainer.optimizers.Adam().setup(model) for name, model in models.items() if name != 'trunk'}


PROGRAMS = (Program('frozen_trunk', GRAPH, functools.partial(strips.cnn_models, COUNT), Usual, Best,
                    functools.partial(strips.datasets, COUNT), {'count': COUNT}, passes=('stacking',)),)
