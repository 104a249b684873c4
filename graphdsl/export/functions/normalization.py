"""Normalizations."""
from __future__ import annotations

from typing import Sequence

from graphdsl.export.calls import Call, Refusal
from graphdsl.export.sizes import Size
from graphdsl.export.writer import Writer


def _fixed_batch_normalization(call: Call, onnx: Writer) -> str:
    """With the averages of the training."""
    x, *parameters = call.inputs
    axes = call.get('key_axis')
    if tuple(axes) == (1,) and len({dtype for dtype in call.dtypes()}) == 1:
        return onnx.op('BatchNormalization', call.inputs, epsilon=float(call.get('eps')))
    shape = [length if axis in axes else 1 for axis, length in enumerate(call.shape())]
    shape = [1 if size == 1 else call.fixed([size])[0] for size in shape]
    gamma, beta, mean, var = [onnx.op('Reshape', [onnx.cast(p, call.dtype), onnx.integers(shape)]) for p in parameters]
    return _shifted(onnx, _standardized(onnx, onnx.op('Sub', [x, mean]), var, call), gamma, beta)


def _batch_normalization(call: Call, onnx: Writer) -> str:
    raise Refusal('in training mode, it normalises by the minibatch', 'take away what sets the mode, such as `quiet`')


def _standardized(onnx: Writer, centered: str, variance: str, call: Call) -> str:
    variance = onnx.op('Add', [variance, onnx.constant(call.get('eps'), call.dtype)])
    return onnx.op('Div', [centered, onnx.op('Sqrt', [variance])])


def _normalized(onnx: Writer, x: str, axes: Sequence[int], call: Call) -> str:
    centered = onnx.op('Sub', [x, onnx.op('ReduceMean', [x], axes=list(axes), keepdims=1)])
    variance = onnx.op('ReduceMean', [onnx.op('Mul', [centered, centered])], axes=list(axes), keepdims=1)
    return _standardized(onnx, centered, variance, call)


def _shifted(onnx: Writer, x: str, gamma: str, beta: str) -> str:
    return onnx.op('Add', [onnx.op('Mul', [x, gamma]), beta])


def _layer_normalization(call: Call, onnx: Writer) -> str:
    x, gamma, beta = call.inputs
    return _shifted(onnx, _normalized(onnx, x, [1], call), gamma, beta)


def _group_normalization(call: Call, onnx: Writer) -> str:
    x, gamma, beta = call.inputs
    shape, groups = call.shape(), call.get('groups')
    channels, *rest = call.fixed(shape[1:])
    elements = channels // groups
    for length in rest:
        elements *= length
    y = _normalized(onnx, onnx.reshape(x, [shape[0], Size(groups), Size(elements)]), [2], call)
    beside = onnx.integers([channels] + [1] * len(rest))
    gamma, beta = [onnx.op('Reshape', [p, beside]) for p in (gamma, beta)]
    return _shifted(onnx, onnx.reshape(y, shape), gamma, beta)


def _normalize_l2(call: Call, onnx: Writer) -> str:
    norm = onnx.op('ReduceL2', [call.input], axes=list(call.get('axis')), keepdims=1)
    return onnx.op('Div', [call.input, onnx.op('Add', [norm, onnx.constant(call.get('eps'), call.dtype)])])


def _local_response_normalization(call: Call, onnx: Writer) -> str:
    """ONNX divides `alpha` by the number of channels that are summed."""
    size = 2 * (call.get('n') // 2) + 1
    return onnx.op('LRN', [call.input], alpha=float(call.get('alpha')) * size, beta=float(call.get('beta')),
                   bias=float(call.get('k')), size=size)


CONVERTERS = {
    'BatchNormalization': _batch_normalization,
    'FixedBatchNormalization': _fixed_batch_normalization,
    'GroupNormalization': _group_normalization,
    'LayerNormalization': _layer_normalization,
    'LocalResponseNormalization': _local_response_normalization,
    'NormalizeL2': _normalize_l2,
}
