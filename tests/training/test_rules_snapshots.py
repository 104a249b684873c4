"""The rule about snapshots: a run that goes on from one ends as if it had never been interrupted, bit for bit."""
import chainer
import numpy
import pytest
from chainer.datasets import TupleDataset
from chainer.training import extensions, triggers

from rules import T, U, X, arrays, assert_same, compiled

EVERYTHING = """
import labelled, plain from "lab"
data first { train = labelled(); test = labelled(); batch 4 }
data second { train = plain(); batch 3 }
input x: float32[3], t: int32 from first
input u: float32[3] from second
noise z: float32[2] ~ normal(0, 1)
noise coin ~ uniform(0, 1)
noise order: int32 ~ permutation(batch_size) from second

block dense(width) = Linear(width, nobias=true) -> BatchNormalization(width) -> relu
model net = dense(6) -> dropout(0.3) -> Linear(2)
model reader = LSTM(3) -> Linear(2)
model generator = Linear(3) -> tanh
model critic = Linear(4) -> leaky_relu -> Linear(1)
model average follows net decay 0.9
model target follows critic every 2 iterations
model twin like critic

x -> net -> y
x -> reader -> r
z -> generator -> fake
old = history(fake, size=6)
loss kl = softmax_cross_entropy(y, t)
loss read = softmax_cross_entropy(r, t)
loss consistency = k * mean((net(u) - average(u)) ** 2)
loss rare = mean(net(u[order]) ** 2) when coin < 0.5
loss judge = mean(softplus(-critic(x))) + mean(softplus(critic(old)))
loss fool = mean(softplus(-target(fake)))
loss other = mean(twin(u) ** 2)
metric accuracy = accuracy(y, t)

state k = 0.1
next k = min(1.0, k + 0.1 * kl)
state n = 0
next n after critic = n + 1

optimizer net = Adam(alpha=0.01) owns net
optimizer reader = MomentumSGD(lr=0.1) owns reader { skip nonfinite }
optimizer generator = RMSprop(lr=0.01) owns generator minimizes fool
optimizer critic = Adam(alpha=0.01) owns critic minimizes judge { hook WeightDecay(1e-3) }
optimizer twin = AdaGrad(lr=0.01) owns twin
schedule net.alpha = 0.01 * 0.9 ** n * (1 - 0.5 * progress)

step main { update net, reader, twin when n % 3 != 2 }
step critic on the same batch repeat 1 + n % 2 { update critic }
step generator { update generator }
train { batch 4; iterations 9; seed 3; evaluate every 2 iterations; snapshot every 1 iteration; log every 1 iteration }
"""
STEP = 'step main { update net, reader, twin when n % 3 != 2 }'
BIND = {'labelled': lambda: TupleDataset(X[:11].astype('f'), T[:11]), 'plain': lambda: TupleDataset(U[:10].astype('f'))}


def run(text, out, seed, resumed=None, at=None, stop=None):
    """Trains; goes on from a snapshot, or leaves one."""
    graph = compiled(text, seed, bind=BIND)
    trainer = graph.trainer(str(out), progress=False)
    if at is not None:
        trainer.extend(extensions.snapshot(filename='middle'), trigger=triggers.ManualScheduleTrigger(at, 'iteration'))
    if resumed is not None:
        chainer.serializers.load_npz(str(resumed / 'middle'), trainer)
        assert trainer.updater.iteration == at
    trainer.run(show_loop_exception_msg=False)
    state = arrays(trainer.updater)
    state.update({f'graph/{name}': value for name, value in graph.numbers.items() if name not in ('iteration',)})
    log = trainer.get_extension('LogReport').log
    return state, [{key: value for key, value in entry.items() if key != 'elapsed_time'} for entry in log]


@pytest.mark.parametrize('at', [1, 4, 8])
def test_everything_that_changes_over_time_is_in_a_snapshot(tmp_path, at):
    """States, followers, pools, counters, stateful links, generators, optimizers, the places in the streams."""
    whole, log = run(EVERYTHING, tmp_path / 'a', 1, at=at)
    numpy.random.seed(99)
    resumed, log_of_resumed = run(EVERYTHING, tmp_path / 'b', 2, tmp_path / 'a', at)
    assert_same(resumed, whole)
    assert log_of_resumed == log


@pytest.mark.parametrize('kind', ['accumulate 2', 'unroll 2', 'repeat 2'])
def test_within_steps_of_several_runs(tmp_path, kind):
    text = EVERYTHING.replace(STEP, f'step main {kind} {{ update net, reader, twin }}').replace(
        ' when coin < 0.5', ' when iteration % 3 == 1').replace('noise coin ~ uniform(0, 1)\n', '')
    whole, log = run(text, tmp_path / 'a', 1, at=4)
    resumed, log_of_resumed = run(text, tmp_path / 'b', 2, tmp_path / 'a', 4)
    assert_same(resumed, whole)
    assert log_of_resumed == log


def test_states_keep_their_types(tmp_path):
    """An integer stays one: it decides on `repeat` and conditions."""
    whole, _ = run(EVERYTHING, tmp_path / 'a', 1, at=4)
    resumed, _ = run(EVERYTHING, tmp_path / 'b', 2, tmp_path / 'a', 4)
    for name in ('k', 'n'):
        assert type(resumed[f'graph/{name}']) is type(whole[f'graph/{name}'])


def test_a_stall_is_counted_across_snapshots(tmp_path):
    """Evaluations without progress before the snapshot count afterwards."""
    text = EVERYTHING.replace('iterations 9', 'iterations 9; stop when validation/accuracy stalls for 2 evaluations')
    text = text.replace('metric accuracy = accuracy(y, t)', 'metric accuracy = 0 * accuracy(y, t) + 1')
    whole, log = run(text, tmp_path / 'a', 1, at=3)
    resumed, log_of_resumed = run(text, tmp_path / 'b', 2, tmp_path / 'a', 3)
    assert log[-1]['iteration'] == 6
    assert_same(resumed, whole)
    assert log_of_resumed == log


def test_skipped_updates_are_counted_across_snapshots(tmp_path):
    """The optimizer `reader` skips where a gradient is not finite."""
    bad = X[:11].astype('f')
    bad[4] = numpy.inf
    text = """
        import labelled from "lab"
        data first { train = labelled() }
        input x: float32[3], t: int32 from first
        model net = Linear(2)
        loss cost = mean(net(x))
        optimizer net = SGD(lr=0.1) owns net { skip nonfinite }
        train { batch 4; iterations 8; snapshot every 1 iteration; log every 1 iteration }
        """
    previous = BIND['labelled']
    BIND['labelled'] = lambda: TupleDataset(bad, T[:11])
    try:
        with numpy.errstate(all='ignore'):
            whole, log = run(text, tmp_path / 'a', 1, at=5)
            resumed, log_of_resumed = run(text, tmp_path / 'b', 2, tmp_path / 'a', 5)
    finally:
        BIND['labelled'] = previous
    assert log[-1]['net.skipped'] > log[0]['net.skipped'] >= 0
    assert_same(resumed, whole)
    assert [entry['net.skipped'] for entry in log_of_resumed] == [entry['net.skipped'] for entry in log]
