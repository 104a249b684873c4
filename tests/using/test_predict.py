"""Outputs on data of any length, against NumPy and Chainer by hand."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

import graphdsl
from graphdsl.diagnostics import GraphError
from graphdsl.runtime.data import DataError

LINEAR = '''
input x: float32[4], t: int32
model net = Linear(3) -> dropout(0.5)
x -> net -> y
loss cost = softmax_cross_entropy(y, t)
output score = y
output label = argmax(y, axis=1)
optimizer Adam() owns net
'''
X = numpy.random.RandomState(0).randn(53, 4)


def compiled(text=LINEAR, **options):
    numpy.random.seed(0)
    return graphdsl.compile(text, **options)


def by_hand(graph, x):
    linear = graph.models['net'].linear_1
    return x.astype('f') @ linear.W.array.T + linear.b.array


@pytest.mark.parametrize('batch', [None, 1, 7, 53, 1000])
@pytest.mark.parametrize('data', [X, X.tolist(), {'x': X}, {'x': chainer.Variable(X)}, {'x': X, 'name': ['a'] * 3}],
                         ids=['array', 'list', 'dict', 'variable', 'more'])
def test_rows_of_any_number(data, batch):
    graph = compiled()
    found = graph.predict(data, batch=batch)
    assert list(found) == ['score', 'label'] and all(type(value) is numpy.ndarray for value in found.values())
    numpy.testing.assert_allclose(found['score'], by_hand(graph, X), rtol=1e-5, atol=1e-6)
    numpy.testing.assert_array_equal(found['label'], found['score'].argmax(axis=1))
    assert found['score'].dtype == 'f' and found['label'].dtype == numpy.int32


def test_nothing_moves():
    text = LINEAR.replace('dropout(0.5)', 'BatchNormalization(3) -> dropout(0.5)')
    graph = compiled(text)
    before = [array.copy() for array in (graph.models['net'].batchnormalization_1.avg_mean,
                                         numpy.random.get_state()[1])]
    graph.models['net'].cleargrads()
    with chainer.using_config('train', True):
        graph.predict(X, batch=8)
        assert chainer.config.train and chainer.config.enable_backprop
    numpy.testing.assert_array_equal(graph.models['net'].batchnormalization_1.avg_mean, before[0])
    numpy.testing.assert_array_equal(numpy.random.get_state()[1], before[1])
    assert all(parameter.grad is None for parameter in graph.models['net'].params())


def test_no_minibatch_is_larger_and_no_history_is_kept():
    seen = []

    class Net(chainer.Chain):
        def forward(self, x):
            seen.append((len(x), chainer.config.train, chainer.config.enable_backprop))
            return F.sum(x, axis=1)
    graph = compiled('''
input x: float32[4]
import Net from "lab"
model net = Net()
model other = Linear(1)
x -> net -> y
loss cost = mean(other(x)) + mean(y)
output y
optimizer Adam() owns other, net
'''.replace('output y', 'output total = y'), bind={'Net': Net})
    del seen[:]
    graph.predict(X, batch=10)
    assert [n for n, _, _ in seen if n > 4] == [10] * 5 and {n for n, _, _ in seen} <= {10, 3, 2, 4}
    assert {(train, backprop) for _, train, backprop in seen} == {(False, False)}


# Noise

NOISY = '''
data main_data {
    train = iris(split="train")
    test = iris(split="test")
}
input x: float32[4], _ from main_data
noise z: float32[2] ~ normal(0, 1) from main_data
noise n: float32[4] ~ uniform(0, 1) from main_data
model net = Linear(3)
model dream = Linear(3)
x + n -> net -> y
z -> dream -> d
loss cost = mean(y ** 2) + mean(d ** 2)
output seen = y
output sample = d
optimizer Adam() owns net, dream
train { batch 20 }
'''


def test_noise_is_the_same_every_time_and_in_minibatches_of_any_size():
    graph = compiled(NOISY)
    first, second = graph.predict({'x': X}), graph.predict({'x': X}, batch=9)
    for name in first:
        numpy.testing.assert_allclose(first[name], second[name], rtol=1e-5, atol=1e-6)
    assert first['seen'].shape == (53, 3) and first['sample'].shape == (20, 3)
    other = graph.predict({'x': X}, seed=5)
    assert abs(other['seen'] - first['seen']).max() > 0.01 and abs(other['sample'] - first['sample']).max() > 0.01


def test_rows_made_of_noise_alone():
    graph = compiled(NOISY)
    assert graph.predict()['sample'].shape == (20, 3)
    many = graph.predict(rows=70)
    assert list(many) == ['sample'] and many['sample'].shape == (70, 3)
    numpy.testing.assert_allclose(many['sample'], graph.predict(rows=70, batch=11)['sample'], rtol=1e-5, atol=1e-6)
    numpy.testing.assert_allclose(many['sample'][:20], graph.predict()['sample'], rtol=1e-5, atol=1e-6)
    assert len(numpy.unique(many['sample'], axis=0)) == 70


def test_noise_that_is_given():
    graph = compiled(NOISY)
    n, z = numpy.zeros((53, 4)), numpy.random.RandomState(1).randn(31, 2)
    found = graph.predict({'x': X, 'n': n, 'z': z}, batch=8)
    numpy.testing.assert_allclose(found['seen'], by_hand(graph, X), rtol=1e-5, atol=1e-6)
    dream = graph.models['dream'].linear_1
    expected = z.astype('f') @ dream.W.array.T + dream.b.array
    numpy.testing.assert_allclose(found['sample'], expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(DataError, match="different numbers of rows: 53 of 'x', 52 of 'n'"):
        graph.predict({'x': X, 'n': n[:52]})


def test_an_entry_of_the_file():
    graph = compiled(NOISY)
    test = graph.datasets()['main_data']['test']
    x = numpy.array([x for x, _ in test])
    numpy.testing.assert_allclose(graph.predict(entry='test')['seen'], graph.predict({'x': x})['seen'], rtol=1e-5)
    with pytest.raises(DataError, match="no data block has an entry 'tset'; there are 'train', 'test'"):
        graph.predict(entry='tset')


# Outputs without rows

@pytest.mark.parametrize('batch', [10, 13])
def test_what_has_no_rows_is_a_mean(batch):
    graph = compiled(LINEAR.replace('output label', '''output total = mean(y)
output columns = mean(y, axis=0)
output four = 4
output label'''))
    x = X[:40]
    found = graph.predict(x, batch=batch)
    y = by_hand(graph, x)
    numpy.testing.assert_allclose(found['total'], y.mean(), rtol=1e-4)
    numpy.testing.assert_allclose(found['columns'], y.mean(axis=0), rtol=1e-4)
    assert found['four'] == 4 and found['label'].shape == (40,) and found['total'].dtype == 'f'


def test_a_vector_as_long_as_a_minibatch_is_no_row():
    graph = compiled(LINEAR.replace('output label', 'output columns = mean(y, axis=0)\noutput label'))
    assert graph.predict(X[:9], batch=3)['columns'].shape == (3,)


def test_two_rows_for_each():
    graph = compiled(LINEAR.replace('output label', 'output both = concat([y, -y], axis=0)\noutput label'))
    assert graph.predict(X[:6], batch=3)['both'].shape == (12, 3)


# States

def test_rows_are_the_steps_of_a_sequence():
    graph = compiled('''
input x: float32[4], t: float32[3]
model net = LSTM(3)
model plain = Linear(2)
x -> net -> y
x -> plain -> p
loss cost = mean((y - t) ** 2) + mean(p)
output y_out = y
output p_out = p
optimizer Adam() owns net, plain
train { batch 8 }
''')
    lstm = L.LSTM(4, 3)
    lstm.copyparams(next(link for link in graph.models['net'].links() if isinstance(link, L.LSTM)))
    graph.models['net'](numpy.ones((2, 4), 'f'))          # a state that stays
    before = [link.h.array.copy() for link in graph.models['net'].links() if isinstance(link, L.LSTM)]
    found = graph.predict(X)
    expected = numpy.concatenate([lstm(X[i:i + 1].astype('f')).array for i in range(len(X))])
    numpy.testing.assert_allclose(found['y_out'], expected, rtol=1e-5, atol=1e-6)
    lstm.reset_state()
    expected = numpy.concatenate([lstm(X[i:i + 2].astype('f')).array for i in range(0, 52, 2)])
    numpy.testing.assert_allclose(graph.predict(X[:52], batch=2)['y_out'], expected, rtol=1e-5, atol=1e-6)
    assert found['p_out'].shape == (53, 2)
    after = [link.h.array for link in graph.models['net'].links() if isinstance(link, L.LSTM)]
    numpy.testing.assert_array_equal(before, after)


# Axes of any length

RAGGED = '''
input w: int32[?] pad -1
model net = EmbedID(10, 3, ignore_label=-1)
w -> net -> e
bag = sum(e, axis=1)
loss cost = mean(bag ** 2)
output bag_out = bag
output words = e
optimizer Adam() owns net
train { batch 2 }
'''


def test_rows_of_different_length():
    graph = compiled(RAGGED)
    lists = [[1, 2], [3], [4, 5, 6], [7, 8, 9], [1]]
    table = graph.models['net'].embedid_1.W.array
    with pytest.raises(DataError, match='do not fit on each other'):
        graph.predict({'w': lists})
    graph = compiled(RAGGED.replace('output words = e\n', ''))
    table = graph.models['net'].embedid_1.W.array
    numpy.testing.assert_allclose(graph.predict({'w': lists})['bag_out'],
                                  [table[numpy.array(one)].sum(axis=0) for one in lists], rtol=1e-5, atol=1e-6)


# Several inputs

TWO = '''
data left { train = iris(split="train") }
data right { train = iris(split="train") }
input x: float32[4], _ from left
input u: float32[4], _ from right
model net = Linear(3)
x -> net -> y
u -> net -> v
loss cost = mean(y ** 2) + mean(v ** 2)
output a = y
output b = v
output both = y + v
optimizer Adam() owns net
train { batch 20 }
'''


def test_streams_of_different_length():
    graph = compiled(TWO)
    with pytest.raises(DataError, match="different numbers of rows: 53 of 'x', 30 of 'u'"):
        graph.predict({'x': X, 'u': X[:30]})
    found = graph.predict({'x': X, 'u': X[::-1]})
    numpy.testing.assert_allclose(found['both'], found['a'] + found['b'], rtol=1e-5)
    graph = compiled(TWO.replace('output both = y + v\n', ''))
    found = graph.predict({'x': X, 'u': X[:30]})
    assert found['a'].shape == (53, 3) and found['b'].shape == (30, 3)
    assert list(graph.predict({'u': X})) == ['b']


@pytest.mark.parametrize('data, message', [
    (X, "the outputs need 'x', 'u'; give arrays by name: {'x': ..., 'u': ...}"),
    ({}, 'no output can be computed: `a` needs `x`; `b` needs `u`; `both` needs `x`, `u`'),
    (None, 'no output can be computed: '), ({'y': X}, 'no output can be computed: '),
    ({'x': X[:0]}, "the data has no rows of 'x'")])
def test_too_little_is_given(data, message):
    with pytest.raises(DataError) as caught:
        compiled(TWO).predict(data)
    assert message in str(caught.value)


@pytest.mark.parametrize('data, code, message', [
    (X[0], 'G505', "'x' has the shape [4] of a single example"), (X[:, :3], 'G511', 'has the shape [3]'),
    (numpy.array(3.), 'G505', 'is a single number'),
    (['a', 'b'], 'G505', 'numbers are needed'), ([[1], [1, 2]], 'G505', 'is no array'),
    (X.astype(object), 'G505', 'numbers are needed'), (X * 1j, 'G505', 'numbers are needed')])
def test_arrays_that_do_not_fit(data, code, message):
    with pytest.raises(GraphError) as caught:
        compiled().predict({'x': data})
    first = caught.value.diagnostics[0]
    assert (first.code, message in str(caught.value)) == (code, True)
    assert caught.value.source.position(first.span.start)[0] == 2


def test_floats_for_integers():
    with pytest.raises(GraphError, match='G512'):
        compiled(RAGGED.replace('[?] pad -1', '[2]')).predict(numpy.zeros((3, 2)))


def test_a_graph_without_outputs():
    with pytest.raises(DataError, match='the graph has no outputs; write `output NAME = EXPRESSION`'):
        compiled(LINEAR.split('output')[0] + 'optimizer Adam() owns net\n').predict(X)
