"""Arguments and options that several commands have."""
from __future__ import annotations

from typing import Iterable

import click

from graphdsl.options import PASS_NAMES

file_argument = click.argument('file', type=click.Path())
files_argument = click.argument('files', type=click.Path(), nargs=-1, required=True)


def set_option(command):
    return click.option('--set', 'params', metavar='NAME=VALUE', multiple=True, callback=_assignments,
                        help='Set a param of the file; may be given several times.')(command)


def allow_option(command):
    return click.option('--allow-import', 'allow_imports', metavar='MODULE', multiple=True,
                        help='Let the file import this module, which runs its code; may be repeated.')(command)


def pass_option(command):
    return click.option('--no-pass', 'no_passes', type=click.Choice(PASS_NAMES), multiple=True,
                        help='Leave out an optimisation; results are equal without it. May be repeated.')(command)


def _assignments(context: click.Context, parameter: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    pairs = [value.partition('=') for value in values]
    wrong = next((value for value, (name, sign, _) in zip(values, pairs) if not (name and sign)), None)
    if wrong is not None:
        raise click.BadParameter(f'{wrong!r} is not of the form NAME=VALUE')
    return {name.strip(): text.strip() for name, _, text in pairs}
