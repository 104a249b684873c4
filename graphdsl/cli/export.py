"""``graphdsl export``: outputs become an ONNX file."""
from __future__ import annotations

import functools
from pathlib import Path
from typing import Sequence

import click

from graphdsl.cli.loaded import Loaded, loaded_options
from graphdsl.cli.showing import format_option
from graphdsl.cli.writing import check_folder, saying_what_is_unwritten


@click.command('export')
@functools.partial(loaded_options, needs_weights=False)
@click.option('-o', 'target', metavar='FILE.onnx', type=click.Path(dir_okay=False), required=True,
              help='Write to this file.')
@click.option('--output', 'outputs', metavar='NAME', multiple=True,
              help='Export this output, or family of outputs, only. May be repeated.')
@click.option('--tolerance', type=click.FloatRange(min=0), default=1e-5, show_default=True,
              help="How far onnxruntime's outputs may be from Chainer's.")
@format_option
def export_command(loaded: Loaded, target: str, outputs: tuple[str, ...], tolerance: float) -> None:
    """Exports the outputs of FILE to ONNX, and compares them with Chainer's.

    Without --weights, they are initial ones.
    """
    from graphdsl.export import ExportError
    from graphdsl.export.exporting import check_packages

    check_folder(Path(target))
    try:
        check_packages()
        graph = loaded.graph()
        with saying_what_is_unwritten(Path(target)):
            exported = graph.export(target, outputs, tolerance)
    except ExportError as error:
        raise click.ClickException(str(error)) from None
    if not loaded.weights:
        click.echo('with initial weights; `--weights` takes trained ones')
    _list('takes', exported.inputs)
    _list('gives', exported.outputs)
    *others, last = exported.counts
    click.echo(f'{", ".join(map(str, others))} and {last} examples were compared: onnxruntime and Chainer differ by '
               f'{exported.difference or 0:.2g}')


def _list(verb: str, ports: Sequence[str]) -> None:
    for i, port in enumerate(ports):
        click.echo(f'{verb if i == 0 else "":6}{port}')
