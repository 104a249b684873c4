"""Parallel heads of one shape, their layers and their losses computed together.

The values of N heads stand in one variable of the shape (batch, N, ...). In memory the minibatch comes last: a sum over
ten classes is then a sum of ten long rows, several times as fast.
"""
from __future__ import annotations

from typing import Any, Sequence

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.backend import get_array_module
from chainer.utils import type_check

from graphdsl.runtime.arrays import array

_IGNORED = -1
# Elements of weights that are copied into one matrix. To copy more takes longer than the calls that it saves.
_MOST_COPIED = 2 ** 18


class Stack:
    """Values of N heads.

    Args:
        whole (chainer.Variable): All of them, with their history, of the shape (batch, N, ...), or of losses (N,).
        axis (int): Where the heads are.
    """

    def __init__(self, whole: chainer.Variable, axis: int = 1):
        self.whole = whole
        self._values = whole.array if axis == 0 else whole.array.swapaxes(0, 1)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, i: int) -> chainer.Variable:
        """Returns the value of a head, of the shape (batch, ...), without its history."""
        return chainer.Variable(self._values[i, ...], requires_grad=False)


class Heads(Stack):
    """Values of N linear links.

    Args:
        whole (chainer.Variable): As of :class:`Stack`.
        weights: What to differentiate with respect to: all weights as one variable, and all biases.
        links: The links, in the same order.
    """

    def __init__(self, whole: chainer.Variable, weights: Sequence[chainer.Variable], links: Sequence[L.Linear]):
        super().__init__(whole)
        self.weights = weights
        self._links = links

    def share_gradients(self) -> None:
        """Gives every link its part of the gradients, and lets go of the graph: updates need room."""
        self._share()
        self.whole.unchain()
        self.weights = ()

    def _share(self) -> None:
        for name, weight in zip(('W', 'b'), self.weights):
            parts = weight.grad.reshape(len(self._links), -1, *weight.shape[1:])
            for link, part in zip(self._links, parts):
                getattr(link, name).grad = part


class SeparateHeads(Heads):
    """Values of N linear links that run by themselves."""

    def __init__(self, x: Any, heads: Sequence[chainer.Chain], links: Sequence[L.Linear]):
        whole = F.stack([head(x) for head in heads], axis=1)
        super().__init__(whole, [parameter for link in links for parameter in link.params()], links)

    def _share(self) -> None:
        """Does nothing: the gradients are where they belong."""


class _Stacked(chainer.FunctionNode):
    """A function of one output whose backward pass runs on bare arrays, and can't be differentiated."""

    def backward(self, indexes, grad_outputs):
        if chainer.config.enable_backprop:
            raise RuntimeError(f'{self.label} cannot be differentiated twice')
        gradients = self.gradients(indexes, grad_outputs[0].array)
        return tuple([chainer.Variable(g, requires_grad=False) for g in gradients])

    def gradients(self, indexes: Sequence[int], gy: Any) -> Sequence[Any]:
        """Returns the gradients of the inputs at some indexes, as arrays."""
        raise NotImplementedError


class StackedLinear(_Stacked):
    """N linear functions of one input.

    The inputs have the shapes (batch, in), (N * out, in) and, if there is a bias, (N * out,); the output has the shape
    (batch, N, out).

    Args:
        count (int): N.
    """

    def __init__(self, count: int):
        self.count = count

    def check_type_forward(self, in_types):
        x, weight = in_types[:2]
        type_check.expect(x.dtype.kind == 'f', weight.dtype.kind == 'f', x.ndim == 2, weight.ndim == 2,
                          x.shape[1] == weight.shape[1])

    def forward(self, inputs):
        x, weight, *bias = inputs
        self.retain_inputs((0, 1))
        y = weight.dot(x.T).astype(x.dtype, copy=False)
        if bias:
            y += bias[0][:, None]
        return y.reshape(self.count, -1, len(x)).transpose(2, 0, 1),

    def gradients(self, indexes, gy):
        x, weight = [v.array for v in self.get_retained_inputs()]
        rows = gy.transpose(1, 2, 0).reshape(-1, len(x))
        found = {0: lambda: rows.T.dot(weight).astype(x.dtype, copy=False),
                 1: lambda: rows.dot(x).astype(weight.dtype, copy=False),
                 2: lambda: rows.sum(axis=1)}
        return [found[i]() for i in indexes]


class StackedSoftmaxCrossEntropy(_Stacked):
    """Softmax cross entropies of N heads, of predictions of the shape (batch, N, classes).

    Args:
        t: Labels of the shape (batch, N); -1 is ignored.
    """

    def __init__(self, t: Any):
        self._t = t

    def check_type_forward(self, in_types):
        x, = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim == 3, x.shape[:2] == self._t.shape)

    def forward(self, inputs):
        x, = inputs
        xp, t = get_array_module(x), self._t
        valid = t != _IGNORED
        if chainer.is_debug() and not ((0 <= t) & (t < x.shape[2]) | ~valid).all():
            raise ValueError(f'Each label `t` need to satisfy `0 <= t < {x.shape[2]} or t == {_IGNORED}`')
        self._labelled = xp.arange(len(t))[:, None], xp.arange(t.shape[1]), t * valid
        # One exponential of every element: log p = x - max x - log sum exp (x - max x).
        e = x - x.max(axis=2, keepdims=True)
        log_p = e[self._labelled]
        xp.exp(e, out=e)
        total = e.sum(axis=2)
        log_p -= xp.log(total)
        log_p *= valid
        self._e, self._total, self._valid = e, total, valid
        dtype = numpy.float32 if x.dtype == numpy.float16 else x.dtype
        self._share = (1 / xp.maximum(valid.sum(axis=0), 1)).astype(dtype)
        return (-self._share * log_p.sum(axis=0, dtype=dtype)).astype(x.dtype, copy=False),

    def gradients(self, indexes, gy):
        scale = (self._valid * (gy * self._share)).astype(gy.dtype, copy=False)
        gx = self._e * (scale / self._total)[:, :, None]
        gx[self._labelled] -= scale
        return gx,


class StackedMeanSquaredError(_Stacked):
    """Mean squared errors of N heads: of predictions of the shape (batch, N, ...) and N targets."""

    def check_type_forward(self, in_types):
        x, t = in_types[:2]
        type_check.expect(x.dtype.kind == 'f', x.dtype == t.dtype, x.ndim == t.ndim + 1, x.shape[0] == t.shape[0],
                          x.shape[2:] == t.shape[1:])

    def forward(self, inputs):
        x, *targets = inputs
        self._difference = x - get_array_module(x).stack(targets, axis=1)
        total = (self._difference ** 2).sum(axis=(0, *range(2, x.ndim)))
        return (total / targets[0].size).astype(x.dtype, copy=False),

    def gradients(self, indexes, gy):
        difference = self._difference
        scale = (gy * (2 * len(gy) / difference.size)).astype(gy.dtype, copy=False)
        gx = difference * scale.reshape(-1, *[1] * (difference.ndim - 2))
        return [gx if i == 0 else -gx[:, i - 1] for i in indexes]


def stacked_linear(x: Any, heads: Sequence[chainer.Chain]) -> Heads:
    """Applies chains that are a linear link each, of the same sizes, to one input.

    Heads of large weights, and those that a link hook watches, are called one by one; their own parameters are then
    what to differentiate with respect to.

    Args:
        x: Variable or array of the shape (batch, ...), flattened as :class:`chainer.links.Linear` does.
        heads: N chains, all with or all without a bias. What is uninitialized takes the size of ``x``.

    Returns:
        N values of the shape (batch, out), which can't be differentiated twice.
    """
    links = [next(head.children()) for head in heads]
    size = int(numpy.prod(x.shape[1:]))
    for link in links:
        if link.W.array is None:
            link._initialize_params(size)
    is_watched = chainer._get_link_hooks() or any(link.local_link_hooks for link in (*heads, *links))
    if is_watched or len(links) * links[0].W.size > _MOST_COPIED:
        return SeparateHeads(x, heads, links)
    xp = get_array_module(links[0].W.array)
    weights = [chainer.Variable(xp.concatenate([link.W.array for link in links]))]
    if links[0].b is not None:
        weights.append(chainer.Variable(xp.concatenate([link.b.array for link in links])))
    x = F.reshape(x, (len(x), -1)) if x.ndim > 2 else x
    return Heads(StackedLinear(len(links)).apply((x, *weights))[0], weights, links)


def stacked_softmax_cross_entropy(ys: Stack, t: Any) -> Stack:
    """Computes the softmax cross entropy of every head.

    Args:
        ys: N predictions of the shape (batch, classes).
        t: Labels of the shape (batch, N), or a list of N arrays of the shape (batch,); -1 is ignored.

    Returns:
        N losses, which can't be differentiated twice.
    """
    if isinstance(t, list):
        t = get_array_module(*t).stack([array(one) for one in t], axis=1)
    return Stack(StackedSoftmaxCrossEntropy(array(t)).apply((ys.whole,))[0], axis=0)


def stacked_mean_squared_error(ys: Stack, ts: Sequence[Any]) -> Stack:
    """Computes the mean squared error of every head.

    Args:
        ys: N predictions of one shape.
        ts: N targets of the same shape.

    Returns:
        N losses, which can't be differentiated twice.
    """
    return Stack(StackedMeanSquaredError().apply((ys.whole, *ts))[0], axis=0)
