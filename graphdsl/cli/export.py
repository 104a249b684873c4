"""``graphdsl export``: outputs become an ONNX file."""
from __future__ import annotations

import os

import click

from graphdsl.cli.arguments import allow_option, file_argument, limit_option, set_option
from graphdsl.cli.showing import format_option, show
from graphdsl.guard import guarded
from graphdsl.limits import Limits, with_room


@click.command('export')
@file_argument
@set_option
@allow_option
@limit_option
@click.option('--weights', type=click.Path(dir_okay=False), help='Load the weights from this npz file.')
@click.option('-o', 'target', metavar='FILE.onnx', type=click.Path(dir_okay=False), required=True,
              help='Write to this file.')
@click.option('--output', 'outputs', metavar='NAME', multiple=True,
              help='Export this output, not all; may be given several times.')
@click.option('--tolerance', type=click.FloatRange(min=0), default=1e-5, show_default=True,
              help="How far onnxruntime's outputs may be from Chainer's.")
@format_option
def export_command(file: str, params: dict[str, str], allow_imports: tuple[str, ...], limits: Limits, weights: str,
                   target: str, outputs: tuple[str, ...], tolerance: float) -> None:
    """Exports the outputs of FILE to ONNX, and compares them with onnxruntime's."""
    from graphdsl.compiled import CompiledGraph
    from graphdsl.driver import read, translate
    from graphdsl.export.exporting import ExportError

    source = read(file, limits)
    folder = os.path.dirname(os.path.abspath(file))
    with guarded(limits, source):
        graph = with_room(limits, CompiledGraph, translate(source, params, {}, folder, allow_imports, limits=limits))
    show(graph.warnings, source)
    if weights:
        graph.load_weights(weights)
    try:
        exported = graph.export(target, outputs, tolerance)
    except ExportError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f'{click.format_filename(target)} cannot be written: {error.strerror}') from None
    for verb, ports in (('takes', exported.inputs), ('gives', exported.outputs)):
        click.echo('\n'.join(f'{start} {port}' for start, port in zip([verb, *['     '] * len(ports)], ports)))
    counts = ', '.join(map(str, exported.counts[:-1]))
    click.echo(f'The greatest difference between onnxruntime and Chainer is {exported.difference:.1e}, with {counts} '
               f'and {exported.counts[-1]} examples.')
