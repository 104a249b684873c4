"""Writes what a command was asked for."""
from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator, Union

import click

from graphdsl.files import replace_by


def write(path: Path, content: Union[str, bytes, memoryview]) -> None:
    """Writes a whole file or nothing, text as UTF-8; says in a line what prevents it."""
    with saying_what_is_unwritten(path):
        replace_by(path, content)


@contextlib.contextmanager
def saying_what_is_unwritten(path: Path) -> Iterator[None]:
    """Says in a line what prevents a file from being written."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f'{click.format_filename(path)} cannot be written: {error.strerror}') from None


def check_folder(path: Path) -> None:
    """Says that the folder of a file is missing, before it is known what to write."""
    if not path.absolute().parent.is_dir():
        raise click.ClickException(f'{click.format_filename(path)} cannot be written: there is no folder '
                                   f'{click.format_filename(path.absolute().parent)}')
