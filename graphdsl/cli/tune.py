"""``graphdsl tune``: looks for good values of params."""
from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Iterator, Optional

import click

from graphdsl.cli.arguments import allow_option, file_argument, limit_option, pass_option, set_option
from graphdsl.cli.compile import compile_command, refuse_untrainable
from graphdsl.cli.showing import format_option, show
from graphdsl.driver import read
from graphdsl.limits import Limits
from graphdsl.options import Run, run_options, writing_to

if TYPE_CHECKING:       # they import Chainer and Optuna
    from graphdsl.tuning.study import Study
    from graphdsl.tuning.tune import Ended

_ARGUMENTS = 'graphdsl.arguments'


class _Command(click.Command):
    """Keeps its arguments, to say in the end how to train with the best params."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        context.meta[_ARGUMENTS] = list(arguments)
        return super().parse_args(context, arguments)


def _spaces(context: click.Context, parameter: click.Parameter, values: Iterable[str]) -> dict[str, Optional[str]]:
    found: dict[str, Optional[str]] = {}
    for value in values:
        name, sign, text = value.partition('=')
        if not name.strip() or (sign and not text.strip()):
            raise click.BadParameter(f'{value!r} is not of the form NAME=RANGE, such as alpha=1e-4..1e-2:log, '
                                     'width=16..256:step=16, kind=relu,tanh')
        if name.strip() in found:
            raise click.BadParameter(f'{name.strip()!r} is given twice')
        found[name.strip()] = text.strip() if sign else None
    return found


@click.command('tune', cls=_Command)
@file_argument
@click.option('--param', 'written', metavar='NAME=RANGE', multiple=True, required=True, callback=_spaces,
              help='What to try: alpha=1e-4..1e-2:log, width=16..256:step=16, kind=relu,tanh; the name alone for all '
              'choices that the file declares. May be given several times.')
@click.option('--trials', type=click.IntRange(min=1), default=20, show_default=True,
              help='How many trials the study is to have in all.')
@click.option('--minimize', metavar='REPORT', help='What should become small, such as validation/kl.')
@click.option('--maximize', metavar='REPORT', help='What should become large, such as validation/accuracy.')
@click.option('--prune/--no-prune', default=True, show_default=True,
              help='Whether a trial ends where it is worse than most were at that evaluation.')
@click.option('--storage', metavar='URL', help="Optuna's storage.  [default: sqlite:///OUT/study.db]")
@click.option('--study', 'name', metavar='NAME', help='Name of the study.  [default: the name of FILE]')
@set_option
@allow_option
@pass_option
@limit_option
@run_options
@format_option
@click.pass_context
def tune_command(context: click.Context, file: str, written: dict[str, Optional[str]], trials: int,
                 minimize: Optional[str], maximize: Optional[str], prune: bool, storage: Optional[str],
                 name: Optional[str], params: dict[str, str], allow_imports: tuple[str, ...],
                 no_passes: tuple[str, ...], limits: Limits, run: Run) -> None:
    """Trains FILE with several values of its params, and looks for the best.

    The same command again goes on where it was interrupted.
    """
    if (minimize is None) == (maximize is None):
        raise click.UsageError('a study has one aim: give --minimize or --maximize')
    if run.resume is not None or run.partly:
        raise click.UsageError('a study goes on by the same command: --resume and --partly are for single runs')
    try:
        import optuna       # noqa: F401 (asked for)
    except ImportError:
        raise click.ClickException("tuning needs Optuna: pip install 'graphdsl[tune]'") from None
    from graphdsl.tuning import tune
    from graphdsl.tuning.goal import Goal

    goal = Goal(minimize or maximize or '', minimize is not None)
    tuned = tune.File(read(file, limits), os.path.dirname(os.path.abspath(file)), params, {}, allow_imports, no_passes,
                      limits)
    compilation = tuned.translate({})
    show(compilation.warnings, tuned.source)
    refuse_untrainable(compilation, run)
    with writing_to(run.out), _storage_errors(), _going_on(context):
        options = sorted(map(' '.join, _given(context)))
        study = tune.begin(tuned, written, goal, run, options, name or Path(file).stem, prune, storage)
        _tune(context, file, study, tune.run_trials(study, trials, tuned, replace(run, progress=False)))


def _tune(context: click.Context, file: str, study: Study, trials: Iterator[Ended]) -> None:
    """Shows trials as they end, and what came of them."""
    from graphdsl.tuning import table

    before = len(study.trials())
    if before:
        click.echo(f'{before} trial{"s" if before > 1 else ""} of this study ended before')
    error = None
    for ended in trials:
        click.echo(table.line(study, ended.trial))
        error = ended.error or error
    best = study.best()
    if best is None:
        raise error or click.ClickException(f'no trial has succeeded; {study.out}/trials.csv says why')
    click.echo(f'\nThe best of {len(study.trials())} trials is trial {best.number}, with {study.goal.report} = '
               f'{best.value:.5g}:\n  {_command(context, file, table.shown(best.params))}\n'
               f'{study.out}/trials.csv lists all.')


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    from optuna.exceptions import StorageInternalError
    try:
        yield
    except StorageInternalError as error:
        first = str(error.__cause__ or error).split('\n', 1)[0]
        raise click.ClickException(f'the storage of the study failed: {first}') from None


@contextlib.contextmanager
def _going_on(context: click.Context) -> Iterator[None]:
    """Says how to go on where the user interrupts."""
    try:
        yield
    except KeyboardInterrupt:
        words = [*context.command_path.split(), *context.meta[_ARGUMENTS]]
        click.echo(f'\nThe trial that ran will be run again. To go on:\n  {shlex.join(words)}', err=True)
        raise


def _command(context: click.Context, file: str, params: Iterable[tuple[str, str]]) -> str:
    """Returns the command that trains with some params as the trials were."""
    sets = [word for name, text in params for word in ('--set', f'{name}={text}')]
    return shlex.join(['graphdsl', 'compile', '--run', file, *(w for one in _given(context) for w in one), *sets])


def _given(context: click.Context) -> list[tuple[str, ...]]:
    """Returns the options of runs as they were given, each with its value."""
    taken = {option.name for option in compile_command.params} - {'out', 'progress'}
    values, _, _ = context.command.make_parser(context).parse_args(list(context.meta[_ARGUMENTS]))
    found: list[tuple[str, ...]] = []
    for option in context.command.params:
        if not isinstance(option, click.Option) or option.name not in taken or option.name not in values:
            continue
        value = values[option.name]
        if option.is_flag:
            found.append(((option.opts if value else option.secondary_opts)[-1],))
        else:
            found += [(option.opts[-1], text) for text in (value if option.multiple else [value])]
    return found
