"""Which heads run as one, and that it makes no difference."""
import sys
from pathlib import Path

import chainer
import numpy
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'training'))

from rules import Counted, assert_same, compiled, everything, iterate  # noqa: E402

random = numpy.random.RandomState(0)
X = random.randn(12, 5)
T = random.randint(-1, 3, (12, 4)).astype(numpy.int32)
U = random.randn(12, 4, 3)

HEAD = """
input x: float64[5], t: int32[4], u: float64[4, 3]
model trunk = Linear(6) -> tanh
x -> trunk -> h
optimizer trunk = SGD(lr=0.1) owns trunk
"""
LABELS = """
for i in 0..4 {
    model head[i] = Linear(3)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    metric accuracy[i] = accuracy(y[i], t[:, i], ignore_label=-1)
    optimizer Adam(alpha=0.01 * (i + 1)) owns head[i]
}
"""
VALUES = """
for i in 0..4 {
    model arm[i] = Linear(3, nobias=true)
    v[i] = arm[i](h)
    loss error[i] = mean_squared_error(v[i], u[:, i])
}
optimizer arms = MomentumSGD(lr=0.1) owns arm[*] { hook WeightDecay(0.01) }
"""
NAMED = LABELS.replace('optimizer Adam', 'optimizer a[i] = Adam')
NO_ONES = {
    'a sum of losses': LABELS + 'loss total = 0.1 * sum(digit[*])\n',
    'another loss of a head': LABELS + 'loss size = mean(y[2] ** 2)\n',
    'a head that is called twice': LABELS + 'loss again = mean(head[1](tanh(h)) ** 2)\n',
    'conditions': LABELS.replace('t[:, i])\n', 't[:, i]) when iteration > i\n', 1),
    'several minibatches': NAMED + 'step main accumulate 2 { update trunk\nfor i in 0..4 { update a[i] } }\n',
    'keywords': LABELS.replace('t[:, i])\n', 't[:, i], normalize=false)\n', 1),
    'sizes that differ': LABELS.replace('Linear(3)', 'Linear(3 + i)'),
    'weights that differ': LABELS.replace('optimizer Adam', 'optimizer a[i] = Adam').replace(
        'owns head[i]', 'owns head[i] minimizes digit[i]') + 'optimizer other = SGD(lr=0.1) owns side minimizes '
        'digit[0], 0.5 * digit[1], digit[2], digit[3]\nmodel side = Linear(6)\n',
    'a second derivative': LABELS + 'slope = grad(y[0], h)\nloss steep = mean(slope ** 2)\n',
    'more than a layer': LABELS.replace('Linear(3)', 'Linear(4) -> tanh -> Linear(3)'),
    'inputs that differ': LABELS.replace('h -> head[i]', 'h * (i + 1) -> head[i]'),
    'one head': LABELS.replace('0..4', '0..1'),
    'a target that a gradient reaches': VALUES.replace('u[:, i]', '2 * v[i]'),
    'a target from a pool': VALUES.replace('u[:, i]', 'history(u[:, i])'),
    'many outputs': LABELS.replace('Linear(3)', 'Linear(129)'),
    'only some are updated': NAMED + 'step main { update trunk, a[0], a[1] }\nstep b { update a[2], a[3] }\n',
}
STACKED = {
    'labels': (LABELS, 'y digit'),
    'values': (VALUES, 'v error'),
    'both': (LABELS + VALUES, 'y digit v error'),
    'an optimizer for all': (LABELS.replace('    optimizer Adam(alpha=0.01 * (i + 1)) owns head[i]\n', '')
                             + 'optimizer heads = Adam() owns head[*]\n', 'y digit'),
    'targets from elsewhere': (LABELS.replace('t[:, i])\n', 'abs_t[i])\n', 1)
                               + 'for i in 0..4 { abs_t[i] = t[:, 3 - i] }\n', 'y digit'),
    'what is only reported': (LABELS + 'metric spread = mean(y[0] * y[1])\nmetric total = sum(digit[*])\n', 'y digit'),
    'a state that reads a loss': (LABELS + 'state k = 0.0\nnext k = 0.9 * k + 0.1 * digit[1]\n', 'y digit'),
    'repetitions': (NAMED + 'step main repeat 2 { update trunk\nfor i in 0..4 { update a[i] } }\n', 'y digit'),
    'weighted alike': (LABELS.replace('owns head[i]', 'owns head[i] minimizes 0.5 * digit[i]') .replace(
        'optimizer Adam', 'optimizer a[i] = Adam') + 'model other = Linear(3)\nx -> other -> w\n', 'y digit'),
    'not finite is skipped': (LABELS.replace('owns head[i]', 'owns head[i] { skip nonfinite }'), 'y digit'),
    'a family of two indices beside it': (
        LABELS + 'for i in 0..2 { for j in 0..2 { s[i, j] = h * (i + j) } }\nmetric s00 = mean(s[0, 0] + s[0, 1])\n'
        'metric s11 = mean(s[1, 0] + s[1, 1])\n', 'y digit'),
}


@pytest.fixture(autouse=True)
def float64():
    with chainer.using_config('dtype', numpy.float64):
        yield


def written(text):
    head = HEAD
    if 'minimizes' in text:
        factor = '' if 'side' in text else '0.5 * '
        head = head.replace('owns trunk', 'owns trunk minimizes ' + ', '.join(f'{factor}digit[{i}]' for i in range(4)))
    return (head + text).replace('x -> other -> w\n', '').replace('model other = Linear(3)\n', '')


def stacked(graph):
    return {key.base for step in graph.plan.steps for one in step.forward if one.stack is not None
            for key in one.assignment.results}


def trained(text, no_passes):
    graph = compiled(text, no_passes=no_passes)
    updater = graph.updater(Counted(X, T, U))
    with numpy.errstate(all='raise'):
        return graph, iterate(updater, 4), everything(graph)


@pytest.mark.parametrize('text, names', STACKED.values(), ids=STACKED)
def test_heads_run_as_one(text, names):
    graph, reports, arrays = trained(written(text), [])
    assert stacked(graph) == set(names.split())
    separate, expected_reports, expected = trained(written(text), ['stacking'])
    assert not stacked(separate)
    assert_same(arrays, expected, 1e-10)
    for ours, theirs in zip(reports, expected_reports):
        assert ours == pytest.approx(theirs, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize('text', NO_ONES.values(), ids=NO_ONES)
def test_heads_that_do_not(text):
    if 'side' in text:
        text = text.replace('model side = Linear(6)\n', 'model side = Linear(6) -> tanh\n')
        text = written(text).replace('x -> trunk -> h\n', 'x -> trunk -> g\nside(g) -> tanh -> h\n')
    else:
        text = written(text)
    assert not stacked(compiled(text))


@pytest.mark.parametrize('target', ['(t // 2)[:, i]', '(t - t // 2)[:, i]', 't[:, i]'])
def test_labels_of_any_kind(target):
    text = written(LABELS.replace('t[:, i])\n', f'{target})\n', 1))
    graph, _, arrays = trained(text, [])
    assert stacked(graph) == {'y', 'digit'}
    assert_same(arrays, trained(text, ['stacking'])[2], 1e-10)


def test_running_statistics_move_in_the_order_of_the_file():
    """The second loss, which would run beside the first, must not push one call of `bn` after another."""
    text = HEAD.replace('optimizer trunk = SGD(lr=0.1) owns trunk', """
model bn = Linear(3, nobias=true) -> BatchNormalization(3)
for i in 0..2 { model head[i] = Linear(3) }
y[0] = head[0](h)
y[1] = head[1](h)
loss l[0] = mean_squared_error(y[0], u[:, 0])
p = bn(x * (1 + detach(l[0])))
q = bn(x)
loss lq = mean(q * detach(p))
target = tanh(u[:, 1])
loss l[1] = mean_squared_error(y[1], target)
optimizer a = SGD(lr=0.1) owns trunk, head[*], bn""")
    assert_same(trained(text, [])[2], trained(text, ['stacking'])[2], 1e-10)


def test_what_is_taken_over_is_not_stacked():
    text = HEAD.replace('optimizer trunk = SGD(lr=0.1) owns trunk', """
for i in 0..4 {
    model head[i] = Linear(3)
    h -> head[i] -> y[i]
    loss l[i] = mean_squared_error(y[i], u[:, i])
}
model other = Linear(3)
loss lo = mean((other(x) - y[3]) ** 2) * l[3]
optimizer oo = SGD(lr=0.1) owns other minimizes lo
optimizer a = SGD(lr=0.1) owns trunk, head[*] minimizes l[0], l[1], l[2], l[3]
step s0 { update oo }
step s1 on the same batch { update a }""")
    assert_same(trained(text, [])[2], trained(text, ['reuse', 'stacking'])[2], 1e-10)


def test_weights_stay_where_they_were():
    """Heads are models of their own: their arrays are theirs, in snapshots, too."""
    graph, _, _ = trained(written(LABELS), [])
    before = {name: model.linear_1.W.array for name, model in graph.models.items() if 'head' in name}
    assert all(array.base is None and array.shape == (3, 6) for array in before.values())
    iterate(graph.updater(Counted(X, T, U)))
    assert all(graph.models[name].linear_1.W.array is array for name, array in before.items())
