"""The command line: parses arguments, calls the pipeline, renders what comes back.

Exit status: 0 fine, 1 the file or its data is wrong, 2 wrong command line, 70 a bug of ours, 130 interrupted.
"""
from __future__ import annotations

import sys
import traceback
from typing import Any

import click

from graphdsl import __version__
from graphdsl.cli.check import check_command
from graphdsl.cli.compile import compile_command
from graphdsl.cli.explain import explain_command
from graphdsl.cli.fmt import fmt_command
from graphdsl.cli.plan import plan_command
from graphdsl.cli.showing import show, status_of, wants_traceback
from graphdsl.diagnostics import GraphError

_INTERNAL_ERROR = 70
_INTERRUPTED = 130


class _Group(click.Group):
    """Turns what ends a command into an exit status."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except GraphError as error:
            if wants_traceback():
                traceback.print_exc()
            show(error.diagnostics, error.source)
            sys.exit(status_of(error.diagnostics))
        except (KeyboardInterrupt, click.Abort):
            click.echo('interrupted', err=True)
            sys.exit(_INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            if wants_traceback():
                traceback.print_exc()
            click.echo(f'graphdsl has a bug: {type(error).__name__}: {error}\nThis is our mistake, not yours. Please '
                       'report it, with the file and what --traceback shows.', err=True)
            sys.exit(_INTERNAL_ERROR)


@click.group(cls=_Group, context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(__version__, prog_name='graphdsl')
def main() -> None:
    """Compiles networks of several models, with their losses and optimizers, into Chainer programs."""


for command in (compile_command, check_command, plan_command, fmt_command, explain_command):
    main.add_command(command)
