"""Functions with weights: linear, (de)convolutions, embeddings."""
from __future__ import annotations

from typing import Sequence

from graphdsl.export.calls import Call
from graphdsl.export.writer import Writer


def _linear(call: Call, onnx: Writer) -> str:
    return onnx.op('Gemm', call.inputs, transB=1)


def _embed_id(call: Call, onnx: Writer) -> str:
    ignored, (x, weight) = call.get('ignore_label'), call.inputs
    if ignored is None:
        return onnx.op('Gather', [weight, x], axis=0)
    is_ignored = onnx.op('Equal', [x, onnx.constant(ignored, call.dtype)])
    rows = onnx.op('Gather', [weight, onnx.op('Where', [is_ignored, onnx.constant(0, call.dtype), x])], axis=0)
    is_ignored = onnx.op('Unsqueeze', [is_ignored, onnx.integers([-1])])
    return onnx.op('Where', [is_ignored, onnx.constant(0, call.out_dtype()), rows])


def _convolution(call: Call, onnx: Writer, stride: Sequence[int], pad: Sequence[int], dilate: Sequence[int]) -> str:
    """Adds a convolution; where it covers all, it pads further at the end."""
    length, kernel = call.fixed(call.shape()[2:]), call.fixed(call.shape(1)[2:])
    out = call.fixed(call.out_shape()[2:])
    ends = [max((n - 1) * s + (k - 1) * d + 1 - x - p, 0)
            for n, s, k, d, x, p in zip(out, stride, kernel, dilate, length, pad)]
    return onnx.op('Conv', call.inputs, strides=stride, pads=[*pad, *ends], dilations=dilate, kernel_shape=kernel,
                   group=call.get('groups'))


def _deconvolution(call: Call, onnx: Writer, stride: Sequence[int], pad: Sequence[int], dilate: Sequence[int]) -> str:
    """Adds a deconvolution; its output is cropped at the end, or goes on, to the size that is wanted."""
    length, kernel = call.fixed(call.shape()[2:]), call.fixed(call.shape(1)[2:])
    out = call.fixed(call.out_shape()[2:])
    ends = [(x - 1) * s + (k - 1) * d + 1 - p - n for n, s, k, d, x, p in zip(out, stride, kernel, dilate, length, pad)]
    return onnx.op('ConvTranspose', call.inputs, strides=stride, pads=[*pad, *(max(e, 0) for e in ends)],
                   output_padding=[max(-e, 0) for e in ends], dilations=dilate, kernel_shape=kernel,
                   group=call.get('groups'))


def _in_2d(write):
    def convert(call: Call, onnx: Writer) -> str:
        pairs = ([call.get(y), call.get(x)] for y, x in (('sy', 'sx'), ('ph', 'pw'), ('dy', 'dx')))
        return write(call, onnx, *pairs)
    return convert


def _in_nd(write):
    def convert(call: Call, onnx: Writer) -> str:
        return write(call, onnx, *(list(call.get(name)) for name in ('stride', 'pad', 'dilate')))
    return convert


CONVERTERS = {
    'Convolution2DFunction': _in_2d(_convolution),
    'ConvolutionND': _in_nd(_convolution),
    'Deconvolution2DFunction': _in_2d(_deconvolution),
    'DeconvolutionND': _in_nd(_deconvolution),
    'EmbedIDFunction': _embed_id,
    'LinearFunction': _linear,
}
