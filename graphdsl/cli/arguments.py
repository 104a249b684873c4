"""Arguments and options that several commands have."""
from __future__ import annotations

from typing import Iterable

import click

from graphdsl.cli.showing import MOST_SHOWN
from graphdsl.limits import Limits, descriptions
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


def limit_option(command):
    """Adds the option that raises and lowers limits; the command gets ``limits``."""
    names = ', '.join(f'{name} ({getattr(Limits(), name):,})' for name in descriptions())
    return click.option('--limit', 'limits', metavar='NAME=NUMBER', multiple=True, callback=_limits,
                        help=f'Set what the file may come to; may be given several times. There are {names}.')(command)


def _assignments(context: click.Context, parameter: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    pairs = [value.partition('=') for value in values]
    wrong = next((value for value, (name, sign, _) in zip(values, pairs) if not (name and sign)), None)
    if wrong is not None:
        raise click.BadParameter(f'{wrong!r} is not of the form NAME=VALUE')
    return {name.strip(): text.strip() for name, _, text in pairs}


def _limits(context: click.Context, parameter: click.Parameter, values: Iterable[str]) -> Limits:
    given: dict[str, int] = {}
    for value in values:
        name, sign, number = value.partition('=')
        digits = number.strip().replace('_', '')
        if not (sign and digits.isdecimal() and digits.isascii() and len(digits) <= 20):
            raise click.BadParameter(f'{value!r} is not of the form NAME=NUMBER; there are '
                                     + ', '.join(descriptions()))
        given[name.strip()] = int(digits)
    try:
        limits = Limits.of(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    context.meta[MOST_SHOWN] = limits.errors
    return limits
