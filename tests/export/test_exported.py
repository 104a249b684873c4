"""Functions and links of Chainer give in onnxruntime what they give in Chainer."""
from __future__ import annotations

import re
from pathlib import Path

import chainer
import numpy
import onnxruntime
import pytest

import graphdsl

VECTORS = {
    'activations': [
        'relu(x)', 'sigmoid(x)', 'tanh(x)', 'leaky_relu(x, slope=0.3)', 'elu(x, alpha=0.7)', 'selu(x)', 'softplus(x)',
        'softplus(x, beta=2.5)', 'hard_sigmoid(3 * x)', 'clipped_relu(x, z=0.5)', 'crelu(x)', 'relu6(4 * x)',
        'softmax(x)', 'softmax(x, axis=0)', 'log_softmax(x)', 'maxout(x[:, :4], 2)', 'dropout(x)'],
    'elementwise': [
        'sin(x)', 'cos(x)', 'tan(x)', 'arcsin(x)', 'arccos(x)', 'arctan(x)', 'arctanh(x)', 'sinh(x)', 'cosh(x)',
        'exp(x)', 'log(p)', 'log2(p)', 'log10(p)', 'log1p(p)', 'expm1(x)', 'sqrt(p)', 'rsqrt(p + 0.1)', 'square(x)',
        'absolute(x)', 'sign(x)', 'floor(5 * x)', 'ceil(5 * x)', 'erf(x)', 'clip(x, -0.2, 0.4)', 'maximum(x, -x)',
        'minimum(x, 0.3 * x)', 'fmod(5 * x, 1 + p)', 'linear_interpolate(sigmoid(x), x, 2 * x)'],
    'arithmetic': [
        '-x', 'x ** 2', 'p ** 0.3', '2 ** x', 'p ** x', '3 - x', '1 / (x + 4)', 'x / 3', 'x / (4 + x)', 'x * x - x',
        'x + 1', 'x - 1', 'add(x, x, x)', 'x + x[:, 0:1]', 'x + x[0]', 'sum(x, axis=1) / batch_size',
        'x * batch_size', 'batch_size / (x + 4)', 'squared_error(x, p)', 'mean_squared_error(x, p)',
        'absolute_error(x, p)', 'mean_absolute_error(x, p)'],
    'reductions': [
        'mean(x)', 'average(x, axis=1)', 'sum(x)', 'sum(x, axis=1)', 'sum(x, axis=0)', 'sum(x, axis=-1, keepdims=true)',
        'max(x, axis=1)', 'min(x, axis=1)', 'max(x)', 'prod(x, axis=1)', 'logsumexp(x, axis=1)', 'argmax(x, axis=1)',
        'argmin(x, axis=1)', 'argmax(x, axis=0)', 'cumsum(x, axis=1)', 'cumsum(x, axis=0)', 'batch_l2_norm_squared(x)',
        'normalize(x)', 'sum_to(x, (1, 5))', 'sum_to(x, (5,))'],
    'indices': [
        'x[:, 0]', 'x[:, 1:4]', 'x[:, -1]', 'x[:, -2]', 'x[:, ::2]', 'x[:, ::-1]', 'x[:, -3:-1]', 'x[0]', 'x[-1]',
        'x[1:]', 'x[:, [0, 2, 2]]', 'x[:batch_size - 1]', 'flip(x, axis=1)', 'fliplr(x)', 'flipud(x)',
        'split_axis(x, [1, 3], axis=1)[1]', 'split_axis(x, 5, axis=1)[2]', 'separate(x, axis=1)[2]'],
    'shapes': [
        'concat([x, 2 * x], axis=1)', 'concat([x, 2 * x], axis=0)', 'stack([x, -x], axis=1)', 'hstack([x, -x])',
        'vstack([x, -x])', 'dstack([x, -x])', 'expand_dims(x, axis=1)', 'squeeze(expand_dims(x, axis=1), axis=1)',
        'tile(x, (1, 3))', 'tile(x, (2, 2, 1))', 'repeat(x, 3, axis=1)', 'repeat(x, 3, axis=0)', 'transpose(x)',
        'pad(x, [(0, 0), (1, 2)], "constant")', 'pad(x, [(0, 0), (1, 2)], "edge")', 'cast(x, "float64")',
        'swapaxes(x, 0, 1)', 'broadcast_to(expand_dims(x, axis=1), (batch_size, 3, 5))', 'reshape(x, (-1, 1, 5))',
        'reshape(x, (-1,))', 'reshape(x, (1, -1))', 'reshape(x, (batch_size, 5, 1))',
        'reshape(x, (5, batch_size, 1, 1))'],
    'others': [
        'identity(x)', 'broadcast(x, x[:, 0:1])[1]', 'reverse_gradient(x, 2.0)', 'scale(x, p[0], axis=1)',
        'bias(x, p[0], axis=1)', 'flatten(x)', 'select_item(x, argmin(p, axis=1))'],
    'products': [
        'matmul(x, x, transb=true)', 'matmul(x, x, transa=true)', 'matmul(transpose(x), x)',
        'matmul(x, x[0])', 'einsum("ij,kj->ik", x, x)'],
    'comparisons': [
        'where(x > 0.1, x, 2 * x)', 'x * (x > 0)', 'x * (x <= 0.3)', 'mean(x >= 0.2)', 'x + (x < p)', 'x * (x == p)',
        'x + (x != p)', 'ones_like(x) * x', 'x + zeros_like(x)', 'x > 0', 'one_hot(argmax(x, axis=1), 5)'],
}
IMAGES = {
    'poolings': [
        'max_pooling_2d(x, 2)', 'max_pooling_2d(x, 3, stride=2, pad=1)',
        'max_pooling_2d(x, 3, stride=2, cover_all=false)', 'max_pooling_2d(x, 2, stride=3, cover_all=false)',
        'max_pooling_nd(x, 2)', 'average_pooling_2d(x, 2)', 'average_pooling_2d(x, 3, stride=2, pad=1)',
        'average_pooling_nd(x, 2)', 'average_pooling_nd(x, 3, pad=1, pad_value=none)', 'unpooling_2d(x, 2)',
        'unpooling_2d(x, 2, cover_all=false)', 'spatial_pyramid_pooling_2d(x, 2, pooling="max")'],
    'images': [
        'local_response_normalization(x)', 'softmax(x, axis=1)', 'log_softmax(x, axis=2)', 'mean(x, axis=(2, 3))',
        'max(x, axis=(1, 3), keepdims=true)', 'rollaxis(x, 3, 1)', 'moveaxis(x, 1, 3)', 'transpose(x, (0, 2, 3, 1))',
        'depth2space(concat([x, 2 * x, 3 * x, 4 * x], axis=1), 2)', 'space2depth(x[:, :, :, :6], 2)',
        'x[:, 1, ::2, -1]', 'x[:, :, [0, 0, 3]]', 'normalize(x, axis=(1, 2))', 'sum(x, axis=(1, 2, 3))',
        'hstack([x, x])', 'squeeze(x[:, :1], axis=1)'],
}
INTEGERS = {
    'integers': [
        'one_hot(x, 3)', 'x * 2', 'x + x', 'x - x', 'x > 0', 'cast(x, "float32")', 'x / 4', 'x[:, 1]', 'x[:, 1] == 1',
        'x * 0.5', 'sum(x, axis=1)', 'x'],
}
INPUTS = {'float32[5]': VECTORS, 'float32[3, 6, 7]': IMAGES, 'int32[4]': INTEGERS}

LINKS = {
    'float32[5]': [
        'Linear(7)', 'Linear(7, nobias=true)', 'BatchNormalization(5)', 'BatchNormalization(5, use_gamma=false)',
        'BatchRenormalization(5)', 'LayerNormalization()', 'PReLU()', 'PReLU(5)', 'Swish(5)', 'Maxout(5, 4, 3)',
        'Highway(5)', 'Scale(axis=1, W_shape=5, bias_term=true)', 'Bias(axis=1, shape=5)', 'LSTM(5, 4) -> LSTM(4, 4)',
        'StatefulGRU(5, 4)', 'StatefulPeepholeLSTM(5, 4)', 'StatefulMGU(5, 4)', 'StatefulZoneoutLSTM(5, 4)'],
    'float32[4, 6, 7]': [
        'Convolution2D(4, 3, 3)', 'Convolution2D(4, 8, 3, stride=2, pad=1, groups=2)',
        'Convolution2D(4, 3, (3, 2), pad=(0, 1), dilate=2)', 'DilatedConvolution2D(4, 3, 3, dilate=2)',
        'DepthwiseConvolution2D(4, 2, 3)', 'ConvolutionND(2, 4, 3, 3, pad=1)',
        'ConvolutionND(2, 4, 3, 3, stride=2, cover_all=true)', 'Deconvolution2D(4, 3, 3)',
        'Deconvolution2D(4, 3, 4, stride=2, pad=1)', 'Deconvolution2D(4, 4, 3, stride=2, outsize=(14, 15))',
        'Deconvolution2D(4, 4, 3, groups=2)', 'DeconvolutionND(2, 4, 3, 3, stride=2)', 'BatchNormalization(4)',
        'BatchNormalization(axis=(0, 3))', 'BatchNormalization(axis=0)', 'GroupNormalization(2)', 'PReLU(4)',
        'Swish(4)', 'Scale(axis=1, W_shape=(4,))', 'MLPConvolution2D(4, (3, 2), 3)',
        'Inception(4, 2, 2, 2, 2, 2, 2)', 'InceptionBN(4, 2, 2, 2, 2, 2, "max", 2)', 'Linear(3)'],
    'int32[3]': ['EmbedID(4, 5)', 'EmbedID(4, 5, ignore_label=0)'],
}


def compared(text: str, kind: str, path: Path) -> None:
    """Exports a graph of one input, and compares all outputs with those of Chainer."""
    numpy.random.seed(0)
    graph = graphdsl.compile(text)
    random = numpy.random.RandomState(1)
    for model in graph.models.values():
        for link in model.links():
            for name in link._persistent & {'avg_mean', 'avg_var'}:
                getattr(link, name)[...] = random.uniform(0.5, 2, size=getattr(link, name).shape)
    graph.export(path)
    session = onnxruntime.InferenceSession(str(path))
    names = [port.name for port in session.get_outputs()]
    shape = graph.inputs[0].shape
    for count in (2, 1, 9):
        x = random.uniform(-0.9, 0.9, size=(count, *shape)).astype('f') if kind.startswith('f') else \
            random.randint(3, size=(count, *shape)).astype('i')
        computed = dict(zip(names, session.run(names, {'x': x})))
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            wanted = graph.outputs({'x': x})
        assert set(computed) == set(wanted)
        for name, value in wanted.items():
            value = value.array if isinstance(value, chainer.Variable) else value
            assert (computed[name].dtype, computed[name].shape) == (value.dtype, value.shape), name
            numpy.testing.assert_allclose(computed[name], value, rtol=2e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize('kind, group', [(kind, group) for kind, groups in INPUTS.items() for group in groups])
def test_functions(kind, group, tmp_path):
    lines = [f'input x: {kind}', 'p = absolute(cast(x, "float32")) + 0.01',
             'model beside = Linear(1)', 'cast(x, "float32") -> beside -> other', 'loss l = mean(other)',
             'optimizer SGD() owns beside']
    outputs = [f'output y_{i} = {function}' for i, function in enumerate(INPUTS[kind][group])]
    compared('\n'.join(lines + outputs), kind, tmp_path / 'model.onnx')


def test_the_table_is_tested():
    """What the documentation names is in the lists above, by itself or as a link."""
    page = (Path(__file__).parents[2] / 'docs' / 'export.md').read_text(encoding='utf-8')
    table = page.partition('## What is exported')[2].partition('Functions that Chainer makes')[0]
    names = re.findall(r'`(\w+)`', table)
    tested = ' '.join(x for groups in INPUTS.values() for group in groups.values() for x in group)
    tested += ' '.join(link for links in LINKS.values() for link in links).lower().replace('(', '  (')
    elsewhere = {'gaussian', 'permutate'}
    assert len(names) > 100
    assert [name for name in names if not re.search(rf'\b{name.replace("_", "").lower()}\b', tested.replace('_', ''))
            and name not in elsewhere] == []


@pytest.mark.parametrize('kind, link', [(kind, link) for kind, links in LINKS.items() for link in links])
def test_links(kind, link, tmp_path):
    text = f'input x: {kind}\nmodel m = {link}\nx -> m -> y\nloss l = mean(y)\noptimizer SGD() owns m\noutput y\n'
    compared(text, kind, tmp_path / 'model.onnx')
