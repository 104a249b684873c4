"""The rules about running statistics, such as those of batch normalization."""
import chainer
import chainer.functions as F
import numpy
import pytest

from rules import (
    Calls, Counted, SIZE, U, X, arrays, assert_same, compiled, descend, everything, iterate, twins, variable)

pytestmark = pytest.mark.usefixtures('float64')


def minibatch(number, batch=4, of=X):
    return variable(of[number * batch % SIZE:][:batch])


BN = """
input x: float64[3]
noise z: float64[2] ~ normal(0, 1)
model generator = Linear(3)
model critic = Linear(4, nobias=true) -> BatchNormalization(4) -> tanh -> Linear(1, nobias=true)
z -> generator -> fake
x -> critic -> real
fake -> critic -> judged
loss judge = mean(softplus(-real)) + mean(softplus(judged))
loss fool = mean(softplus(-judged))
optimizer critic = SGD(lr=1.0) owns critic minimizes judge
optimizer generator = SGD(lr=1.0) owns generator minimizes fool
"""


def statistics(graph, name='critic'):
    return {path: array for path, array in arrays(graph.models[name]).items() if 'avg' in path or path.endswith('/N')}


def test_statistics_move_in_steps_that_update_an_owner_of_the_model_alone():
    """In others it normalises by the minibatch and keeps nothing: Chainer's `in_recomputing`."""
    graph = compiled(BN + 'step generator { update generator }\nstep critic { update critic }\n')
    theirs = twins(graph)
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    critic, generator = theirs['critic'], theirs['generator']
    for i in range(2):
        calls.inputs.clear()
        with calls:
            iterate(updater)
        z = list(map(variable, calls.inputs['generator']))
        with chainer.using_config('in_recomputing', True):
            fool = F.mean(F.softplus(-critic(generator(z[0]))))
        descend([fool], [generator])
        fake = generator(z[1])
        # In the order of the file.
        real = critic(minibatch(i))
        judge = F.mean(F.softplus(-real)) + F.mean(F.softplus(critic(fake)))
        descend([judge], [critic])
        for name in theirs:
            assert_same(arrays(graph.models[name]), arrays(theirs[name]), 1e-9)


def test_statistics_stay_where_a_generator_alone_learns():
    graph = compiled(BN + 'step generator { update generator }\nstep critic when iteration > 5 { update critic }\n')
    before = statistics(graph)
    iterate(graph.updater(Counted(X)), 3)
    assert_same(statistics(graph), before)


def test_statistics_stay_where_an_update_is_left_out():
    """`update critic when`: they move in the iterations in which it is updated."""
    graph = compiled(BN + 'step main { update generator; update critic when iteration % 2 == 1 }\n')
    updater = graph.updater(Counted(X))
    seen = []
    for _ in range(4):
        before = statistics(graph)
        iterate(updater)
        seen.append(not numpy.array_equal(before['batchnormalization_1/avg_mean'],
                                          statistics(graph)['batchnormalization_1/avg_mean']))
    assert seen == [False, True, False, True]


def test_one_owned_part_is_enough_for_all_statistics_of_a_model_to_move():
    graph = compiled("""
        input x: float64[3]
        model net(x) -> y {
            layer a = Linear(4, nobias=true)
            layer norm = BatchNormalization(4)
            layer b = Linear(2)
            x -> a -> norm -> tanh -> b -> y
        }
        x -> net -> y
        loss cost = mean((y - 1) ** 2)
        optimizer one = SGD(lr=0.1) owns net.b
        optimizer two = SGD(lr=0.1) owns net.a, net.norm
        step first { update one }
        step second when iteration > 10 { update two }
        """)
    before = statistics(graph, 'net')
    iterate(graph.updater(Counted(X)))
    assert not numpy.array_equal(before['norm/avg_mean'], statistics(graph, 'net')['norm/avg_mean'])


def test_a_metric_moves_no_statistics():
    """It calls the model on other data, after the losses did."""
    text = BN.replace('noise z', 'noise w: float64[3] ~ normal(5, 1)\nnoise z')
    text += 'step main { update generator, critic }\n'
    found = []
    for metric in ('', 'w -> critic -> strange\nmetric odd = mean(strange)\n'):
        graph = compiled((text if metric else text.replace('noise w: float64[3] ~ normal(5, 1)\n', '')) + metric)
        iterate(graph.updater(Counted(X)), 2)
        found.append(everything(graph))
    assert_same(*found)


def test_eval_and_quiet():
    """As stages and as calls; a model with dropout and batch normalization."""
    graph = compiled("""
        input x: float64[3], u: float64[3]
        model net = Linear(4, nobias=true) -> BatchNormalization(4) -> dropout(0.5) -> Linear(2)
        x -> net -> y
        u -> eval(net) -> e
        q = quiet(net)(u)
        loss cost = mean((y - 1) ** 2) + mean(e ** 2) + mean(q ** 2)
        optimizer net = SGD(lr=0.5) owns net
        """)
    theirs = twins(graph)
    net = theirs['net']
    updater = graph.updater(Counted(X, U))
    for i in range(2):
        numpy.random.seed(i)
        x, u = minibatch(i), minibatch(i, of=U)
        y = net(x)
        with chainer.using_config('train', False):
            e = net(u)
        with chainer.using_config('in_recomputing', True):
            q = net(u)
        cost = F.mean((y - 1) ** 2) + F.mean(e ** 2) + F.mean(q ** 2)
        descend([cost], [net], 0.5)
        numpy.random.seed(i)
        report, = iterate(updater)
        assert report['cost'] == pytest.approx(float(cost.array))
        assert_same(arrays(graph.models['net']), arrays(net), 1e-9)


class Averaging(chainer.Link):
    """A user's own statistics: a running mean and a count."""

    def __init__(self):
        super().__init__()
        self.add_persistent('mean', numpy.zeros(3))
        self.add_persistent('count', 0)

    def forward(self, x):
        if chainer.config.train:
            self.mean = 0.9 * self.mean + 0.1 * x.array.mean(axis=0)
            self.count += 1
        return x - self.mean


def test_statistics_of_imported_links():
    """They stay in the steps of others too."""
    graph = compiled("""
        import Averaging from "lab"
        input x: float64[3]
        noise z: float64[2] ~ normal(0, 1)
        model generator = Linear(3)
        model critic = Averaging() -> Linear(1)
        z -> generator -> fake
        loss judge = mean(softplus(-critic(x))) + mean(softplus(critic(fake)))
        loss fool = mean(softplus(-critic(fake)))
        optimizer critic = SGD(lr=0.1) owns critic minimizes judge
        optimizer generator = SGD(lr=0.1) owns generator minimizes fool
        step generator repeat 2 { update generator }
        step critic { update critic }
        """, bind={'Averaging': Averaging})
    assert graph.models['critic'].averaging_1.count == 0
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    with calls:
        iterate(updater)
    link = graph.models['critic'].averaging_1
    assert link.count == 2
    mean = numpy.zeros(3)
    for x in calls.inputs['critic'][2:]:
        mean = 0.9 * mean + 0.1 * x.mean(axis=0)
    numpy.testing.assert_allclose(link.mean, mean)
