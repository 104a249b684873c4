"""What the language computes with NumPy: comparisons, indices and arithmetic of integers and truth values."""
from __future__ import annotations

import numpy

from graphdsl.export.calls import Call
from graphdsl.export.functions.activation import plain
from graphdsl.export.functions.arrays import cast
from graphdsl.export.functions.indexing import index
from graphdsl.export.writer import Writer

_KINDS = {'greater': 'Greater', 'greater_equal': 'GreaterOrEqual', 'less': 'Less', 'less_equal': 'LessOrEqual',
          'equal': 'Equal', 'add': 'Add', 'subtract': 'Sub', 'multiply': 'Mul', 'true_divide': 'Div', 'divide': 'Div'}


def _binary(kind: str):
    """Returns the converter of an operator on two arrays, which get the dtype that NumPy computes with."""
    def convert(call: Call, onnx: Writer) -> str:
        common = numpy.result_type(*call.dtypes())
        is_comparison = call.out_dtype().kind == 'b'
        dtype = common if is_comparison else call.out_dtype()
        if dtype.kind == 'b':       # which not all operators take
            dtype = numpy.dtype('int32')
        y = onnx.op(kind, [x if own == dtype else onnx.cast(x, dtype) for x, own in zip(call.inputs, call.dtypes())])
        return y
    return convert


def _not_equal(call: Call, onnx: Writer) -> str:
    return onnx.op('Not', [_binary('Equal')(call, onnx)])


def _index(call: Call, onnx: Writer) -> str:
    return index(call, onnx, call.each(lambda item: item))


CONVERTERS = {
    **{f'numpy.{name}': _binary(kind) for name, kind in _KINDS.items()},
    'numpy.absolute': plain('Abs'),
    'numpy.astype': cast,
    'numpy.bitwise_and': plain('And'),
    'numpy.bitwise_or': plain('Or'),
    'numpy.ceil': plain('Ceil'),
    'numpy.floor': plain('Floor'),
    'numpy.getitem': _index,
    'numpy.invert': plain('Not'),
    'numpy.logical_and': plain('And'),
    'numpy.logical_not': plain('Not'),
    'numpy.logical_or': plain('Or'),
    'numpy.negative': plain('Neg'),
    'numpy.not_equal': _not_equal,
    'numpy.rint': plain('Round'),
    'numpy.sign': plain('Sign'),
}
