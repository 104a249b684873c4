"""A compiled graph against the founding article's updater, written out by hand."""
import chainer
import numpy
import pytest

import graphdsl
from handwritten import (
    FoundingUpdater, Head, NormalizedTrunk, Trunk, arrays, difference, gradients, in_order, strips)

GRAPH = """
param count = 1
input x: float64[1, 8, 8 * count], t: int32[count]
model trunk = TRUNK
x -> trunk -> h
for i in 0..count {
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    optimizer OPTIMIZER owns head[i]
}
optimizer OPTIMIZER owns trunk
"""
TRUNKS = {
    'plain': (Trunk, 'Convolution2D(4, ksize=3, pad=1) -> relu -> max_pooling_2d(2) -> Linear(16) -> relu'),
    'normalized': (NormalizedTrunk, 'Convolution2D(4, ksize=3, pad=1, nobias=true) -> BatchNormalization(4) '
                                    '-> relu -> max_pooling_2d(2) -> dropout(0.3) -> Linear(16) -> relu'),
}
OPTIMIZERS = {
    'Adam': (lambda: chainer.optimizers.Adam(alpha=0.01), 'Adam(alpha=0.01)'),
    'SGD': (lambda: chainer.optimizers.SGD(lr=0.1), 'SGD(lr=0.1)'),
}
pytestmark = [
    pytest.mark.usefixtures('float64'),
    pytest.mark.parametrize('count', [1, 2, 5, 16]),
    pytest.mark.parametrize('trunk', TRUNKS),
]


def by_hand(trunk, count, optimizer='SGD'):
    numpy.random.seed(count)
    chain, _ = TRUNKS[trunk]
    models = chain(count), [Head() for _ in range(count)]
    return FoundingUpdater(in_order(strips(count)), *models, OPTIMIZERS[optimizer][0])


def compiled(trunk, count, optimizer='SGD'):
    numpy.random.seed(count)
    text = GRAPH.replace('TRUNK', TRUNKS[trunk][1]).replace('OPTIMIZER', OPTIMIZERS[optimizer][1])
    graph = graphdsl.compile(text, params={'count': count})
    return graph, graph.updater(in_order(strips(count)))


def run(updater, iterations):
    """Trains; dropout draws the same masks whoever trains."""
    numpy.random.seed(0)
    for _ in range(iterations):
        updater.update()


def pairs(of, ours, theirs):
    """Arrays of the same place of the same model."""
    assert list(ours) == list(theirs)
    for name in ours:
        mine, others = of(ours[name]), of(theirs[name])
        assert len(mine) == len(others) > 0
        yield from zip(mine, others)


def test_the_same_seed_gives_the_same_weights(trunk, count):
    """The initial weights are those that a user's own chains draw, bit for bit."""
    graph, _ = compiled(trunk, count)
    for ours, theirs in pairs(arrays, graph.models, by_hand(trunk, count).models):
        numpy.testing.assert_array_equal(ours, theirs)


def test_gradients(trunk, count):
    """One backward pass over all losses gives every parameter what one pass per loss adds up to."""
    graph, updater = compiled(trunk, count)
    founding = by_hand(trunk, count)
    run(updater, 1)
    run(founding, 1)
    assert max(difference(*pair) for pair in pairs(gradients, graph.models, founding.models)) < 1e-10


@pytest.mark.parametrize('optimizer', OPTIMIZERS)
def test_weights_after_50_iterations(trunk, count, optimizer):
    """Weights, and running averages of the normalization, stay the same over some epochs."""
    graph, updater = compiled(trunk, count, optimizer)
    founding = by_hand(trunk, count, optimizer)
    before = [array.copy() for array in arrays(graph.models['trunk'])]
    run(updater, 50)
    run(founding, 50)
    assert max(difference(*pair) for pair in pairs(arrays, graph.models, founding.models)) < 1e-8
    assert min(difference(*pair) for pair in zip(before, arrays(graph.models['trunk']))) > 1e-3
