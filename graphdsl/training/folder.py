"""The folder of results: no run mixes with another, and none is lost."""
from __future__ import annotations

import itertools
import os
import re
import shutil
from pathlib import Path
from typing import Iterator, Optional

import click

from graphdsl.training.snapshots import found_in, iteration_of

# What a process that was killed while it wrote leaves: ours, and Chainer's of its log.
_UNFINISHED = re.compile(r'\..+\.part|log\w{8}')
_RESULTS = re.compile(r'log|run\.json|report\.html|weights\.npz|best_.+\.npz|tensorboard')


def prepare(out: str | os.PathLike, iteration: int) -> Optional[Path]:
    """Makes the folder, takes away what was not written to its end, and moves aside what another run left.

    Args:
        out: The folder.
        iteration: Where the run begins: 0, or that of the snapshot that it goes on from.

    Returns:
        Where the results of a whole earlier run are now, None if there were none.

    Raises:
        OSError: If something cannot be made or moved.
    """
    Path(out).mkdir(parents=True, exist_ok=True)
    folder = Path(os.path.realpath(out))
    names = os.listdir(folder)
    for name in names:
        if _UNFINISHED.fullmatch(name):
            _remove(folder / name)
    later = [path.name for path in found_in(folder) if iteration_of(path) > iteration]
    if not later:
        return None
    aside = next(_free(folder))
    aside.mkdir()
    for name in later + [name for name in names if _RESULTS.fullmatch(name) and iteration == 0]:
        (folder / name).rename(aside / name)
    what = 'an earlier run, which is' if iteration == 0 else f'snapshots after iteration {iteration}, which are'
    click.echo(f'{out} held {what} in {os.path.relpath(aside)} now', err=True)
    return aside if iteration == 0 else None


def _free(folder: Path) -> Iterator[Path]:
    """Yields names beside a folder that nothing has."""
    paths = (folder.with_name(f'{folder.name}-{number}') for number in itertools.count(1))
    return (path for path in paths if not path.exists())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
