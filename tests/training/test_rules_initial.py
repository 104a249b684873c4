"""The rules about initial weights: their order, models that are alike, weights from files."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

import graphdsl
from rules import Counted, SIZE, X, arrays, assert_parameters, assert_same, compiled, descend, iterate, twins, variable

pytestmark = pytest.mark.usefixtures('float64')

FOLLOWS = """
input x: float64[3]
model student = Linear(4, nobias=true) -> BatchNormalization(4) -> tanh -> Linear(2)
model average follows student {}
x -> student -> y
x -> average -> q
loss cost = mean((y - 1) ** 2) + 0.1 * mean((y - q) ** 2)
optimizer student = SGD(lr=0.5) owns student
"""


def minibatch(number, batch=4, of=X):
    return variable(of[number * batch % SIZE:][:batch])


def test_like():
    """The same architecture and initial weights, own parameters; an optimizer moves it alone."""
    graph = compiled("""
        model twin like net
        input x: float64[3]
        model net = Linear(4) -> tanh -> Linear(2)
        loss a = mean((net(x) - 1) ** 2)
        loss b = mean((twin(x) - 2) ** 2)
        optimizer net = SGD(lr=0.5) owns net
        optimizer twin = SGD(lr=0.5) owns twin
        """)
    theirs = twins(graph)
    assert_same(arrays(graph.models['twin']), arrays(graph.models['net']))
    iterate(graph.updater(Counted(X)))
    descend([F.mean((theirs['net'](minibatch(0)) - 1) ** 2)], [theirs['net']], 0.5)
    descend([F.mean((theirs['twin'](minibatch(0)) - 2) ** 2)], [theirs['twin']], 0.5)
    assert_parameters(graph, theirs)


def test_initial_weights_are_drawn_in_the_order_of_declaration():
    """Whatever the order of use; those that follow or are alike draw nothing."""
    graph = compiled("""
        input x: float64[3]
        model d like a
        model a = Linear(4) -> tanh -> Linear(2)
        model c follows b decay 0.9
        model b = Linear(5, initialW=HeNormal()) -> tanh -> Linear(3)
        model e = Linear(1)
        x -> b -> y
        loss one = mean(e(y)) + mean(c(x)) + mean(d(x))
        loss two = mean(a(x) ** 2)
        optimizer Adam() owns e, b minimizes one
        optimizer Adam() owns a minimizes two
        optimizer Adam() owns d minimizes one
        """, seed=5)
    numpy.random.seed(5)
    hand = {'a': [L.Linear(3, 4), L.Linear(4, 2)],
            'b': [L.Linear(3, 5, initialW=chainer.initializers.HeNormal()), L.Linear(5, 3)],
            'e': [L.Linear(3, 1)]}
    hand['d'], hand['c'] = hand['a'], hand['b']
    for name, links in hand.items():
        for i, link in enumerate(links):
            ours = getattr(graph.models[name], f'linear_{i + 1}')
            numpy.testing.assert_array_equal(ours.W.array, link.W.array)
    compiled(FOLLOWS.format('decay 0.9'), seed=5)
    with_follower = numpy.random.random_sample()
    compiled(FOLLOWS.format('decay 0.9').replace('x -> average -> q', 'q = y').replace(
        'model average follows student decay 0.9', ''), seed=5)
    assert numpy.random.random_sample() == with_follower


@pytest.fixture
def saved(tmp_path):
    """A file of a chain with the parts `encoder` and `head`."""
    numpy.random.seed(9)
    whole = chainer.Chain()
    with whole.init_scope():
        whole.encoder = chainer.Chain()
        with whole.encoder.init_scope():
            whole.encoder.linear_1 = L.Linear(3, 4)
            whole.encoder.linear_2 = L.Linear(4, 2)
        whole.head = L.Linear(2, 2)
    path = tmp_path / 'w.npz'
    chainer.serializers.save_npz(str(path), whole)
    return path, whole


LOADED = """
input x: float64[3]
{} model net = Linear(4) -> tanh -> Linear({}) load "{}" at "{}" {}
model copy follows net decay 0.9
model twin like net
model head = Linear(2)
x -> net -> h
h -> head -> y
loss cost = mean((y - 1) ** 2) + 0 * mean(copy(x)) + 0 * mean(twin(x))
optimizer head = SGD(lr=0.5) owns head{}, twin
"""


def test_load_a_part_of_a_file(saved):
    """Followers and likes copy what was loaded."""
    path, whole = saved
    graph = compiled(LOADED.format('', 2, path, 'encoder/', '', ', net'))
    for name in ('net', 'copy', 'twin'):
        assert_same(arrays(graph.models[name]), arrays(whole.encoder))


def test_load_a_frozen_model(saved):
    path, whole = saved
    text = LOADED.format('frozen', 2, path, 'encoder', '', '').replace('model copy follows net decay 0.9\n', '')
    graph = compiled(text.replace(' + 0 * mean(copy(x))', ''))
    iterate(graph.updater(Counted(X)), 2)
    assert_same(arrays(graph.models['net']), arrays(whole.encoder))


def test_load_partly(saved):
    """What does not fit keeps its initial value; without the word it is an error."""
    path, whole = saved
    graph = compiled(LOADED.format('', 5, path, 'encoder/', 'partly', ', net'))
    net = arrays(graph.models['net'])
    numpy.testing.assert_array_equal(net['linear_1/W'], whole.encoder.linear_1.W.array)
    numpy.testing.assert_array_equal(net['linear_1/b'], whole.encoder.linear_1.b.array)
    assert net['linear_2/W'].shape == (5, 4)
    with pytest.raises(graphdsl.GraphError):
        compiled(LOADED.format('', 5, path, 'encoder/', '', ', net'))


def test_load_from_the_folder_of_the_file(saved, tmp_path):
    path, whole = saved
    file = tmp_path / 'a.graph'
    file.write_text(LOADED.format('', 2, 'w.npz', 'encoder/', '', ', net'))
    assert_same(arrays(graphdsl.compile_file(file).models['net']), arrays(whole.encoder))


def test_compiling_draws_nothing_but_initial_weights():
    """Whatever is tried out; training mode leaves no trace either."""
    graph = compiled("""
        input x: float64[3]
        noise z: float64[3] ~ normal(0, 1)
        model net = Linear(4, nobias=true) -> BatchNormalization(4) -> dropout(0.5) -> Linear(2)
        model judge = Linear(1)
        loss cost = mean(net(x + z) ** 2) + mean(judge(history(x, size=5)))
        optimizer Adam() owns net, judge
        """, seed=3)
    following = numpy.random.random_sample()
    numpy.random.seed(3)
    links = [L.Linear(3, 4, nobias=True), L.Linear(4, 2), L.Linear(3, 1)]
    assert numpy.random.random_sample() == following
    net = graph.models['net']
    for ours, link in zip((net.linear_1, net.linear_2, graph.models['judge'].linear_1), links):
        numpy.testing.assert_array_equal(ours.W.array, link.W.array)
    assert not net.batchnormalization_1.avg_mean.any() and net.batchnormalization_1.N == 0
    assert all(o.t == 0 for o in graph.optimizers.values())
