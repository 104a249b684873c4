"""Functions that move elements of arrays."""
from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

import numpy

from graphdsl.export.calls import Call, Refusal
from graphdsl.export.writer import Writer


def identity(call: Call, onnx: Writer) -> Any:
    """The converter of what leaves its inputs as they are."""
    results = [onnx.op('Identity', [x]) for x in call.inputs]
    return results if len(results) > 1 else results[0]


def reshape(call: Call, onnx: Writer) -> str:
    """The converter of what only gives its input another shape."""
    return onnx.reshape(call.input, call.out_shape())


def cast(call: Call, onnx: Writer) -> str:
    """The converter of what only gives its input another dtype."""
    return onnx.cast(call.input, call.out_dtype())


def _broadcast_to(call: Call, onnx: Writer) -> str:
    return onnx.op('Expand', [call.input, onnx.list_of(call.out_shape())])


def _broadcast(call: Call, onnx: Writer) -> list[str]:
    return [onnx.op('Expand', [x, onnx.list_of(call.out_shape())]) for x in call.inputs]


def _concat(call: Call, onnx: Writer) -> str:
    return onnx.op('Concat', call.inputs, axis=call.get('axis'))


def _stacked(axis: int, new: Mapping[int, Sequence[int]]) -> Callable[[Call, Writer], str]:
    """Returns the converter of a concatenation along an axis, given the axes that arrays of few axes get."""
    def convert(call: Call, onnx: Writer) -> str:
        inputs = call.inputs
        if call.ndim() in new:
            inputs = [onnx.op('Unsqueeze', [x, onnx.integers(new[call.ndim()])]) for x in inputs]
        return onnx.op('Concat', inputs, axis=axis)
    return convert


def _hstack(call: Call, onnx: Writer) -> str:
    if call.ndim() == 0:
        inputs = [onnx.op('Unsqueeze', [x, onnx.integers([0])]) for x in call.inputs]
        return onnx.op('Concat', inputs, axis=0)
    return onnx.op('Concat', call.inputs, axis=min(call.ndim() - 1, 1))


def _stack(call: Call, onnx: Writer) -> str:
    axis = call.get('axis')
    inputs = [onnx.op('Unsqueeze', [x, onnx.integers([axis])]) for x in call.inputs]
    return onnx.op('Concat', inputs, axis=axis)


def _split_axis(call: Call, onnx: Writer) -> Any:
    axis = call.get('axis')
    lengths = [call.out_shape(i)[axis] for i in range(call.outputs())]
    return onnx.op('Split', [call.input, onnx.list_of(lengths)], outputs=len(lengths), axis=axis)


def _separate(call: Call, onnx: Writer) -> Any:
    axis = call.get('axis')
    results = [onnx.op('Gather', [call.input, onnx.constant(i, 'int64')], axis=axis) for i in range(call.outputs())]
    return results if len(results) > 1 else results[0]


def _permuted(order: Callable[[Any, Any], Any]) -> Callable[[Call, Writer], str]:
    """Returns the converter of a transposition, given what it does to an array of as many axes."""
    def convert(call: Call, onnx: Writer) -> str:
        # An axis is known by its length.
        lengths = order(call, numpy.empty(range(call.ndim()), numpy.int8)).shape
        return onnx.op('Transpose', [call.input], perm=list(lengths))
    return convert


def _moveaxis(call: Call, array: numpy.ndarray) -> numpy.ndarray:
    return numpy.moveaxis(array, call.get('source'), call.get('destination'))


def _flip(axis: Callable[[Call], int]) -> Callable[[Call, Writer], str]:
    def convert(call: Call, onnx: Writer) -> str:
        values = onnx.integers([-1]), onnx.integers([numpy.iinfo('int64').min]), onnx.integers([axis(call)])
        return onnx.op('Slice', [call.input, *values, onnx.integers([-1])])
    return convert


def _tile(call: Call, onnx: Writer) -> str:
    repeats, ndim = list(call.get('reps')), call.ndim()
    x = call.input
    if len(repeats) > ndim:
        x = onnx.op('Unsqueeze', [x, onnx.integers(range(len(repeats) - ndim))])
    return onnx.op('Tile', [x, onnx.integers([1] * (ndim - len(repeats)) + repeats)])


def _repeat(call: Call, onnx: Writer) -> str:
    repeats, axis = call.get('repeats'), call.get('axis')
    if axis is None or len(repeats) != 1:
        raise Refusal('`repeats` must be one number, along an axis')
    axis %= call.ndim()
    inner = onnx.op('Unsqueeze', [call.input, onnx.integers([axis + 1])])
    counts = [1] * (call.ndim() + 1)
    counts[axis + 1] = repeats[0]
    return onnx.reshape(onnx.op('Tile', [inner, onnx.integers(counts)]), call.out_shape())


def _pad(call: Call, onnx: Writer) -> str:
    mode, keywords, width = call.get('mode'), call.get('keywords'), call.get('pad_bw')
    value = keywords.get('constant_values', 0)
    if mode not in ('constant', 'edge', 'reflect') or numpy.ndim(value) or set(keywords) - {'constant_values'}:
        raise Refusal('of its modes, "constant" with one value, "edge" and "reflect" have a counterpart')
    widths = numpy.broadcast_to(width, (call.ndim(), 2))
    inputs = [call.input, onnx.integers(widths.T.ravel())]
    return onnx.op('Pad', inputs + [onnx.constant(value, call.dtype)] * (mode == 'constant'), mode=mode)


def _where(call: Call, onnx: Writer) -> str:
    x, y, condition = call.inputs
    return onnx.op('Where', [condition, x, y])


def _permutate(call: Call, onnx: Writer) -> str:
    if len(call.inputs) == 1:
        indices = numpy.asarray(call.get('indices'))
        indices = onnx.constant(numpy.argsort(indices) if call.get('inv') else indices, 'int64')
    elif call.get('inv'):
        raise Refusal('its indices are data, and `inv` inverts them')
    else:
        indices = call.inputs[1]
    return onnx.op('Gather', [call.input, indices], axis=call.get('axis'))


def _depth_to_space(call: Call, onnx: Writer) -> str:
    """Chainer's blocks come before the channels."""
    return onnx.op('DepthToSpace', [call.input], blocksize=call.get('r'), mode='DCR')


def _space_to_depth(call: Call, onnx: Writer) -> str:
    return onnx.op('SpaceToDepth', [call.input], blocksize=call.get('r'))


CONVERTERS = {
    'Broadcast': _broadcast,
    'BroadcastTo': _broadcast_to,
    'Cast': cast,
    'Concat': _concat,
    'Copy': identity,
    'Depth2Space': _depth_to_space,
    'Dropout': identity,
    'Dstack': _stacked(2, {1: [0, 2], 2: [2]}),
    'ExpandDims': reshape,
    'Flip': _flip(lambda call: call.get('axis')),
    'FlipLR': _flip(lambda call: 1),
    'FlipUD': _flip(lambda call: 0),
    'Hstack': _hstack,
    'Identity': identity,
    'Moveaxis': _permuted(_moveaxis),
    'Pad': _pad,
    'Permutate': _permutate,
    'Repeat': _repeat,
    'Reshape': reshape,
    'ReverseGradient': identity,
    'Rollaxis': _permuted(lambda call, array: numpy.rollaxis(array, call.get('axis'), call.get('start'))),
    'Separate': _separate,
    'Space2Depth': _space_to_depth,
    'SplitAxis': _split_axis,
    'Squeeze': reshape,
    'Stack': _stack,
    'Swapaxes': _permuted(lambda call, array: numpy.swapaxes(array, call.get('axis1'), call.get('axis2'))),
    'Tile': _tile,
    'Transpose': _permuted(lambda call, array: numpy.transpose(array, call.get('axes'))),
    'Vstack': _stacked(0, {1: [0]}),
    'Where': _where,
}
