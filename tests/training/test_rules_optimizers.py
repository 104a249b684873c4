"""The rules about owners, what they minimize, and their hooks."""
import chainer
import chainer.functions as F
import numpy
import pytest

import graphdsl
from rules import Counted, SIZE, X, assert_parameters, compiled, descend, everything, iterate, recorded, twins, variable

pytestmark = pytest.mark.usefixtures('float64')

PARTS = """
input x: float64[3]
model trunk(x) -> y {
    layer conv1 = Linear(4)
    layer conv2 = Linear(4, nobias=true)
    layer norm = BatchNormalization(4)
    layer last = Linear(2)
    x -> conv1 -> tanh -> conv2 -> norm -> tanh -> last -> y
}
x -> trunk -> y
loss cost = mean((y - 1) ** 2)
"""


def minibatch(number, batch=4, of=X):
    return variable(of[number * batch % SIZE:][:batch])


# Hooks

def test_weight_decay_where_chainer_gives_two_models_one_gradient_array():
    """The gradient of a sum goes to both as one array, which a hook changes in place."""
    graph = compiled("""
        input x: float64[3]
        model a(x) -> y { weight w: float64[3] = Constant(2.0)
            y = w + 0 * mean(x) }
        model b(x) -> y { weight w: float64[3] = Constant(3.0)
            y = w + 0 * mean(x) }
        loss cost = sum(a(x) + b(x))
        optimizer a = SGD(lr=1.0) owns a { hook WeightDecay(0.1) }
        optimizer b = SGD(lr=1.0) owns b { hook WeightDecay(0.2) }
        """)
    iterate(graph.updater(Counted(X)))
    numpy.testing.assert_allclose(graph.models['a'].w.array, 2 - (1 + 0.1 * 2) * numpy.ones(3), rtol=1e-12)
    numpy.testing.assert_allclose(graph.models['b'].w.array, 3 - (1 + 0.2 * 3) * numpy.ones(3), rtol=1e-12)


@pytest.mark.parametrize('kind', ['', 'accumulate 2', 'unroll 2'])
def test_weight_decay_within_one_optimizer(kind):
    """Two biases whose outputs are added get one gradient array; each decays by itself."""
    graph = compiled("""
        input x: float64[3]
        model left = Linear(2)
        model right = Linear(2)
        y = left(x) + right(x)
        loss cost = mean((y - 1) ** 2)
        optimizer both = SGD(lr=1.0) owns left, right { hook WeightDecay(0.5) }
        """ + (f'step main {kind} {{ update both }}\n' if kind else ''))
    theirs = twins(graph)
    iterate(graph.updater(Counted(X)))
    costs = [F.mean((theirs['left'](minibatch(i)) + theirs['right'](minibatch(i)) - 1) ** 2)
             for i in range(2 if kind else 1)]
    cost = sum(costs) / (2 if kind.startswith('acc') else 1)
    parameters = [p for model in theirs.values() for p in model.params()]
    for parameter, gradient in zip(parameters, chainer.grad([cost], parameters)):
        parameter.array[...] -= gradient.array + 0.5 * parameter.array
    assert_parameters(graph, theirs)


def test_hooks_see_the_owned_parameters_only():
    """The threshold of clipping is for the norm of what its optimizer owns."""
    graph = compiled("""
        input x: float64[3]
        model trunk = Linear(4) -> tanh
        model head = Linear(2)
        x -> trunk -> h
        h -> head -> y
        loss cost = 100 * mean((y - 1) ** 2)
        optimizer trunk = SGD(lr=1.0) owns trunk { hook GradientClipping(0.5) }
        optimizer head = SGD(lr=0.01) owns head
        """)
    before = everything(graph)
    updater = graph.updater(Counted(X))
    with recorded(updater) as gradients:
        iterate(updater)
    after = everything(graph)
    moved = numpy.sqrt(sum(((after[n] - before[n]) ** 2).sum() for n in after if n.startswith('trunk')))
    assert moved == pytest.approx(0.5)
    for path, gradient in gradients['head'][0].items():
        numpy.testing.assert_allclose(after['head' + path], before['head' + path] - 0.01 * gradient, rtol=1e-10)


def test_clip_bounds_parameters_after_an_update():
    graph = compiled("""
        input x: float64[3]
        model net = Linear(4)
        model other = Linear(4)
        loss cost = -mean(net(x) ** 2) - mean(other(x) ** 2)
        optimizer net = SGD(lr=9.0) owns net { hook Clip(-0.01, 0.02) }
        optimizer other = SGD(lr=9.0) owns other
        """)
    iterate(graph.updater(Counted(X)), 2)
    W = graph.models['net'].linear_1.W.array
    assert W.min() == -0.01 and W.max() == 0.02
    assert abs(graph.models['other'].linear_1.W.array).max() > 1


# Owners

def test_one_owner():
    """A parameter with two owners, or none, is an error that names the places."""
    head = 'input x: float64[3]\nmodel net = Linear(2)\nmodel other = Linear(2)\n' \
           'loss cost = mean(net(x)) + mean(other(x))\n'
    for rest in ('optimizer Adam() owns net, other\noptimizer SGD() owns net\n', 'optimizer Adam() owns net\n',
                 'frozen net\noptimizer Adam() owns net, other\n',
                 'optimizer Adam() owns net, other, average\nmodel average follows net decay 0.9\n'
                 'metric m = mean(average(x))\n'):
        with pytest.raises(graphdsl.GraphError):
            compiled(head + rest)


def test_an_owned_parameter_that_no_minimized_loss_reaches_is_an_error():
    with pytest.raises(graphdsl.GraphError, match='net'):
        compiled('input x: float64[3]\nmodel net = Linear(2)\nmodel other = Linear(2)\nloss a = mean(net(x))\n'
                 'loss b = mean(other(x))\noptimizer Adam() owns other minimizes b\n'
                 'optimizer x = Adam() owns net minimizes b\n')


def test_where_one_optimizer_names_a_loss_every_optimizer_that_minimizes_it_must():
    """The generator has no `minimizes` and gets the one loss that nobody names."""
    graph = compiled("""
        input x: float64[3]
        model generator = Linear(3)
        model critic = Linear(1)
        x -> generator -> fake
        loss judge = mean(critic(fake) ** 2)
        loss fool = mean(fake ** 4)
        optimizer critic = SGD(lr=1.0) owns critic minimizes judge
        optimizer generator = SGD(lr=1.0) owns generator
        """)
    theirs = twins(graph)
    iterate(graph.updater(Counted(X)))
    descend([F.mean(theirs['generator'](minibatch(0)) ** 4)], [theirs['generator']])
    assert_parameters(graph, theirs, 'generator')


def test_names_of_optimizers():
    """Without one, the owned paths joined by `_`; `main` is the first declared."""
    graph = compiled(PARTS + 'optimizer SGD(lr=0.1) owns trunk.conv1, trunk.last\n'
                             'optimizer SGD(lr=0.2) owns trunk except (trunk.conv1, trunk.last)\n')
    assert list(graph.optimizers)[0] == 'trunk.conv1_trunk.last'
    updater = graph.updater(Counted(X))
    assert updater.get_optimizer('main').lr == 0.1
    assert updater.get_iterator('main').batch_size == 4
