"""The options of a run, on the command line of graphdsl and of generated modules."""
from __future__ import annotations

import contextlib
from typing import Callable, Iterator, Optional

import click

#: The optimisations of :mod:`graphdsl.plan.passes`, which is not imported before it is needed.
PASS_NAMES = ('joint', 'routing', 'reuse', 'cut', 'stacking')

_OPTIONS = (
    click.option('--epochs', type=click.IntRange(min=1), help='Train for so many epochs.'),
    click.option('--iterations', type=click.IntRange(min=1), help='Train for so many iterations.'),
    click.option('--out', type=click.Path(file_okay=False), default='result', show_default=True,
                 help='Folder for the log and snapshots.'),
    click.option('--seed', type=click.IntRange(0, 2 ** 32 - 1), help='Seed of the run, in place of that of `train`.'),
    click.option('--nan-check/--no-nan-check', default=True, show_default=True,
                 help='Whether a loss or gradient that is NaN or infinite ends the run, before it moves a weight.'),
    click.option('--device', default='@numpy', show_default=True, help='Where to train: @numpy, @cupy:0, @intel64.'),
)


def run_options(command: Callable) -> Callable:
    """Adds the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


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


class RunError(ValueError):
    """Raised for a run that a graph cannot do as it is asked to."""


@contextlib.contextmanager
def writing_to(out: str) -> Iterator[None]:
    """Says in a line what is wrong with a run: how it is asked for, or what cannot be written.

    A pipe that its reader closed is click's to end.
    """
    try:
        yield
    except RunError as error:
        raise click.UsageError(str(error)) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f'{error.filename or out} cannot be written: {error.strerror}') from None
