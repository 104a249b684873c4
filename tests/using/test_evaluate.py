"""Losses and metrics on data of any length, against NumPy and against what runs report."""
import json

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.iterators import SerialIterator
from chainer.serializers import save_npz

import graphdsl
from graphdsl.runtime.data import DataError

GRAPH = '''
param width = 8
data flowers {
    train = iris(split="train")
    test = iris(split="test")
}
input x: float32[4], t: int32 from flowers
noise n: float32[4] ~ normal(0, 0.5) from flowers
model net = Linear(width) -> dropout(0.5) -> Linear(3)
x -> net -> y
x + n -> net -> z
state k = 0.5
next k = 0.9 * k + 0.1 * kl
loss kl = softmax_cross_entropy(y, t)
loss near = k * (0.1 * iteration + 0.01 * epoch + 0.1 * progress) * mean((y - z) ** 2)
metric accuracy = accuracy(y, t)
metric state = 2 * k
optimizer Adam(alpha=0.01) owns net
train {
    batch 32
    epochs 4
}
'''


def compiled(text=GRAPH, seed=0):
    numpy.random.seed(seed)
    return graphdsl.compile(text)


def arrays(graph, entry='test'):
    x, t = chainer.dataset.concat_examples(graph.datasets()['flowers'][entry][:])
    return {'x': x, 't': t}


@pytest.mark.parametrize('batch', [None, 1, 7, 1000])
def test_averages_count_every_example_once(batch):
    graph = compiled()
    given = arrays(graph)
    found = graph.evaluate(given, batch=batch)
    with chainer.using_config('train', False):
        y = graph.models['net'](given['x'])
    numpy.testing.assert_allclose(found['kl'], F.softmax_cross_entropy(y, given['t']).item(), rtol=1e-5)
    numpy.testing.assert_allclose(found['accuracy'], (y.array.argmax(axis=1) == given['t']).mean(), rtol=1e-5)
    assert found['state'] == 1.0 and all(type(value) is float for value in found.values())


def test_it_is_what_the_evaluator_reports():
    graph = compiled()
    evaluator = graph.evaluator(SerialIterator(graph.datasets()['flowers']['test'], 32, repeat=False, shuffle=False))
    expected = {name.split('/')[1]: float(value) for name, value in evaluator.evaluate().items()}
    assert graph.evaluate() == expected == graph.evaluate(arrays(graph))
    assert graph.evaluate(seed=3)['kl'] == expected['kl']


@pytest.mark.parametrize('length', [(4, 'epoch'), (7, 'iteration')])
def test_a_snapshot_gives_what_its_run_reported(tmp_path, length):
    text = GRAPH if length[1] == 'epoch' else GRAPH.replace('epochs 4', 'iterations 7')
    trainer = compiled(text).trainer(out=str(tmp_path), progress=False)
    trainer.run()
    save_npz(str(tmp_path / 'snapshot'), trainer)
    reported = json.loads((tmp_path / 'log').read_text())[-1]
    other = compiled(text, 1)
    other.load_weights(tmp_path / 'snapshot')
    found = other.evaluate()
    assert other.numbers['k'] != 0.5 and found['near'] > 0
    assert found == {name: reported[f'validation/{name}'] for name in found}


def test_what_lacks_data_is_left_out():
    graph = compiled()
    assert list(graph.evaluate({})) == ['state']
    with pytest.raises(DataError, match='no loss or metric can be computed: `kl`, `near`, `accuracy` need `t`'):
        compiled(GRAPH.replace('metric state = 2 * k\n', '')).evaluate({'x': arrays(graph)['x']})
    with pytest.raises(DataError, match="no data block has an entry 'valid'; there are 'train', 'test'"):
        graph.evaluate(entry='valid')
    with pytest.raises(DataError, match="different numbers of rows: 3 of 'x', 4 of 't'"):
        graph.evaluate({'x': numpy.zeros((3, 4)), 't': numpy.zeros(4, int)})


def test_steps_of_a_sequence():
    text = '''
input x: float32[4], t: int32
model net = LSTM(3)
x -> net -> y
loss kl = softmax_cross_entropy(y, t)
optimizer Adam() owns net
'''
    graph = compiled(text)
    given = arrays(compiled())
    lstm = next(link for link in graph.models['net'].links() if hasattr(link, 'reset_state')).copy(mode='copy')
    lstm.reset_state()
    expected = [F.softmax_cross_entropy(lstm(x[None]), t[None]).item() for x, t in zip(given['x'], given['t'])]
    numpy.testing.assert_allclose(graph.evaluate(given)['kl'], numpy.mean(expected), rtol=1e-5)
