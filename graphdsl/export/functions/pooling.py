"""Poolings."""
from __future__ import annotations

from typing import Sequence

from graphdsl.export.calls import Call, Refusal
from graphdsl.export.writer import Writer


def _max_pooling(call: Call, onnx: Writer, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int]) -> str:
    return onnx.op('MaxPool', [call.input], kernel_shape=kernel, strides=stride,
                   pads=[*pad, *_ends(call, kernel, stride, pad)])


def _average_pooling(call: Call, onnx: Writer, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int]
                     ) -> str:
    return onnx.op('AveragePool', [call.input], kernel_shape=kernel, strides=stride,
                   pads=[*pad, *_ends(call, kernel, stride, pad)], count_include_pad=1)


def _average_pooling_nd(call: Call, onnx: Writer, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int]
                        ) -> str:
    if any(pad) and call.get('pad_value') is None:
        return onnx.op('AveragePool', [call.input], kernel_shape=kernel, strides=stride,
                       pads=[*pad, *_ends(call, kernel, stride, pad)], count_include_pad=0)
    if call.get('pad_value') not in (0, None):
        raise Refusal('`pad_value` must be 0 or nothing')
    return _average_pooling(call, onnx, kernel, stride, pad)


def _ends(call: Call, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int]) -> list[int]:
    """Returns the padding at the end of each axis: what covers all needs more there."""
    lengths, out = call.fixed(call.shape()[2:]), call.fixed(call.out_shape()[2:])
    ends = [max((n - 1) * s + k - x - p, 0) for n, s, k, x, p in zip(out, stride, kernel, lengths, pad)]
    if any(end >= k for end, k in zip(ends, kernel)):
        raise Refusal('its last window lies beyond the data', 'write `cover_all=false`')
    return ends


def _unpooling(call: Call, onnx: Writer, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[int]) -> str:
    lengths, out = call.fixed(call.shape()[2:]), call.fixed(call.out_shape()[2:])
    if list(kernel) != list(stride) or any(pad) or any(n > x * k for n, x, k in zip(out, lengths, kernel)):
        raise Refusal('its windows must lie side by side, without padding')
    larger = onnx.op('Resize', [call.input, '', onnx.constant([1.0, 1.0, *kernel], 'float32')], mode='nearest',
                     coordinate_transformation_mode='asymmetric', nearest_mode='floor')
    axes = range(2, 2 + len(out))
    return onnx.op('Slice', [larger, onnx.integers([0] * len(out)), onnx.integers(out), onnx.integers(axes)])


def _in_2d(write):
    def convert(call: Call, onnx: Writer) -> str:
        return write(call, onnx, *([call.get(y), call.get(x)] for y, x in (('kh', 'kw'), ('sy', 'sx'), ('ph', 'pw'))))
    return convert


def _in_nd(write):
    def convert(call: Call, onnx: Writer) -> str:
        return write(call, onnx, *(list(call.get(name)) for name in ('ksize', 'stride', 'pad')))
    return convert


CONVERTERS = {
    'AveragePooling2D': _in_2d(_average_pooling),
    'AveragePoolingND': _in_nd(_average_pooling_nd),
    'MaxPooling2D': _in_2d(_max_pooling),
    'MaxPoolingND': _in_nd(_max_pooling),
    'Unpooling2D': _in_2d(_unpooling),
    'UnpoolingND': _in_nd(_unpooling),
}
