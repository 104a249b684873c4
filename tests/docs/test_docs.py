"""Every example of the documentation is run.

What the blocks of a page mean, from the first to the last:

``graph``
    A whole file. A block whose first line is ``# ...`` goes on with the file above it. Each file must check
    without an error or a warning, and do one iteration on two random examples. A block whose first line is a
    name, ``# wrong.graph``, is written to that file instead, for the blocks that follow.
``python``
    Run with the names of all blocks of Python before it.
``console``
    A command after each ``$``: ``graphdsl`` or ``python``.
``text``
    What the block right before it prints. A line ``...`` stands for any lines, and a number with a dot for any
    that differs by 5 % at most.

Whatever writes or reads files does so in a folder that the page has for itself.
"""
import contextlib
import io
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import chainer
import numpy
import pytest
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator
from click.testing import CliRunner

import graphdsl
from graphdsl import cli
from graphdsl.semantics import later
from graphdsl.semantics.graph import Train
from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import translate
from graphdsl.runtime.data import SOURCES

DOCS = Path(__file__).parents[2] / 'docs'
PAGES = sorted(DOCS.glob('*.md'))
_FENCE = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_FILE = re.compile(r'# ([\w-]+\.graph)$')
_NUMBER = re.compile(r'(-?\d+\.\d+(?:e[+-]\d+)?)')


@dataclass
class Block:
    """A fenced block.

    Attributes:
        language: What stands behind the fence.
        text: What stands in it.
        line: Number of its first line on the page.
    """

    language: str
    text: str
    line: int

    @property
    def file(self):
        """The file that the block is written to, or None."""
        first = _FILE.match(self.text.split('\n', 1)[0])
        return first and first[1]


def blocks(page):
    text = page.read_text(encoding='utf-8')
    return [Block(match[1], match[2], text.count('\n', 0, match.start(2)) + 1) for match in _FENCE.finditer(text)]


def graphs(page):
    """The graph files of a page that are not for other blocks: each text, and the line of its last block."""
    found = []
    for block in blocks(page):
        if block.language != 'graph' or block.file:
            continue
        if block.text.startswith('# ...\n'):
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
    random = numpy.random.RandomState(0)
    numpy.random.seed(0)
    graph = graphdsl.compile(text)
    columns = [random.rand(2, *i.shape).astype(i.dtype or 'f') for i in graph.inputs]
    updater = graph.updater(SerialIterator(TupleDataset(*columns), 2))
    observation = {}
    with chainer.Reporter().scope(observation):
        updater.update()
    assert set(graph.losses) <= set(observation)
    assert all(math.isfinite(float(getattr(value, 'array', value))) for value in observation.values())


# Python, commands and what they print

@pytest.mark.parametrize('page', PAGES, ids=[page.stem for page in PAGES])
def test_page(page, folder):
    names = {'__name__': 'page'}
    printed = None
    for block in blocks(page):
        if block.language == 'text':
            assert printed is not None, f'line {block.line}: nothing was printed'
            compare(printed, block)
            printed = None
        elif block.language == 'python':
            printed = run_python(block, page, names)
        elif block.language == 'console':
            printed = ''.join(run_command(line[2:]) for line in block.text.splitlines() if line.startswith('$ '))
        else:
            assert block.language == 'graph', f'line {block.line}: {block.language}'
            printed = None
            if block.file:
                (folder / block.file).write_text(block.text, encoding='utf-8')


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


def compare(printed, block):
    shown, got = (text.rstrip().strip('\n').splitlines() for text in (block.text, printed))
    assert matches(shown, got), f'line {block.line}: this was printed:\n{printed}'


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

def section(title):
    text = (DOCS / 'language.md').read_text(encoding='utf-8')
    return text.split(f'\n## {title}\n', 1)[1].split('\n## ', 1)[0]


def rows(text):
    """The cells of the first and second column of each row of a table."""
    return [tuple(cell.strip() for cell in line.strip('| ').split(' | ')[:2])
            for line in text.splitlines() if line.startswith('| ')]


def test_every_source_is_documented():
    named = {name for first, _ in rows(section('Data and inputs')) for name in re.findall(r'\w+', first)}
    assert set(SOURCES) <= named


def test_the_defaults_of_train():
    shown = dict(row for row in rows(section('Training')) if row[0].startswith('`'))
    default = Train()
    for name in ('batch', 'seed'):
        assert shown[f'`{name} {getattr(default, name)}`'].startswith('the same')
    for name in ('evaluate', 'log', 'snapshot'):
        period, unit = getattr(default, name)
        assert shown[f'`{name} every {period} {unit}`'].startswith('the same')


REFUSED = 'What this version refuses'
BASE = """
data a { train = iris(split="train") }
input x: float32[4], t: int32 from a
model trunk(x) -> h { layer one = Linear(3); x -> one -> h }
model head = Linear(3)
x -> trunk -> h
h -> head -> y
loss kl = softmax_cross_entropy(y, t)
"""


def refused():
    return [code for _, second in rows(section(REFUSED)) for code in re.findall(r'`([^`]+)`', second)]


@pytest.mark.parametrize('code', refused())
def test_what_is_refused(code):
    """It is parsed, and refused by name."""
    source = Source(BASE + code)
    found = diagnostics(source)
    assert any(d.code == 'G901' and d.span.end > len(BASE) for d in found), str(GraphError(found, source))


def test_all_that_is_refused_is_documented():
    text = section(REFUSED)
    words = {what.replace('`', '').replace('with a condition', '').strip() for what in later.STATEMENTS.values()}
    words |= later.BUILTINS | later.RUNNING_NUMBERS - {'batch_size'}
    for word in words:
        pattern = r'[^`]*'.join(re.escape(part.strip()) for part in word.split('...'))
        assert re.search(rf'`{pattern}', text) or re.search(rf'\b{pattern}\b', text), word


def diagnostics(source):
    try:
        return translate(source).warnings
    except GraphError as error:
        return error.diagnostics


@pytest.mark.parametrize('page', PAGES, ids=[page.stem for page in PAGES])
def test_text(page):
    text = page.read_text(encoding='utf-8')
    for number, line in enumerate(text.splitlines(), 1):
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
