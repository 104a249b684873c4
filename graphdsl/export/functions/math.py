"""Arithmetic, elementwise functions, reductions and products."""
from __future__ import annotations

import math
from typing import Callable

from graphdsl.export.calls import Call
from graphdsl.export.functions.activation import plain
from graphdsl.export.writer import Writer


def _with_number(kind: str, is_first: bool = False) -> Callable[[Call, Writer], str]:
    """Returns the converter of an operator on an array and the number ``value``."""
    def convert(call: Call, onnx: Writer) -> str:
        operands = [call.input, _number(call, onnx)]
        return onnx.op(kind, operands[::-1] if is_first else operands)
    return convert


def _number(call: Call, onnx: Writer) -> str:
    """Adds the number, which may be the number of examples or one over it."""
    value = call.numbers('value')
    if not isinstance(value, tuple):
        return onnx.constant(value, call.dtype)
    size, is_inverse = value
    number = onnx.cast(onnx.op('Squeeze', [onnx.list_of([size])]), call.dtype)
    return onnx.op('Reciprocal', [number]) if is_inverse else number


def _multi_add(call: Call, onnx: Writer) -> str:
    return onnx.op('Sum', call.inputs)


def _square(call: Call, onnx: Writer) -> str:
    return onnx.op('Mul', [call.input, call.input])


def _log(base: float) -> Callable[[Call, Writer], str]:
    def convert(call: Call, onnx: Writer) -> str:
        return onnx.op('Div', [onnx.op('Log', [call.input]), onnx.constant(math.log(base), call.dtype)])
    return convert


def _log1p(call: Call, onnx: Writer) -> str:
    return onnx.op('Log', [onnx.op('Add', [call.input, onnx.constant(1, call.dtype)])])


def _expm1(call: Call, onnx: Writer) -> str:
    return onnx.op('Sub', [onnx.op('Exp', [call.input]), onnx.constant(1, call.dtype)])


def _rsqrt(call: Call, onnx: Writer) -> str:
    return onnx.op('Reciprocal', [onnx.op('Sqrt', [call.input])])


def _clip(call: Call, onnx: Writer) -> str:
    ends = [call.get(name) for name in ('x_min', 'x_max')]
    return onnx.op('Clip', [call.input, *('' if end is None else onnx.constant(end, call.dtype) for end in ends)])


def _fmod(call: Call, onnx: Writer) -> str:
    return onnx.op('Mod', call.inputs, fmod=1)


def _linear_interpolate(call: Call, onnx: Writer) -> str:
    p, x, y = call.inputs
    rest = onnx.op('Sub', [onnx.constant(1, call.dtype), p])
    return onnx.op('Add', [onnx.op('Mul', [p, x]), onnx.op('Mul', [rest, y])])


def _reduction(kind: str, axes_as_input: bool = False) -> Callable[[Call, Writer], str]:
    def convert(call: Call, onnx: Writer) -> str:
        axis, keepdims = call.get('axis'), int(call.get('keepdims')) if kind != 'ReduceLogSumExp' else 0
        axes = None if axis is None else list(axis) if isinstance(axis, tuple) else [axis]
        if not axes_as_input:
            return onnx.op(kind, [call.input], axes=axes, keepdims=keepdims)
        return onnx.op(kind, [call.input] + ([] if axes is None else [onnx.integers(axes)]), keepdims=keepdims)
    return convert


def _sum_to(call: Call, onnx: Writer) -> str:
    """Sums over the axes that the result lacks, or has with the length 1."""
    shape, out = call.shape(), call.out_shape()
    lead = len(shape) - len(out)
    kept = [lead + i for i, (old, new) in enumerate(zip(shape[lead:], out)) if old != new]
    x = onnx.op('ReduceSum', [call.input, onnx.integers(kept)], keepdims=1) if kept else call.input
    return onnx.op('ReduceSum', [x, onnx.integers(range(lead))], keepdims=0) if lead else x


def _extreme(kind: str) -> Callable[[Call, Writer], str]:
    def convert(call: Call, onnx: Writer) -> str:
        axis, x = call.get('axis'), call.input
        if axis is None:
            x, axis = onnx.op('Reshape', [x, onnx.integers([-1])]), 0
        return onnx.cast(onnx.op(kind, [x], axis=axis, keepdims=0), call.out_dtype())
    return convert


def _cumsum(call: Call, onnx: Writer) -> str:
    axis, x = call.get('axis'), call.input
    if axis is None:
        x, axis = onnx.op('Reshape', [x, onnx.integers([-1])]), 0
    return onnx.op('CumSum', [x, onnx.constant(axis, 'int64')])


def _matmul(call: Call, onnx: Writer) -> str:
    a, b = call.inputs
    if call.get('transa'):
        a = _swapped(a, call.ndim(0), onnx)
    if call.get('transb'):
        b = _swapped(b, call.ndim(1), onnx)
    y = onnx.op('MatMul', [a, b])
    return _swapped(y, len(call.out_shape()), onnx) if call.get('transc') else y


def _swapped(x: str, ndim: int, onnx: Writer) -> str:
    if ndim < 2:
        return x
    axes = list(range(ndim))
    return onnx.op('Transpose', [x], perm=axes[:-2] + [axes[-1], axes[-2]])


def _einsum(call: Call, onnx: Writer) -> str:
    subscripts = f"{call.get('in_subs')}->{call.get('out_sub')}".replace('@', '...')
    return onnx.op('Einsum', call.inputs, equation=subscripts)


def _batch_l2_norm_squared(call: Call, onnx: Writer) -> str:
    return onnx.op('ReduceSumSquare', [call.input], axes=list(range(1, call.ndim())), keepdims=0)


def _gaussian(call: Call, onnx: Writer) -> str:
    """What it drew is its third input."""
    mean, ln_var, drawn = call.inputs
    deviation = onnx.op('Exp', [onnx.op('Mul', [ln_var, onnx.constant(0.5, call.dtype)])])
    return onnx.op('Add', [mean, onnx.op('Mul', [deviation, drawn])])


def _squared_error(call: Call, onnx: Writer) -> str:
    difference = onnx.op('Sub', call.inputs)
    return onnx.op('Mul', [difference, difference])


def _absolute_error(call: Call, onnx: Writer) -> str:
    return onnx.op('Abs', [onnx.op('Sub', call.inputs)])


def _mean_of(error: Callable[[Call, Writer], str]) -> Callable[[Call, Writer], str]:
    def convert(call: Call, onnx: Writer) -> str:
        return onnx.op('ReduceMean', [error(call, onnx)], keepdims=0)
    return convert


CONVERTERS = {
    **{kind: plain(kind) for kind in ('Add', 'Sub', 'Mul', 'Div', 'Exp', 'Log', 'Sqrt', 'Erf', 'Sin', 'Cos', 'Tan',
                                      'Sinh', 'Cosh', 'Neg')},
    'Absolute': plain('Abs'),
    'AbsoluteError': _absolute_error,
    'AddConstant': _with_number('Add'),
    'Arccos': plain('Acos'),
    'Arcsin': plain('Asin'),
    'Arctan': plain('Atan'),
    'Arctanh': plain('Atanh'),
    'ArgMax': _extreme('ArgMax'),
    'ArgMin': _extreme('ArgMin'),
    'BatchL2NormSquared': _batch_l2_norm_squared,
    'Clip': _clip,
    'Cumsum': _cumsum,
    'DivFromConstant': _with_number('Div', is_first=True),
    'EinSum': _einsum,
    'Expm1': _expm1,
    'Fmod': _fmod,
    'Gaussian': _gaussian,
    'LinearInterpolate': _linear_interpolate,
    'Log10': _log(10),
    'Log1p': _log1p,
    'Log2': _log(2),
    'LogSumExp': _reduction('ReduceLogSumExp'),
    'MatMul': _matmul,
    'Max': _reduction('ReduceMax'),
    'Maximum': plain('Max'),
    'Mean': _reduction('ReduceMean'),
    'MeanAbsoluteError': _mean_of(_absolute_error),
    'MeanSquaredError': _mean_of(_squared_error),
    'Min': _reduction('ReduceMin'),
    'Minimum': plain('Min'),
    'MulConstant': _with_number('Mul'),
    'MultiAdd': _multi_add,
    'PowConstVar': _with_number('Pow', is_first=True),
    'PowVarConst': _with_number('Pow'),
    'PowVarVar': plain('Pow'),
    'Prod': _reduction('ReduceProd'),
    'RsqrtGPU': _rsqrt,
    'Square': _square,
    'SquaredError': _squared_error,
    'SubFromConstant': _with_number('Sub', is_first=True),
    'Sum': _reduction('ReduceSum', axes_as_input=True),
    'SumTo': _sum_to,
}
