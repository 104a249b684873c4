"""The rules about links with a state."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

import graphdsl
from rules import Counted, SIZE, T, X, arrays, assert_same, compiled, iterate, twins, variable

pytestmark = pytest.mark.usefixtures('float64')


def minibatch(number, batch=4, of=X):
    return variable(of[number * batch % SIZE:][:batch])


LSTM = """
input x: float64[3], t: int32
model reader = LSTM(4) -> Linear(2)
x -> reader -> y
loss cost = softmax_cross_entropy(y, t)
optimizer reader = Adam(alpha=0.1) owns reader
"""


class Reader(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.lstm_1 = L.LSTM(3, 4)
            self.linear_1 = L.Linear(4, 2)

    def forward(self, x):
        return self.linear_1(self.lstm_1(x))


@pytest.mark.parametrize('kind, runs', [('', 1), ('unroll 3', 3), ('repeat 2', 1), ('accumulate 2', 1)])
def test_the_state_of_an_lstm(kind, runs):
    """Starts from zero, goes on from run to run, and is cut after each; `unroll` cuts after the update."""
    graph = compiled(LSTM + (f'step main {kind} {{ update reader }}\n' if kind else ''))
    net = Reader()
    net.serialize(chainer.serializers.NpzDeserializer(arrays(graph.models['reader'])))
    adam = chainer.optimizers.Adam(alpha=0.1).setup(net)
    updater = graph.updater(Counted(X, T))
    draw = 0
    repeats = 2 if kind.startswith('repeat') else 1
    for _ in range(3):
        iterate(updater)
        for _ in range(repeats):
            losses = []
            net.cleargrads()
            for _ in range(runs if runs > 1 else (2 if kind.startswith('accumulate') else 1)):
                i = draw * 4 % SIZE
                losses.append(F.softmax_cross_entropy(net(variable(X[i:i + 4])), T[i:i + 4]))
                draw += 1
                if runs == 1:
                    (losses[-1] / (2 if kind.startswith('accumulate') else 1)).backward()
                    net.lstm_1.h.unchain_backward()
                    net.lstm_1.c.unchain_backward()
            if runs > 1:
                sum(losses).backward()
                net.lstm_1.h.unchain_backward()
                net.lstm_1.c.unchain_backward()
            adam.update()
    assert_same(arrays(graph.models['reader']), arrays(net), 1e-8)
    for name in ('h', 'c'):
        ours = getattr(graph.models['reader'].lstm_1, name)
        numpy.testing.assert_allclose(ours.array, getattr(net.lstm_1, name).array, rtol=1e-8)
        assert ours.creator is None


def test_the_state_is_set_aside_for_each_evaluation():
    graph = compiled(LSTM)
    updater = graph.updater(Counted(X, T))
    iterate(updater, 2)
    lstm = graph.models['reader'].lstm_1
    h, c = lstm.h.array.copy(), lstm.c.array.copy()
    evaluator = graph.evaluator(Counted(X, T, repeat=False))
    reports = [evaluator() for _ in range(2)]
    numpy.testing.assert_array_equal(lstm.h.array, h)
    numpy.testing.assert_array_equal(lstm.c.array, c)
    net = twins(graph)['reader']
    net.lstm_1.reset_state()
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        costs = [F.softmax_cross_entropy(net(X[i:i + 4]), T[i:i + 4]).array for i in (0, 4, 8)]
    for report in reports:
        assert report['validation/cost'] == pytest.approx(numpy.mean(costs))


def test_a_model_with_a_state_is_called_once_per_run_and_by_one_step():
    for more in ('loss again = softmax_cross_entropy(reader(2 * x), t)\n',
                 'model other = Linear(2)\noptimizer other = Adam() owns other minimizes third\n'
                 'loss third = mean(other(y))\nstep a { update reader }\nstep b { update other }\n'):
        with pytest.raises(graphdsl.GraphError):
            compiled(LSTM.replace('owns reader', 'owns reader minimizes cost' + (', again' if 'again' in more else ''))
                     + more)
