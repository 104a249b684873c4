"""Stopping and resuming from the command line: what is taken over, what is said, and what is refused."""
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

pytestmark = pytest.mark.usefixtures('without_pictures')

GRAPH = '''
param width = 8
data flowers {
    train = iris(split="train")
    test = iris(split="test")
}
input x: float32[4], t: int32 from flowers
model net = Linear(width) -> relu -> dropout(0.2) -> Linear(3)
x -> net -> y
loss kl = softmax_cross_entropy(y, t)
metric accuracy = accuracy(y, t)
optimizer Adam(alpha=0.01) owns net
train {
    batch 16
    epochs 4
    log every 7 iterations
    keep best validation/kl
}
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'a.graph').write_text(GRAPH)
    return tmp_path


@pytest.fixture
def train(folder, command):
    """Returns a function that trains `a.graph` into a folder: exit status and errors."""
    def train(out, *options):
        status, _, err = command('compile', '--run', 'a.graph', '--out', out, '--progress', 'none', *options)
        return status, err

    return train


def change(old, new):
    text = Path('a.graph').read_text()
    assert old in text
    Path('a.graph').write_text(text.replace(old, new))


def end_of(out):
    """All of the last snapshot but clocks, the files of weights, and the log."""
    last = max(Path(out).glob('snapshot_iter_*'), key=lambda path: int(path.name[14:]))
    found = {}
    for path in (last, *Path(out).glob('*.npz')):
        with numpy.load(path, allow_pickle=True) as file:
            found.update({f'{path.name}/{name}': file[name].tobytes() for name in file.files
                          if path != last or name.startswith('updater/')})
    log = json.loads((Path(out) / 'log').read_text())
    return found, [{name: value for name, value in entry.items() if name != 'elapsed_time'} for entry in log]


def test_what_was_asked_for_is_taken_over(train):
    options = ['--set', 'width=6', '--seed', 5, '--batch', 12]
    assert train('whole', *options, '--epochs', 3) == (0, '')
    assert train('part', *options, '--epochs', 1)[0] == 0
    os.rename('part/snapshot_iter_10', 'kept')
    assert train('part', '--resume', 'kept', '--epochs', 3)[0] == 0
    status, err = train('again', '--resume', 'part/snapshot_iter_20', '--epochs', 3)
    assert status == 0 and err.startswith('going on from part/snapshot_iter_20, after iteration 20 and 2 epochs, '
                                          'with --set width=6 --seed 5 as before\n')
    assert end_of('again')[0] == end_of('whole')[0]


def test_nothing_to_go_on_from(train):
    """A script of a cluster that always says `--resume` works from its first run on."""
    assert train('o', '--resume', '--epochs', 1) == (0, 'o has no snapshot to go on from: the run begins\n')
    status, err = train('o', '--resume')
    assert status == 0 and 'it had come to its end; more --epochs or --iterations' in err


@pytest.mark.parametrize('old, new, problems, fits', [
    ('param width = 8', 'param width = 9',
     ['model net: linear_1/W is float32[9, 4], and was float32[8, 4]', 'optimizer net owns what does not fit',
      'the param width is 9, and was 8'], 'stream flowers.'),
    ('optimizer Adam(alpha=0.01)', 'optimizer MomentumSGD(lr=0.1)', ['optimizer net is MomentumSGD, and was Adam'],
     'stream flowers, model net.'),
    ('model net', 'state k = 0.0\nnext k = kl\nmodel net', ['state k is new'],
     'stream flowers, model net, optimizer net.'),
    ('iris(split="train")', 'iris(split="test")', ['stream flowers has 30 examples, and had 120'],
     'model net, optimizer net.'),
    ('-> Linear(3)', '-> Linear(3, nobias=true)', ['model net: linear_2/b is gone'], 'stream flowers.'),
    ('x -> net -> y', 'model extra = Linear(4)\nx -> extra -> net -> y\noptimizer SGD(lr=0.1) owns extra',
     ['model extra is new', 'optimizer extra is new'], 'stream flowers, model net, optimizer net.'),
])
def test_a_changed_graph(old, new, problems, fits, train):
    """It is said what differs and what fits; `--partly` takes that and no more."""
    assert train('o', '--epochs', 1)[0] == 0
    change(old, new)
    status, err = train('o', '--resume', '--epochs', 2)
    assert status == 1 and err.startswith('Error: o/snapshot_iter_8 does not fit this graph\n')
    assert all(problem in err for problem in problems) and f'What fits: {fits}\n' in err
    assert '`--partly` takes what fits' in err
    status, err = train('o', '--resume', '--partly', '--epochs', 2)
    assert status == 0 and 'what does not fit begins anew:\n' in err and all(problem in err for problem in problems)


@pytest.mark.parametrize('old, new', [('alpha=0.01', 'alpha=0.02'), ('log every 7', 'log every 3'),
                                      ('metric accuracy', 'metric right'), ('param width', '# wide\nparam width')])
def test_harmless_changes_go_on_and_are_told(old, new, train):
    assert train('o', '--epochs', 1)[0] == 0
    change(old, new)
    status, err = train('o', '--resume', '--epochs', 2)
    assert status == 0 and 'the graph file has changed since:\n' in err and '  + ' in err


def test_resuming_in_python(train):
    import graphdsl
    from graphdsl.training.resuming import SnapshotError

    assert train('whole', '--epochs', 2)[0] == 0
    assert train('o', '--epochs', 1)[0] == 0
    graphdsl.compile_file('a.graph').trainer('o', resume='', length=(2, 'epoch'), progress=False).run()
    assert end_of('o')[0] == end_of('whole')[0]
    with pytest.raises(SnapshotError, match='net: linear_1/W is'):
        graphdsl.compile_file('a.graph', params={'width': 3}).trainer('o', resume='', progress=False)


def test_momenta_that_are_missing_are_missed(train):
    assert train('o', '--epochs', 1)[0] == 0
    with numpy.load('o/snapshot_iter_8', allow_pickle=True) as file:
        entries = {name: file[name] for name in file.files if '/linear_1/b/' not in name}
    numpy.savez('less.npz', **entries)
    status, err = train('o', '--resume', 'less.npz', '--epochs', 2)
    assert status == 1 and 'optimizer net has nothing saved of net/linear_1/b' in err


def test_a_broken_snapshot_is_passed_over(train):
    assert train('o', '--epochs', 2)[0] == 0
    data = Path('o/snapshot_iter_15').read_bytes()
    Path('o/snapshot_iter_15').write_bytes(data[:len(data) // 2])
    status, err = train('o', '--resume', '--epochs', 3)
    assert status == 0 and 'warning: o/snapshot_iter_15 is broken: ' in err
    assert 'o/snapshot_iter_8 is taken instead\n' in err and 'going on from o/snapshot_iter_8, ' in err
    assert train('whole', '--epochs', 3)[0] == 0
    # The end of the second epoch was no end of the run, and is saved again.
    assert end_of('o')[0] == end_of('whole')[0]
    for path in Path('o').glob('snapshot_*'):
        path.write_bytes(b'nothing')
    status, err = train('o', '--resume', '--epochs', 3)
    assert status == 1 and err.startswith('Error: no snapshot in o can be read\n  o/snapshot_iter_')


@pytest.mark.parametrize('name, problem', [('nowhere', 'there is no nowhere'), ('a.graph', 'the file comes first'),
                                           ('o', 'cannot be read'), ('w.npz', 'is no snapshot of a run')])
def test_no_snapshot(name, problem, train):
    os.mkdir('o')
    numpy.savez('w.npz', W=numpy.zeros(3))
    status, err = train('p', '--resume', name)
    assert status == (2 if name == 'a.graph' else 1) and problem in err and not Path('p').exists()


def test_a_new_run_leaves_the_old_one_whole(train):
    assert train('o', '--epochs', 1, '--seed', 1)[0] == 0
    Path('o/mine.txt').write_text('notes')
    before = end_of('o')
    assert train('o', '--epochs', 1, '--seed', 2) == (0, 'o held an earlier run, which is in o-1 now\n')
    assert end_of('o-1') == before != end_of('o')
    assert Path('o/mine.txt').exists() and {'run.json', 'a.graph', 'a.py', 'report.html'} <= set(os.listdir('o-1'))


def test_going_on_from_an_earlier_snapshot_leaves_the_later_ones(train):
    assert train('o', '--epochs', 2)[0] == 0
    status, err = train('o', '--resume', 'o/snapshot_iter_8', '--epochs', 2, '--seed', 7)
    assert status == 0 and 'o held snapshots after iteration 8, which are in o-1 now\n' in err
    assert os.listdir('o-1') == ['snapshot_iter_15']


def started(*options, limit=None):
    def prepare():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen([sys.executable, '-c', 'from graphdsl.cli import main; main()', 'compile', '--run',
                             'a.graph', '--out', 'o', '--progress', 'plain', *map(str, options)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=prepare)


@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_after_the_iteration(number, status, folder, train):
    """The run that goes on ends as one that was never stopped."""
    process = started('--epochs', 60, '--set', 'width=300')
    process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    stopping, stopped, line = err.strip().splitlines()
    assert stopping == 'stopping after this iteration; the same again stops at once'
    iteration = int(stopped.split()[3].rstrip(','))
    assert stopped == f'stopped after iteration {iteration}, and saved in o/snapshot_iter_{iteration}. To go on:'
    assert line == ('  graphdsl compile --run a.graph --out o --progress plain --epochs 60 --set width=300 --resume')
    assert len(list(Path('o').glob('snapshot_iter_*'))) <= 2
    assert train('o', '--resume')[0] == 0
    assert train('whole', '--epochs', 60, '--set', 'width=300')[0] == 0
    assert end_of('o') == end_of('whole')


def test_a_full_disk_loses_nothing(folder, train):
    """A file that gets too large ends the run in a line; the snapshot before is as it was."""
    assert train('o', '--epochs', 1, '--set', 'width=300')[0] == 0
    before = Path('o/snapshot_iter_8').read_bytes()
    process = started('--resume', '--epochs', 2, limit=len(before) - 2000)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and err.splitlines()[-1].endswith('cannot be written: File too large')
    assert 'Traceback' not in err and 'Exception' not in err
    assert Path('o/snapshot_iter_8').read_bytes() == before
    assert not [name for name in os.listdir('o') if name.endswith('.part')]
    assert train('o', '--resume', '--epochs', 2)[0] == 0


def test_a_folder_that_cannot_be_written_is_found_before_training(train):
    Path('file').write_text('')
    status, err = train('file/o', '--epochs', 1)
    assert status == 1 and err == 'Error: file/o cannot be written: Not a directory\n'
