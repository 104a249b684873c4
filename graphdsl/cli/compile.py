"""``graphdsl compile``: a file becomes a Python module, and is trained with ``--run``."""
from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from graphdsl.cli.arguments import allow_option, file_argument, limit_option, pass_option, set_option
from graphdsl.cli.showing import format_option, show
from graphdsl.cli.writing import write
from graphdsl.diagnostics import Diagnostic, GraphError, Span
from graphdsl.driver import Compilation, phase, read, translate
from graphdsl.guard import guarded
from graphdsl.limits import Limits, with_room
from graphdsl.options import Run, run_options, writing_to

if TYPE_CHECKING:
    from graphdsl.training.resuming import Former       # which imports Chainer


@click.command('compile')
@file_argument
@set_option
@allow_option
@pass_option
@limit_option
@click.option('--run', 'train', is_flag=True, help='Train the graph instead of printing its module.')
@click.option('-o', 'target', type=click.Path(dir_okay=False), help='Write to this file.')
@click.option('--emit', type=click.Choice(['tree', 'graph', 'plan', 'python']), default='python', show_default=True,
              help='What to print.')
@run_options
@format_option
def compile_command(file: str, params: dict[str, str], allow_imports: tuple[str, ...], no_passes: tuple[str, ...],
                    limits: Limits, train: bool, target: Optional[str], emit: str, run: Run) -> None:
    """Compiles FILE to a Python module; trains it with --run."""
    if train and (target is not None or emit != 'python'):
        raise click.UsageError('--run goes with neither -o nor --emit')
    folder = os.path.dirname(os.path.abspath(file))
    source = read(file, limits)
    if not train:
        with guarded(limits, source):
            text = phase(source, emit, params, folder, allow_imports, no_passes, limits)
        if target is None:
            click.echo(text, nl=False)
        else:
            write(Path(target), text)
        return
    from graphdsl.training.resuming import find_former
    begun = find_former(run)
    if begun is not None:
        params, run = {**begun.given, **params}, begun.completed(run)
    with guarded(limits, source):
        compilation = translate(source, params, {}, folder, allow_imports, no_passes, limits)
    show(compilation.warnings, source)
    _train(compilation, run, begun)


def _train(compilation: Compilation, run: Run, begun: Optional[Former]) -> None:
    from graphdsl.compiled import CompiledGraph
    from graphdsl.training.run import train

    refuse_untrainable(compilation, run)

    def compiled() -> CompiledGraph:
        with guarded(compilation.limits, compilation.source, is_timed=False):
            program = with_room(compilation.limits, CompiledGraph, compilation)
        show(program.warnings[len(compilation.warnings):], compilation.source)
        return program

    with writing_to(run.out):
        train(compiled, run, compilation.graph.train.seed, begun)


def refuse_untrainable(compilation: Compilation, run: Run) -> None:
    """Refuses to train a file that has no data, or a run of no length.

    Raises:
        GraphError: If it has no data.
        click.UsageError: If neither it nor the command line gives the length.
    """
    graph = compilation.graph
    if not graph.streams:
        raise GraphError([Diagnostic('G506', 'this file has no data to train on', Span(0, 0),
                                     help='add a block `data NAME { train = SOURCE }`, or train it from Python')],
                         compilation.source)
    if run.length is None and graph.train.length is None:
        raise click.UsageError('the file does not say how long to train: give --epochs or --iterations')
