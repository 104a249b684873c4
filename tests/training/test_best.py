"""The weights that a run keeps: those with which a report was best, and the last."""
import json

import chainer
import numpy
import pytest
from chainer.datasets import TupleDataset

import graphdsl
from graphdsl.training.best import file_names
from rules import T, X, arrays, compiled

pytestmark = pytest.mark.usefixtures('float64')

# After iteration i, k is i. The metrics made of it are best at an iteration that is known.
GRAPH = """
import labelled from "lab"
data first { train = labelled(12); test = labelled(7) }
input x: float64[3], t: int32 from first
model net = Linear(6) -> BatchNormalization(6) -> tanh -> Linear(2)
model head[0] = Linear(2)
x -> net -> y
y -> head[0] -> r
loss kl = softmax_cross_entropy(y, t)
loss other = mean(r ** 2)
metric accuracy = accuracy(y, t)
metric falling bowl[0] = 0 * mean(x) + (k - 5) ** 2
metric hill = 0 * mean(x) - (k - 8) ** 2
metric falling late = sqrt(0 * mean(x) + k - 7)
metric never = sqrt(0 * mean(x) - 1)
metric falling infinite = log(0 * mean(x))
metric falling endless = log(0 * mean(x) + max(0.0, 6.0 - k))
metric early = 0 * mean(x) - k
state k = 0.0
next k = k + 1
optimizer net = Adam(alpha=0.3) owns net, head[0]
train {
    batch 4; seed 3; iterations 13; evaluate every 2 iterations; log every 2 iterations
    snapshot every 1 iteration keep 9
    keep best validation/kl, validation/accuracy, kl, validation/bowl[0], validation/hill, validation/late
    keep best validation/never, validation/early, validation/infinite, validation/endless
    %s
}
"""


def labelled(count):
    return TupleDataset(X[:count], T[:count])


class Seen:
    """A run, with the weights after each iteration."""

    def __init__(self, out, line='', snapshot=None, **options):
        graph = compiled(GRAPH % line, bind={'labelled': labelled})
        self.trainer = trainer = graph.trainer(str(out), progress=False, **options)
        if snapshot is not None:
            graphdsl.load_snapshot(snapshot, trainer)
        self.weights = {}

        def look(trainer):
            self.weights[trainer.updater.iteration] = {f'{name}/{path}': array for name, model in graph.models.items()
                                                       for path, array in arrays(model).items()}

        trainer.extend(look, trigger=(1, 'iteration'))
        with numpy.errstate(all='ignore'):
            trainer.run(show_loop_exception_msg=False)
        self.log = json.loads((out / 'log').read_text())
        self.files = {path.name for path in out.iterdir()}
        self.out = out
        self.end = trainer.updater.iteration

    def is_at(self, name, iteration):
        """Says whether a file has all weights as they were after an iteration."""
        with numpy.load(self.out / name) as file:
            found, wanted = dict(file), self.weights[iteration]
        return found.keys() == wanted.keys() and all((found[key] == wanted[key]).all() for key in wanted)

    def best(self, name, better):
        """Looks the first of the best iterations up in the log."""
        values = {entry['iteration']: entry[name] for entry in self.log}
        best = better(values.values())
        return next(iteration for iteration, value in values.items() if value == best), best


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    with chainer.using_config('dtype', numpy.float64):
        return Seen(tmp_path_factory.mktemp('whole'))


@pytest.mark.parametrize('name, better', [('validation/kl', min), ('validation/accuracy', max), ('kl', min)])
def test_the_best_weights_are_those_of_the_best_entry_of_the_log(whole, name, better):
    """Of `kl`, the mean of the training losses since the last evaluation counts, as in the log."""
    iteration, value = whole.best(name, better)
    found = whole.trainer.get_extension('best').best[name]
    assert (found.iteration, found.value) == (iteration, pytest.approx(value, rel=1e-12))
    assert whole.is_at(f'best_{name.replace("/", "_")}.npz', iteration)


@pytest.mark.parametrize('name, iteration', [('bowl_0', 4), ('hill', 8), ('late', 8), ('early', 2), ('endless', 4)])
def test_a_best_iteration_that_is_known(whole, name, iteration):
    """The first of two that are as good counts. What is not finite is never better, and anything is better than it."""
    assert whole.is_at(f'best_validation_{name}.npz', iteration)


def test_what_is_not_finite_is_never_best(whole):
    assert not {'best_validation_never.npz', 'best_validation_infinite.npz'} & whole.files
    assert whole.trainer.get_extension('best').best['validation/never'].value is None


def test_the_end_leaves_all_weights(whole, tmp_path):
    """Finished or stopped early; what is evaluated there counts too."""
    assert whole.end == 13 and whole.is_at('weights.npz', 13)
    stopped = Seen(tmp_path / 'stopped', 'stop when iteration >= 4')
    assert stopped.end == 5 and stopped.is_at('weights.npz', 5)
    assert stopped.is_at('best_validation_bowl_0.npz', 5)
    stalled = Seen(tmp_path / 'stalled', 'stop when validation/hill stalls for 2 evaluations')
    assert stalled.end == 12 and stalled.is_at('weights.npz', 12)


@pytest.mark.parametrize('at', [5, 8])
def test_a_resumed_run_goes_on_comparing(whole, tmp_path, at):
    """Between two evaluations too, of which the mean of training losses has a part."""
    resumed = Seen(tmp_path / 'out', snapshot=whole.out / f'snapshot_iter_{at}')
    found, wanted = (one.trainer.get_extension('best').best for one in (resumed, whole))
    assert found == wanted
    for name, file in resumed.trainer.get_extension('best').files.items():
        assert (file in resumed.files) == (wanted[name].iteration > at), name
        if file in resumed.files:
            assert resumed.is_at(file, wanted[name].iteration)


def test_a_resumed_run_may_look_at_other_reports(whole, tmp_path):
    """What both look at goes on; the others begin."""
    resumed = Seen(tmp_path / 'out', snapshot=whole.out / 'snapshot_iter_6',
                   keep_best=('validation/other', 'validation/early'))
    assert resumed.trainer.get_extension('best').best['validation/early'].iteration == 2
    assert 'best_validation_early.npz' not in resumed.files and 'best_validation_other.npz' in resumed.files


def test_as_many_snapshots_are_kept_as_the_file_says(whole):
    assert {name for name in whole.files if 'snapshot' in name} == {f'snapshot_iter_{i}' for i in range(5, 14)}


def test_no_two_reports_share_a_file():
    names = ['validation/a', 'a', 'a[1]', 'a_1', 'A_1', 'validation_a', 'a[1, 2]', 'a[1_2]', 'test/a[1]', 'a[1]-2']
    files = file_names(names)
    assert list(files) == names
    assert len({file.lower() for file in files.values()}) == len(names)
    assert files['validation/a'] == 'best_validation_a.npz' and files['a[1]'] == 'best_a_1.npz'
    assert all(set(file) <= set('abcdefghijklmnopqrstuvwxyzA_-.0123456789') for file in files.values())
