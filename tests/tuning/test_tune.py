"""`graphdsl tune`: what it tries, what it makes of it, and what is left when it is killed."""
import contextlib
import csv
import json
import os
import re
import shlex
import signal
import statistics
import sys
import time
from pathlib import Path

import chainer
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from graphdsl.cli import main
from graphdsl.diagnostics import Source
from graphdsl.syntax.parse import parse
from graphdsl.tuning import space, tune
from graphdsl.tuning.goal import Goal
from graphdsl.tuning.study import open_study

GRAPH = '''
param width = 8
param alpha = 0.01
param kind = "relu" of "relu", "tanh"
param shift = 0
param sizes = [4]
param flag = true
param share = 0.5 of 0.25, 0.5
data flowers {
    train = iris(split="train")
    test = iris(split="test")
}
input x: float32[4], t: int32 from flowers
model net = Linear(width) -> tanh -> Linear(3)
x -> net -> y
loss kl = softmax_cross_entropy(y, t) + 0 * shift * share
metric accuracy = accuracy(y, t)
if flag and kind == "relu" and sizes[0] > 0 {
    metric high = max(y)
}
optimizer Adam(alpha=alpha) owns net
train {
    batch 20
    epochs 4
    seed 3
    evaluate every 5 iterations
    log every 5 iterations
}
'''
STRIPS = '''
param count = 2
data strips {
    train = digits(strip=count, split="train", examples=40)
    test = digits(strip=count, split="test", examples=20)
}
input x: float32[1, 8, 8 * count], t: int32[count] from strips
model trunk = Linear(8) -> tanh
x -> trunk -> h
for i in 0..count {
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    optimizer Adam() owns head[i]
}
optimizer Adam() owns trunk
train { batch 20; epochs 1 }
'''
BOTH = ('--param', 'alpha=1e-4..1e-1:log', '--param', 'width=4..12:step=4')
LOSS = ('--minimize', 'validation/kl')


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'flowers.graph').write_text(GRAPH)
    (tmp_path / 'strips.graph').write_text(STRIPS)
    return tmp_path


class Process:
    """A command in a process of its own, which is a copy of this one: it has imported everything."""

    def __init__(self, name, *arguments):
        self._name = name
        self.pid = os.fork()
        if not self.pid:
            with open(f'{name}.out', 'w') as out, open(f'{name}.err', 'w') as err, \
                    contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    main(['tune', *arguments], prog_name='graphdsl')
                except SystemExit as end:
                    out.flush()
                    err.flush()
                    os._exit(end.code or 0)
                finally:
                    os._exit(99)

    def when_there_is(self, path, number):
        """Sends a signal when there is a file."""
        while not os.path.exists(path):
            assert os.waitpid(self.pid, os.WNOHANG) == (0, 0), self.printed()
            time.sleep(0.001)
        os.kill(self.pid, number)

    def end(self):
        """Waits for the end: the status, negative for a signal."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def printed(self):
        return tuple(Path(f'{self._name}.{which}').read_text() for which in ('out', 'err'))


def load(out='result', name='flowers'):
    return optuna.load_study(study_name=name, storage=f'sqlite:///{out}/study.db')


def ended(study):
    """What the trials tried and came to, without those that were run again."""
    again = {trial.user_attrs.get('again') for trial in study.trials}
    return [(trial.params, trial.state, trial.value if trial.state == TrialState.COMPLETE else None,
             trial.intermediate_values) for trial in study.trials if trial.number not in again]


def table(out='result'):
    with open(f'{out}/trials.csv', newline='') as file:
        return list(csv.DictReader(file))


def logged(name, out):
    with open(f'{out}/log') as file:
        return [entry[name] for entry in json.load(file) if name in entry]


# What may be tried

@pytest.mark.parametrize('name, text, expected', [
    ('alpha', '1e-4..1e-2:log', FloatDistribution(1e-4, 1e-2, log=True)),
    ('alpha', '0..1', FloatDistribution(0, 1)),
    ('alpha', '-0.5..0.5:step=0.25', FloatDistribution(-0.5, 0.5, step=0.25)),
    ('alpha', '1, 0.5', CategoricalDistribution([1.0, 0.5])),
    ('width', '16..256', IntDistribution(16, 256)),
    ('width', '16..256:log', IntDistribution(16, 256, log=True)),
    ('width', '1..10:step=4', IntDistribution(1, 9, step=4)),
    ('width', '16,64,256', CategoricalDistribution([16, 64, 256])),
    ('kind', 'relu,tanh', CategoricalDistribution(['relu', 'tanh'])),
    ('kind', '"tanh", "relu"', CategoricalDistribution(['tanh', 'relu'])),
    ('kind', None, CategoricalDistribution(['relu', 'tanh'])),
    ('share', None, CategoricalDistribution([0.25, 0.5])),
    ('flag', 'true,false', CategoricalDistribution([True, False])),
    ('sizes', '[4], [4, 8]', CategoricalDistribution(['[4]', '[4, 8]'])),
])
def test_what_may_be_tried(name, text, expected):
    source = Source(GRAPH)
    found = space.read_space({name: text}, source, parse(source), {})
    distribution = found[name].distribution()
    assert distribution == expected
    assert list(map(type, getattr(distribution, 'choices', ()))) == list(map(type, getattr(expected, 'choices', ())))


@pytest.mark.parametrize('line, says', [
    ('--param width=1..8', 'give --minimize or --maximize'),
    ('--param width=1..8 --minimize kl --maximize accuracy', 'give --minimize or --maximize'),
    ('--param =1..8 --minimize kl', 'not of the form NAME=RANGE'),
    ('--param width=1..8 --param width=1..4 --minimize kl', "'width' is given twice"),
    ('--param widht=1..8 --minimize kl', 'did you mean `width`?'),
    ('--param nothing --minimize kl', 'there is no param `nothing` to set'),
    ('--param width=1e-3..1e-1 --minimize kl', '`width` cannot be set to 0.001'),
    ('--param width=1..x --minimize kl', '`width` cannot be set to "x"'),
    ('--param width=1..2..3 --minimize kl', '`width` cannot be set to "2..3"'),
    ('--param width=8..1 --minimize kl', 'the first end is below the second'),
    ('--param width=8..8 --minimize kl', 'say `--set width=8`'),
    ('--param width=8 --minimize kl', '`width` has one value'),
    ('--param width --minimize kl', '`width` is given no values: write a range, as in `--param width=8..64`'),
    ('--param width=0..8:log --minimize kl', 'ends above 0'),
    ('--param width=1..8:log:step=2 --minimize kl', 'without `:step`'),
    ('--param width=1..8:step=9 --minimize kl', 'cannot go by steps of 9'),
    ('--param width=1..8:lag --minimize kl', 'unknown addition `:lag`'),
    ('--param kind=relu,sigmoid --minimize kl', 'it is one of "relu", "tanh"'),
    ('--param share=0.25..0.5 --minimize kl', '`share` has choices, and no range'),
    ('--param width=1..8 --set width=4 --minimize kl', '`width` is set and tuned'),
    ('--param width=1..8 --minimize validation/kll', 'did you mean `validation/kl`?'),
    ('--param width=1..8 --minimize dev/kl', 'no data block has an entry `dev`'),
    ('--param width=1..8 --minimize nothing',
     'there are `validation/kl`, `validation/accuracy`, `validation/high`, `kl`, `accuracy` and `high`'),
    ('--param width=1..8 --minimize kl --storage nowhere', 'the storage nowhere cannot be opened'),
])
def test_a_wrong_command_line(line, says, folder, command):
    status, out, err = command('tune', 'flowers.graph', *line.split())
    assert (status, out) == (2, '')
    assert says in err and 'Traceback' not in err
    assert not list(folder.glob('result/trial*'))


def test_without_optuna(monkeypatch, command):
    monkeypatch.setitem(sys.modules, 'optuna', None)
    status, out, err = command('tune', 'flowers.graph', *BOTH, *LOSS)
    assert (status, out, err) == (1, '', "Error: tuning needs Optuna: pip install 'graphdsl[tune]'\n")


# What comes of it

def test_the_best_over_evaluations_counts_and_can_be_trained_again(command):
    status, out, _ = command('tune', 'flowers.graph', *BOTH, *LOSS, '--trials', 3, '--no-prune', '--epochs', 3)
    assert status == 0 and len(out.splitlines()) == 7
    study = load()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3
    line, = re.findall(r'^  (graphdsl compile .*)', out, re.MULTILINE)
    assert command(*shlex.split(line)[1:], '--out', 'again')[0] == 0
    values = list(study.best_trial.intermediate_values.values())
    assert values == logged('validation/kl', 'again')
    # 120 examples in minibatches of 20: 18 iterations, an evaluation after every 5 and at the end.
    assert len(values) == 4 and study.best_value == min(values)


def test_the_table(command):
    assert command('tune', 'flowers.graph', '--param', 'kind', '--param', 'flag=true,false', '--maximize', 'accuracy',
                   '--trials', 2)[0] == 0
    rows = table()
    assert list(rows[0]) == ['trial', 'state', 'accuracy', 'kind', 'flag', 'evaluations', 'seconds', 'message']
    for row, trial in zip(rows, load().trials):
        assert float(row['accuracy']) == trial.value and row['state'] == 'complete'
        assert row['kind'] == trial.params['kind'] and row['flag'] == str(trial.params['flag']).lower()


def test_a_report_of_every_iteration_counts_by_its_mean(command):
    assert command('tune', 'flowers.graph', *BOTH, '--minimize', 'kl', '--trials', 1)[0] == 0
    trial, = load().trials
    assert list(trial.intermediate_values.values()) == pytest.approx(logged('kl', 'result/trial_0000'), rel=1e-6)


def test_families_count_by_their_mean_and_may_change(command):
    assert command('tune', 'strips.graph', '--param', 'count=1,3', '--minimize', 'validation/digit[*]', '--trials',
                   4)[0] == 0
    study = load(name='strips')
    assert {trial.params['count'] for trial in study.trials} == {1, 3}
    for trial in study.trials:
        members = [logged(f'validation/digit[{i}]', f'result/trial_{trial.number:04d}')[-1]
                   for i in range(trial.params['count'])]
        assert trial.value == pytest.approx(statistics.mean(members), rel=1e-6)


def test_trials_are_pruned_by_the_median(command):
    _, out, _ = command('tune', 'flowers.graph', *BOTH, *LOSS, '--trials', 10)
    before = []
    for trial in load().trials:
        values = trial.intermediate_values
        for step, value in values.items():
            others = [other[step] for other in before if step in other]
            best = min(values[s] for s in values if s <= step)
            behind = len(before) >= 5 and best > statistics.median(others)
            assert behind == (trial.state == TrialState.PRUNED and step == len(values))
        if trial.state == TrialState.COMPLETE:
            before.append(values)
        else:
            assert f'pruned after {len(values)} evaluation' in out
    assert 5 <= len(before) < 10


@pytest.mark.filterwarnings('ignore::RuntimeWarning')
@pytest.mark.parametrize('option, says', [
    ('--nan-check', 'G730: the loss `kl` is -inf'), ('--no-nan-check', '`validation/kl` is ')])
def test_a_trial_that_fails(option, says, command, folder):
    (folder / 'flowers.graph').write_text(GRAPH.replace('+ 0 * shift', '+ log(0 * mean(y) + 1 + shift)'))
    status, out, _ = command('tune', 'flowers.graph', '--param', 'shift=0,-1', '--trials', 4, *LOSS, option)
    study = load()
    assert status == 0 and len(study.trials) == 4 and {trial.params['shift'] for trial in study.trials} == {0, -1}
    for trial, row in zip(study.trials, table()):
        failed = trial.params['shift'] == -1
        assert trial.state == (TrialState.FAIL if failed else TrialState.COMPLETE)
        assert row['message'].startswith(says) if failed else row['message'] == ''
        assert row['state'] == ('failed' if failed else 'complete')


def test_all_trials_fail(command):
    status, out, err = command('tune', 'flowers.graph', '--param', 'width=-4,-2', '--trials', 2, *LOSS)
    assert status == 1 and out.count('failed: G701') == 2 and err.startswith('error[G701]')
    assert 'Traceback' not in err


# Studies that go on

def test_a_study_that_was_killed_tries_what_another_does(command):
    options = ('flowers.graph', *BOTH, *LOSS, '--trials', '6', '--epochs', '6')
    assert command('tune', *options, '--out', 'whole')[0] == 0
    for number in (1, 4):
        killed = Process('first', *options, '--out', 'killed')
        killed.when_there_is(f'killed/trial_{number:04d}', signal.SIGKILL)
        assert killed.end() == -signal.SIGKILL
    status, out, _ = command('tune', *options, '--out', 'killed')
    assert status == 0 and 'of this study ended before' in out
    study = load('killed')
    assert ended(study) == ended(load('whole'))
    assert len({params['alpha'] for params, *_ in ended(study)}) == 6
    assert len(study.trials) == 8
    for trial in study.trials:
        if 'again' in trial.user_attrs:
            first = study.trials[trial.user_attrs['again']]
            assert first.state == TrialState.FAIL and first.params == trial.params
    assert [row['trial'] for row in table('killed')] != [row['trial'] for row in table('whole')]
    assert len(table('killed')) == 6


def test_a_trial_whose_process_was_killed_while_params_were_chosen(folder):
    """It chooses as if nothing had been, and what was queued is not lost."""
    def begun(out, queue, kill):
        os.mkdir(out)
        study = optuna.create_study(study_name='s', storage=f'sqlite:///{out}/study.db')
        if queue:
            study.enqueue_trial({'a': 0.25, 'b': 0.75})
        both = {'a': FloatDistribution(0, 1), 'b': FloatDistribution(0, 1)}
        if kill:
            study.ask({'a': both['a']})
        claimed = open_study(None, 's', folder / out, Goal('kl', True), both, (), 0, True).begin(1)
        claimed.lock.release()
        return claimed.trial.params

    assert begun('whole', False, False) == begun('killed', False, True)
    assert begun('queued', True, True) == {'a': 0.25, 'b': 0.75}


def test_a_trial_that_ends_every_process(folder):
    """It is run five times, and then counts as failed."""
    study = open_study(None, 'flowers', folder / 'out', Goal('kl', True), {'a': FloatDistribution(0, 1)}, (), 0, True)
    for _ in range(5):
        claimed = study.begin(1)
        claimed.lock.release()      # as where the process is gone
    assert len({trial.params['a'] for trial in study.actual.trials}) == 1
    assert study.begin(1) is None and len(study.actual.trials) == 5 and len(study.trials()) == 1


def test_ctrl_c(command):
    options = ('flowers.graph', *BOTH, *LOSS, '--trials', '2', '--epochs', '8')
    stopped = Process('stopped', *options)
    stopped.when_there_is('result/trial_0001/log', signal.SIGINT)
    status = stopped.end()
    out, err = stopped.printed()
    assert status == 130 and out.count('trial ') >= 1 and 'Traceback' not in err
    line = err.splitlines()[-2].strip()
    assert line.endswith(shlex.join(['tune', *options])) and err.endswith('interrupted\n')
    assert not [trial for trial in load().trials if trial.state == TrialState.RUNNING]
    assert command('tune', *options)[0] == 0
    assert len(ended(load())) == 2


def test_two_processes_share_a_study():
    options = ('flowers.graph', *BOTH, *LOSS, '--trials', '10', '--no-prune')
    both = [Process(name, *options) for name in 'ab']
    assert [one.end() for one in both] == [0, 0], [one.printed() for one in both]
    lines = [line for one in both for line in one.printed()[0].splitlines() if line.startswith('trial ')]
    assert sorted(int(line.split()[1]) for line in lines) == list(range(10))
    assert [trial.state for trial in load().trials] == [TrialState.COMPLETE] * 10 and len(table()) == 10


def test_a_larger_number_of_trials_goes_on_and_the_same_does_nothing(command):
    options = ('flowers.graph', *BOTH, *LOSS, '--epochs', 1)
    command('tune', *options, '--trials', 2)
    before = ended(load())
    _, out, _ = command('tune', *options, '--trials', 3)
    assert out.startswith('2 trials of this study ended before\ntrial 2 ')
    assert ended(load())[:2] == before and len(load().trials) == 3
    assert 'trial 3' not in command('tune', *options, '--trials', 3)[1] and len(load().trials) == 3


@pytest.mark.parametrize('line, says', [
    ('--param width=4..8 --minimize validation/kl --epochs 1 --out elsewhere --storage sqlite:///result/study.db',
     'give it as `--out`'),
    ('--param width=4..8 --maximize validation/kl --epochs 1',
     'the study is to minimize `validation/kl`, and you want to maximize `validation/kl`'),
    ('--param width=4..8 --minimize kl --epochs 1', 'and you want to minimize `kl`'),
    ('--param width=4..9 --minimize validation/kl --epochs 1',
     'the study tries `width=4..8`, and you want `width=4..9`'),
    ('--param width=4..8 --param alpha=0.1..1 --minimize validation/kl --epochs 1',
     'the study tries no `alpha`, and you want `alpha=0.1..1.0`'),
    ('--param width=4..8 --minimize validation/kl', 'the study began with `--epochs 1`, which is not there now'),
    ('--param width=4..8 --minimize validation/kl --epochs 1 --set alpha=0.1',
     'the study began without `--set alpha=0.1`'),
    ('--param width=4..8 --minimize validation/kl --epochs 1 --study other', 'result holds the trials of another'),
])
def test_another_study(line, says, command):
    assert command('tune', 'flowers.graph', '--param', 'width=4..8', *LOSS, '--epochs', 1, '--trials', 1)[0] == 0
    status, out, err = command('tune', 'flowers.graph', *line.split())
    assert (status, out) == (2, '') and says in err
    assert len(load().trials) == 1


def test_a_study_that_was_made_with_optuna(command):
    os.mkdir('result')
    study = optuna.create_study(study_name='mine', storage='sqlite:///result/study.db', direction='minimize')
    study.enqueue_trial({'alpha': 0.02, 'width': 12})
    assert command('tune', 'flowers.graph', *BOTH, *LOSS, '--trials', 2, '--study', 'mine', '--epochs', 1)[0] == 0
    assert [trial.params['width'] for trial in study.trials][0] == 12 and len(study.trials) == 2


def test_in_python():
    def scaled(y, t, by):
        return by * chainer.functions.softmax_cross_entropy(y, t)

    text = GRAPH.replace('loss kl = softmax_cross_entropy(y, t)', 'import scaled from "mine"\nloss kl = '
                         'scaled(y, t, by=2 ** shift)')
    with open('own.graph', 'w') as file:
        file.write(text)
    study = tune.tune('own.graph', {'shift': '0..6:step=3'}, minimize='kl', trials=5, bind={'scaled': scaled},
                      fixed={'width': 4}, length=(1, 'epoch'), out='own')
    assert study.best_params == {'shift': 0} and len(study.trials) == 5
    assert os.path.exists('own/trials.csv') and os.path.exists('own/trial_0004/log')
