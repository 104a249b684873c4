"""What is exported, what is refused, and what the command says."""
from __future__ import annotations

import sys

import chainer
import chainer.functions as F
import numpy
import onnx
import onnxruntime
import pytest

import graphdsl
from graphdsl.export import checking
from graphdsl.export import ExportError
from graphdsl.export.sizes import UNKNOWN, Size, Sizes
from graphdsl.export.traced import Recorder

GRAPH = '''
input x: float32[5], t: int32
model net = Linear(3)
x -> net -> y
loss kl = softmax_cross_entropy(y, t)
optimizer SGD(lr=0.1) owns net
'''


def exported(text, path, bind=()):
    graph = graphdsl.compile(text, bind=dict(bind))
    graph.export(path)
    return graph, onnxruntime.InferenceSession(str(path))


def refused(text, bind=()):
    """Returns what is said of a graph that cannot be exported."""
    with pytest.raises(graphdsl.GraphError) as caught:
        graphdsl.compile(text, bind=dict(bind)).export('model.onnx')
    diagnostic, = caught.value.diagnostics
    assert diagnostic.code == 'G771'
    return diagnostic


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Inputs and outputs

def test_names_shapes_and_weights():
    graph, session = exported(GRAPH + 'output y\noutput label = argmax(y, axis=1)', 'model.onnx')
    assert [(p.name, p.type, p.shape) for p in session.get_inputs()] == [('x', 'tensor(float)', ['batch', 5])]
    assert [(p.name, p.type, p.shape) for p in session.get_outputs()] == [
        ('y', 'tensor(float)', ['batch', 3]), ('label', 'tensor(int32)', ['batch'])]
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load('model.onnx').graph.initializer}
    assert (weights['net/linear_1/W'] == graph.models['net'].linear_1.W.array).all()
    assert (weights['net/linear_1/b'] == graph.models['net'].linear_1.b.array).all()


def test_some_outputs_leave_out_what_they_do_not_need():
    text = GRAPH + 'noise z: float32[5] ~ normal(0, 1)\nz -> net -> dream\noutput y\noutput dream\n'
    graphdsl.compile(text).export('model.onnx', ['y'])
    session = onnxruntime.InferenceSession('model.onnx')
    assert [p.name for p in session.get_inputs()] == ['x'] and [p.name for p in session.get_outputs()] == ['y']


def test_what_no_output_needs_is_no_input():
    text = GRAPH + 'noise z: float32[5] ~ normal(0, 1)\noutput drawn = gaussian(y, y)\noutput moved = x + z\noutput y\n'
    graph = graphdsl.compile(text)
    for outputs, inputs in (['y'], ['x']), (['drawn'], ['x', 'gaussian.1']), (['moved', 'y'], ['x', 'z']):
        graph.export('model.onnx', outputs)
        assert [p.name for p in onnxruntime.InferenceSession('model.onnx').get_inputs()] == inputs


def test_names_of_nodes_are_no_names_of_graphs():
    text = GRAPH.replace('x:', 'constant_1:').replace('x ->', 'constant_1 ->') + 'output Relu_1 = relu(y + 1)\n'
    _, session = exported(text, 'model.onnx')
    assert [p.name for p in session.get_inputs()] == ['constant_1']


def test_a_constant():
    text = GRAPH + 'output three = 3 * ones_like(x[0])\noutput zeros = zeros_like(x)\n'
    graph = graphdsl.compile(text)
    graph.export('model.onnx', ['three'])
    session = onnxruntime.InferenceSession('model.onnx')
    assert session.get_inputs() == [] and session.run(None, {})[0].tolist() == [3] * 5
    graph.export('model.onnx', ['zeros'])
    zeros, = onnxruntime.InferenceSession('model.onnx').run(None, {'x': numpy.ones((9, 5), 'f')})
    assert zeros.shape == (9, 5) and not zeros.any()


def test_independent_parts_have_lengths_of_their_own():
    text = GRAPH + 'noise z: float32[5] ~ normal(0, 1)\nz -> net -> dream\noutput y\noutput dream\n'
    graph, session = exported(text, 'model.onnx')
    assert [p.shape[0] for p in session.get_inputs()] == ['batch_x', 'batch_z']
    x, z = numpy.ones((2, 5), 'f'), numpy.zeros((7, 5), 'f')
    y, dream = session.run(['y', 'dream'], {'x': x, 'z': z})
    assert y.shape == (2, 3) and dream.shape == (7, 3)


def test_two_streams_meet():
    text = '''
    data p { train = iris() }
    data q { train = iris() }
    input x: float32[4], t: int32 from p
    input z: float32[4], _ from q
    model net = Linear(3)
    x -> net -> y
    loss kl = softmax_cross_entropy(y, t)
    optimizer SGD() owns net
    output product = matmul(x, z, transb=true)
    '''
    _, session = exported(text, 'model.onnx')
    x, z = numpy.random.rand(3, 4).astype('f'), numpy.random.rand(6, 4).astype('f')
    product, = session.run(None, {'x': x, 'z': z})
    numpy.testing.assert_allclose(product, x @ z.T, rtol=1e-5)


def test_axes_of_any_length():
    text = '''
    input s: int32[?] pad -1, t: int32
    model net = EmbedID(4, 5, ignore_label=-1) -> sum(axis=1) -> Linear(3)
    s -> net -> y
    loss kl = softmax_cross_entropy(y, t)
    optimizer SGD() owns net
    output y
    output flat = reshape(cast(s, "float32"), (-1,))
    '''
    graph, session = exported(text, 'model.onnx')
    s = numpy.array([[0, 1, 2, 3, 1, 1], [1, 2, -1, -1, -1, -1]], 'i')
    y, flat = session.run(None, {'s': s})
    numpy.testing.assert_allclose(y, graph.outputs({'s': s})['y'].array, rtol=1e-5, atol=1e-6)
    assert flat.tolist() == s.ravel().tolist()


def test_what_is_drawn_is_an_input():
    text = GRAPH + 'output first = gaussian(y, y)\noutput second = gaussian(y, -y)\n'
    _, session = exported(text, 'model.onnx')
    assert [p.name for p in session.get_inputs()] == ['x', 'gaussian.1', 'gaussian.2']
    x, e = numpy.random.rand(2, 5).astype('f'), numpy.random.randn(2, 3).astype('f')
    first, second = session.run(None, {'x': x, 'gaussian.1': e, 'gaussian.2': 0 * e})
    numpy.testing.assert_allclose(first, second + numpy.exp(second / 2) * e, rtol=1e-5)


def test_noise_that_indexes():
    text = GRAPH + '''noise p: int32 ~ permutation(batch_size)
    output mixed = x[p]
    output columns = permutate(transpose(x), p, axis=1)
    '''
    _, session = exported(text, 'model.onnx')
    x, p = numpy.random.rand(4, 5).astype('f'), numpy.array([2, 0, 3, 1], 'i')
    mixed, columns = session.run(None, {'x': x, 'p': p})
    assert (mixed == x[p]).all() and (columns == x.T[:, p]).all()


def test_states_are_as_they_are():
    graph = graphdsl.compile(GRAPH + 'state k = 0.25\nnext k = 0.5 * k\noutput scaled = k * x\n')
    graph.numbers['k'] = 3.0
    graph.export('model.onnx')
    x = numpy.ones((2, 5), 'f')
    scaled, = onnxruntime.InferenceSession('model.onnx').run(None, {'x': x})
    assert (scaled == 3).all()


def test_exporting_changes_nothing():
    text = GRAPH.replace('Linear(3)', 'Linear(4) -> BatchNormalization(4) -> dropout(0.5) -> LSTM(4, 3)')
    graph = graphdsl.compile(text + 'output y\noutput drawn = gaussian(y, y)')
    before = {name: value.copy() for name, value in graph_weights(graph).items()}
    numpy.random.seed(3)
    graph.export('model.onnx')
    after = numpy.random.rand()
    numpy.random.seed(3)
    assert after == numpy.random.rand()
    assert all((value == before[name]).all() for name, value in graph_weights(graph).items())
    assert graph.models['net'].lstm_1.h is None
    assert type(graph.outputs({'x': numpy.ones((2, 5), 'f')})['y'].array) is numpy.ndarray


def graph_weights(graph):
    target = chainer.serializers.DictionarySerializer()
    for name, model in graph.models.items():
        model.serialize(target[name])
    return target.target


# Code of others

def test_unwrapped_arrays_keep_their_way():
    """What is computed on bare arrays by comparisons and indices, and in a mode without gradients, is exported."""
    def own(x):
        with chainer.no_backprop_mode():
            bare = F.relu(x).array
        return F.where(bare > 0.5, chainer.Variable(bare[:, ::-1].astype('f')), 2 * x)

    graph, session = exported(f'import own from "a"\n{GRAPH}output z = own(x)', 'model.onnx', {'own': own})
    x = numpy.random.randn(6, 5).astype('f')
    z, = session.run(None, {'x': x})
    assert (z == numpy.where(x > 0.5, numpy.maximum(x, 0)[:, ::-1], 2 * x)).all()


class Doubled(chainer.FunctionNode):

    def forward(self, inputs):
        return 2 * inputs[0],


def changed_in_place(x):
    values = x.array
    values += 1
    return F.relu(chainer.Variable(values))


def filled_in_place(x):
    values = x.array
    values[:, 0] = 1
    return F.relu(chainer.Variable(values))


@pytest.mark.parametrize('own, reason', [
    (lambda x: Doubled().apply((x,))[0], 'no counterpart'),
    (lambda x: F.relu(chainer.Variable(numpy.where(x.array > 0.5, x.array, 1 - x.array))), 'outside of the graph'),
    (lambda x: chainer.Variable(numpy.cumsum(x.array, axis=1)), 'outside of the graph'),
    (lambda x: x - float(x.array.mean()), 'outside of the graph'),
    (lambda x: x * numpy.arange(len(x)).astype('f')[:, None], 'outside of the graph'),
    (lambda x: x * numpy.random.rand(*x.shape).astype('f'), 'outside of the graph'),
    (lambda x: F.relu(x) if x.array[0, 0] > 0.5 else F.tanh(x), 'the data decide'),
    (lambda x: F.relu(x) if (x.array > -100).all() else F.tanh(x), 'the data decide'),
    (lambda x: sum(F.relu(x[i]) for i in range(len(x))), 'another way'),
    (lambda x: F.softmax_cross_entropy(x, numpy.zeros(len(x), 'i')), 'no counterpart'),
    (changed_in_place, 'outside of the graph'),
    (filled_in_place, 'outside of the graph'),
], ids=range(12))
def test_refused(own, reason, folder):
    diagnostic = refused(f'import own from "a"\n{GRAPH}output z = own(x)', {'own': own})
    assert reason in diagnostic.reason
    assert not list(folder.iterdir())


def test_a_function_is_named_at_its_line_in_the_model():
    text = GRAPH.replace('Linear(3)', 'Linear(3) -> erfinv') + 'output y'
    diagnostic = refused(text)
    assert diagnostic.message.startswith('`erfinv`') and text[diagnostic.span.start:].startswith('erfinv')


@pytest.mark.parametrize('function, problem', [
    ('max_pooling_2d(reshape(x, (-1, 1, 5, 1)), (2, 1), stride=(5, 1))', 'beyond the data'),
    ('unpooling_2d(reshape(x, (-1, 1, 5, 1)), 3, stride=2)', 'side by side'),
    ('grad(total, x)', 'no counterpart'), ('gumbel_softmax(x)', 'outside of the graph'),
    ('pad(x, [(0, 0), (1, 2)], "wrap")', 'modes'), ('softmax(erfinv(x))', 'no counterpart'),
])
def test_functions_without_counterpart(function, problem):
    assert problem in refused(GRAPH + f'total = sum(x ** 3)\noutput z = {function}').reason


# The check

def test_a_wrong_converter_is_found(monkeypatch, folder):
    from graphdsl.export.functions import CONVERTERS
    monkeypatch.setitem(CONVERTERS, 'Tanh', CONVERTERS['Sigmoid'])
    with pytest.raises(ExportError, match='another `z` than Chainer'):
        graphdsl.compile(GRAPH + 'output z = tanh(y)').export('model.onnx')
    assert not list(folder.iterdir())


def test_a_length_that_is_baked_in_is_found(monkeypatch, folder):
    from graphdsl.export.functions import CONVERTERS
    monkeypatch.setitem(CONVERTERS, 'Reshape', lambda call, onnx: onnx.op(
        'Reshape', [call.input, onnx.integers(call.each(lambda function: function.shape)[0])]))
    with pytest.raises(ExportError, match='cannot be run'):
        graphdsl.compile(GRAPH + 'output z = reshape(x, (batch_size, 5, 1))').export('model.onnx')
    assert not list(folder.iterdir())


def test_difference():
    one = numpy.array([1.0, 2.0], 'f')
    assert checking.difference(one, one) == 0
    assert checking.difference(one + numpy.float32(0.5), one) == 0.25
    assert checking.difference(one / 10 + numpy.float32(0.5), one / 10) == pytest.approx(0.5)
    nan = numpy.array([numpy.nan, 1], 'f')
    assert checking.difference(nan, nan) == 0 and checking.difference(nan, one) == numpy.inf
    assert checking.difference(one, nan) == numpy.inf
    assert checking.difference(numpy.array([1, 2]), numpy.array([1, 3])) == numpy.inf
    assert checking.difference(one, one.astype('d')) == numpy.inf
    assert checking.difference(one[:1], one) == numpy.inf


def test_sizes():
    sizes = Sizes([{'a': 5, 'b': 5}, {'a': 5, 'b': 5}, {'a': 7, 'b': 5}, {'a': 5, 'b': 7}, {'a': 7, 'b': 8}])
    assert sizes.of([4, 4, 4, 4, 4]) == Size(4)
    assert sizes.of([16, 16, 22, 16, 22]) == Size(1, (('a', 3),))
    assert sizes.of([10, 10, 12, 12, 15]) == Size(0, (('a', 1), ('b', 1)))
    assert sizes.of([25, 25, 35, 35, 56]) is UNKNOWN
    assert sizes.of([4, 5, 4, 4, 4]) is UNKNOWN


def test_recorder_leaves_functions_as_they_were():
    seen = []

    class Twice(chainer.FunctionNode):
        def forward(self, inputs):
            seen.append(type(inputs[0]))
            return 2 * inputs[0],

    with Recorder({}, 0, lambda: None) as recorder:
        function = Twice()
        y, = function.apply((recorder.given('x', numpy.ones(3, 'f')),))
    assert seen == [numpy.ndarray] and 'forward' not in vars(function)
    assert [record.kind for record in recorder.records] == ['Twice']
    assert (y.array == 2).all()


# The command

@pytest.fixture
def file(folder):
    (folder / 'net.graph').write_text(GRAPH + 'output y\noutput label = argmax(y, axis=1)\n')
    (folder / 'without.graph').write_text(GRAPH)
    return folder


def test_command(command, file):
    graph = graphdsl.compile_file('net.graph')
    graph.save_weights('weights.npz')
    status, out, err = command('export', 'net.graph', '--weights', 'weights.npz', '-o', 'net.onnx')
    assert (status, err) == (0, '')
    assert out.startswith('takes x float32[batch, 5]\ngives y float32[batch, 3]\n      label int32[batch]\n1, 3 and')
    x = numpy.random.rand(3, 5).astype('f')
    y, label = onnxruntime.InferenceSession('net.onnx').run(None, {'x': x})
    numpy.testing.assert_allclose(y, graph.predict(x)['y'], rtol=1e-5, atol=1e-6)
    assert (label == y.argmax(axis=1)).all()


@pytest.mark.parametrize('arguments, message', [
    (['without.graph', '-o', 'net.onnx'], 'Error: without has no outputs: write `output NAME = ...` for what is to be '
     'exported\n'),
    (['net.graph', '-o', 'missing/net.onnx'], 'Error: missing/net.onnx cannot be written: there is no folder '),
    (['net.graph', '--output', 'lable', '-o', 'net.onnx'], 'Error: there is no output `lable`; there are `y`, `label`'),
    (['net.graph', '--weights', 'none.npz', '-o', 'net.onnx'], 'Error: there is no none.npz'),
])
def test_messages(arguments, message, command, file):
    status, out, err = command('export', *arguments)
    assert status == 1 and err.startswith(message) and err.count('\n') == 1
    assert not list(file.glob('*.onnx'))


def test_no_target(command, file):
    status, _, err = command('export', 'net.graph')
    assert status == 2 and '-o' in err


def test_a_folder_as_target(command, file):
    (file / 'net.onnx').mkdir()
    status, _, err = command('export', 'net.graph', '-o', 'net.onnx')
    assert status == 2 and 'directory' in err


@pytest.mark.parametrize('package', ['onnx', 'onnxruntime'])
def test_missing_packages(package, command, file, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    status, _, err = command('export', 'net.graph', '-o', 'net.onnx')
    assert (status, err) == (1, f"Error: an export needs {package}: pip install 'graphdsl[export]'\n")


def test_help_and_errors_import_neither(file):
    import subprocess
    code = ('import sys; from graphdsl.cli import main\n'
            'try:\n    main(["export", "--help"])\n'
            'except SystemExit: pass\n'
            'assert not {"onnx", "onnxruntime", "chainer"} & set(sys.modules)')
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)
