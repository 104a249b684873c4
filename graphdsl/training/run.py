"""A whole run: seeds, makes the graph, trains it; and the command line of a generated module."""
from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Callable, Mapping

from graphdsl.options import Run
from graphdsl.runtime.origin import Origin
from graphdsl.runtime.program import Program
from graphdsl.runtime.seeds import set_seed
from graphdsl.training.progress import final_report
from graphdsl.training.trainer import make_trainer


def train(make_program: Callable[[], Program], run: Run, default_seed: int) -> None:
    """Seeds, makes a program, trains it and prints what it came to.

    Args:
        make_program: Makes it; its initial weights are drawn here.
        run: What is asked of the run.
        default_seed: The file's, where none is asked for.
    """
    set_seed(default_seed if run.seed is None else run.seed)
    program = make_program()
    trainer = make_trainer(program, run)
    with warnings.catch_warnings():
        if run.nan_check:
            # The check says more of what matters, and with its place. Without it these warnings are all there is.
            warnings.filterwarnings('ignore', '.* encountered in ', RuntimeWarning)
        trainer.run(show_loop_exception_msg=False)
    print(final_report(trainer.get_extension('LogReport').log, Path(run.out)))


def main(module: Mapping[str, Any]) -> None:
    """Trains a generated module that runs as a program.

    Args:
        module: Its names and values.
    """
    import click

    from graphdsl.cli.showing import show_error
    from graphdsl.ends import exit_status, traceback_option
    from graphdsl.options import run_options, writing_to

    @click.command(help=f'Trains {module["NAME"]}.')
    @run_options
    @traceback_option
    @click.pass_context
    def command(context: click.Context, run: Run) -> None:
        with exit_status(context, show_error), writing_to(run.out):
            train(lambda: Program(module, Origin.of_module(module['__file__'])), run, module['TRAIN'].seed)

    command()
