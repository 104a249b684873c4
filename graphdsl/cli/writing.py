"""Writes files whole or not at all."""
from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click


def write(path: Path, text: str) -> None:
    """Writes a whole file or nothing; a link stays a link, and a device or pipe what it is."""
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            with open(target, 'w', encoding='utf-8', newline='') as file:
                file.write(text)
        else:
            _replace(target, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f'{click.format_filename(path)} cannot be written: {error.strerror}') from None


def _replace(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile('w', encoding='utf-8', newline='', dir=path.parent, delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(text)
            file.flush()
            temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
