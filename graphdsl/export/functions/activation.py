"""Activations, and the cells of recurrent links."""
from __future__ import annotations

from graphdsl.export.calls import Call, Refusal
from graphdsl.export.sizes import Size
from graphdsl.export.writer import Writer


def plain(kind: str, **attributes: str):
    """Returns the converter of a function that is one operator; attributes name those of the function."""
    def convert(call: Call, onnx: Writer) -> str:
        return onnx.op(kind, call.inputs, **{name: float(call.get(own)) for name, own in attributes.items()})
    return convert


def _softmax(kind: str):
    def convert(call: Call, onnx: Writer) -> str:
        return onnx.op(kind, call.inputs, axis=call.get('axis'))
    return convert


def _clipped_relu(call: Call, onnx: Writer) -> str:
    return onnx.op('Clip', [call.input, onnx.constant(0, call.dtype), onnx.constant(call.get('cap'), call.dtype)])


def _crelu(call: Call, onnx: Writer) -> str:
    return onnx.op('Relu', [onnx.op('Concat', [call.input, onnx.op('Neg', [call.input])], axis=call.get('axis'))])


def _hard_sigmoid(call: Call, onnx: Writer) -> str:
    return onnx.op('HardSigmoid', [call.input], alpha=0.2, beta=0.5)


def _softplus(call: Call, onnx: Writer) -> str:
    beta = onnx.constant(call.get('beta'), call.dtype)
    return onnx.op('Div', [onnx.op('Softplus', [onnx.op('Mul', [call.input, beta])]), beta])


def _prelu(call: Call, onnx: Writer) -> str:
    return onnx.op('PRelu', [call.input, _beside_channels(call, onnx)])


def _swish(call: Call, onnx: Writer) -> str:
    scaled = onnx.op('Mul', [call.input, _beside_channels(call, onnx)])
    return onnx.op('Mul', [call.input, onnx.op('Sigmoid', [scaled])])


def _beside_channels(call: Call, onnx: Writer) -> str:
    """Reshapes the second input so that its axes meet those of the first from the second on."""
    shape = call.fixed(call.shape(1))
    return onnx.op('Reshape', [call.inputs[1], onnx.integers(shape + [1] * (call.ndim() - 1 - len(shape)))])


def _lstm(call: Call, onnx: Writer) -> list[str]:
    """Gates are interleaved: every fourth channel is of the same gate."""
    c, x = call.inputs
    if call.shape(0)[0] != call.shape(1)[0]:
        raise Refusal('its minibatch becomes shorter from step to step')
    shape = call.shape(0)
    gated = onnx.reshape(x, [*shape[:2], Size(4), *shape[2:]])
    a, i, f, o = [onnx.op('Gather', [gated, onnx.constant(k, 'int64')], axis=2) for k in range(4)]
    i, f, o = [onnx.op('Sigmoid', [gate]) for gate in (i, f, o)]
    c = onnx.op('Add', [onnx.op('Mul', [onnx.op('Tanh', [a]), i]), onnx.op('Mul', [f, c])])
    return [c, onnx.op('Mul', [o, onnx.op('Tanh', [c])])]


CONVERTERS = {
    'CReLU': _crelu,
    'ClippedReLU': _clipped_relu,
    'ELU': plain('Elu', alpha='alpha'),
    'HardSigmoid': _hard_sigmoid,
    'LSTM': _lstm,
    'LeakyReLU': plain('LeakyRelu', alpha='slope'),
    'LogSoftmax': _softmax('LogSoftmax'),
    'PReLUFunction': _prelu,
    'ReLU': plain('Relu'),
    'Sigmoid': plain('Sigmoid'),
    'Softmax': _softmax('Softmax'),
    'Softplus': _softplus,
    'Swish': _swish,
    'Tanh': plain('Tanh'),
}
