"""``graphdsl fmt``: files in the canonical layout."""
from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click

from graphdsl.cli.arguments import files_argument, limit_option
from graphdsl.cli.showing import format_option, show
from graphdsl.cli.writing import write
from graphdsl.diagnostics import GraphError
from graphdsl.guard import guarded
from graphdsl.limits import Limits, with_room


@click.command('fmt')
@files_argument
@limit_option
@click.option('--check', 'check_only', is_flag=True, help='Change nothing; exit with 1 if a file would change.')
@click.option('--diff', is_flag=True, help='Change nothing; show what would change.')
@format_option
def fmt_command(files: tuple[str, ...], limits: Limits, check_only: bool, diff: bool) -> None:
    """Writes FILES in the canonical layout."""
    from graphdsl.driver import read
    from graphdsl.syntax.format import format_source

    failed = changed = False
    for file in files:
        try:
            source = read(file, limits)
            with guarded(limits, source):
                text = with_room(limits, format_source, source, limits)
        except GraphError as error:
            failed = True
            show(error.diagnostics, error.source)
            continue
        if text == source.text:
            continue
        changed = True
        if diff:
            click.echo(_diff(file, source.text, text), nl=False)
        if check_only:
            click.echo(f'{click.format_filename(file)} would change', err=True)
        if not (diff or check_only):
            write(Path(file), text)
            click.echo(f'{click.format_filename(file)} changed')
    if failed or (changed and check_only):
        sys.exit(1)


def _diff(file: str, old: str, new: str) -> str:
    return ''.join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), file, f'{file} (formatted)'))
