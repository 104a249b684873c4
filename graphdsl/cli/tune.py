"""``graphdsl tune``: looks for good values of params."""
from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Optional

import click
from click.core import ParameterSource

from graphdsl.cli.arguments import allow_option, file_argument, limit_option, pass_option, set_option
from graphdsl.cli.compile import compile_command, refuse_untrainable
from graphdsl.cli.showing import format_option, show
from graphdsl.driver import Compilation, read, translate
from graphdsl.guard import guarded
from graphdsl.limits import Limits, with_room
from graphdsl.options import Run, RunError, run_options, writing_to

_ARGUMENTS = 'graphdsl.arguments'


class _Tune(click.Command):
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


@click.command('tune', cls=_Tune)
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
    try:
        import optuna
    except ImportError:
        raise click.ClickException("tuning needs Optuna: pip install 'graphdsl[tune]'") from None
    from graphdsl.compiled import CompiledGraph
    from graphdsl.tuning import table
    from graphdsl.tuning.goal import Goal
    from graphdsl.tuning.space import read_space
    from graphdsl.tuning.study import open_study
    from graphdsl.tuning.tune import run_trials

    goal = Goal(minimize or maximize or '', minimize is not None)
    folder = os.path.dirname(os.path.abspath(file))
    source = read(file, limits)

    def translated(values: Mapping[str, Any]) -> Compilation:
        with guarded(limits, source):
            return translate(source, {**params, **values}, {}, folder, allow_imports, no_passes, limits)

    def compiled(values: Mapping[str, Any]) -> CompiledGraph:
        compilation = translated(values)
        with guarded(limits, source, is_timed=False):
            return with_room(limits, CompiledGraph, compilation)

    compilation = translated({})
    show(compilation.warnings, source)
    refuse_untrainable(compilation, run)
    with writing_to(run.out), _storage_errors(), _going_on(context):
        goal.check(compilation.graph)
        space = read_space(written, source, compilation.tree, params, limits)
        study = open_study(storage, name or Path(file).stem, Path(run.out), goal,
                           {key: one.distribution() for key, one in space.items()}, {**params, **_asked(run)},
                           _seed(compilation, run), prune)
        total = len(study.trials())
        if total:
            click.echo(f'{total} trial{"s" if total > 1 else ""} of this study ended before')
        last = None
        for ended in run_trials(study, trials, compiled, replace(run, progress=False), compilation.graph.train.seed):
            click.echo(table.line(study, ended.trial))
            last = ended.error or last
        best = study.best()
        if best is None:
            if last is not None:
                raise last
            raise click.ClickException('no trial has come to an end')
        click.echo(f'\nThe best of {len(study.trials())} trials is trial {best.number}, with {goal.report} = '
                   f'{best.value:.5g}:\n  {_command(context, file, table.shown(best.params))}\n'
                   f'{study.out}/trials.csv lists all.')


def _seed(compilation: Compilation, run: Run) -> int:
    return compilation.graph.train.seed if run.seed is None else run.seed


def _asked(run: Run) -> dict[str, Any]:
    """Returns what is asked of the runs and changes what comes of them."""
    default = Run()
    return {field.name: getattr(run, field.name) for field in fields(Run)
            if field.name not in ('out', 'progress', 'device') and getattr(run, field.name) !=
            getattr(default, field.name)}


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    from optuna.exceptions import StorageInternalError
    try:
        yield
    except StorageInternalError as error:
        raise click.ClickException(f'the storage of the study failed: {error.__cause__ or error}') from None


@contextlib.contextmanager
def _going_on(context: click.Context) -> Iterator[None]:
    """Says how to go on where the user interrupts."""
    try:
        yield
    except KeyboardInterrupt:
        words = [context.command_path, *context.meta[_ARGUMENTS]]
        click.echo(f'\nThe trial that ran will be run again. To go on:\n  {shlex.join(words)}', err=True)
        raise


def _command(context: click.Context, file: str, params: Iterable[tuple[str, str]]) -> str:
    """Returns the command that trains with some params as the trials were."""
    taken = {option.name for option in compile_command.params} - {'file', 'out', 'progress'}
    options = [parameter for parameter in context.command.params if parameter.name in taken and
               context.get_parameter_source(parameter.name) == ParameterSource.COMMANDLINE]
    given, _, _ = context.command.make_parser(context).parse_args(context.meta[_ARGUMENTS])
    words = ['graphdsl', 'compile', '--run', file]
    for option in options:
        value = given[option.name]
        if isinstance(option, click.Option) and option.is_flag:
            words.append(option.opts[-1] if value else option.secondary_opts[-1])
        else:
            for one in value if option.multiple else [value]:
                words += [option.opts[-1] if option.name != 'params' else '--set', one]
    for name, text in params:
        words += ['--set', f'{name}={text}']
    return shlex.join(words)
