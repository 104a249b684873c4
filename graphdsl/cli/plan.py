"""``graphdsl plan``: what an iteration does."""
from __future__ import annotations

import json
import os

import click

from graphdsl.cli.arguments import allow_option, file_argument, limit_option, pass_option, set_option
from graphdsl.cli.showing import format_option, show
from graphdsl.guard import guarded
from graphdsl.limits import Limits, with_room


@click.command('plan')
@file_argument
@set_option
@allow_option
@pass_option
@limit_option
@click.option('--json', 'as_json', is_flag=True, help='Print it for other programs.')
@format_option
def plan_command(file: str, params: dict[str, str], allow_imports: tuple[str, ...], no_passes: tuple[str, ...],
                 limits: Limits, as_json: bool) -> None:
    """Shows what an iteration of FILE computes, differentiates and updates."""
    from graphdsl.compiled import CompiledGraph
    from graphdsl.driver import read, translate
    from graphdsl.tools import plan_table

    source = read(file, limits)
    folder = os.path.dirname(os.path.abspath(file))
    with guarded(limits, source):
        compilation = translate(source, params, {}, folder, allow_imports, no_passes, limits)
        graph = with_room(limits, CompiledGraph, compilation)
        text = json.dumps(plan_table.as_dict(graph), indent=2) + '\n' if as_json else plan_table.render(graph)
    show(graph.warnings, source)
    click.echo(text, nl=False)
