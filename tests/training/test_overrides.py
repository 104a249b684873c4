"""Options of the command line in place of lines of `train`: a run is the same as if the file had said it."""
import json
import runpy

import numpy
import pytest
from chainer.datasets import TupleDataset
from click.testing import CliRunner

import graphdsl
from graphdsl.cli import main
from graphdsl.options import RunError
from rules import T, X, arrays, compiled

pytestmark = pytest.mark.usefixtures('without_pictures')

FILE = """
data flowers { train = iris(split="train"); test = iris(split="test") }
input x: float32[4], t: int32 from flowers
noise z: float32[4] ~ normal(0, 1)
model net = Linear(8) -> relu -> Linear(3)
x -> net -> y
loss kl = softmax_cross_entropy(y, t) + 0.1 * mean(net(z) ** 2)
loss rare[0, 1] = mean(y ** 2)
metric accuracy = accuracy(y, t)
metric flat = 0 * mean(y)
metric rows = 0 * mean(y) + batch_size
metric share = 0 * mean(y) + progress
optimizer Adam(alpha=0.01) owns net
"""
TRAIN = {'length': 'epochs 4', 'batch': 'batch 20', 'evaluate': 'evaluate every 1 epoch', 'log': 'log every 1 epoch',
         'snapshot': 'snapshot every 1 epoch', 'best': 'keep best validation/kl',
         'stop': 'stop when validation/kl stalls for 3 evaluations', 'seed': 'seed 3'}


def written(path, **lines):
    text = '\n'.join({**TRAIN, **lines}.values())
    path.write_text(f'{FILE}train {{\n{text}\n}}\n')
    return path


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def trained(path, out, *options):
    result = invoke('compile', '--run', path, '--out', out, *options)
    assert result.exit_code == 0, result.output
    return outcome(out)


def outcome(out):
    """What a run has logged, without times, its weights, and which snapshots and weights there are."""
    log = json.loads((out / 'log').read_text())
    weights = {}
    for path in sorted(out.glob('*.npz')):
        with numpy.load(path) as file:
            weights.update({(path.name, name): file[name].tolist() for name in file})
    return ([{k: v for k, v in entry.items() if k != 'elapsed_time'} for entry in log], weights,
            sorted(path.name for path in out.iterdir() if path.name.startswith(('snapshot', 'best', 'weights'))))


CASES = {
    '--epochs': (['--epochs', 2], {'length': 'epochs 2'}, {'length': (2, 'epoch')}),
    '--iterations': (['--iterations', 9], {'length': 'iterations 9'}, {'length': (9, 'iteration')}),
    '--seed': (['--seed', 5], {'seed': 'seed 5'}, {'seed': 5}),
    '--batch': (['--batch', 7], {'batch': 'batch 7'}, {'batch': 7}),
    '--evaluate-every': (['--evaluate-every', '2 epochs'], {'evaluate': 'evaluate every 2 epochs'},
                         {'evaluate': (2, 'epoch')}),
    '--log-every': (['--log-every', '1 iteration'], {'log': 'log every 1 iteration'}, {'log': (1, 'iteration')}),
    '--snapshot-every': (['--snapshot-every', '5 iterations'], {'snapshot': 'snapshot every 5 iterations'},
                         {'snapshot': (5, 'iteration')}),
    '--keep': (['--keep', 3], {'snapshot': 'snapshot every 1 epoch keep 3'}, {'keep': 3}),
    '--keep-best': (['--keep-best', 'validation/accuracy', '--keep-best', 'rare[0,1]'],
                    {'best': 'keep best validation/accuracy, rare[0, 1]'},
                    {'keep_best': ('validation/accuracy', 'rare[0, 1]')}),
    '--stop-when': (['--stop-when', 'validation/flat stalls for 1 evaluation'],
                    {'stop': 'stop when validation/flat stalls for 1 evaluation'},
                    {'stop_when': 'validation/flat stalls for 1 evaluation'}),
}


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp('plain')
    return trained(written(folder / 'flowers.graph'), folder / 'out')


@pytest.mark.parametrize('options, lines, arguments', CASES.values(), ids=CASES)
def test_an_option_does_what_the_line_does(options, lines, arguments, plain, tmp_path):
    """On the command line and in Python; without it, the run is another."""
    file = written(tmp_path / 'flowers.graph')
    wanted = trained(written(tmp_path / 'other.graph', **lines), tmp_path / 'wanted')
    assert trained(file, tmp_path / 'found', *options) == wanted
    assert plain != wanted
    numpy.random.seed(arguments.get('seed', 3))
    graph = graphdsl.compile_file(file)
    graph.trainer(str(tmp_path / 'python'), progress=False, **arguments).run()
    assert outcome(tmp_path / 'python') == wanted


def test_never_stops_early(tmp_path):
    """What the file says of stopping counts no more, conditions included."""
    stops = {'stop': 'stop when validation/flat stalls for 1 evaluation; stop when iteration >= 15'}
    file = written(tmp_path / 'flowers.graph', **stops)
    assert trained(file, tmp_path / 'early')[0][-1]['iteration'] == 12
    whole = trained(file, tmp_path / 'whole', '--stop-when', 'never')
    assert whole[0][-1]['iteration'] == 24
    later = trained(file, tmp_path / 'later', '--stop-when', 'validation/flat stalls for 2 evaluations')
    assert later[0][-1]['iteration'] == 18


def test_a_written_module_has_the_same_options(tmp_path, monkeypatch):
    file = written(tmp_path / 'flowers.graph')
    assert invoke('compile', file, '-o', tmp_path / 'flowers.py').exit_code == 0
    options = ['--batch', '30', '--keep-best', 'validation/accuracy', '--keep', '1', '--evaluate-every', '2 epochs']
    monkeypatch.setattr('sys.argv', ['flowers.py', '--out', str(tmp_path / 'module'), *options])
    with pytest.raises(SystemExit, match='^0$'):
        runpy.run_path(str(tmp_path / 'flowers.py'), run_name='__main__')
    assert outcome(tmp_path / 'module') == trained(file, tmp_path / 'file', *options)


def test_the_size_of_minibatches_holds_everywhere(tmp_path):
    """Iterators, noise of an iteration that draws none of the data, and `batch_size`; not what has its own."""
    text = """
        import points from "lab"
        data first { train = points(12) }
        data second { train = points(12); batch 6 }
        input x: float32[3], t: int32 from first
        input u: float32[3], _ from second
        noise z: float32[3] ~ normal(0, 1)
        model net = Linear(2)
        loss a = mean(net(x))
        loss b = mean(net(z))
        loss c = mean(net(u))
        metric first_rows = sum(0 * x[:, 0] + 1)
        metric noise_rows = sum(0 * z[:, 0] + 1)
        metric second_rows = sum(0 * u[:, 0] + 1)
        optimizer p = SGD(lr=0.1) owns net
        step one { update p for a, c }
        step two { update p for b }
        train { batch 4; iterations 2; log every 1 iteration }
        """
    graph = compiled(text, bind={'points': lambda n: TupleDataset(X[:n].astype('f'), T[:n])})
    for batch in (5, None, 3):
        trainer = graph.trainer(str(tmp_path / str(batch)), batch=batch, progress=False)
        trainer.run()
        found = trainer.get_extension('LogReport').log[-1]
        assert (found['first_rows'], found['noise_rows'], found['second_rows']) == (batch or 4, batch or 4, 6)
    assert graph.settings.batch == 4


@pytest.mark.parametrize('options, message', [
    (['--batch', '0'], '--batch'), (['--batch', '121'], "'flowers' has 120 examples"),
    (['--keep', '0'], '--keep'), (['--keep', 'all'], '--keep'),
    (['--log-every', '10'], "no interval, such as '2 epochs'"), (['--log-every', '0 epochs'], 'no interval'),
    (['--evaluate-every', '2 hours'], 'no interval'), (['--snapshot-every', '-1 epoch'], 'no interval'),
    (['--keep-best', 'validation/acuracy'], "did you mean 'validation/accuracy'?"),
    (['--keep-best', 'exam/kl'], "nothing is reported as 'exam/kl', which --keep-best names"),
    (['--keep-best', 'rare'], "did you mean 'rare[0, 1]'?"),
    (['--stop-when', 'validation/lk stalls for 2 evaluations'], "did you mean 'validation/kl'?"),
    (['--stop-when', 'kl < 3'], "'NAME stalls for 5 evaluations' or 'never'"),
    (['--stop-when', 'kl stalls for 0 evaluations'], "'NAME stalls for 5 evaluations' or 'never'"),
])
def test_what_cannot_be_is_told_before_training(options, message, tmp_path):
    result = invoke('compile', '--run', written(tmp_path / 'flowers.graph'), '--out', tmp_path / 'out', *options)
    assert (result.exit_code, message in result.output) == (2, True), result.output
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('options, message', [
    ({'batch': 2.5}, 'batch is an integer'), ({'keep': True}, 'keep is an integer'),
    ({'evaluate': 3}, 'evaluate is an interval'), ({'log': (0, 'epoch')}, 'log is an interval'),
    ({'snapshot': (1, 'epochs')}, 'snapshot is an interval'), ({'length': '3 epochs'}, 'length is an interval'),
    ({'keep_best': 'kll'}, "did you mean 'kl'"),
])
def test_what_cannot_be_in_python(options, message, tmp_path):
    graph = graphdsl.compile_file(written(tmp_path / 'flowers.graph'))
    with pytest.raises(RunError, match=message):
        graph.trainer(str(tmp_path / 'out'), **options)


def test_a_batch_that_no_stream_takes(tmp_path):
    file = written(tmp_path / 'flowers.graph')
    file.write_text(file.read_text().replace('split="test") }', 'split="test"); batch 10 }'))
    result = invoke('compile', '--run', file, '--out', tmp_path / 'out', '--batch', '20')
    assert result.exit_code == 2 and 'a `batch` of its own' in result.output


def test_only_what_evaluation_gives_can_be_best(tmp_path):
    """A report that needs a stream without test data has no value on test data."""
    text = """
        import points from "lab"
        data first { train = points(12); test = points(6) }
        data second { train = points(12) }
        input x: float32[3], t: int32 from first
        input u: float32[3], _ from second
        model net = Linear(2)
        loss a = softmax_cross_entropy(net(x), t)
        loss b = mean(net(u) ** 2)
        optimizer net = SGD(lr=0.1) owns net
        train { batch 4; iterations 2 }
        """
    graph = compiled(text, bind={'points': lambda n: TupleDataset(X[:n].astype('f'), T[:n])})
    with pytest.raises(RunError, match="nothing is reported as 'validation/b'"):
        graph.trainer(str(tmp_path / 'a'), keep_best='validation/b')
    graph.trainer(str(tmp_path / 'b'), keep_best=('b', 'validation/a'), progress=False).run()
    assert {path.name for path in (tmp_path / 'b').glob('best*')} == {'best_b.npz', 'best_validation_a.npz'}
    with numpy.load(tmp_path / 'b' / 'best_b.npz') as file:
        assert set(file) == {f'net/{name}' for name in arrays(graph.models['net'])}
