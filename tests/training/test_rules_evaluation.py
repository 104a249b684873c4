"""The rules about evaluation: what it computes, what it averages, and that it changes nothing."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.datasets import TupleDataset

from rules import Counted, T, U, X, arrays, assert_same, compiled, everything, iterate

pytestmark = pytest.mark.usefixtures('float64')

RICH = """
import labelled, plain from "lab"
data first { train = labelled(12); test = labelled(7); hard = labelled(5); batch 4 }
data second { train = plain(12); batch 4 }
data third { train = plain(12); test = plain(6); batch 3 }
input x: float64[3], t: int32 from first
input u: float64[3] from second
input v: float64[3] from third
noise z: float64[3] ~ normal(0, 1)
model net = Linear(6, nobias=true) -> BatchNormalization(6) -> dropout(0.5) -> tanh -> Linear(2)
x -> net -> y
loss kl = softmax_cross_entropy(y, t)
loss unseen = mean(net(u) ** 2)
loss both = mean((net(v) - mean(y)) ** 2)
loss noisy = k * mean(net(x + z) ** 2)
metric accuracy = accuracy(y, t)
metric third_only = mean(v ** 2)
metric old = mean(history(y, size=3))
state k = 1.0
next k = k + 1
optimizer net = Adam(alpha=0.05) owns net
train { batch 4; seed 3; epochs 2; evaluate every 2 iterations }
"""


def labelled(count):
    return TupleDataset(X[:count], T[:count])


def plain(count):
    return TupleDataset(U[:count])


BIND = {'labelled': labelled, 'plain': plain}


def rich():
    graph = compiled(RICH, bind=BIND)
    numpy.random.seed(4)
    iterate(graph.updater({'first': Counted(X, T), 'second': Counted(U), 'third': Counted(U, batch=3)}), 3)
    return graph


def evaluator(graph, **options):
    return graph.evaluator({'first': Counted(X[:7], T[:7], repeat=False),
                            'third': Counted(U[:6], batch=3, repeat=False)}, **options)


def test_evaluation_computes_what_has_test_data_in_all_its_streams():
    """With train=False, current weights and states; averages are weighted by the sizes of minibatches."""
    graph = rich()
    report = {name: float(value) for name, value in evaluator(graph)().items()}
    net = graph.models['net']
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        y = net(X[:7]).array
        # As long as both streams last: minibatches of 4 and 3 of the one, of 3 and 3 of the other.
        both = [((net(U[j:j + 3]).array - net(X[i:k]).array.mean()) ** 2).mean() for i, k, j in ((0, 4, 0), (4, 7, 3))]
        expected = {
            'validation/kl': float(F.softmax_cross_entropy(y, T[:7]).array),
            'validation/accuracy': (y.argmax(1) == T[:7]).mean(),
            'validation/third_only': (U[:6] ** 2).mean(),
            'validation/both': (4 * both[0] + 3 * both[1]) / 7,
            'validation/old': y.mean(),         # the value itself
        }
    assert set(report) == {*expected, 'validation/noisy'}
    assert {name: report[name] for name in expected} == pytest.approx(expected)


def test_states_are_as_they_are():
    graph = rich()
    once = float(evaluator(graph)()['validation/noisy'])
    assert graph.numbers['k'] == 4
    graph.numbers['k'] = 1.0
    assert float(evaluator(graph)()['validation/noisy']) == pytest.approx(once / 4)


def test_noise_is_the_same_every_time():
    graph = rich()
    first, again = (evaluator(graph)() for _ in range(2))
    assert_same(first, again)
    other = evaluator(graph, seed=4)()
    assert float(first['validation/noisy']) != float(other['validation/noisy'])


def test_noise_differs_from_minibatch_to_minibatch():
    """One generator for all of an evaluation: the minibatches do not share their noise."""
    seen = []

    def look(z):
        seen.append(numpy.array(z.array))
        return z
    graph = compiled('import look from "lab"\ninput x: float64[3]\nnoise z: float64[3] ~ normal(0, 1)\n'
                     'model net = Linear(2)\nloss cost = mean(net(x + look(z)))\noptimizer net = SGD() owns net\n',
                     bind={'look': look})
    seen.clear()
    graph.evaluator(Counted(X, repeat=False))()
    assert [z.shape for z in seen] == [(4, 3)] * 3
    assert not (seen[0] == seen[1]).any() and not (seen[1] == seen[2]).any()


def test_evaluation_changes_nothing():
    """No weight, statistic, state, pool or generator: training goes on as it would have without."""
    found, random = [], []
    for times in (0, 3):
        graph = compiled(RICH, bind=BIND)
        numpy.random.seed(4)
        updater = graph.updater({'first': Counted(X, T), 'second': Counted(U), 'third': Counted(U, batch=3)})
        for _ in range(4):
            iterate(updater)
            before = everything(graph)
            for _ in range(times):
                evaluator(graph)()
            assert_same(before, everything(graph))
        found.append(everything(graph))
        random.append(numpy.random.random_sample())
    assert_same(*found)
    assert random[0] == random[1]


def test_dropout_that_is_asked_for_draws_from_a_generator_that_is_lent():
    """`quiet(m)` is in training mode in evaluation too; the global generator is given back as it was."""
    graph = compiled('input x: float64[3]\nmodel net = Linear(6) -> dropout(0.5) -> Linear(2)\n'
                     'loss cost = mean(net(x) ** 2)\nmetric wild = mean(quiet(net)(x) ** 2)\n'
                     'optimizer net = SGD() owns net\n')
    numpy.random.seed(1)
    expected = numpy.random.RandomState(1).random_sample()
    first, again = (graph.evaluator(Counted(X, repeat=False))() for _ in range(2))
    assert_same(first, again)
    assert numpy.random.random_sample() == expected


def test_further_sets_are_reported_under_their_names(tmp_path):
    """`hard = ...` beside `test`; at the interval that is asked for."""
    graph = compiled(RICH.replace('epochs 2', 'iterations 4\nlog every 1 iteration'), bind=BIND)
    trainer = graph.trainer(str(tmp_path), progress=False)
    trainer.run(show_loop_exception_msg=False)
    log = trainer.get_extension('LogReport').log
    assert ['validation/kl' in entry for entry in log] == ['hard/kl' in entry for entry in log] == [
        False, True, False, True]
    assert 'hard/both' not in log[-1] and 'validation/both' in log[-1] and 'hard/noisy' in log[-1]
    assert not any(name.endswith('unseen') and '/' in name for name in log[-1])
    net = graph.models['net']
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        expected = float(F.softmax_cross_entropy(net(X[:5]), T[:5]).array)
    assert log[-1]['hard/kl'] == pytest.approx(expected)


def test_losses_metrics_and_states_are_reported_under_their_own_names(tmp_path):
    graph = compiled(RICH.replace('epochs 2', 'iterations 2\nlog every 1 iteration')
                     + 'schedule net.alpha = 0.01 * (iteration + 1)\n', bind=BIND)
    trainer = graph.trainer(str(tmp_path), progress=False)
    trainer.run(show_loop_exception_msg=False)
    first, last = trainer.get_extension('LogReport').log
    assert {'kl', 'unseen', 'both', 'noisy', 'accuracy', 'third_only', 'k', 'net.alpha'} <= set(first)
    assert (first['k'], last['k']) == (1, 2)
    assert (first['net.alpha'], last['net.alpha']) == pytest.approx((0.01, 0.02))


def test_a_loss_with_a_condition_in_evaluation():
    """`when` is for training; evaluation has every loss."""
    graph = compiled('input x: float64[3]\nmodel net = Linear(2)\nloss a = mean(net(x))\n'
                     'loss b = mean(net(x) ** 2) when iteration % 16 == 15\noptimizer net = SGD() owns net\n')
    assert set(graph.evaluator(Counted(X, repeat=False))()) >= {'validation/a'}


def test_stop_when(tmp_path):
    """A condition of states and reports ends the run; that moment is evaluated, logged and saved."""
    text = RICH.replace('epochs 2; evaluate every 2 iterations', 'iterations 9\nlog every 1 iteration\n%s')
    for line, end in (('stop when k >= 4', 4), ('stop when iteration >= 4', 5), ('stop when validation/kl < 100', 3),
                      ('stop when progress > 0.5', 6)):
        graph = compiled(text % f'evaluate every 3 iterations\n{line}', bind=BIND)
        trainer = graph.trainer(str(tmp_path / str(end)), progress=False)
        trainer.run(show_loop_exception_msg=False)
        found = trainer.updater.iteration
        assert abs(found - end) <= 1, line
        last = trainer.get_extension('LogReport').log[-1]
        assert last['iteration'] == found and 'validation/kl' in last, line
        assert list((tmp_path / str(end)).glob(f'snapshot_iter_{found}')), line


@pytest.mark.parametrize('line, end', [
    ('stop when validation/flat stalls for 2 evaluations', 3), ('stop when validation/up stalls for 2 evaluations', 10),
    ('stop when validation/down stalls for 2 evaluations', 3),
    ('stop when validation/sinking stalls for 2 evaluations', 10)])
def test_stop_when_a_report_stalls(tmp_path, line, end):
    """Metrics stall when they do not rise, `metric falling` when they do not fall."""
    graph = compiled("""
        import labelled from "lab"
        data first { train = labelled(12); test = labelled(4) }
        input x: float64[3], t: int32 from first
        model net = Linear(2)
        loss cost = softmax_cross_entropy(net(x), t)
        metric flat = 0 * mean(x) + 1
        metric up = 0 * mean(x) + k
        metric down = 0 * mean(x) - k
        metric falling sinking = 0 * mean(x) - k
        state k = 0.0
        next k = k + 1
        optimizer net = SGD(lr=0.01) owns net
        train { batch 4; iterations 10; evaluate every 1 iteration; %s }
        """ % line, bind=BIND)
    trainer = graph.trainer(str(tmp_path), progress=False)
    trainer.run(show_loop_exception_msg=False)
    assert trainer.updater.iteration == end


def test_predict_gives_outputs():
    graph = compiled('input x: float64[3]\nmodel net = Linear(2)\nx -> net -> y\nloss a = mean(y)\n'
                     'output y\noutput best = argmax(y, axis=1)\noptimizer net = SGD() owns net\n')
    with chainer.using_config('train', False):
        found = graph.outputs({'x': X})
    assert list(found) == ['y', 'best']
    before = arrays(graph.models['net'])
    numpy.testing.assert_array_equal(found['best'].array, found['y'].array.argmax(1))
    assert_same(before, arrays(graph.models['net']))


def test_noise_of_a_last_minibatch_that_is_smaller():
    """Permutations of the minibatch included."""
    graph = compiled("""
        input x: float64[3], t: int32
        noise order: int32 ~ permutation(batch_size)
        noise z: float64[3] ~ normal(0, 1)
        model net = Linear(2)
        loss cost = mean((net(x[order]) - net(x + 0 * z)) ** 2) + sum(net(x)) / batch_size
        optimizer net = SGD() owns net
        """)
    report = graph.evaluator(Counted(X[:7], T[:7], repeat=False))()
    assert numpy.isfinite(float(report['validation/cost']))


def test_generators_without_data_are_evaluated_with_the_test_set():
    """A loss of noise alone: as many rows as the stream's test minibatches."""
    graph = compiled("""
        input x: float64[3]
        noise z: float64[2] ~ normal(0, 1)
        model generator = Linear(3)
        model critic = Linear(1)
        loss judge = mean(critic(x)) - mean(critic(generator(z)))
        loss fool = mean(critic(generator(z)))
        metric rows = 0 * mean(z) + batch_size
        optimizer critic = SGD() owns critic minimizes judge
        optimizer generator = SGD() owns generator minimizes fool
        """)
    report = graph.evaluator(Counted(X[:7], repeat=False))()
    assert set(report) == {'validation/judge', 'validation/fool', 'validation/rows'}
    assert float(report['validation/rows']) == pytest.approx((4 * 4 + 3 * 3) / 7)


def test_followers_and_frozen_models_in_evaluation():
    """All models run with train=False: a follower by its averages."""
    graph = compiled("""
        input x: float64[3]
        model net = Linear(6, nobias=true) -> BatchNormalization(6) -> dropout(0.5) -> Linear(2)
        model average follows net decay 0.5
        loss cost = mean((net(x) - 1) ** 2)
        metric slow = mean(average(x) ** 2)
        optimizer net = SGD(lr=0.5) owns net
        """)
    iterate(graph.updater(Counted(X)), 3)
    average = graph.models['average']
    with chainer.using_config('train', False):
        expected = (average(X).array ** 2).mean()
    report = graph.evaluator(Counted(X, repeat=False))()
    assert float(report['validation/slow']) == pytest.approx(expected)
