"""A whole run: seeds, makes the graph, trains it; and the command line of a generated module."""
from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Callable, Mapping, Optional

import click
from chainer.training import Trainer

from graphdsl.options import Run
from graphdsl.runtime.origin import Origin
from graphdsl.runtime.program import Program
from graphdsl.runtime.seeds import set_seed
from graphdsl.training import watching
from graphdsl.training.progress import final_report
from graphdsl.training.resuming import Former, find_former, go_on
from graphdsl.training.stopping import how_to_go_on, stoppable
from graphdsl.training.trainer import make_trainer


def train(make_program: Callable[[], Program], run: Run, default_seed: int, former: Optional[Former] = None) -> None:
    """Seeds, makes a program, trains it and prints what it came to.

    Args:
        make_program: Makes it; its initial weights are drawn here.
        run: What is asked of the run.
        default_seed: The file's, where none is asked for.
        former: The run that goes on.

    Raises:
        click.exceptions.Exit: If a signal stopped the run, with the status that this has elsewhere.
    """
    set_seed(default_seed if run.seed is None else run.seed)
    program = make_program()
    trainer = make_trainer(program, run)
    if former is not None:
        go_on(trainer, program, run, former)
    with watching.attended(trainer), \
            stoppable(trainer.get_extension('stop'), is_told=not watching.is_live(trainer)) as stop:
        run_trainer(trainer, run)
    if stop.is_saved and not trainer.stop_trigger.is_done(trainer):
        click.echo(how_to_go_on(trainer), err=True)
        raise click.exceptions.Exit(128 + stop.signal)
    print(final_report(trainer.get_extension('LogReport').log, Path(run.out)))


def run_trainer(trainer: Trainer, run: Run) -> None:
    """Runs a Trainer. NumPy warns of values that are not finite only where nothing checks them."""
    with warnings.catch_warnings():
        if run.nan_check:
            # The check says more of what matters, and with its place. Without it these warnings are all there is.
            warnings.filterwarnings('ignore', '.* encountered in ', RuntimeWarning)
        trainer.run(show_loop_exception_msg=False)


def main(module: Mapping[str, Any]) -> None:
    """Trains a generated module that runs as a program.

    Args:
        module: Its names and values.
    """
    from graphdsl.cli.showing import show_error
    from graphdsl.ends import exit_status, traceback_option
    from graphdsl.options import run_options, writing_to

    @click.command(help=f'Trains {module["NAME"]}.')
    @run_options
    @traceback_option
    @click.pass_context
    def command(context: click.Context, run: Run) -> None:
        with exit_status(context, show_error), writing_to(run.out):
            begun = find_former(run)
            train(lambda: Program(module, Origin.of_module(module['__file__'])),
                  begun.completed(run) if begun is not None else run, module['TRAIN'].seed, begun)

    command()
