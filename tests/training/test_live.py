"""The view on a terminal, as a terminal of somebody else's shows it."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import warnings

import pyte
import pytest

from graphdsl.cli import main
# What a run imports, so that each child has it.
import graphdsl.compiled  # noqa: F401
import graphdsl.training.report  # noqa: F401
import matplotlib.figure  # noqa: F401
import sklearn.datasets  # noqa: F401

pytestmark = pytest.mark.skipif(os.name != 'posix', reason='there are no pseudo-terminals')

GRAPH = """
import slow from "slow"
data flowers {
    train = iris(split="train")
    test = iris(split="test")
}
input x: float32[4], t: int32 from flowers
for i in 0..3 {
    model net[i] = Linear(3)
    x -> net[i] -> y[i]
    loss kl[i] = slow(y[i], t)
    metric accuracy[i] = accuracy(y[i], t)
    optimizer Adam(alpha=0.01) owns net[i]
}
train {
    epochs 4000
    evaluate every 10 iterations
    log every 10 iterations
    snapshot every 4000 epochs
}
"""
SLOW = """
import os, sys, time
import chainer.functions as F
calls = 0
def slow(y, t):
    global calls
    calls += 1
    if calls > 30:
        time.sleep(0.01)
    if calls == 130:
        print('printed by the function')
        print('begun', end='', flush=True)
        print('a warning of the function', file=sys.stderr)
    if calls == 200 and 'FAIL' in os.environ:
        raise ValueError('it is broken')
    return F.softmax_cross_entropy(y, t)
"""


class Terminal:
    """A command on a pseudo-terminal, and what it shows."""

    def __init__(self, command, folder, rows=30, columns=100, **environment):
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.chdir(folder)
            os.environ.update({'TERM': 'xterm-256color', **environment})
            run(command)
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def press(self, keys):
        os.write(self._terminal, keys)

    def read_until(self, pattern, seconds=60):
        """Reads until the screen shows something."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text()):
            assert time.monotonic() < end and self._read(), self.text()

    def wait(self):
        """Reads to the end, and returns the exit status."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])

    def _read(self):
        ready, _, _ = select.select([self._terminal], [], [], 60)
        assert ready, f'nothing happens:\n{self.text()}'
        try:
            data = os.read(self._terminal, 65536)
        except OSError:         # the command has ended
            return False
        self._stream.feed(data)
        return bool(data)

    def lines(self):
        columns = range(self.screen.columns)
        above = [''.join(line[column].data for column in columns) for line in self.screen.history.top]
        return [line.rstrip() for line in [*above, *self.screen.display]]

    def text(self):
        return '\n'.join(self.lines())

    def kill(self):
        try:
            os.kill(self._process, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(self._terminal)


def run(command):
    """Runs a command line on the standard files of this process, and ends it."""
    status = 1
    try:
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, 'w', buffering=1), open(2, 'w', buffering=1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        warnings.resetwarnings()
        warnings.simplefilter('ignore', DeprecationWarning)
        main(command)
    except SystemExit as end:
        status = end.code or 0
    finally:
        sys.stdout.flush()
        os._exit(status)


@pytest.fixture
def shown(tmp_path):
    """Starts a run of the graph on a terminal."""
    (tmp_path / 'nets.graph').write_text(GRAPH)
    (tmp_path / 'slow.py').write_text(SLOW)
    terminals = []

    def start(*options, **settings):
        command = ['compile', '--run', 'nets.graph', '--allow-import', 'slow', '--out', 'o', *options]
        terminals.append(Terminal(command, tmp_path, **settings))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.kill()


def assert_one_view(terminal):
    """The last state stands there once, below all else that was printed, and the cursor is back."""
    text = terminal.text()
    assert not terminal.screen.cursor.hidden
    for part in (r'^nets   .*examples/s', '^run ', '^epoch ', r'^kl\[\*\] ', r'^accuracy\[\*\] ',
                 r'^net\[\*\]\.alpha '):
        assert len(re.findall(part, text, re.MULTILINE)) == 1, f'{part}:\n{text}'


def test_to_the_end(shown):
    terminal = shown('--iterations', '60')
    assert terminal.wait() == 0, terminal.text()
    assert_one_view(terminal)
    lines = terminal.lines()
    above, view, below = terminal.text().partition('nets   ')
    assert {'printed by the function', 'begun'} <= set(above.splitlines())
    assert 'a warning of the function' in above
    assert 'At the end, on data that was not trained on:' in below
    run = next(line for line in lines if line.startswith('run '))
    assert '100 %' in run and 'iteration 60 of 60' in run
    head = next(line for line in lines if line.split() == ['now', 'logged', 'validation'])
    rows = {line.split()[0]: line for line in lines[lines.index(head):] if line}
    assert rows['net[*].alpha'].split()[1:] == ['0.01']
    values = [float(re.search(rf'validation/accuracy\[{i}\] = (\S+)', below)[1]) for i in range(3)]
    assert float(rows['accuracy[*]'].split()[-1]) == pytest.approx(sum(values) / 3, rel=1e-3)


def test_interrupted(shown):
    terminal = shown()
    terminal.read_until(r'validation')
    terminal.press(b'\x03')
    assert terminal.wait() != 0
    assert_one_view(terminal)


def test_a_run_that_fails(shown):
    terminal = shown(FAIL='yes')
    assert terminal.wait() == 1
    assert_one_view(terminal)
    view, _, below = terminal.text().rpartition('error[G737]')
    assert 'nets   ' in view and 'it is broken' in below


def test_a_window_that_changes(shown):
    terminal = shown('--iterations', '90', columns=120)
    terminal.read_until('validation')
    terminal.resize(30, 100)
    assert terminal.wait() == 0
    assert_one_view(terminal)


def test_a_window_that_is_low(shown):
    """What does not fit is left out; what was printed before stays readable."""
    terminal = shown('--iterations', '60', rows=8, columns=80)
    assert terminal.wait() == 0
    assert not terminal.screen.cursor.hidden
    assert len(re.findall('^run ', terminal.text(), re.MULTILINE)) == 1, terminal.text()


@pytest.mark.parametrize('options, environment', [((), {'TERM': 'dumb'}), (('--progress', 'plain'), {})])
def test_plain_lines_on_a_terminal(options, environment, shown):
    terminal = shown('--iterations', '10', *options, **environment)
    assert terminal.wait() == 0
    header = next(line for line in terminal.lines() if 'iteration' in line)
    assert header.split()[:2] == ['epoch', 'iteration'] and 'examples/s' not in terminal.text()


def test_nothing(shown):
    terminal = shown('--iterations', '10', '--progress', 'none')
    assert terminal.wait() == 0
    assert not terminal.text().strip().startswith(('epoch', 'nets'))
    assert 'At the end' in terminal.text()
