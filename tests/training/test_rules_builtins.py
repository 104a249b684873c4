"""The built-ins, against numerical differentiation and what Chainer users write."""
import sys

import chainer
import chainer.functions as F
import numpy
import pytest

import graphdsl
from graphdsl.runtime.seeds import random_state
from rules import (
    Calls, Counted, SIZE, T, U, X, arrays, assert_parameters, assert_same, compiled, descend, iterate, twins, variable)

pytestmark = pytest.mark.usefixtures('float64')


def minibatch(number=0, of=X, batch=4):
    return variable(of[number * batch % SIZE:][:batch])


def numerical(function, array, step=1e-5):
    """The gradient of a number by central differences."""
    found = numpy.zeros_like(array)
    for index in numpy.ndindex(*array.shape):
        value = array[index]
        array[index] = value + step
        above = function()
        array[index] = value - step
        below = function()
        array[index] = value
        found[index] = (above - below) / (2 * step)
    return found


def moves_by_numerical_gradient(graph, loss, model, iterators=None, tolerance=1e-6):
    """Checks that SGD with a rate of 1 moves a model by the numerical gradient of a loss in NumPy."""
    parameters = dict(graph.models[model].namedparams())
    before = {path: p.array.copy() for path, p in parameters.items()}
    expected = {path: numerical(loss, p.array) for path, p in parameters.items()}
    value = loss()
    report, = iterate(graph.updater(iterators or Counted(X, U)))
    assert report['cost'] == pytest.approx(value, rel=1e-9)
    for path, p in parameters.items():
        numpy.testing.assert_allclose(before[path] - p.array, expected[path], rtol=1e-4, atol=tolerance, err_msg=path)


# grad

NET = """
input x: float64[3], u: float64[3]
model net = Linear(4) -> tanh -> Linear(1, nobias=true)
optimizer net = SGD(lr=1.0) owns net
"""


def forward(net, x):
    return numpy.tanh(x @ net.linear_1.W.array.T + net.linear_1.b.array) @ net.linear_2.W.array.T


def slope(net, x):
    """d sum(net(x)) / dx, by hand."""
    h = numpy.tanh(x @ net.linear_1.W.array.T + net.linear_1.b.array)
    return ((1 - h ** 2) * net.linear_2.W.array) @ net.linear_1.W.array


def test_grad_of_an_input_is_differentiated_again():
    """A gradient penalty: double backpropagation into the parameters."""
    graph = compiled(NET + """
        x -> net -> y
        s = grad(y, x)
        loss cost = mean(y) + mean((sqrt(sum(s ** 2, axis=1)) - 1) ** 2)
        """)
    net = graph.models['net']
    moves_by_numerical_gradient(graph, lambda: forward(net, X[:4]).mean() + (
        (numpy.sqrt((slope(net, X[:4]) ** 2).sum(1)) - 1) ** 2).mean(), 'net')


def test_grad_at_a_computed_value():
    """Between two inputs, as in WGAN-GP."""
    graph = compiled(NET + """
        between = 0.3 * x + 0.7 * u
        between -> net -> r
        loss cost = mean(r ** 2) + mean(grad(r, between) ** 4)
        """)
    net = graph.models['net']
    at = 0.3 * X[:4] + 0.7 * U[:4]
    moves_by_numerical_gradient(graph, lambda: (forward(net, at) ** 2).mean() + (slope(net, at) ** 4).mean(), 'net')


def test_grad_at_a_detached_value_of_another_model():
    """The point has no way back to the model that made it."""
    graph = compiled(NET + """
        model maker = Linear(3)
        optimizer maker = SGD(lr=1.0) owns maker
        x -> maker -> m
        point = detach(m)
        point -> net -> r
        loss other = mean(m ** 2)
        loss cost = mean(r) + mean(grad(r, point) ** 2)
        """)
    maker, net = graph.models['maker'].linear_1, graph.models['net']
    at = X[:4] @ maker.W.array.T + maker.b.array
    theirs = twins(graph)
    moves_by_numerical_gradient(graph, lambda: forward(net, at).mean() + (slope(net, at) ** 2).mean(), 'net')
    descend([F.mean(theirs['maker'](minibatch()) ** 2)], [theirs['maker']])
    assert_parameters(graph, theirs, 'maker')


def test_grad_at_a_value_with_history():
    """Gradients flow on through the point into the model that made it."""
    graph = compiled(NET + """
        model maker = Linear(3)
        optimizer maker = SGD(lr=1.0) owns maker
        x -> maker -> m
        m -> net -> r
        loss cost = mean(r) + mean(grad(r, m) ** 2)
        """)
    maker, net = graph.models['maker'].linear_1, graph.models['net']

    def loss():
        at = X[:4] @ maker.W.array.T + maker.b.array
        return forward(net, at).mean() + (slope(net, at) ** 2).mean()
    expected = {path: numerical(loss, p.array) for path, p in graph.models['maker'].namedparams()}
    before = {path: p.array.copy() for path, p in graph.models['maker'].namedparams()}
    moves_by_numerical_gradient(graph, loss, 'net')
    for path, p in graph.models['maker'].namedparams():
        numpy.testing.assert_allclose(before[path] - p.array, expected[path], rtol=1e-4, atol=1e-6)


def test_grad_at_noise():
    graph = compiled("""
        input x: float64[3]
        noise z: float64[3] ~ normal(0, 1)
        model net = Linear(4) -> tanh -> Linear(1, nobias=true)
        optimizer net = SGD(lr=1.0) owns net
        z -> net -> r
        loss cost = mean(r ** 2) + mean(grad(r, z) ** 2)
        """)
    z = random_state(0, 'noise/z').normal(0, 1, (4, 3))
    net = graph.models['net']
    moves_by_numerical_gradient(graph, lambda: (forward(net, z) ** 2).mean() + (slope(net, z) ** 2).mean(), 'net',
                                Counted(X))


def test_grad_is_of_the_sum_and_may_be_weighted():
    """`grad(y, x)` is d sum(y) / dx for a y of any shape."""
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2) -> tanh
        x -> net -> y
        g = grad(y[:, 0] * 2 + y[:, 1] ** 2, x)
        loss cost = mean(g ** 2)
        optimizer net = SGD(lr=1.0) owns net
        """)
    link = graph.models['net'].linear_1

    def loss():
        y = numpy.tanh(X[:4] @ link.W.array.T + link.b.array)
        weights = numpy.stack([numpy.full(4, 2.0), 2 * y[:, 1]], 1) * (1 - y ** 2)
        return ((weights @ link.W.array) ** 2).mean()
    moves_by_numerical_gradient(graph, loss, 'net', Counted(X))


def test_grad_of_grad():
    """The second derivative of x ** 3 w."""
    graph = compiled("""
        input x: float64[3]
        model net(x) -> y { weight w: float64[3] = Constant(0.7)
            y = sum(x ** 3 * w, axis=1) }
        x -> net -> y
        g = grad(y, x)
        loss cost = mean(grad(g, x) ** 2)
        optimizer net = SGD(lr=1.0) owns net
        """)
    w = graph.models['net'].w
    moves_by_numerical_gradient(graph, lambda: ((6 * X[:4] * w.array) ** 2).mean(), 'net', Counted(X))


def test_grad_in_evaluation_and_prediction():
    """Without a history, in evaluation mode; with an input and with a computed point."""
    graph = compiled(NET + """
        between = x + u
        between -> net -> r
        x -> net -> y
        metric steep = mean(grad(r, between) ** 2)
        metric steep_too = mean(grad(y, x) ** 2)
        loss cost = mean(y)
        output g = grad(y, x)
        """)
    net = graph.models['net']
    expected = {'cost': forward(net, X).mean(), 'steep': (slope(net, X + U) ** 2).mean(),
                'steep_too': (slope(net, X) ** 2).mean()}
    report = graph.evaluator(Counted(X, U, repeat=False))()
    assert {name: float(report[f'validation/{name}']) for name in expected} == pytest.approx(expected)
    with chainer.no_backprop_mode(), chainer.using_config('train', False):
        numpy.testing.assert_allclose(graph.outputs({'x': X, 'u': U})['g'].array, slope(net, X), rtol=1e-8)


def test_grad_of_grad_in_evaluation():
    graph = compiled("""
        input x: float64[3]
        model net(x) -> y { weight w: float64[3] = Constant(0.7)
            y = sum(x ** 3 * w, axis=1) }
        x -> net -> y
        g = grad(y, x)
        metric curved = mean(grad(g, x) ** 2)
        loss cost = mean(y)
        optimizer net = SGD(lr=1.0) owns net
        """)
    report = graph.evaluator(Counted(X, repeat=False))()
    assert float(report['validation/curved']) == pytest.approx(((6 * X * 0.7) ** 2).mean())


def test_a_metric_with_grad_changes_no_training():
    """It asks for a history that training may not have: it is for evaluation."""
    found = []
    for metric in ('', 'metric steep = mean(grad(y, x) ** 2)\n'):
        graph = compiled(NET + 'x -> net -> y\nloss cost = mean(y ** 2)\n' + metric)
        iterate(graph.updater(Counted(X, U)), 2)
        found.append(arrays(graph.models['net']))
    assert_same(*found)


# detach, reverse_gradient

def test_detach():
    """The value without its history: a constant for the losses."""
    graph = compiled(NET + 'x -> net -> y\nloss cost = mean(detach(y) * y) + mean(detach(x) * y)\n')
    net = graph.models['net']
    y0 = forward(net, X[:4])
    moves_by_numerical_gradient(graph, lambda: (y0 * forward(net, X[:4])).mean() + (
        X[:4] * forward(net, X[:4])).mean(), 'net')


@pytest.mark.parametrize('scale', ['0.3', '2 * progress', 'k'])
def test_reverse_gradient(scale):
    """Identity forward; `-scale` times the gradient backward, for the trunk and not for the judge behind it."""
    graph = compiled("""
        input x: float64[3], t: int32
        model trunk = Linear(4) -> tanh
        model judge = Linear(2)
        x -> trunk -> h
        h -> reverse_gradient(%s) -> judge -> y
        loss cost = softmax_cross_entropy(y, t)
        optimizer trunk = SGD(lr=1.0) owns trunk
        optimizer judge = SGD(lr=1.0) owns judge
        state k = 0.5
        next k = k * 2
        train { iterations 4 }
        """ % scale)
    theirs = twins(graph)
    updater = graph.updater(Counted(X, T))
    for i in range(3):
        cost = F.softmax_cross_entropy(theirs['judge'](theirs['trunk'](minibatch(i))), T[i * 4:i * 4 + 4])
        factor = {'0.3': 0.3, '2 * progress': 2 * i / 4, 'k': 0.5 * 2 ** i}[scale]
        trunk = chainer.grad([cost], list(theirs['trunk'].params()))
        descend([cost], [theirs['judge']])
        for parameter, gradient in zip(theirs['trunk'].params(), trunk):
            parameter.array[...] += factor * gradient.array
        report, = iterate(updater)
        assert report['cost'] == pytest.approx(float(cost.array))
    assert_parameters(graph, theirs)


# Constants and shapes

@pytest.mark.parametrize('expression, expected, dtype', [
    ('ones_like(x)', numpy.ones((4, 3)), 'd'), ('zeros_like(t)', numpy.zeros(4), 'i'),
    ('ones_like(x, dtype="int32")', numpy.ones((4, 3)), 'i'), ('zeros_like(t, dtype="float32")', numpy.zeros(4), 'f'),
    ('one_hot(t, 3)', numpy.eye(3)[T[:4]], 'd'), ('arange(5)', numpy.arange(5), 'i'),
    ('arange(batch_size)', numpy.arange(4), 'i'), ('x * shape(x, 1)', 3 * X[:4], 'd'),
    ('x / shape(t, 0)', X[:4] / 4, 'd'), ('x * batch_size', X[:4] * 4, 'd'),
    ('reshape(x, (batch_size, 3, 1))', X[:4, :, None], 'd'), ('arange(shape(x, 1))', numpy.arange(3), 'i'),
])
def test_constants_and_shapes(expression, expected, dtype):
    graph = compiled('input x: float64[3], t: int32\nmodel net = Linear(1)\nloss cost = mean(net(x))\n'
                     f'optimizer net = SGD(lr=1.0) owns net\noutput result = {expression}\n')
    result = graph.outputs({'x': X[:4], 't': T[:4]})['result']
    array = result.array if isinstance(result, chainer.Variable) else result
    assert array.dtype == numpy.dtype(dtype)
    numpy.testing.assert_allclose(array, expected, rtol=1e-12)


def test_one_hot_targets_and_smoothing():
    """What users write with it: cross entropy with smoothed labels."""
    graph = compiled("""
        input x: float64[3], t: int32
        model net = Linear(2)
        x -> net -> y
        wanted = 0.9 * one_hot(t, 2) + 0.1 / 2
        loss cost = -mean(sum(wanted * log_softmax(y), axis=1))
        optimizer net = SGD(lr=1.0) owns net
        """)
    theirs = twins(graph)
    iterate(graph.updater(Counted(X, T)))
    log_p = F.log_softmax(theirs['net'](minibatch()))
    descend([-F.mean(F.sum((0.9 * numpy.eye(2)[T[:4]] + 0.05) * log_p, axis=1))], [theirs['net']])
    assert_parameters(graph, theirs)


# Imports

def double(y, scale=1.0):
    return 2 * scale * y


def test_bound_functions_links_optimizers_and_hooks():
    class Mine(chainer.optimizers.SGD):
        pass

    class Halve:
        name = 'Halve'
        call_for_each_param = True
        timing = 'pre'

        def __call__(self, rule, parameter):
            parameter.grad = 0.5 * parameter.grad

    class Net(chainer.Chain):
        def __init__(self, width):
            super().__init__()
            with self.init_scope():
                self.inner = chainer.links.Linear(None, width)

        def forward(self, x):
            return F.tanh(self.inner(x))
    graph = compiled("""
        import Net, Mine, Halve, double from "lab.nets"
        input x: float64[3]
        model net = Net(2)
        x -> net -> double(scale=3) -> d
        loss cost = mean(d ** 2)
        optimizer net = Mine(lr=1.0) owns net { hook Halve() }
        """, bind={'Net': Net, 'Mine': Mine, 'Halve': Halve, 'double': double})
    assert isinstance(graph.optimizers['net'], Mine)
    theirs = twins(graph)
    iterate(graph.updater(Counted(X)))
    descend([0.5 * F.mean((6 * theirs['net'](minibatch())) ** 2)], [theirs['net']])
    assert_parameters(graph, theirs)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A graph that imports from a module; importing it leaves a mark."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / 'lab_of_rules.py').write_text(
        'from pathlib import Path\nPath(__file__).with_name("mark").write_text("x")\n'
        'def double(y, scale=1.0):\n    return 2 * scale * y\n')
    path = tmp_path / 'a.graph'
    path.write_text('import double from "lab_of_rules"\ninput x: float32[3]\nmodel net = Linear(2)\nx -> net -> y\n'
                    'loss cost = mean(double(y, scale=0.5) ** 2)\noptimizer net = SGD(lr=1.0) owns net\n')
    yield path
    sys.modules.pop('lab_of_rules', None)


def test_imports_are_refused_by_default(lab, command):
    """By all commands, and before anything of the module runs."""
    with pytest.raises(graphdsl.GraphError, match='lab_of_rules'):
        graphdsl.compile_file(lab)
    for arguments in (['check', lab], ['compile', lab], ['compile', '--run', lab]):
        status, _, errors = command(*arguments)
        assert status != 0 or arguments[0] == 'check', arguments
    assert not lab.with_name('mark').exists()
    with pytest.raises(graphdsl.GraphError):
        graphdsl.compile_file(lab, allow_imports=['lab_of'])


def test_imports_that_are_allowed(lab, command):
    numpy.random.seed(0)
    with chainer.using_config('dtype', numpy.float32):
        graph = graphdsl.compile_file(lab, allow_imports=['lab_of_rules'])
        numpy.random.seed(0)
        bound = graphdsl.compile_file(lab, bind={'double': double})
        assert lab.with_name('mark').exists()
        for each in (graph, bound):
            iterate(each.updater(Counted(X)), 2)
    assert_same(arrays(graph.models['net']), arrays(bound.models['net']))
    status, out, errors = command('compile', '--allow-import', 'lab_of_rules', lab)
    assert status == 0, errors
    assert 'lab_of_rules' in out


def test_calls():
    """The counter of these tests counts: a model called twice is called twice."""
    graph = compiled(NET + 'x -> net -> y\nloss cost = mean(y) + mean(net(u))\n')
    calls = Calls(graph)
    updater = graph.updater(Counted(X, U))
    with calls:
        iterate(updater)
    assert calls.counts == {'net': 2}
