"""Fixtures shared by all tests."""
import contextlib
import io
from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption('--accept', action='store_true', help='write the golden files anew from what the tests got')


@pytest.fixture
def golden(request):
    """Returns a function that compares a text with a golden file, or writes the file under ``--accept``."""
    accept = request.config.getoption('--accept')

    def compare(text: str, path: Path) -> None:
        if accept:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding='utf-8')
        assert path.exists(), f'{path} is missing: look at the text, then run pytest --accept'
        assert text == path.read_text(encoding='utf-8')

    return compare


@pytest.fixture
def command():
    """Returns a function that runs a command line in this process: its exit status, what it prints, its errors."""
    from graphdsl.cli import main

    def run(*arguments) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments], prog_name='graphdsl')
        return end.value.code or 0, out.getvalue(), err.getvalue()

    return run


@pytest.fixture
def without_pictures(monkeypatch):
    """Lets reports be written without the picture of their graph, which takes a process each to lay out."""
    def draw(*_):
        raise RuntimeError

    monkeypatch.setattr('graphdsl.compiled.CompiledGraph.draw', draw)
