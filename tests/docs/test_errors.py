"""Every kind of mistake has a page, `docs/errors/CODE.md`, and what it shows is what graphdsl says.

A page has a title and a text; under `## Wrong` a program, `wrong.graph`, the command that is given, and what it prints;
under `## Right` a program, `right.graph`, that runs if its data is there, and for which the same command, or the one
that stands there, has nothing to say.
Blocks of Python whose first line is a name, `# nets.py`, are written to that file. `pytest --accept` writes anew what
the commands print.
"""
import re
import shutil
from pathlib import Path

import pytest

from graphdsl.diagnostics.catalogue import TITLES

pytestmark = pytest.mark.usefixtures('without_pictures')

DOCS = Path(__file__).parents[2] / 'docs'
PAGES = DOCS / 'errors'
SOURCE = Path(__file__).parents[2] / 'graphdsl'
_CODE = re.compile(r"'(G\d{3})'")
_FENCE = re.compile(r'^```(\w+)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_OUTPUT = re.compile(r'^(```text\n).*?^```$', re.MULTILINE | re.DOTALL)
_FILE = re.compile(r'^```python\n(?=# ([\w-]+\.py)\n)(.*?)^```$', re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r'\$ graphdsl (.*)')
_LINK = re.compile(r'\]\(([^):]+)\)')


def test_every_code_has_a_title():
    used = {code for file in SOURCE.rglob('*.py') for code in _CODE.findall(file.read_text(encoding='utf-8'))
            if file.name != 'catalogue.py'}
    assert used == set(TITLES)


def test_every_code_has_a_page():
    assert {file.stem for file in PAGES.glob('*')} == set(TITLES)


def test_the_overview_lists_all_pages(golden):
    path = DOCS / 'errors.md'
    text, mark, _ = path.read_text(encoding='utf-8').partition('| code | kind of mistake |\n|---|---|\n')
    golden(text + mark + ''.join(f'| [{code}](errors/{code}.md) | {title} |\n' for code, title in TITLES.items()), path)


@pytest.mark.parametrize('code', TITLES)
def test_page(code, command, golden, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    path = PAGES / f'{code}.md'
    text = path.read_text(encoding='utf-8')
    assert text.startswith(f'# {code}: {TITLES[code]}\n')
    prose = _FENCE.sub('', text)
    assert all(len(line) <= 115 for line in prose.splitlines())
    assert all((PAGES / link).exists() for link in _LINK.findall(prose))

    for name, content in _FILE.findall(text):
        (tmp_path / name).write_text(content, encoding='utf-8')
    wrong, right = (dict(_FENCE.findall(part)) for part in text.split('\n## Right\n'))
    for name, blocks in (('wrong', wrong), ('right', right)):
        if 'graph' in blocks:
            (tmp_path / f'{name}.graph').write_text(blocks['graph'], encoding='utf-8')

    arguments = _COMMAND.match(wrong['console'])[1].split()
    status, out, err = command(*arguments)
    assert f'[{code}]' in err and (status == 0) == ('error[' not in err)
    golden(_OUTPUT.sub(lambda match: f'{match[1]}{err.rstrip()}\n```', text), path)
    if 'console' in right:
        arguments = _COMMAND.match(right['console'])[1].split()
    shutil.rmtree('result', ignore_errors=True)
    status, out, err = command(*(word.replace('wrong', 'right') for word in arguments))
    assert (status, err) == (0, ''), 'the right program is wrong'
    if arguments[0] == 'check':
        status, out, err = command('compile', '--run', 'right.graph', '--iterations', '1', *arguments[2:])
        assert (status, err) == (0, '') or f'there is no {tmp_path}' in err, 'the right program does not run'


def test_explain_prints_the_page(command):
    assert command('explain', 'g401') == (0, (PAGES / 'G401.md').read_text(encoding='utf-8'), '')


def test_explain_lists_all_codes(command):
    status, out, _ = command('explain')
    assert status == 0 and out.splitlines() == [f'{code}  {title}' for code, title in TITLES.items()]


def test_explain_knows_no_other_code(command):
    status, out, err = command('explain', 'G4O1')
    assert (status, out) == (2, '') and '`graphdsl explain` lists all codes' in err
