"""The command line: parses arguments, calls the pipeline, renders what comes back.

Exit status: 0 fine, 1 the file or its data is wrong, 2 wrong command line, 70 a bug of ours, 130 interrupted.
"""
from __future__ import annotations

from typing import Any, Optional

import click

from graphdsl import __version__
from graphdsl.cli.check import check_command
from graphdsl.cli.compile import compile_command
from graphdsl.cli.draw import draw_command
from graphdsl.cli.evaluate import evaluate_command
from graphdsl.cli.explain import explain_command
from graphdsl.cli.export import export_command
from graphdsl.cli.fmt import fmt_command
from graphdsl.cli.plan import plan_command
from graphdsl.cli.predict import predict_command
from graphdsl.cli.showing import show_error
from graphdsl.cli.tune import tune_command
from graphdsl.cli.weights import weights_command
from graphdsl.ends import exit_status, traceback_option


class _Group(click.Group):
    """Turns what ends a command into an exit status."""

    def invoke(self, context: click.Context) -> Any:
        with exit_status(context, show_error):
            return super().invoke(context)

    def add_command(self, command: click.Command, name: Optional[str] = None) -> None:
        super().add_command(traceback_option(command), name)


@click.group(cls=_Group, context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(__version__, prog_name='graphdsl')
@traceback_option
def main() -> None:
    """Compiles networks of several models, with their losses and optimizers, into Chainer programs."""


for command in (compile_command, tune_command, predict_command, evaluate_command, export_command, weights_command,
                check_command, plan_command, draw_command, fmt_command, explain_command):
    main.add_command(command)
