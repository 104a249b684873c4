"""``graphdsl draw``: a picture of a graph."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import click

from graphdsl.cli.arguments import allow_option, file_argument, limit_option, pass_option, set_option
from graphdsl.cli.showing import format_option, show
from graphdsl.cli.writing import write
from graphdsl.guard import guarded
from graphdsl.limits import Limits, with_room


@click.command('draw')
@file_argument
@click.option('-o', 'target', type=click.Path(dir_okay=False), required=True,
              help='Write to this file, which ends in .svg, .png, .pdf, .dot or .mmd.')
@click.option('--step', metavar='NAME', help='Show what this step runs, and where gradients flow in it.')
@set_option
@allow_option
@pass_option
@limit_option
@format_option
def draw_command(file: str, target: str, step: Optional[str], params: dict[str, str], allow_imports: tuple[str, ...],
                 no_passes: tuple[str, ...], limits: Limits) -> None:
    """Draws FILE: data on the left, losses on the right, a box per model in the colour of its optimizer."""
    from graphdsl.diagnostics import in_order
    from graphdsl.driver import read, translate
    from graphdsl.shapes.check import examine
    from graphdsl.tools.draw import LayoutError, draw, format_of

    try:
        format = format_of(target)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint='-o') from None
    source = read(file, limits)
    folder = os.path.dirname(os.path.abspath(file))
    with guarded(limits, source):
        compilation = translate(source, params, {}, folder, allow_imports, no_passes, limits)
        found = with_room(limits, examine, compilation, True)
        try:
            drawing = draw(compilation, step, found)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint='--step') from None
    show(in_order([*compilation.warnings, *found.diagnostics]), source)
    try:
        write(Path(target), drawing.content(format))
    except LayoutError as error:
        raise click.ClickException(f'{error}; a name that ends in .dot or .mmd gives a text that other programs '
                                   'lay out') from None
