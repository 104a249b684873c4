"""The command line: what it reads, what it writes, and the status it ends with."""
import contextlib
import json
import os
import pty
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

GOOD = '''param size = 2
input x: float32[3]
model m = Linear(size)
x -> m -> y
loss a = mean(y)
optimizer SGD() owns m
'''
BAD = 'x -> m -> y\n'
UGLY = 'input   x:float32[3]\nmodel m=Linear(2)   # a comment\nx->m->y\nloss a=mean(y)\noptimizer SGD() owns m\n'

STRANGE = {
    'empty': b'', 'comments': b'# nothing\n\n   # more', 'crlf': GOOD.replace('\n', '\r\n').encode(),
    'cr': GOOD.replace('\n', '\r').encode(), 'bom': b'\xef\xbb\xbf' + GOOD.encode(), 'latin': b'# caf\xe9\n',
    'utf16': GOOD.encode('utf-16'), 'nul': b'a\x00b = 1\n', 'escape': b'model m = \x1b[31mLinear(2)\n',
    'no_newline': GOOD.rstrip().encode(), 'only_newlines': b'\n\n\r\n;;\n', 'binary': bytes(range(256)),
    'emoji': '# \U0001f600\nx -> \U0001f600 -> y\n'.encode(), 'tabs': b'x ->\t\tm -> y\n', 'brace': b'{' * 300,
    'parentheses': b'y = ' + b'(' * 5000, 'quote': b'import f from "\n', 'long': b'y = x' + b' + x' * 20_000,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'good.graph').write_text(GOOD)
    (tmp_path / 'bad.graph').write_text(BAD)
    (tmp_path / 'ugly.graph').write_text(UGLY)
    return tmp_path


def graphdsl(*arguments, **options):
    """Runs the command line in a process of its own."""
    return subprocess.run([sys.executable, '-c', 'from graphdsl.cli import main; main()', *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, text=True, **options)


# Files of every kind

@pytest.mark.parametrize('name', STRANGE)
@pytest.mark.parametrize('line', ['check', 'fmt --check', 'fmt --diff', 'compile', 'compile --emit=tree'])
def test_strange_files(name, line, folder, command):
    (folder / 'strange.graph').write_bytes(STRANGE[name])
    status, out, err = command(*line.split(), 'strange.graph')
    assert status in (0, 1), err
    assert 'Traceback' not in out + err and 'bug' not in err
    assert status == 0 or err


@pytest.mark.parametrize('name', ['crlf', 'cr', 'bom', 'no_newline'])
def test_files_that_are_fine(name, folder, command):
    (folder / 'strange.graph').write_bytes(STRANGE[name])
    assert command('check', 'strange.graph') == (0, '1 file is fine\n', '')


@pytest.mark.parametrize('name', ['empty', 'comments', 'only_newlines'])
def test_a_file_that_would_train_nothing(name, folder, command):
    (folder / 'strange.graph').write_bytes(STRANGE[name])
    status, out, err = command('check', 'strange.graph')
    assert (status, out) == (1, '') and err.startswith('error[G410]: this file has no optimizer')


@pytest.mark.parametrize('name', ['crlf', 'cr'])
def test_lines_are_counted_whatever_ends_them(name, folder, command):
    (folder / 'strange.graph').write_bytes(STRANGE[name].replace(b'SGD', b'Sgd'))
    _, _, err = command('check', 'strange.graph')
    assert 'strange.graph:6:11\n' in err and '6 | optimizer Sgd() owns m\n' in err


def test_nothing_of_a_file_controls_the_terminal(folder, command):
    for name in ('escape', 'nul', 'binary'):
        (folder / 'strange.graph').write_bytes(STRANGE[name])
        _, out, err = command('check', 'strange.graph')
        assert all(c.isprintable() or c in '\n\t' for c in out + err)


@pytest.mark.parametrize('line', [
    'check FILE', 'fmt FILE', 'fmt --check FILE', 'compile FILE', 'compile --run FILE'])
def test_a_file_that_cannot_be_read(line, folder, command):
    for file in ('missing.graph', '.', 'good.graph/x'):
        status, out, err = command(*line.replace('FILE', file).split())
        assert (status, out) == (1, '') and f'{file} cannot be read: ' in err
    (folder / 'latin.graph').write_bytes(STRANGE['latin'])
    status, _, err = command(*line.replace('FILE', 'latin.graph').split())
    assert status == 1 and 'latin.graph is not UTF-8: byte 5 is 0xe9' in err


def test_a_name_that_is_no_text(folder):
    name = os.fsdecode(b'n\xff.graph')
    Path(name).write_text(UGLY)
    for line in ('check', 'compile', 'fmt --diff', 'fmt --check', 'fmt'):
        done = graphdsl(*line.split(), name, errors='replace')
        assert done.returncode in (0, 1) and 'bug' not in done.stderr and 'Traceback' not in done.stderr


def test_a_name_becomes_no_code(folder, command):
    name = 'a"""; import os; """\\.graph'
    Path(name).write_text(GOOD)
    status, out, _ = command('compile', name)
    compile(out, 'module', 'exec')
    assert status == 0 and '\nimport os' not in out
    namespace = {'__name__': 'm'}
    exec(out, namespace)
    assert 'os' not in namespace


# check

def test_several_files(folder, command):
    assert command('check', 'good.graph', 'good.graph') == (0, '2 files are fine\n', '')
    status, out, err = command('check', 'missing.graph', 'good.graph', 'bad.graph')
    assert (status, out) == (1, '')
    assert err.index('missing.graph cannot be read') < err.index('bad.graph:1:1')


def test_many_errors_are_one_status(folder, command):
    (folder / 'many.graph').write_text('\n'.join(f'y{i} = relu(z{i})' for i in range(512)))
    status, _, err = command('check', 'many.graph')
    assert status == 1 and err.count('error[G101]') == 100 and '412 more are not shown' in err
    status, _, err = command('check', '--limit', 'errors=512', 'many.graph')
    assert status == 1 and err.count('error[G101]') == 512 and 'not shown' not in err


@pytest.mark.parametrize('line', ['check', 'fmt', 'compile', 'nonsense', 'check --nonsense good.graph',
                                  'compile good.graph bad.graph', 'compile --emit=nonsense good.graph',
                                  'compile --run -o x.py good.graph', 'compile --run --emit=plan good.graph',
                                  'compile --epochs 0 good.graph', 'compile --epochs x good.graph',
                                  'compile -o . good.graph',
                                  'check --set size good.graph', 'check --set =3 good.graph',
                                  'check --set good.graph'])
def test_wrong_command_lines(line, folder, command):
    status, out, err = command(*line.split())
    assert status == 2 and out == '' and 'Traceback' not in err


@pytest.mark.parametrize('setting', [
    'size=two', 'size=1.5', 'size=true', 'size=', 'sizes=3', 'size=3;', 'size=' + '(' * 999])
@pytest.mark.parametrize('line', ['check', 'compile', 'compile --run', 'compile --emit=graph'])
def test_wrong_values_of_params(setting, line, folder, command):
    status, out, err = command(*line.split(), '--set', setting, 'good.graph')
    assert (status, out) == (2, '') and ('error[G211]' in err or 'error[G212]' in err)


def test_values_of_params(folder, command):
    assert command('check', '--set', 'size=3', 'good.graph')[0] == 0
    assert 'L.Linear(None, 7)' in command('compile', '--set', 'size = 7', 'good.graph')[1]
    assert 'L.Linear(None, 5)' in command('compile', '--set', 'size=7', '--set', 'size=5', 'good.graph')[1]


def test_a_wrong_file_is_no_wrong_command_line(folder, command):
    (folder / 'both.graph').write_text(GOOD + 'metric z = mean(zz)\n')
    assert command('check', '--set', 'size=two', 'both.graph')[0] == 1


# Imports

IMPORTING = GOOD.replace('loss a = mean(y)', 'import far from "lab_far"\nloss a = far(y)')


@pytest.fixture
def lab(folder):
    """A module beside a graph file that imports it; it leaves a trace where it runs."""
    (folder / 'lab_far.py').write_text('import os\nimport chainer.functions as F\nos.mkdir("trace")\n'
                                       'def far(v):\n    return F.mean(v ** 2)\n')
    (folder / 'far.graph').write_text(IMPORTING)
    yield folder
    sys.modules.pop('lab_far', None)


@pytest.mark.parametrize('line', [
    'check', 'compile', 'compile --run', 'compile --emit=tree', 'compile --emit=graph', 'compile --emit=plan',
    'fmt --check',
    'check --allow-import lab', 'check --allow-import lab_far.inner', 'compile --run --allow-import os'])
def test_no_command_imports_what_is_not_allowed(line, lab, command):
    status, out, err = command(*line.split(), 'far.graph')
    assert not (lab / 'trace').exists() and 'lab_far' not in sys.modules
    assert ('error[G121]' in err) == (status == 1) == ('tree' not in line and 'fmt' not in line)


@pytest.mark.parametrize('line', ['check', 'compile', 'compile --emit=plan'])
def test_a_module_beside_the_file_that_is_allowed(line, lab, command, monkeypatch):
    status, out, err = command(*line.split(), '--allow-import', 'lab_far', 'far.graph')
    assert (status, err) == (0, '') and (lab / 'trace').is_dir()
    assert line != 'compile' or 'from lab_far import far' in out


# compile

def test_the_module_is_written(folder, command):
    assert command('compile', 'good.graph', '-o', 'out.py') == (0, '', '')
    assert (folder / 'out.py').read_text() == command('compile', 'good.graph')[1]
    assert stat.S_IMODE((folder / 'out.py').stat().st_mode) == 0o666 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize('emit', ['tree', 'graph', 'plan', 'python'])
def test_every_phase_can_be_written(emit, folder, command):
    status, out, _ = command('compile', f'--emit={emit}', 'good.graph')
    command('compile', f'--emit={emit}', 'good.graph', '-o', 'out')
    assert status == 0 and (folder / 'out').read_text() == out


def test_a_mistake_leaves_the_old_file(folder, command):
    (folder / 'out.py').write_text('old')
    (folder / 'out.py').chmod(0o755)
    assert command('compile', 'bad.graph', '-o', 'out.py')[0] == 1
    assert (folder / 'out.py').read_text() == 'old'
    assert command('compile', 'good.graph', '-o', 'out.py')[0] == 0
    assert stat.S_IMODE((folder / 'out.py').stat().st_mode) == 0o755
    assert sorted(file.name for file in folder.iterdir()) == ['bad.graph', 'good.graph', 'out.py', 'ugly.graph']


def test_a_failure_leaves_nothing_behind(folder, command, monkeypatch):
    def fail(*_):
        raise OSError(28, 'No space left on device')

    (folder / 'out.py').write_text('old')
    monkeypatch.setattr(Path, 'replace', fail)
    status, _, err = command('compile', 'good.graph', '-o', 'out.py')
    assert (status, err) == (1, 'Error: out.py cannot be written: No space left on device\n')
    assert (folder / 'out.py').read_text() == 'old'
    assert sorted(file.name for file in folder.iterdir()) == ['bad.graph', 'good.graph', 'out.py', 'ugly.graph']


@pytest.mark.parametrize('target', ['missing/out.py', 'good.graph/out.py', 'x' * 300])
def test_a_target_that_cannot_be_written(target, folder, command):
    status, out, err = command('compile', 'good.graph', '-o', target)
    assert (status, out) == (1, '') and f'{target} cannot be written: ' in err


def test_a_link_stays_a_link(folder, command):
    (folder / 'real.py').write_text('old')
    (folder / 'link.py').symlink_to('real.py')
    (folder / 'link.graph').symlink_to('ugly.graph')
    assert command('compile', 'good.graph', '-o', 'link.py')[0] == 0
    assert command('fmt', 'link.graph')[0] == 0
    assert (folder / 'link.py').is_symlink() and 'class M' in (folder / 'real.py').read_text()
    assert (folder / 'link.graph').is_symlink() and (folder / 'ugly.graph').read_text() != UGLY


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no pipes with names here')
def test_a_pipe_stays_a_pipe(folder, command):
    """Nothing but a regular file may be replaced: `-o /dev/stdout` would put a file in the place of the device."""
    os.mkfifo(folder / 'pipe')
    read = []
    reader = threading.Thread(target=lambda: read.append((folder / 'pipe').read_text()))
    reader.start()
    assert command('compile', 'good.graph', '-o', 'pipe')[0] == 0
    reader.join(10)
    assert stat.S_ISFIFO((folder / 'pipe').stat().st_mode) and read == [command('compile', 'good.graph')[1]]


# fmt

def test_fmt_changes_a_file_once(folder, command):
    assert command('fmt', 'good.graph', 'ugly.graph') == (0, 'ugly.graph changed\n', '')
    assert command('fmt', 'good.graph', 'ugly.graph') == (0, '', '')
    assert (folder / 'good.graph').read_text() == GOOD
    assert '# a comment' in (folder / 'ugly.graph').read_text()


def test_fmt_check(folder, command):
    assert command('fmt', '--check', 'good.graph') == (0, '', '')
    assert command('fmt', '--check', 'good.graph', 'ugly.graph') == (1, '', 'ugly.graph would change\n')
    assert (folder / 'ugly.graph').read_text() == UGLY


def test_fmt_diff(folder, command):
    assert command('fmt', '--diff', 'good.graph') == (0, '', '')
    status, out, err = command('fmt', '--diff', 'ugly.graph')
    assert (status, err) == (0, '') and out.startswith('--- ugly.graph\n+++ ugly.graph (formatted)\n')
    assert '\n-x->m->y\n' in out and '\n+x -> m -> y\n' in out
    assert command('fmt', '--check', '--diff', 'ugly.graph') == (1, out, 'ugly.graph would change\n')
    assert (folder / 'ugly.graph').read_text() == UGLY


def test_fmt_goes_on_after_a_file_that_is_wrong(folder, command):
    (folder / 'wrong.graph').write_text('model = =\n')
    status, out, err = command('fmt', 'wrong.graph', 'missing.graph', 'ugly.graph')
    assert status == 1 and out == 'ugly.graph changed\n'
    assert 'error[G001]' in err and 'missing.graph cannot be read' in err
    assert (folder / 'wrong.graph').read_text() == 'model = =\n'


def test_fmt_needs_no_sense(folder, command):
    """It lays out whatever can be parsed."""
    (folder / 'nonsense.graph').write_text('a->b->c\n')
    assert command('fmt', 'nonsense.graph')[0] == 0
    assert (folder / 'nonsense.graph').read_text() == 'a -> b -> c\n'
    for name in ('empty', 'comments'):
        (folder / 'strange.graph').write_bytes(STRANGE[name])
        assert command('fmt', '--check', 'strange.graph')[0] in (0, 1)


# Ends of all kinds

def test_a_mistake_of_ours_is_told_from_the_users(folder, command, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError('oh')

    monkeypatch.setattr('graphdsl.semantics.checker._Checker.run', fail)
    status, out, err = command('check', 'good.graph')
    assert (status, out) == (70, '') and err.startswith('graphdsl has a bug: ZeroDivisionError: oh')


def test_an_interrupted_run(folder, command, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr('graphdsl.semantics.checker._Checker.run', interrupt)
    assert command('check', 'good.graph') == (130, '', 'interrupted\n')


def test_a_reader_that_goes_away(folder):
    (folder / 'large.graph').write_text(GOOD + '\n'.join(f'output o{i} = y' for i in range(3000)))
    program = [sys.executable, '-c', 'from graphdsl.cli import main; main()', 'compile', 'large.graph']
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert 'Traceback' not in err and 'bug' not in err


# What is imported, and when

HEAVY = ('chainer', 'numpy', 'sklearn', 'matplotlib', 'lark')


def imported_by(program, heavy=HEAVY):
    done = subprocess.run([sys.executable, '-c', f'import sys\ntry:\n    {program}\nexcept SystemExit:\n    pass\n'
                           f'print("imported", [m for m in {heavy!r} if m in sys.modules])'],
                          stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize('line', [
    '--help', '--version', 'check --help', 'compile --help', 'fmt --help', 'nonsense'])
def test_help_imports_next_to_nothing(line):
    assert imported_by(f'from graphdsl.cli import main; main({line.split()!r})') == 'imported []'


def test_fmt_and_syntax_errors_do_not_import_chainer(folder):
    heavy = tuple(set(HEAVY) - {'lark'})
    (folder / 'wrong.graph').write_text('model = =\n')
    for line in ('fmt ugly.graph', 'compile --emit=tree good.graph', 'check wrong.graph'):
        assert imported_by(f'from graphdsl.cli import main; main({line.split()!r})', heavy) == 'imported []'


def test_the_package_imports_next_to_nothing():
    assert imported_by('import graphdsl') == 'imported []'


@pytest.mark.skipif(not hasattr(os, 'times'), reason='no process times here')
def test_help_takes_little_time():
    def seconds():
        before = os.times()
        subprocess.run([sys.executable, '-c', 'from graphdsl.cli import main; main(["--help"])'],
                       stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds() for _ in range(3)) < 0.3


# How mistakes are shown

def test_json_for_tools(folder, command):
    text = 'input x: float32[3]\nmodel m = Linear(2)\nx -> m -> y\nloss a = mean(y)\n' \
           'optimizer SGD() owns m\noptimizer b = Adam() owns m minimizes a, q\nx -> m -> unused\n'
    (folder / 'two.graph').write_text(text)
    status, out, err = command('check', '--format', 'json', 'two.graph', 'good.graph')
    assert (status, err) == (1, '')
    found = [json.loads(line) for line in out.splitlines()]
    twice = next(one for one in found if one['code'] == 'G401')
    assert (twice['file'], twice['severity'], twice['title']) == ('two.graph', 'error', 'two owners')
    start, end = (twice['range'][name]['offset'] for name in ('start', 'end'))
    assert text[start:end] == 'm' and text[:start].endswith('Adam() owns ')
    assert twice['range']['start']['line'] == 6 and twice['range']['start']['column'] == 27
    place = next(place for place in twice['places'] if 'first' in place['text'])
    assert text[place['range']['start']['offset']:].startswith('m\noptimizer b')
    assert set(twice) == {'file', 'range', 'code', 'title', 'severity', 'message', 'reason', 'places', 'notes', 'help',
                          'edits'}


@pytest.mark.parametrize('line', ['compile {} bad.graph', 'fmt {} nonsense.graph', 'plan {} bad.graph',
                                  'check {} missing.graph', 'compile {} --run bad.graph'])
def test_json_of_every_command(line, folder, command):
    (folder / 'nonsense.graph').write_text('a -> -> b\n')
    status, out, err = command(*line.format('--format json').split())
    assert status == 1 and all(json.loads(line)['severity'] == 'error' for line in (out + err).splitlines())


@pytest.mark.parametrize('no_color, colored', [(None, True), ('', True), ('1', False)])
def test_colour_on_a_terminal(no_color, colored, folder, monkeypatch):
    environment = {name: value for name, value in os.environ.items() if name != 'NO_COLOR'}
    if no_color is not None:
        environment['NO_COLOR'] = no_color
    ours, theirs = pty.openpty()
    program = [sys.executable, '-c', 'from graphdsl.cli import main; main()', 'check', 'bad.graph']
    with subprocess.Popen(program, stdout=theirs, stderr=theirs, env=environment):
        pass
    os.close(theirs)
    shown = b''
    with contextlib.suppress(OSError):      # the other end is closed
        while True:
            shown += os.read(ours, 1 << 16)
    os.close(ours)
    assert (b'\x1b[31m' in shown) == colored and b'G101' in shown
