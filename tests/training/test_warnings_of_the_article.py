"""The four things that the founding article warns of, and how a graph file takes care of each."""
import chainer
import numpy
import pytest

import graphdsl
from handwritten import difference, in_order, strips

GRAPH = """
input x: float64[1, 8, 16], t: int32[2]
model trunk = Linear(8) -> tanh
x -> trunk -> h
for i in 0..2 {
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    optimizer Adam() owns head[i]
}
optimizer Adam() owns trunk
"""
pytestmark = pytest.mark.usefixtures('float64')


def compiled(text=GRAPH):
    numpy.random.seed(0)
    graph = graphdsl.compile(text)
    return graph, graph.updater(in_order(strips(2)))


def weights(model):
    return {name: parameter.array.copy() for name, parameter in model.namedparams()}


def test_gradients_are_cleared_for_whole_chains():
    """Whatever stands in the gradients of any chain before an iteration makes no difference to it."""
    clean, clean_updater = compiled()
    stale, stale_updater = compiled()
    for _ in range(3):
        for model in stale.models.values():
            for parameter in model.params():
                parameter.grad = numpy.full_like(parameter.array, 1e6)
        clean_updater.update()
        stale_updater.update()
    for name, model in clean.models.items():
        for path, array in weights(model).items():
            numpy.testing.assert_array_equal(array, weights(stale.models[name])[path])


@pytest.mark.parametrize('arguments', ['reduce="no"', 'reduce="no", normalize=false'])
def test_only_a_scalar_can_be_differentiated(arguments):
    """A loss that is a vector is refused before any training, and the place is the loss's own line."""
    with pytest.raises(graphdsl.GraphError) as error:
        compiled(GRAPH.replace('t[:, i])', f't[:, i], {arguments})'))
    diagnostic, = error.value.diagnostics
    assert 'digit[0]' in diagnostic.message and 'no scalar' in diagnostic.message
    assert error.value.source[diagnostic.span].startswith('loss digit[i] = softmax_cross_entropy')
    assert 'mean' in diagnostic.help


def test_only_a_scalar_can_be_differentiated_with_training_data_alone():
    data = 'data d {\n    train = digits(strip=2, split="train", examples=8)\n}\n'
    with pytest.raises(graphdsl.GraphError, match='no scalar'):
        compiled(data + GRAPH.replace('t[:, i])', 't[:, i], reduce="no")'))


def test_backward_crosses_from_one_chain_into_another():
    """The trunk, which appears in no loss's formula, gets the sum of what comes back through the heads."""
    graph, updater = compiled()
    before = {name: weights(model) for name, model in graph.models.items()}
    updater.update()
    x, t = chainer.dataset.concat_examples(strips(2)[:4])
    x = x.reshape(4, -1)

    # The chain rule by hand, for softmax cross entropy and tanh.
    trunk = before['trunk']
    h = numpy.tanh(x @ trunk['/linear_1/W'].T + trunk['/linear_1/b'])
    back = 0
    for i in range(2):
        head = before[f'head[{i}]']
        p = numpy.exp(h @ head['/linear_1/W'].T + head['/linear_1/b'])
        p /= p.sum(axis=1, keepdims=True)
        p[numpy.arange(4), t[:, i]] -= 1
        assert difference(graph.models[f'head[{i}]'].linear_1.W.grad, p.T @ h / 4) < 1e-12
        back = back + (p / 4) @ head['/linear_1/W']
    back = back * (1 - h ** 2)
    assert difference(graph.models['trunk'].linear_1.W.grad, back.T @ x) < 1e-12
    assert difference(graph.models['trunk'].linear_1.b.grad, back.sum(axis=0)) < 1e-12


@pytest.mark.parametrize('name', ['trunk', 'head[0]', 'head[1]'])
def test_an_optimizer_moves_only_what_it_was_set_up_with(name):
    """All gradients are there, one optimizer is asked: its model moves and no other."""
    graph, updater = compiled()
    updater.update()
    before = {model: weights(graph.models[model]) for model in graph.models}
    graph.optimizers[name].update()
    moved = {model for model in graph.models for path, array in weights(graph.models[model]).items()
             if not numpy.array_equal(array, before[model][path])}
    assert moved == {name}


def test_every_parameter_has_one_optimizer():
    graph, _ = compiled()
    owned = [id(p) for optimizer in graph.optimizers.values() for p in optimizer.target.params()]
    assert sorted(owned) == sorted(id(p) for model in graph.models.values() for p in model.params())
    assert len(owned) == len(set(owned)) == 6
