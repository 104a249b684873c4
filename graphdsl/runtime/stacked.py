"""Parallel heads of one shape, their layers and their losses computed together.

The values of N heads stand in one variable of the shape (batch, N, ...). In memory the minibatch comes last: a sum over
ten classes is then a sum of ten long rows, several times as fast.
"""
from __future__ import annotations

from typing import Any, Iterator, Optional, Sequence

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.backend import get_array_module
from chainer.utils import force_array, type_check

from graphdsl.runtime.arrays import array

_IGNORED = -1
# Elements of weights that are copied into one matrix. To copy more takes longer than a product for each head.
_BLOCK = 2 ** 18


class _Stacked(chainer.FunctionNode):
    """A function whose backward pass runs on bare arrays, and can't be differentiated."""

    def backward(self, indexes, grad_outputs):
        if chainer.config.enable_backprop:
            raise RuntimeError(f'{self.label} cannot be differentiated twice')
        gradients = self.gradients(indexes, [None if g is None else g.array for g in grad_outputs])
        return tuple([None if g is None else chainer.Variable(g, requires_grad=False) for g in gradients])

    def gradients(self, indexes: Sequence[int], slopes: Sequence[Optional[Any]]) -> Sequence[Optional[Any]]:
        """Returns the gradients of the inputs at some indexes, as arrays.

        Args:
            indexes: Of inputs.
            slopes: Gradients of the outputs, None for zero.
        """
        raise NotImplementedError


class StackedLinear(_Stacked):
    """N linear functions of one input.

    The inputs are the minibatch, N weights and N biases, or no biases.

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
        x, weights, biases = inputs[0], inputs[1:self.count + 1], inputs[self.count + 1:]
        self.retain_inputs(tuple(range(self.count + 1)))
        y = _joined([_joined(weights[block]).dot(x.T) for block in self._blocks(weights)]).astype(x.dtype, copy=False)
        if biases:
            y += _joined(biases)[:, None]
        return y.reshape(self.count, -1, len(x)).transpose(2, 0, 1),

    def gradients(self, indexes, slopes):
        x, *weights = [v.array for v in self.get_retained_inputs()]
        gy = slopes[0].transpose(1, 2, 0)
        found: dict[int, Any] = {}
        for block in self._blocks(weights):
            rows = gy[block].reshape(-1, len(x))
            if 0 in indexes:
                gx = rows.T.dot(_joined(weights[block])).astype(x.dtype, copy=False)
                found[0] = found[0] + gx if 0 in found else gx
            if any(block.start < i <= block.stop for i in indexes):
                gw = rows.dot(x).astype(weights[0].dtype, copy=False)
                found.update(enumerate(gw.reshape(-1, *weights[0].shape), block.start + 1))
        if indexes[-1] > self.count:
            found.update(enumerate(gy.sum(axis=2), self.count + 1))
        return [found[i] for i in indexes]

    def _blocks(self, weights: Sequence[Any]) -> Iterator[slice]:
        """Yields the heads that share a product."""
        step = max(1, _BLOCK // weights[0].size)
        for i in range(0, self.count, step):
            yield slice(i, min(i + step, self.count))


class StackedSoftmaxCrossEntropy(_Stacked):
    """Softmax cross entropies of N heads, of predictions of the shape (batch, N, classes); there are N outputs.

    Args:
        t: Labels of the shape (batch, N); -1 is ignored.
    """

    def __init__(self, t: Any):
        self._t = t

    def check_type_forward(self, in_types):
        x, = in_types
        type_check.expect(x.dtype.kind == 'f', x.ndim == 3)

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
        return _scalars((-self._share * log_p.sum(axis=0, dtype=dtype)).astype(x.dtype, copy=False))

    def gradients(self, indexes, slopes):
        scale = (self._valid * (_vector(slopes, self._e) * self._share)).astype(self._e.dtype, copy=False)
        gx = self._e * (scale / self._total)[:, :, None]
        gx[self._labelled] -= scale
        return gx,


class StackedMeanSquaredError(_Stacked):
    """Mean squared errors of N heads: of predictions of the shape (batch, N, ...), and N targets; N outputs."""

    def check_type_forward(self, in_types):
        x, t = in_types[:2]
        type_check.expect(x.dtype.kind == 'f', x.dtype == t.dtype, x.ndim == t.ndim + 1, x.shape[0] == t.shape[0],
                          x.shape[2:] == t.shape[1:])

    def forward(self, inputs):
        x, *targets = inputs
        axes = (0, *range(2, x.ndim))
        self._difference = x - get_array_module(x).stack(targets, axis=1)
        total = (self._difference ** 2).sum(axis=axes)
        return _scalars((total / targets[0].size).astype(x.dtype, copy=False))

    def gradients(self, indexes, slopes):
        gx = self._difference
        scale = _vector(slopes, gx) * (2 * gx.shape[1] / gx.size)
        gx = gx * scale.astype(gx.dtype, copy=False).reshape(1, -1, *[1] * (gx.ndim - 2))
        return [gx if i == 0 else -gx[:, i - 1] for i in indexes]


class Stack:
    """Values of N heads.

    Args:
        whole (chainer.Variable): All of them, of the shape (batch, N, ...).
    """

    def __init__(self, whole: chainer.Variable):
        self.whole = whole

    def __len__(self) -> int:
        return self.whole.shape[1]

    def __getitem__(self, i: int) -> chainer.Variable:
        """Returns the value of a head, of the shape (batch, ...)."""
        if i >= len(self):
            raise IndexError(i)
        if chainer.config.enable_backprop and self.whole.requires_grad:
            return self.whole[:, i]
        return chainer.Variable(self.whole.array[:, i], requires_grad=False)


def _joined(arrays: Sequence[Any]) -> Any:
    return arrays[0] if len(arrays) == 1 else get_array_module(*arrays).concatenate(arrays)


def _scalars(values: Any) -> tuple[Any, ...]:
    """Returns the elements of an array as arrays without axes."""
    return tuple(values[i, ...] for i in range(len(values)))


def _vector(slopes: Sequence[Optional[Any]], like: Any) -> Any:
    """Puts gradients of outputs without axes into one array, zeros where there are none."""
    xp = get_array_module(like)
    return xp.stack([xp.zeros((), like.dtype) if g is None else g for g in slopes])


def stacked_linear(x: Any, links: Sequence[L.Linear]) -> Sequence[chainer.Variable]:
    """Applies linear links of the same sizes to one input.

    Args:
        x: Variable or array of the shape (batch, ...), flattened as :class:`chainer.links.Linear` does.
        links: N links, all with or all without a bias. What is uninitialized takes the size of ``x``.

    Returns:
        N variables of the shape (batch, out), which can't be differentiated twice. As arguments of the functions below
        they are not taken apart.
    """
    if any(link.local_link_hooks for link in links):
        return [link(x) for link in links]
    if x.ndim > 2:
        x = F.reshape(x, (len(x), -1))
    for link in links:
        if link.W.array is None:
            link._initialize_params(x.shape[-1])
    biases = [link.b for link in links if link.b is not None]
    return Stack(StackedLinear(len(links)).apply((x, *(link.W for link in links), *biases))[0])


def stacked_softmax_cross_entropy(xs: Sequence[Any], t: Any) -> list[chainer.Variable]:
    """Computes the softmax cross entropy of every head.

    Args:
        xs: N variables or arrays of the shape (batch, classes).
        t: Labels of the shape (batch, N), or a list of N arrays of the shape (batch,); -1 is ignored.

    Returns:
        N variables without axes, which can't be differentiated twice.
    """
    if isinstance(t, list):
        t = get_array_module(*t).stack([array(one) for one in t], axis=1)
    return StackedSoftmaxCrossEntropy(array(t)).apply((_whole(xs),))


def stacked_mean_squared_error(xs: Sequence[Any], ts: Sequence[Any]) -> list[chainer.Variable]:
    """Computes the mean squared error of every head.

    Args:
        xs: N variables or arrays of one shape.
        ts: N of the same shape.

    Returns:
        N variables without axes, which can't be differentiated twice.
    """
    return StackedMeanSquaredError().apply((_whole(xs), *ts))


def _whole(xs: Sequence[Any]) -> chainer.Variable:
    return xs.whole if isinstance(xs, Stack) else F.stack(xs, axis=1)
