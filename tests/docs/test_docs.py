"""Every example of the documentation is run.

What the blocks of a page mean, from the first to the last:

``graph``
    A whole file. A block whose first line is ``# ...`` goes on with the file above it. Each file must check
    without an error or a warning, do a few iterations on two random examples, in which every loss is reported, and
    be evaluated. A block whose first line is a name, ``# wrong.graph``, is written to that file instead, for the
    blocks that follow; one that has such a name behind its fence goes on with that file.
``python``
    Run with the names of all blocks of Python before it. A block whose first line is a name, ``# nets.py``, is
    written to that file instead.
``py``
    A piece of a program, which is only parsed.
``console``
    A command after each ``$``: ``graphdsl`` or ``python``.
``text``
    What the block right before it prints. A line ``...`` stands for any lines, and a number with a dot for any
    that differs by 5 % at most. ``pytest --accept`` writes anew what differs.

Whatever writes or reads files does so in a folder that the page has for itself, ``/path/to`` where it is printed.
"""
import contextlib
import io
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import chainer
import numpy
import pytest
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator
from click.testing import CliRunner

import graphdsl
from graphdsl import cli
from graphdsl.semantics import builtins
from graphdsl.semantics.scope import MODES
from graphdsl.semantics.graph import Train
from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import translate
from graphdsl.runtime.data import SOURCES

DOCS = Path(__file__).parents[2] / 'docs'
README = DOCS.parent / 'README.md'
PAGES = sorted(DOCS.glob('*.md'))
ITERATIONS = 4
_FENCE = re.compile(r'^```(\w*)(?: (\S+))?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r'^```text\n.*?^```$', re.MULTILINE | re.DOTALL)
_FILE = re.compile(r'# ([\w-]+\.(?:graph|py))$')
_NUMBER = re.compile(r'(-?\d+\.\d+(?:e[+-]\d+)?)')


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: What stands behind the fence.
        base: The file that it goes on with, where the fence names one.
        text: What stands in it.
        line: Number of its first line on the page.
    """

    language: str
    base: Optional[str]
    text: str
    line: int

    @property
    def file(self):
        """The file that the block is written to, or None."""
        first = _FILE.match(self.text.split('\n', 1)[0])
        return first and first[1]


def blocks(page):
    text = page.read_text(encoding='utf-8')
    return [Block(match[1], match[2], match[3], text.count('\n', 0, match.start(3)) + 1)
            for match in _FENCE.finditer(text)]


def graphs(page):
    """The graph files of a page that are not for other blocks: each text, and the line of its last block."""
    found = []
    files = {block.file: block.text for block in blocks(page) if block.file}
    for block in blocks(page):
        if block.language != 'graph' or block.file:
            continue
        if block.base:
            found.append((files[block.base] + block.text, block.line))
        elif block.text.startswith('# ...\n'):
            found[-1] = (found[-1][0] + block.text, block.line)
        else:
            found.append((block.text, block.line))
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Graphs

@pytest.mark.parametrize('text', [pytest.param(text, id=f'{page.stem}-{line}')
                                  for page in PAGES for text, line in graphs(page)])
def test_graph(text):
    source = Source(text)
    compilation = translate(source)
    assert not compilation.warnings, str(GraphError(compilation.warnings, source))
    run(text)


def run(text):
    """Trains a graph on two random examples, and evaluates it."""
    numpy.random.seed(0)
    graph = graphdsl.compile(text)
    columns = examples(graph)
    iterators = {stream: SerialIterator(TupleDataset(*(array for _, array in values)), 2)
                 for stream, values in columns.items()}
    updater = graph.updater(iterators, length=(ITERATIONS, 'iteration'))
    observation = {}
    for _ in range(ITERATIONS):
        with chainer.Reporter().scope(observation):
            updater.update()
    assert set(graph.losses) <= set(observation)
    batch = {name: array for values in columns.values() for name, array in values}
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        found = graph.reports(batch)
        graph.outputs(batch)
    assert set(graph.losses) <= set(found)
    for values in (observation, found):
        assert all(math.isfinite(float(getattr(value, 'array', value))) for value in values.values())


def examples(graph):
    """Two random examples of every stream: names and arrays. An axis of any length has three elements."""
    random = numpy.random.RandomState(0)
    return {stream: [(i.name, random.rand(2, *(3 if n is None else n for n in i.shape)).astype(i.dtype or 'f'))
                     for i in graph.inputs if i.stream == stream] for stream in graph.streams}


# Python, commands and what they print

@pytest.mark.parametrize('page', PAGES, ids=[page.stem for page in PAGES])
def test_page(page, folder, request):
    names = {'__name__': 'page'}
    printed = None
    changed = {}
    for block in blocks(page):
        if block.file:
            (folder / block.file).write_text(block.text, encoding='utf-8')
            printed = None
        elif block.language == 'text':
            assert printed is not None, f'line {block.line}: nothing was printed'
            printed = printed.replace(str(folder), '/path/to')
            if request.config.getoption('--accept'):
                changed.update({} if shows(block, printed) else {block: printed})
            else:
                assert shows(block, printed), f'line {block.line}: this was printed:\n{printed}'
            printed = None
        elif block.language == 'python':
            printed = run_python(block, page, names)
        elif block.language == 'console':
            printed = ''.join(run_command(line[2:]) for line in block.text.splitlines() if line.startswith('$ '))
        elif block.language == 'py':
            compile(block.text, str(page), 'exec')
        else:
            assert block.language == 'graph', f'line {block.line}: {block.language}'
            printed = None
    if changed:
        accept(page, changed)


def accept(page, changed):
    """Writes what was printed into blocks of a page."""
    lines = page.read_text(encoding='utf-8').splitlines()
    for block, printed in reversed(changed.items()):
        start = block.line - 1
        lines[start:start + len(block.text.splitlines())] = printed.strip('\n').splitlines()
    page.write_text('\n'.join(lines) + '\n', encoding='utf-8')


def run_python(block, page, names):
    output = io.StringIO()
    code = compile('\n' * (block.line - 1) + block.text, str(page), 'exec')
    with contextlib.redirect_stdout(output):
        exec(code, names)
    return output.getvalue()


def run_command(command):
    program, *arguments = command.split()
    if program == 'graphdsl':
        result = CliRunner().invoke(cli.main, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.output
    assert program == 'python', command
    result = subprocess.run([sys.executable, *arguments], check=False, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    assert result.returncode == 0, result.stdout
    return result.stdout


def shows(block, printed):
    """Says whether a block shows what was printed."""
    return matches(*(text.rstrip().strip('\n').splitlines() for text in (block.text, printed)))


def matches(shown, got):
    if not shown:
        return not got
    if shown[0] == '...':
        return any(matches(shown[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and alike(shown[0], got[0]) and matches(shown[1:], got[1:])


def alike(shown, got):
    if shown.rstrip() == got.rstrip():
        return True
    theirs, ours = _NUMBER.split(shown), _NUMBER.split(got)
    return len(theirs) == len(ours) > 1 and all(
        math.isclose(float(a), float(b), rel_tol=0.05) if i % 2 else a.split() == b.split()
        for i, (a, b) in enumerate(zip(theirs, ours)))


# Tables and text

def section(page, title):
    text = (DOCS / f'{page}.md').read_text(encoding='utf-8')
    return text.split(f'\n## {title}\n', 1)[1].split('\n## ', 1)[0]


def rows(text):
    """The cells of the first and second column of each row of a table."""
    return [tuple(cell.strip() for cell in line.strip('| ').split(' | ')[:2])
            for line in text.splitlines() if line.startswith('| ')]


def test_every_source_is_documented():
    named = {name for first, _ in rows(section('language', 'Data and inputs')) for name in re.findall(r'\w+', first)}
    assert set(SOURCES) <= named


def test_every_builtin_is_documented():
    named = {name for first, _ in rows(section('language', 'Built-ins')) for name in re.findall(r'`(\w+)\(', first)}
    assert named == {*builtins.SIGNATURES, *MODES}


def test_the_defaults_of_train():
    shown = dict(row for row in rows(section('training', 'The train block')) if row[0].startswith('`'))
    default = Train()
    for name in ('batch', 'seed'):
        assert shown[f'`{name} {getattr(default, name)}`'].startswith('the same')
    for name in ('evaluate', 'log', 'snapshot'):
        period, unit = getattr(default, name)
        assert shown[f'`{name} every {period} {unit}`'].startswith('the same')
    assert shown[f'`snapshot every 1 epoch keep {default.keep}`'].startswith('the same')


def test_the_readme_names_every_example():
    text = README.read_text(encoding='utf-8')
    links = set(re.findall(r'\]\(([^):]+)\)', text))
    assert links >= {f'examples/{file.name}' for file in (README.parent / 'examples').glob('*.graph')}
    assert all((README.parent / link).exists() for link in links)


@pytest.mark.parametrize('page', PAGES, ids=[page.stem for page in PAGES])
def test_text(page):
    text = page.read_text(encoding='utf-8')
    for number, line in enumerate(_PRINTED.sub(lambda match: '\n' * match[0].count('\n'), text).splitlines(), 1):
        assert len(line) <= 115, f'line {number} is {len(line)} columns wide'
    prose = re.sub(r'`[^`]*`', '', _FENCE.sub('', text))
    for place in re.findall(r'\]\(([^)]+)\)', prose):
        file, _, anchor = place.partition('#')
        if '://' in file:
            continue
        target = page.parent / file if file else page
        assert target.exists(), place
        if anchor:
            assert anchor in anchors(target), place


def anchors(page):
    titles = re.findall(r'^#+ (.*)$', _FENCE.sub('', page.read_text(encoding='utf-8')), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}
