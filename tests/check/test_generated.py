"""Programs whose generated modules once failed, or did something else than they say."""
import chainer
import numpy
import pytest
from chainer.iterators import SerialIterator
from programs import BASE, codes

import graphdsl


def run(more, program=BASE):
    """Compiles a program, does an iteration; returns the graph."""
    graph = graphdsl.compile(program + more)
    random = numpy.random.RandomState(0)
    columns = [numpy.asarray(random.rand(4, *i.shape)).astype(i.dtype) if i.dtype.startswith('float')
               else numpy.zeros((4, *i.shape), i.dtype or 'int32') for i in graph.inputs]
    graph.updater(SerialIterator(chainer.datasets.TupleDataset(*columns), 2)).update()
    return graph


def predicted(more, program=BASE):
    graph = run(more, program)
    inputs = {'x': numpy.array([[1, -2, 3], [0, 1, 2]], 'f'), 't': numpy.zeros(2, 'i')}
    with chainer.using_config('train', False):
        return graph, {name: chainer.as_array(value) for name, value in graph.outputs(inputs).items()}


@pytest.mark.parametrize('more', [
    'metric len = a / batch_size',
    'output o = batch_size',
    'output x',
    'output t',
    'block double = relu\ny -> double -> o\noutput double = double(o) * 2\noutput o',
    'block lambda = relu\ny -> lambda -> o\noutput o',
    'block super = relu\ny -> super -> o\noutput o',
    'model act = relu\ny -> act -> o\noutput o',
    'model act(v) -> w { w = v * 2 }\ny -> act -> o\noutput o',
    'model act = relu\nblock act2 = relu\ny -> act -> act2 -> o\noutput o',
    'model True = Linear(2)\ny -> True -> z\nloss b = mean(z)\noptimizer SGD() owns True',
    'model n(models, class) -> o { models -> Linear(2) -> h; o = h + class }\nz = n(class=y, models=x)\n'
    'loss b = mean(z)\noptimizer SGD() owns n',
    'for i in 0..2 { for j in 0..9 { model rather_long[i, j] = Linear(2)\nx -> rather_long[i, j] -> o[i, j]\n'
    'loss l[i, j] = mean(o[i, j])\noptimizer SGD() owns rather_long[i, j] } }',
    'y -> split_axis(1, axis=1) -> p[0..1]\noutput o = p[0] * 2',
    'metric b = a\nmetric c = 2 * a',
    'metric three = 3\noutput four = 4',
    'y -> relu -> relu_\noutput relu_',
    'output range = y\noutput i = y\noutput p = y\noutput float = range + i',
    'for i in 0..0 { y -> relu -> h[i] }\nloss b = mean(y) + sum(h[*])',
])
def test_it_runs(more):
    run(more)


@pytest.mark.parametrize('expression, expected', [
    ('x - (1 - 2 * x)', lambda x: x - (1 - 2 * x)), ('(x + 1) * (x - 1)', lambda x: (x + 1) * (x - 1)),
    ('-(x ** 2)', lambda x: -x ** 2), ('(-x) ** 2', lambda x: x ** 2), ('2 ** (x / 3)', lambda x: 2 ** (x / 3)),
    ('x / (2 / (x + 9) - 1)', lambda x: x / (2 / (x + 9) - 1)), ('x - (x - 1)', lambda x: x - (x - 1)),
    ('--x', lambda x: x),
    ('x * -2', lambda x: x * -2), ('(x + 9) ** -1 + x ** 2 ** 0', lambda x: 1 / (x + 9) + x),
    ('(x * 2)[:, 1:]', lambda x: (x * 2)[:, 1:]),
    ('-3 ** 2 * x', lambda x: -9 * x), ('(x ** 2) ** 3', lambda x: (x ** 2) ** 3),
    ('sum([x, x, 2]) / 2', lambda x: x + 1),
    ('mean([x, x * 2, 3])', lambda x: x + 1), ('x[:, ::-1]', lambda x: x[:, ::-1]), ('x[-1]', lambda x: x[-1]),
    ('(x if 1 > 2 else 2 * x) + 1', lambda x: 2 * x + 1), ('x * (batch_size - 1)', lambda x: x),
    ('x[:, 0]', lambda x: x[:, 0]),
    ('concat(split_axis(x, 3, axis=1)[1:], axis=1)', lambda x: x[:, 1:]), ('sum(x, axis=0)', lambda x: x.sum(0)),
])
def test_expressions_mean_what_they_say(expression, expected):
    _, values = predicted(f'output o = {expression}')
    assert numpy.allclose(values['o'], expected(numpy.array([[1, -2, 3], [0, 1, 2]], 'f')), rtol=1e-5)


def test_results_of_a_stage_are_the_inputs_of_the_next():
    blocks = '''
        block two(v) -> p, q { p = v * 2; q = v * 3 }
        block minus(p, q, r) -> s { s = p - q * r }
        x -> two -> minus(r=x) -> a1
        two(x) -> minus(r=x) -> a2
        (2 * x, 3 * x, x) -> minus -> a3
        a4 = minus(2 * x, r=x, q=3 * x)
        output a1, a2, a3, a4
    '''
    _, values = predicted(blocks)
    assert len(values) == 4
    for value in values.values():
        assert numpy.allclose(value, values['a4'])
    x = numpy.array([[1, -2, 3], [0, 1, 2]], 'f')
    assert numpy.allclose(values['a4'], 2 * x - 3 * x * x)


def test_a_layer_that_is_declared_after_its_use():
    run('''
        block two(v) -> p, q { v -> Linear(2) -> p; v -> Linear(2) -> q }
        block plus(p, q) -> r { r = p + q }
        model n(v) -> w { v -> both -> plus -> w; layer both = two }
        y -> n -> z
        loss b = mean(z)
        optimizer SGD() owns n
    ''')


def test_data_without_test_sets_is_checked_before_training_too():
    program = 'data d { train = iris() }\ninput x: float32[4], t: int32 from d\n'
    with pytest.raises(graphdsl.GraphError, match='G702'):
        graphdsl.compile(program + 'model m = Linear(2)\nx -> m -> y\nloss a = relu(y)\noptimizer SGD() owns m')


def test_a_metric_that_draws_random_numbers_is_no_part_of_training():
    noisy = 'block noisy = dropout(0.5)\nmetric b = mean(noisy(y))\nmetric c = mean(gaussian(y, y))'
    graph = graphdsl.compile(BASE + noisy)
    (step,) = graph.plan.steps
    assert [str(report.key) for report in step.reports] == ['a']


def test_random_numbers_are_told_from_names():
    assert codes('metric c = mean(dropout(y))') == []
