"""Wrong programs, and what the command line says to each.

The first line of a program may say how it is run, `check FILE` otherwise. After a change of a message look at
what is said now, then run `pytest --accept`.
"""
import re
import shlex
from pathlib import Path

import pytest

from graphdsl.diagnostics import Diagnostic, GraphError, Source
from graphdsl.driver import translate

pytestmark = pytest.mark.usefixtures('without_pictures')

BAD = Path(__file__).parent
SOURCE = Path(__file__).parents[2] / 'graphdsl'
PROGRAMS = sorted(BAD.glob('*.graph'))

_CODE = re.compile(r"'(G\d{3})'")
_RUN_BY = re.compile(r'# \$ graphdsl (.*)')


@pytest.mark.parametrize('path', PROGRAMS, ids=lambda path: path.stem)
def test_transcript(path, command, golden, monkeypatch, tmp_path):
    monkeypatch.chdir(BAD)
    match = _RUN_BY.match(path.read_text(encoding='utf-8'))
    line = match[1] if match else 'check FILE'
    places = {'FILE': path.name, 'OUT': str(tmp_path / 'out')}
    status, out, err = command(*(places.get(word, word) for word in line.split()))
    text = f'$ graphdsl {line.replace("FILE", path.name)}\n{out}{err}[exit status {status}]\n'
    golden(text, path.with_suffix('.out'))
    assert 'Traceback' not in text and 'bug' not in text
    if path.name.startswith('G'):
        code = path.name[:4]
        assert f'[{code}]' in text
        assert (status == 0) == ('error[' not in text)


def test_every_diagnostic_has_a_program():
    codes = {code for file in SOURCE.rglob('*.py') for code in _CODE.findall(file.read_text(encoding='utf-8'))}
    shown = {path.name[:4] for path in PROGRAMS}
    assert not codes - shown, 'add a program to tests/bad'
    assert not shown - codes - {'seve'}, 'this diagnostic is gone'


def test_every_transcript_has_a_program():
    assert {path.stem for path in BAD.glob('*.out')} == {path.stem for path in PROGRAMS}


@pytest.mark.parametrize('path', PROGRAMS, ids=lambda path: path.stem)
def test_the_underlined_text_is_in_the_file(path):
    """Every excerpt shows a whole line of the program."""
    lines = path.read_text(encoding='utf-8').splitlines()
    transcript = path.with_suffix('.out').read_text(encoding='utf-8')
    for number, text in re.findall(r'^ *(\d+) \| (.*)$', transcript, re.MULTILINE):
        assert lines[int(number) - 1] == text


def diagnosed(path: Path, text: str) -> tuple[Diagnostic, ...]:
    """Returns what is wrong with a text that is compiled as the first line of its file says."""
    match = _RUN_BY.match(text)
    words = shlex.split(match[1]) if match else []
    options = [(option, value) for option, value in zip(words, words[1:]) if option.startswith('--')]
    params = dict(value.split('=', 1) for option, value in options if option == '--set')
    modules = [value for option, value in options if option == '--allow-import']
    try:
        return translate(Source(text, path.name), params, folder=str(BAD), allow_imports=modules).warnings
    except GraphError as error:
        return error.diagnostics


def with_edits(text: str, diagnostic: Diagnostic) -> str:
    for edit in sorted(diagnostic.edits, key=lambda edit: -edit.span.start):
        text = text[:edit.span.start] + edit.text + text[edit.span.end:]
    return text


@pytest.mark.parametrize('path', PROGRAMS, ids=lambda path: path.stem)
def test_an_edit_mends_its_mistake(path):
    """A change that is offered takes the mistake away, at that place and in all turns of its loop."""
    text = path.read_bytes().decode('utf-8', errors='replace')
    for diagnostic in diagnosed(path, text):
        if diagnostic.edits:
            mended = with_edits(text, diagnostic)
            left = [(d.code, d.message, d.span.start) for d in diagnosed(path, mended)]
            assert (diagnostic.code, diagnostic.message, diagnostic.span.start) not in left, mended


def test_edits_are_offered():
    """So that the test above has something to test: what is certain is a third of what is misspelled, at least."""
    found = [d for path in PROGRAMS if path.stem.startswith(('G106', 'G306', 'G101', 'G408'))
             for d in diagnosed(path, path.read_text(encoding='utf-8'))]
    assert sum(1 for d in found if d.edits) > len(found) / 3
