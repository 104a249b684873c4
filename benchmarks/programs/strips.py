"""The founding example: a trunk reads a strip of digits; a head with an optimizer of its own reads each digit."""
from __future__ import annotations

import functools
from typing import Sequence

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.datasets import TupleDataset
from chainer.training import StandardUpdater

from .program import EXAMPLES, Program

GRAPH = """
param count = 5
input x: float32[1, 8, 8 * count], t: int32[count]
model trunk = TRUNK
x -> trunk -> h
for i in 0..count {
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    optimizer Adam() owns head[i]
}
optimizer Adam() owns trunk
"""
CNN = """Convolution2D(32, ksize=3, pad=1) -> relu -> max_pooling_2d(2)
    -> Convolution2D(64, ksize=3, pad=1) -> relu -> max_pooling_2d(2) -> Linear(256) -> relu"""
MLP = 'Linear(512) -> relu -> Linear(512) -> relu -> Linear(256) -> relu'


class CNNTrunk(chainer.Chain):

    def __init__(self, count: int):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(1, 32, 3, pad=1)
            self.convolution2d_2 = L.Convolution2D(32, 64, 3, pad=1)
            self.linear_1 = L.Linear(64 * 2 * 2 * count, 256)

    def forward(self, x):
        h = F.max_pooling_2d(F.relu(self.convolution2d_1(x)), 2)
        h = F.max_pooling_2d(F.relu(self.convolution2d_2(h)), 2)
        return F.relu(self.linear_1(h))


class MLPTrunk(chainer.Chain):

    def __init__(self, count: int):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(64 * count, 512)
            self.linear_2 = L.Linear(512, 512)
            self.linear_3 = L.Linear(512, 256)

    def forward(self, x):
        return F.relu(self.linear_3(F.relu(self.linear_2(F.relu(self.linear_1(x))))))


class Head(chainer.Chain):

    def __init__(self, width: int):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(width, 10)

    def forward(self, h):
        return self.linear_1(h)


class Usual(StandardUpdater):
    """The founding article's: one backward pass per loss, each through the whole trunk."""

    def __init__(self, iterators, models):
        self.trunk, *self.heads = models.values()
        super().__init__(iterators, {name: chainer.optimizers.Adam().setup(model) for name, model in models.items()})

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
    """One pass through the trunk, and one through all heads as one matrix and one loss."""

    def __init__(self, iterators, models):
        self.trunk, *self.heads = models.values()
        self.parameters = [parameter for model in models.values() for parameter in model.params()]
        self.trunk_parameters = list(self.trunk.params())
        super().__init__(iterators, {name: chainer.optimizers.Adam().setup(model) for name, model in models.items()})

    def update_core(self):
        x, t = self.converter(self.get_iterator('main').next(), self.device)
        for parameter in self.parameters:
            parameter.cleargrad()
        h = self.trunk(x)
        if len(self.heads) == 1:
            loss = F.softmax_cross_entropy(self.heads[0](h), t[:, 0])
            chainer.grad([loss], self.parameters, set_grad=True)
            chainer.report({'digit[0]': loss})
        else:
            chainer.report(differentiate_stacked(self.heads, h, t, self.trunk_parameters))
        for optimizer in self.get_all_optimizers().values():
            optimizer.update()


def differentiate_stacked(heads: Sequence[Head], h: chainer.Variable, t: numpy.ndarray,
                          others: Sequence[chainer.Parameter]) -> dict[str, numpy.ndarray]:
    """Computes the losses of all heads at once, and gives the heads and further parameters their gradients.

    Args:
        heads: Linear heads of equal shape.
        h: What they read, of shape ``(B, width)``.
        t: Labels of shape ``(B, heads)``.
        others: Parameters that ``h`` depends on.

    Returns:
        The losses by name.
    """
    rows, count = t.shape
    W = chainer.Variable(numpy.concatenate([head.linear_1.W.array for head in heads]))
    b = chainer.Variable(numpy.concatenate([head.linear_1.b.array for head in heads]))
    losses = F.softmax_cross_entropy(F.reshape(F.linear(h, W, b), (rows * count, -1)), t.reshape(-1), reduce='no')
    share = chainer.Variable(numpy.full(losses.shape, 1 / rows, losses.dtype), requires_grad=False)
    W_grad, b_grad, *grads = chainer.grad([losses], [W, b, *others], grad_outputs=[share])
    for parameter, grad in zip(others, grads):
        parameter.grad_var = grad
    W_grads, b_grads = W_grad.array.reshape(count, -1, W.shape[1]), b_grad.array.reshape(count, -1)
    for head, head_W_grad, head_b_grad in zip(heads, W_grads, b_grads):
        head.linear_1.W.grad, head.linear_1.b.grad = head_W_grad, head_b_grad
    return {f'digit[{i}]': loss for i, loss in enumerate(losses.array.reshape(rows, count).mean(axis=0))}


def datasets(count: int, dtype: str) -> dict[str, TupleDataset]:
    random = numpy.random.RandomState(0)
    return {'main': TupleDataset(random.rand(EXAMPLES, 1, 8, 8 * count).astype(dtype),
                                 random.randint(0, 10, (EXAMPLES, count)).astype('i'))}


def cnn_models(count: int) -> dict[str, chainer.Chain]:
    return {'trunk': CNNTrunk(count), **{f'head[{i}]': Head(256) for i in range(count)}}


def mlp_models(count: int) -> dict[str, chainer.Chain]:
    return {'trunk': MLPTrunk(count), **{f'head[{i}]': Head(256) for i in range(count)}}


PROGRAMS = tuple(
    Program(f'strips-{name}-{count}', GRAPH.replace('TRUNK', trunk), functools.partial(models, count), Usual, Best,
            functools.partial(datasets, count), {'count': count}, passes=('stacking',))
    for name, trunk, models in [('mlp', MLP, mlp_models), ('cnn', CNN, cnn_models)] for count in (1, 2, 5, 8, 16))
