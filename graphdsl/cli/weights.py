"""``graphdsl weights``: weights from one file to another."""
from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from graphdsl.cli.loaded import Loaded, loaded_options, saying_what_is_wrong
from graphdsl.cli.showing import format_option
from graphdsl.cli.writing import check_folder, saying_what_is_unwritten


@click.command('weights')
@loaded_options
@click.option('-o', 'target', type=click.Path(dir_okay=False), required=True, help='Write to this .npz file.')
@click.option('--model', help='Write this model alone, as chainer.serializers.save_npz does.')
@format_option
def weights_command(loaded: Loaded, target: str, model: Optional[str]) -> None:
    """Writes weights of FILE, such as those in a snapshot, to a file of weights."""
    if not target.endswith('.npz'):
        raise click.BadParameter(f'{target} does not end in .npz', param_hint='-o')
    check_folder(Path(target))
    graph = loaded.graph()
    with saying_what_is_wrong(), saying_what_is_unwritten(Path(target)):
        graph.save_weights(target, model)
