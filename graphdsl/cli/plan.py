"""``graphdsl plan``: what an iteration does."""
from __future__ import annotations

import json
import os

import click

from graphdsl.cli.arguments import allow_option, file_argument, pass_option, set_option
from graphdsl.cli.showing import show, format_option


@click.command('plan')
@file_argument
@set_option
@allow_option
@pass_option
@click.option('--json', 'as_json', is_flag=True, help='Print it for other programs.')
@format_option
def plan_command(file: str, params: dict[str, str], allow_imports: tuple[str, ...], no_passes: tuple[str, ...],
                 as_json: bool) -> None:
    """Shows what an iteration of FILE computes, differentiates and updates."""
    from graphdsl.compiled import CompiledGraph
    from graphdsl.driver import read, translate
    from graphdsl.tools import plan_table

    source = read(file)
    folder = os.path.dirname(os.path.abspath(file))
    graph = CompiledGraph(translate(source, params, folder=folder, allow_imports=allow_imports, no_passes=no_passes))
    show(graph.warnings, source)
    click.echo(json.dumps(plan_table.as_dict(graph), indent=2) if as_json else plan_table.render(graph), nl=as_json)
