"""``graphdsl check``: all that is wrong with some files."""
from __future__ import annotations

import json
import os
import sys

import click

from graphdsl.cli.arguments import allow_option, files_argument, limit_option, set_option
from graphdsl.cli.showing import as_objects, format_option, show, status_of
from graphdsl.diagnostics import Diagnostic, GraphError, in_order
from graphdsl.guard import guarded
from graphdsl.limits import Limits, with_room


@click.command('check')
@files_argument
@set_option
@allow_option
@limit_option
@click.option('--shapes', is_flag=True, help='Print the shape and dtype of every value.')
@format_option
def check_command(files: tuple[str, ...], params: dict[str, str], allow_imports: tuple[str, ...],
                  limits: Limits, shapes: bool) -> None:
    """Checks FILES and shows all that is wrong with them."""
    from graphdsl.driver import check_all, read, translate

    wrong: list[Diagnostic] = []
    for file in files:
        try:
            source = read(file, limits)
            folder = os.path.dirname(os.path.abspath(file))
            with guarded(limits, source):
                compilation = translate(source, params, {}, folder, allow_imports, limits=limits)
                found = _with_table(compilation) if shapes else check_all(compilation)
            wrong += [diagnostic for diagnostic in found if diagnostic.severity == 'error']
            show(found, source, err=False)
        except GraphError as error:
            wrong += error.diagnostics
            show(error.diagnostics, error.source, err=False)
    if wrong:
        sys.exit(status_of(wrong))
    if not as_objects():
        click.echo(f'{len(files)} file{"s are" if len(files) > 1 else " is"} fine')


def _with_table(compilation) -> tuple[Diagnostic, ...]:
    """Prints the shapes of a file; returns what is odd or wrong with it."""
    from graphdsl.shapes.check import examine
    from graphdsl.tools import shape_table

    found = with_room(compilation.limits, examine, compilation, True)
    if as_objects():
        shapes = shape_table.as_data(compilation, found)
        click.echo(json.dumps({'file': compilation.source.name, 'shapes': shapes}))
    else:
        click.echo(shape_table.render(compilation, found), nl=False)
    return in_order([*compilation.warnings, *found.diagnostics])
