"""How commands and generated modules end: exit status, what they say, and Python's traceback for who asks for it."""
import contextlib
import io
import os
import runpy
import signal
import subprocess
import sys

import pytest

import graphdsl

GOOD = '''data d {
    train = iris()
}
input x: float32[4], t: int32 from d
model m = Linear(3, initialW=0)
x -> m -> y
loss a = softmax_cross_entropy(y, t)
optimizer SGD(lr=0.1) owns m
train { iterations 3 }
'''
BAD = 'loss b = mean(log(y))\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'good.graph').write_text(GOOD)
    (tmp_path / 'wrong.graph').write_text(GOOD.replace('Linear', 'Liner'))
    (tmp_path / 'bad.graph').write_text(GOOD + BAD)
    (tmp_path / 'endless.graph').write_text(GOOD.replace('iterations 3', 'iterations 1000000'))
    return tmp_path


def started(line):
    """Starts `graphdsl` or `python` in a process of its own."""
    program = ['-c', 'from graphdsl.cli import main; main()', *line[1:]] if line[0] == 'graphdsl' else line[1:]
    return subprocess.Popen([sys.executable, *program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=_listening if os.name == 'posix' else None)


def _listening():
    """Lets a process hear an interruption, also where the tests run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def run(command, monkeypatch):
    """Returns a function that runs `graphdsl` or `python` in this process, where it takes no time to start."""
    def run(program, *line):
        if program == 'graphdsl':
            return command(*line)
        monkeypatch.setattr(sys, 'argv', list(line))
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
            runpy.run_path(line[0], run_name='__main__')
        return end.value.code or 0, out.getvalue(), err.getvalue()
    return run


@pytest.fixture
def written(command):
    """Returns a function that writes a module, and returns the command that runs it."""
    def write(name):
        assert command('compile', f'{name}.graph', '-o', f'{name}.py') == (0, '', '')
        return ['python', f'{name}.py', '--out', 'o']
    return write


def test_a_run_that_is_fine(folder, run, written):
    status, out, err = run('graphdsl', 'compile', '--run', 'good.graph', '--out', 'o')
    assert (status, err) == (0, '') and 'The log and the snapshots are in o/.' in out
    assert run(*written('good')) == (status, out, err)


def test_a_run_that_goes_wrong(folder, run, written):
    status, out, err = run('graphdsl', 'compile', '--run', 'bad.graph', '--out', 'o')
    assert (status, out) == (1, '') and err.startswith('error[G730]: the loss `b` is -inf\n  --> bad.graph:10:10\n')
    assert 'Warning' not in err and 'Traceback' not in err
    status, out, err = run(*written('bad'))
    assert (status, out) == (1, '') and err.startswith('error[G730]: the loss `b` is -inf\n')
    assert 'b = F.mean(F.log(y))  # line 10' in err and '^^^^^^ log of 0' in err
    assert 'Warning' not in err and 'Traceback' not in err


def test_without_the_check(folder, written):
    """What NumPy says is all there is then; in this process its warnings are errors."""
    with started([*written('bad'), '--no-nan-check']) as process:
        out, err = process.communicate()
    assert process.returncode == 0 and 'nan' in out
    assert 'RuntimeWarning: divide by zero encountered in log' in err


def test_wrong_command_lines(folder, run, written):
    for line in (['--nonsense'], ['--epochs', '0'], ['--device', 'moon'], ['--epochs', '1', '--iterations', '1']):
        for program in (written('good'), ['graphdsl', 'compile', '--run', 'good.graph']):
            status, out, err = run(*program, *line)
            assert (status, out) == (2, '') and 'Error: ' in err and 'Traceback' not in err


def test_epochs_of_a_graph_that_draws_no_data(folder, run, written):
    (folder / 'noise.graph').write_text('data d { train = iris() }\ninput x: float32[4], _ from d\n'
                                        'noise z: float32[4] ~ normal(0, 1) from d\nmodel m = Linear(1)\nz -> m -> y\n'
                                        'loss a = mean(y ** 2)\noptimizer SGD(lr=0.1) owns m\noutput o = m(x)\n')
    for program in (written('noise'), ['graphdsl', 'compile', '--run', 'noise.graph']):
        status, out, err = run(*program, '--epochs', '1')
        assert (status, out) == (2, '') and 'an epoch would never end' in err


# Tracebacks

@pytest.mark.parametrize('line', ['--traceback compile --run bad.graph', 'compile --run bad.graph --traceback'])
def test_the_traceback_of_a_run(line, folder, command):
    status, out, err = command(*line.split(), '--out', 'o')
    shown, _, diagnostic = err.partition('\n\nerror[G730]')
    assert status == 1 and shown.startswith('Traceback (most recent call last):\n')
    assert shown.endswith("NonFinite: ('m',)")
    assert 'check_finite([a, b], optimizers)' in shown and diagnostic and err.count('G730') == 1


def test_the_traceback_of_an_exception_of_chainer(folder, command):
    (folder / 'label.graph').write_text(GOOD.replace('Linear(3', 'Linear(2'))
    _, _, err = command('compile', '--run', 'label.graph', '--traceback', '--out', 'o')
    assert err.index('IndexError: index 2 is out of bounds') < err.index('error[G701]')
    assert 'softmax_cross_entropy.py' in err


@pytest.mark.parametrize('line', ['check wrong.graph', 'compile wrong.graph', 'plan wrong.graph', 'fmt missing.graph'])
def test_every_command_knows_the_traceback(line, folder, command):
    status, out, err = command(*line.split())
    assert status == 1 and 'Traceback' not in err
    assert command('--traceback', *line.split()) == command(*line.split(), '--traceback')
    with_it = command(*line.split(), '--traceback')
    assert with_it[:2] == (status, out) and with_it[2].endswith(err)


def test_the_traceback_of_a_module(folder, run, written):
    status, out, err = run(*written('bad'), '--traceback')
    assert status == 1 and err.startswith('Traceback') and 'bad.py", line ' in err and err.count('error[G730]') == 1


# Mistakes of our own

def test_what_to_report(folder, command, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError('oh')

    monkeypatch.setattr('graphdsl.semantics.checker._Checker.run', fail)
    status, out, err = command('check', 'good.graph')
    assert (status, out) == (70, '') and err.startswith('graphdsl has a bug: ZeroDivisionError: oh\n')
    for text in ('--traceback', 'raised at      graphdsl/semantics/checker.py, line ', graphdsl.__version__,
                 f'Python         {sys.version.split()[0]}', 'Chainer 7.8.1', 'while at       good.graph'):
        assert text in err
    assert 'Traceback' not in err
    _, _, err = command('check', 'good.graph', '--traceback')
    assert err.startswith('Traceback') and 'raise ZeroDivisionError' in err and 'graphdsl has a bug' in err


def test_the_line_that_was_worked_on(folder, command, monkeypatch):
    from graphdsl.emit.chains import Chains

    def fail(self, chain, is_model=False):
        raise ZeroDivisionError('oh')

    monkeypatch.setattr(Chains, 'write', fail)
    status, _, err = command('compile', 'good.graph')
    assert status == 70 and 'while at       good.graph, line 5\n' in err
    monkeypatch.undo()
    monkeypatch.chdir(folder)

    code = compile('def kept(*_):\n    raise AssertionError\n', graphdsl.__file__, 'exec')
    namespace = {}
    exec(code, namespace)
    monkeypatch.setattr('graphdsl.runtime.updater.convert_batch', namespace['kept'])
    status, _, err = command('compile', '--run', 'good.graph', '--out', 'o')
    assert status == 70 and 'while at       good.graph, line 4\n' in err


def test_no_memory_is_no_mistake_of_ours(folder, command, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr('graphdsl.semantics.checker._Checker.run', fail)
    status, out, err = command('check', 'good.graph')
    assert (status, out) == (1, '') and 'error[G735]: good.graph takes more than' in err


# Interruptions

@pytest.mark.skipif(os.name != 'posix', reason='signals are sent')
@pytest.mark.parametrize('as_module', [False, True])
def test_an_interrupted_run(as_module, folder, written):
    line = written('endless') if as_module else ['graphdsl', 'compile', '--run', 'endless.graph', '--out', 'o']
    with started(line) as process:
        process.stdout.readline()       # the header of the log: it trains
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, err) == (130, 'interrupted\n')


@pytest.mark.parametrize('where', ['graphdsl.semantics.checker._Checker.run',
                                   'graphdsl.runtime.program.Program.datasets',
                                   'graphdsl.runtime.updater.convert_batch', 'graphdsl.runtime.trial.examples'])
def test_interrupted_anywhere(where, folder, command, monkeypatch):
    def interrupt(*_, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupt)
    assert command('compile', '--run', 'good.graph', '--out', 'o') == (130, '', 'interrupted\n')


def test_a_reader_that_goes_away(folder):
    with started(['graphdsl', 'compile', '--run', 'endless.graph', '--out', 'o']) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(60) == 1
    assert 'Traceback' not in err and 'bug' not in err
