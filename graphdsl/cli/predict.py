"""``graphdsl predict``: the outputs of a trained graph."""
from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from graphdsl.cli.loaded import Loaded, loaded_options, saying_what_is_wrong
from graphdsl.cli.showing import format_option
from graphdsl.cli.using import Used, using_options
from graphdsl.cli.writing import check_folder, write


@click.command('predict')
@loaded_options
@using_options
@click.option('--output', 'outputs', metavar='NAME', multiple=True,
              help='Compute this output, or family of outputs, only. May be repeated.')
@click.option('--rows', type=click.IntRange(min=1), help='How many rows, where outputs are made of noise alone.')
@click.option('-o', 'target', type=click.Path(dir_okay=False, allow_dash=True), required=True,
              help='Write to this .npz or .csv file; - prints a csv.')
@format_option
def predict_command(loaded: Loaded, used: Used, outputs: tuple[str, ...], rows: Optional[int], target: str) -> None:
    """Computes the outputs of FILE with trained weights."""
    if target != '-' and not target.endswith(('.npz', '.csv')):
        raise click.BadParameter(f'{target} ends neither in .npz nor in .csv', param_hint='-o')
    check_folder(Path(target))
    graph = used.moved(loaded.graph())

    from graphdsl.runtime.archive import archived
    from graphdsl.using.files import as_csv, check_table
    from graphdsl.using.predict import predict, said_left_out
    with saying_what_is_wrong():
        data = used.data(graph, graph.plan.prediction)
        found = predict(graph, data, outputs, used.batch, used.seed, rows)
        if not target.endswith('.npz'):
            check_table(found)
    if found.left_out:
        click.echo(f'left out: {said_left_out(found.left_out)}', err=True)
    if target == '-':
        click.echo(as_csv(found), nl=False)
        return
    write(Path(target), archived(found.values) if target.endswith('.npz') else as_csv(found))
    for name, value in found.values.items():
        click.echo(f'  {name}: {value.dtype}{list(value.shape) if value.ndim else ""}')
