"""``graphdsl check``: all that is wrong with some files."""
from __future__ import annotations

import os
import sys

import click

from graphdsl.cli.arguments import allow_option, files_argument, limit_option, set_option
from graphdsl.cli.showing import as_objects, format_option, show, status_of
from graphdsl.diagnostics import Diagnostic, GraphError
from graphdsl.guard import guarded
from graphdsl.limits import Limits


@click.command('check')
@files_argument
@set_option
@allow_option
@limit_option
@format_option
def check_command(files: tuple[str, ...], params: dict[str, str], allow_imports: tuple[str, ...],
                  limits: Limits) -> None:
    """Checks FILES and shows all that is wrong with them."""
    from graphdsl.driver import read, translate

    wrong: list[Diagnostic] = []
    for file in files:
        try:
            source = read(file, limits)
            folder = os.path.dirname(os.path.abspath(file))
            with guarded(limits, source):
                warnings = translate(source, params, {}, folder, allow_imports, limits=limits).warnings
            show(warnings, source, err=False)
        except GraphError as error:
            wrong += error.diagnostics
            show(error.diagnostics, error.source, err=False)
    if wrong:
        sys.exit(status_of(wrong))
    if not as_objects():
        click.echo(f'{len(files)} file{"s are" if len(files) > 1 else " is"} fine')
