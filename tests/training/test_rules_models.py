"""The rules about models: blocks, frozen models, parts, arrays."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

from rules import (
    Counted, SIZE, U, X, arrays, assert_moved, assert_parameters, assert_same, compiled, descend, everything,
    iterate, twins, variable)

pytestmark = pytest.mark.usefixtures('float64')


def minibatch(number, batch=4, of=X):
    return variable(of[number * batch % SIZE:][:batch])


# Frozen

FROZEN = """
input x: float64[3]
model trunk = Linear(4) -> tanh
frozen model judge = Linear(5, nobias=true) -> BatchNormalization(5) -> dropout(0.5) -> tanh -> Linear(2)
x -> trunk -> h
h -> judge -> y
loss cost = mean((y - 1) ** 2)
optimizer trunk = SGD(lr=1.0) owns trunk
"""


def test_a_frozen_model_runs_in_evaluation_mode_and_gradients_pass_through():
    """Averages of batch normalization neither count the minibatch nor move; no parameter gets a gradient."""
    graph = compiled(FROZEN)
    theirs = twins(graph)
    judge = graph.models['judge'].batchnormalization_1
    for bn in (judge, theirs['judge'].batchnormalization_1):
        bn.avg_mean[...] = numpy.arange(5) / 10
        bn.avg_var[...] = 2
    updater = graph.updater(Counted(X))
    before = everything(graph)
    for parameter in graph.models['judge'].params():
        parameter.cleargrad()
    for i in range(2):
        with chainer.using_config('train', False):
            cost = F.mean((theirs['judge'](theirs['trunk'](minibatch(i))) - 1) ** 2)
        report, = iterate(updater)
        assert report['cost'] == pytest.approx(float(cost.array))
        descend([cost], [theirs['trunk']])
    assert_parameters(graph, theirs, 'trunk')
    assert_moved(before, everything(graph), {'trunk'})
    assert all(p.grad is None for p in graph.models['judge'].params())


def test_no_graph_is_kept_of_a_frozen_model_whose_inputs_need_no_gradient():
    """The teacher is called on data: what it gives has no history."""
    kept = []

    def look(v):
        kept.append(v.creator is not None)
        return v
    graph = compiled("""
        import look from "lab"
        input x: float64[3]
        frozen model teacher = Linear(2) -> tanh
        model student = Linear(2)
        x -> teacher -> look -> wanted
        x -> student -> y
        loss cost = mean((y - wanted) ** 2)
        optimizer student = SGD(lr=1.0) owns student
        """, bind={'look': look})
    kept.clear()
    iterate(graph.updater(Counted(X)))
    assert kept == [False]


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


def moved_parts(graph, iterations=2):
    before = everything(graph)
    iterate(graph.updater(Counted(X)), iterations)
    return {'.'.join(name.split('/')[:2]) for name, array in everything(graph).items()
            if not numpy.array_equal(before[name], array)}


@pytest.mark.parametrize('statements, moved', [
    ('optimizer SGD(lr=0.1) owns trunk\nfrozen trunk.conv1', {'trunk.conv2', 'trunk.norm', 'trunk.last'}),
    ('optimizer SGD(lr=0.1) owns trunk\nfrozen trunk.norm', {'trunk.conv1', 'trunk.conv2', 'trunk.last'}),
    ('optimizer SGD(lr=0.1) owns trunk except trunk.conv1\nfrozen trunk.conv1',
     {'trunk.conv2', 'trunk.norm', 'trunk.last'}),
    ('optimizer SGD(lr=0.1) owns trunk except (trunk.conv1, trunk.last)\n'
     'optimizer SGD(lr=0) owns trunk.conv1, trunk.last', {'trunk.conv2', 'trunk.norm'}),
    ('optimizer SGD(lr=0.1) owns trunk.conv1, trunk.last\noptimizer SGD(lr=0) owns trunk except '
     '(trunk.conv1, trunk.last)', {'trunk.conv1', 'trunk.last', 'trunk.norm'}),
])
def test_parts_are_owned_and_frozen_alone(statements, moved):
    """The averages of batch normalization move where the step updates an owner of any parameter of the model."""
    assert moved_parts(compiled(PARTS + statements + '\n')) == moved


def test_parts_are_updated_by_the_gradients_of_the_whole():
    graph = compiled(PARTS + 'optimizer a = SGD(lr=1.0) owns trunk.conv1, trunk.norm\n'
                             'optimizer b = SGD(lr=0.1) owns trunk except (trunk.conv1, trunk.norm)\n')
    theirs = twins(graph)
    for i in range(2):
        net = theirs['trunk']
        cost = F.mean((net(minibatch(i)) - 1) ** 2)
        parameters = {name: list(getattr(net, name).params()) for name in ('conv1', 'conv2', 'norm', 'last')}
        every = [p for part in parameters.values() for p in part]
        rates = [1.0 if name in ('conv1', 'norm') else 0.1 for name, part in parameters.items() for _ in part]
        for parameter, gradient, rate in zip(every, chainer.grad([cost], every), rates):
            parameter.array[...] -= rate * gradient.array
    iterate(graph.updater(Counted(X)), 2)
    assert_same(arrays(graph.models['trunk']), arrays(theirs['trunk']), 1e-10)


def test_a_frozen_part_runs_in_evaluation_mode():
    graph = compiled(PARTS + 'optimizer SGD(lr=1.0) owns trunk\nfrozen trunk.norm\n')
    theirs = twins(graph)
    net = theirs['trunk']
    for i in range(2):
        h = net.conv2(F.tanh(net.conv1(minibatch(i))))
        with chainer.using_config('train', False):
            h = net.norm(h)
        cost = F.mean((net.last(F.tanh(h)) - 1) ** 2)
        descend([cost], [net.conv1, net.conv2, net.last])
    iterate(graph.updater(Counted(X)), 2)
    assert_same(arrays(graph.models['trunk']), arrays(net), 1e-10)


def test_a_part_is_called_as_part_of_its_model():
    """`net.part` shares the weights of the whole, and its calls count for its gradients."""
    graph = compiled("""
        input x: float64[3], u: float64[3]
        model net(x) -> y {
            layer first = Linear(4)
            x -> first -> tanh -> Linear(2) -> y
        }
        x -> net -> y
        u -> net.first -> f
        loss cost = mean((y - 1) ** 2) + mean(net.first(2 * u) * f)
        optimizer net = SGD(lr=1.0) owns net
        """)
    theirs = twins(graph)
    net = theirs['net']
    x, u = minibatch(0), minibatch(0, of=U)
    descend([F.mean((net(x) - 1) ** 2) + F.mean(net.first(2 * u) * net.first(u))], [net])
    iterate(graph.updater(Counted(X, U)))
    assert_parameters(graph, theirs)


class Pair(chainer.Chain):
    """A user's link with a method."""

    def __init__(self, width):
        super().__init__()
        with self.init_scope():
            self.inner = L.Linear(3, width)
            self.other = L.Linear(width, 3)

    def forward(self, x):
        return F.tanh(self.inner(x))

    def back(self, h):
        return self.other(h)


def test_a_method_of_an_imported_link():
    graph = compiled("""
        import Pair from "lab"
        input x: float64[3]
        model net(x) -> h { layer pair = Pair(2)
            x -> pair -> h }
        x -> net -> h
        h -> net.pair.back -> back
        loss cost = mean((back - x) ** 2)
        optimizer net = SGD(lr=1.0) owns net
        """, bind={'Pair': Pair})
    theirs = twins(graph)
    net = theirs['net']
    x = minibatch(0)
    descend([F.mean((net.pair.back(net(x)) - x) ** 2)], [net])
    iterate(graph.updater(Counted(X)))
    assert_parameters(graph, theirs)


# Weights

def test_weight():
    """A trainable array without batch axis, with its initial value; it is owned, frozen and saved like a link."""
    graph = compiled("""
        input x: float64[3]
        model net(x) -> y {
            weight s: float64[1] = Constant(0.5)
            weight v: float64[3] = Normal(1.0)
            y = x * v * exp(s)
        }
        x -> net -> y
        loss cost = mean((y - 1) ** 2)
        optimizer a = SGD(lr=1.0) owns net.s
        optimizer b = SGD(lr=0.5) owns net.v
        """)
    net = graph.models['net']
    assert net.s.array.tolist() == [0.5] and net.v.array.shape == (3,) and net.v.dtype == numpy.float64
    s, v, x = net.s.array.copy(), net.v.array.copy(), X[:4]
    iterate(graph.updater(Counted(X)))
    rest = x * v * numpy.exp(s) - 1
    numpy.testing.assert_allclose(net.s.array, s - 2 * (rest * x * v * numpy.exp(s)).mean(), rtol=1e-10)
    numpy.testing.assert_allclose(net.v.array, v - 0.5 * 2 * (rest * x * numpy.exp(s)).sum(0) / 12, rtol=1e-10)


# Blocks, penalties

def test_a_block_makes_fresh_parameters_and_a_model_shares_them():
    graph = compiled("""
        block dense(width) = Linear(width) -> tanh
        block residual(width) (x) -> y {
            x -> dense(width) -> dense(width) -> r
            y = x + r
        }
        input x: float64[3]
        model net = residual(3) -> residual(3) -> Linear(1)
        loss cost = mean(net(x) ** 2) + mean(net(2 * x))
        optimizer net = SGD(lr=0.5) owns net
        """)
    theirs = twins(graph)
    net = theirs['net']
    blocks = [(part.dense_1.linear_1, part.dense_2.linear_1) for part in (net.residual_1, net.residual_2)]
    assert len(list(net.params())) == 10

    def by_hand(x):
        for first, second in blocks:
            x = x + F.tanh(second(F.tanh(first(x))))
        return net.linear_1(x)
    x = minibatch(0)
    descend([F.mean(by_hand(x) ** 2) + F.mean(by_hand(2 * x))], [net], 0.5)
    iterate(graph.updater(Counted(X)))
    assert_parameters(graph, theirs)


def test_gradient_penalty_through_a_model_with_statistics_in_a_step_of_its_own():
    """Double backpropagation through normalization by the minibatch."""
    graph = compiled("""
        input x: float64[3]
        model critic = Linear(4) -> tanh -> Linear(1)
        frozen model lens = Linear(3) -> tanh
        x -> lens -> seen
        seen -> critic -> r
        slope = grad(r, seen)
        loss cost = mean(softplus(r)) + mean((sum(slope ** 2, axis=1) - 1) ** 2)
        optimizer critic = SGD(lr=0.5) owns critic
        step main accumulate 2 { update critic }
        """)
    theirs = twins(graph)
    costs = []
    for i in range(2):
        with chainer.no_backprop_mode():
            seen = theirs['lens'](minibatch(i)).array
        seen = chainer.Variable(seen)
        r = theirs['critic'](seen)
        slope, = chainer.grad([r], [seen], enable_double_backprop=True)
        costs.append(F.mean(F.softplus(r)) + F.mean((F.sum(slope ** 2, axis=1) - 1) ** 2))
    report, = iterate(graph.updater(Counted(X)))
    assert report['cost'] == pytest.approx(numpy.mean([float(c.array) for c in costs]))
    descend([0.5 * (costs[0] + costs[1])], [theirs['critic']], 0.5)
    assert_parameters(graph, theirs)
