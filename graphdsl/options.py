"""The options of a run, on the command line of graphdsl and of generated modules."""
from __future__ import annotations

import contextlib
from typing import Callable, Iterable, Iterator, Optional

import click

from graphdsl.limits import Limits, descriptions

#: The optimisations of :mod:`graphdsl.plan.passes`, which is not imported before it is needed.
PASS_NAMES = ('joint', 'routing', 'reuse', 'cut', 'stacking')

_OPTIONS = (
    click.option('--epochs', type=click.IntRange(min=1), help='Train for so many epochs.'),
    click.option('--iterations', type=click.IntRange(min=1), help='Train for so many iterations.'),
    click.option('--out', type=click.Path(file_okay=False), default='result', show_default=True,
                 help='Folder for the log and snapshots.'),
    click.option('--seed', type=click.IntRange(0, 2 ** 32 - 1), help='Seed of the run, in place of that of `train`.'),
    click.option('--device', default='@numpy', show_default=True, help='Where to train: @numpy, @cupy:0, @intel64.'),
)


def run_options(command: Callable) -> Callable:
    """Adds the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def limit_option(command: Callable) -> Callable:
    """Adds the option that raises and lowers limits; the command gets ``limits``."""
    names = ', '.join(f'{name} ({getattr(Limits(), name):,})' for name in descriptions())
    return click.option('--limit', 'limits', metavar='NAME=NUMBER', multiple=True, callback=_limits,
                        help=f'Set what the file may come to; may be given several times. There are {names}.')(command)


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
        return Limits.of(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def length_of(epochs: Optional[int], iterations: Optional[int]) -> Optional[tuple[int, str]]:
    """Returns the length of a run as a trigger, None where the options leave it to the file."""
    if epochs is not None and iterations is not None:
        raise click.UsageError('a run has one length: give --epochs or --iterations')
    if epochs is not None:
        return epochs, 'epoch'
    return (iterations, 'iteration') if iterations is not None else None


def checked_device(name: str) -> str:
    """Returns the name of a device, if there is such a device here."""
    import chainer
    try:
        chainer.get_device(name)
    except Exception as error:
        raise click.BadParameter(f'{name!r} cannot be used here: {error}', param_hint='--device') from None
    return name


@contextlib.contextmanager
def writing_to(out: str) -> Iterator[None]:
    """Says of what cannot be written in a line; a pipe that its reader closed is click's to end."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f'{error.filename or out} cannot be written: {error.strerror}') from None
