"""Writes what a command was asked for."""
from __future__ import annotations

from pathlib import Path
from typing import Union

import click

from graphdsl.files import replacing


def write(path: Path, content: Union[str, bytes]) -> None:
    """Writes a whole file or nothing, text as UTF-8; says in a line what prevents it."""
    try:
        with replacing(path) as file:
            file.write(content.encode('utf-8') if isinstance(content, str) else content)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f'{click.format_filename(path)} cannot be written: {error.strerror}') from None
