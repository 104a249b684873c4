"""How a run is asked for: the options of graphdsl's commands, of generated modules, and of Python."""
from __future__ import annotations

import contextlib
import functools
import re
from dataclasses import dataclass, fields
from typing import Any, Callable, Iterator, Optional, Union

import click

#: The optimisations of :mod:`graphdsl.plan.passes`, which is not imported before it is needed.
PASS_NAMES = ('joint', 'routing', 'reuse', 'cut', 'stacking')


@dataclass(frozen=True)
class Run:
    """What is asked of a run. What is None is as the file says.

    Attributes:
        out: Folder of the results.
        length: When to stop, such as ``(20, 'epoch')``.
        seed: Of the order of examples, the noise, the initial weights and dropout.
        device: Where to train, in Chainer's form: ``'@numpy'``, ``'@cupy:0'``; None leaves the models where they are.
        progress: Whether to show how the run goes on: in place on a terminal, and by a line for each entry of the log
            elsewhere; ``'plain'`` for lines in any case.
        nan_check: Whether losses and gradients that are not finite end the run, before they move a weight.
        batch: Examples in a minibatch, of data blocks that have no `batch` of their own.
        evaluate: How often to evaluate, such as ``(2, 'epoch')`` or ``(100, 'iteration')``.
        log: How often to write an entry of the log, likewise.
        snapshot: How often to save a snapshot, likewise.
        keep: How many snapshots to keep, the last ones.
        keep_best: Reports, such as ``'validation/kl'``, whose best weights are kept; in place of all of the file.
        stop_when: When to stop early, in place of all that the file says about it:
            ``'validation/kl stalls for 5 evaluations'``, or ``'never'``.
        resume: The snapshot to go on from; empty for the newest in ``out``, None to begin.
        partly: Whether what does not fit of that snapshot begins anew.
        report: Whether plots and a report are written, at the end and from time to time.
        tensorboard: Whether event files for TensorBoard are written.
        statistics: Whether the log has statistics of the weights and gradients of each model.
    """

    out: str = 'result'
    length: Optional[tuple[int, str]] = None
    seed: Optional[int] = None
    device: Optional[str] = None
    progress: Union[bool, str] = True
    nan_check: bool = True
    batch: Optional[int] = None
    evaluate: Optional[tuple[int, str]] = None
    log: Optional[tuple[int, str]] = None
    snapshot: Optional[tuple[int, str]] = None
    keep: Optional[int] = None
    keep_best: Union[str, tuple[str, ...], None] = None
    stop_when: Optional[str] = None
    resume: Optional[str] = None
    partly: bool = False
    report: bool = True
    tensorboard: bool = False
    statistics: bool = False


class _Interval(click.ParamType):
    """Reads ``'2 epochs'`` as ``(2, 'epoch')``."""

    name = 'interval'

    def convert(self, value: Any, param: Optional[click.Parameter], ctx: Optional[click.Context]) -> tuple[int, str]:
        match = re.fullmatch(r'\s*([1-9][0-9]*)\s+(epoch|iteration)s?\s*', value, re.ASCII)
        if match is None:
            self.fail(f"{value!r} is no interval, such as '2 epochs' or '100 iterations'", param, ctx)
        return int(match[1]), match[2]


_PROGRESS = {'auto': True, 'plain': 'plain', 'none': False}


def _snapshot(context: click.Context, parameter: click.Parameter, value: Optional[str]) -> Optional[str]:
    if value is not None and value.endswith('.graph'):
        raise click.BadParameter(f'{value!r} is no snapshot; the file comes first: `FILE --resume`')
    return value


# First those that stand for lines of `train`, in the order in which its lines are described.
_OPTIONS = (
    click.option('--batch', type=click.IntRange(min=1), help='Take so many examples in a minibatch.'),
    click.option('--epochs', type=click.IntRange(min=1), help='Train for so many epochs.'),
    click.option('--iterations', type=click.IntRange(min=1), help='Train for so many iterations.'),
    click.option('--seed', type=click.IntRange(0, 2 ** 32 - 1), help='Seed of the run.'),
    click.option('--evaluate-every', 'evaluate', type=_Interval(), help="Evaluate so often: '2 epochs'."),
    click.option('--log-every', 'log', type=_Interval(), help="Log so often: '100 iterations'."),
    click.option('--snapshot-every', 'snapshot', type=_Interval(), help='Save a snapshot so often.'),
    click.option('--keep', type=click.IntRange(min=1), help='Keep so many snapshots, the last ones.'),
    click.option('--keep-best', metavar='NAME', multiple=True,
                 help='Keep the weights with which this report, such as validation/NAME, was best. Can be repeated.'),
    click.option('--stop-when', metavar='WHEN', help="'NAME stalls for 5 evaluations', or 'never'."),
    click.option('--out', type=click.Path(file_okay=False), default='result', show_default=True,
                 help='Folder of the results.'),
    click.option('--nan-check/--no-nan-check', default=True, show_default=True,
                 help='Whether a loss or gradient that is NaN or infinite ends the run, before it moves a weight.'),
    click.option('--progress', type=click.Choice(list(_PROGRESS)), default='auto', show_default=True,
                 callback=lambda context, parameter, value: _PROGRESS[value],
                 help='How to show the run: in place on a terminal and by lines elsewhere, by lines, or not at all.'),
    click.option('--tensorboard', is_flag=True, help='Write event files for TensorBoard, in the folder of --out.'),
    click.option('--statistics', is_flag=True,
                 help='Log statistics of the weights and gradients of each model.'),
    click.option('--resume', is_flag=False, flag_value='', metavar='[SNAPSHOT]', callback=_snapshot, is_eager=True,
                 help='Go on from the newest snapshot in the folder, or from this one.'),
    click.option('--partly', is_flag=True, help='Take of the snapshot what fits, and begin the rest anew.'),
    click.option('--device', help='Where to train: @numpy (the default), @cupy:0, @intel64.'),
)


def run_options(command: Callable) -> Callable:
    """Adds the options of a run to a command, which gets them as ``run``, a :class:`Run`.

    Those that stand for a line of `train` take its place.
    """
    names = {field.name for field in fields(Run)}

    @functools.wraps(command)
    def with_run(*arguments: Any, epochs: Optional[int], iterations: Optional[int], device: Optional[str],
                 keep_best: tuple[str, ...], **given: Any) -> Any:
        asked = {name: given.pop(name) for name in names & set(given)}
        run = Run(length=_length(epochs, iterations), device=checked_device(device), keep_best=keep_best or None,
                  **asked)
        return command(*arguments, run=run, **given)

    for option in reversed(_OPTIONS):
        with_run = option(with_run)
    return with_run


def _length(epochs: Optional[int], iterations: Optional[int]) -> Optional[tuple[int, str]]:
    """Returns the length of a run as a trigger, None where the options leave it to the file."""
    if epochs is not None and iterations is not None:
        raise click.UsageError('a run has one length: give --epochs or --iterations')
    if epochs is not None:
        return epochs, 'epoch'
    return (iterations, 'iteration') if iterations is not None else None


def checked_device(device: Optional[str]) -> Optional[str]:
    """Returns the name of a device, if there is such a device here."""
    if device is None:
        return None
    import chainer
    try:
        chainer.get_device(device)
    except Exception as error:
        raise click.BadParameter(f'{device!r} cannot be used here: {error}', param_hint='--device') from None
    return device


class MissingPackage(ImportError):
    """Raised where something is asked for that needs a package which does not come with graphdsl by itself."""


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
    except MissingPackage as error:
        raise click.ClickException(str(error)) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f'{error.filename or out} cannot be written: {error.strerror}') from None
