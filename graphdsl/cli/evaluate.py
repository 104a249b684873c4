"""``graphdsl evaluate``: the losses and metrics of a trained graph."""
from __future__ import annotations

import json
import math

import click

from graphdsl.cli.loaded import Loaded, loaded_options, saying_what_is_wrong
from graphdsl.cli.showing import as_objects, format_option
from graphdsl.cli.using import Used, using_options


@click.command('evaluate')
@loaded_options
@using_options
@format_option
def evaluate_command(loaded: Loaded, used: Used) -> None:
    """Averages the losses and metrics of FILE over data, as a run reports them."""
    graph = used.moved(loaded.graph())

    from graphdsl.using.evaluate import evaluate
    from graphdsl.using.predict import said_left_out
    with saying_what_is_wrong():
        data = used.data(graph, graph.plan.evaluation)
        found = evaluate(graph, data, used.batch, used.seed)
    if found.left_out:
        click.echo(f'left out: {said_left_out(found.left_out)}', err=True)
    if as_objects():
        # JSON has no word for what is not finite.
        click.echo(json.dumps({name: value if math.isfinite(value) else str(value)
                               for name, value in found.values.items()}))
    else:
        for name, value in found.values.items():
            click.echo(f'  {name} = {value:.5g}')
