"""The command line: parses arguments, calls the pipeline, renders what comes back.

Exit status: 0 fine, 1 the file or its data is wrong, 2 wrong command line, 70 a bug of ours, 130 interrupted.
"""
from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any, Iterable, Optional

import click

from graphdsl import __version__
from graphdsl.diagnostics import Diagnostic, GraphError, Source, Span, in_order, render
from graphdsl.options import PASS_NAMES, checked_device, length_of, run_options, writing_to

_COLORS: dict[str, dict[str, Any]] = {
    'error': {'fg': 'red', 'bold': True}, 'warning': {'fg': 'yellow', 'bold': True},
    'place': {'fg': 'blue'}, 'frame': {'fg': 'blue'}, 'help': {'bold': True}}
_OF_THE_COMMAND_LINE = {'G211', 'G212'}
_INTERNAL_ERROR = 70
_INTERRUPTED = 130


class _Group(click.Group):
    """Turns what ends a command into an exit status, and never into a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except GraphError as error:
            show(error.diagnostics, error.source)
            sys.exit(_status(error.diagnostics))
        except (KeyboardInterrupt, click.Abort):
            click.echo('interrupted', err=True)
            sys.exit(_INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            if 'GRAPHDSL_TRACEBACK' in os.environ:
                raise
            click.echo(f'graphdsl has a bug: {type(error).__name__}: {error}\nThis is our mistake, not yours. Please '
                       'report it, with the file and what GRAPHDSL_TRACEBACK=1 shows.', err=True)
            sys.exit(_INTERNAL_ERROR)


@click.group(cls=_Group, context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(__version__, prog_name='graphdsl')
def main() -> None:
    """Compiles networks of several models, with their losses and optimizers, into Chainer programs."""


def _status(diagnostics: Iterable[Diagnostic]) -> int:
    """Returns the exit status for some diagnostics: 2 if no more than values of `--set` are wrong."""
    return 2 if {d.code for d in diagnostics if d.severity == 'error'} <= _OF_THE_COMMAND_LINE else 1


def show(diagnostics: Iterable[Diagnostic], source: Source) -> None:
    """Prints diagnostics, in colour on a terminal."""
    colored = sys.stderr.isatty() and 'NO_COLOR' not in os.environ

    def style(text: str, role: str) -> str:
        return click.style(text, **_COLORS[role]) if colored else text

    for diagnostic in diagnostics:
        click.echo(render(diagnostic, source, style) + '\n', err=True)


_file = click.argument('file', type=click.Path())
_files = click.argument('files', type=click.Path(), nargs=-1, required=True)


def _set_option(command):
    return click.option('--set', 'params', metavar='NAME=VALUE', multiple=True, callback=_assignments,
                        help='Set a param of the file; may be given several times.')(command)


def _allow_option(command):
    return click.option('--allow-import', 'allow_imports', metavar='MODULE', multiple=True,
                        help='Let the file import this module, which runs its code; may be repeated.')(command)


def _pass_option(command):
    return click.option('--no-pass', 'no_passes', type=click.Choice(PASS_NAMES), multiple=True,
                        help='Leave out an optimisation; results are equal without it. May be repeated.')(command)


def _assignments(context: click.Context, parameter: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    pairs = [value.partition('=') for value in values]
    wrong = next((value for value, (name, sign, _) in zip(values, pairs) if not (name and sign)), None)
    if wrong is not None:
        raise click.BadParameter(f'{wrong!r} is not of the form NAME=VALUE')
    return {name.strip(): text.strip() for name, _, text in pairs}


@main.command('compile')
@_file
@_set_option
@_allow_option
@_pass_option
@click.option('--run', is_flag=True, help='Train the graph instead of printing its module.')
@click.option('-o', 'target', type=click.Path(dir_okay=False), help='Write to this file.')
@click.option('--emit', type=click.Choice(['tree', 'graph', 'plan', 'python']), default='python', show_default=True,
              help='What to print.')
@run_options
def compile_command(file: str, params: dict[str, str], allow_imports: tuple[str, ...], no_passes: tuple[str, ...],
                    run: bool, target: Optional[str], emit: str, epochs: Optional[int], iterations: Optional[int],
                    out: str, seed: Optional[int], device: str) -> None:
    """Compiles FILE to a Python module; trains it with --run."""
    from graphdsl.driver import phase, read, translate

    if run and (target is not None or emit != 'python'):
        raise click.UsageError('--run goes with neither -o nor --emit')
    folder = os.path.dirname(os.path.abspath(file))
    source = read(file)
    if not run:
        text = phase(source, emit, params, folder, allow_imports, no_passes)
        if target is None:
            click.echo(text, nl=False)
        else:
            _write(Path(target), text)
        return
    compilation = translate(source, params, folder=folder, allow_imports=allow_imports, no_passes=no_passes)
    show(compilation.warnings, source)
    _train(compilation, length_of(epochs, iterations), out, seed, device)


def _train(compilation, length, out: str, seed: Optional[int], device: str) -> None:
    from graphdsl.compiled import CompiledGraph
    from graphdsl.runtime.training import train

    graph = compilation.graph
    if not graph.streams:
        raise GraphError([Diagnostic('G506', 'this file has no data to train on', Span(0, 0),
                                     help='add a block `data NAME { train = SOURCE }`, or train it from Python')],
                         compilation.source)
    if length is None and graph.train.length is None:
        raise click.UsageError('the file does not say how long to train: give --epochs or --iterations')

    def compiled() -> CompiledGraph:
        program = CompiledGraph(compilation)
        show(program.warnings[len(compilation.warnings):], compilation.source)
        return program

    with writing_to(out):
        train(compiled, seed, graph.train.seed, out, length=length,
              device=checked_device(device))


@main.command('plan')
@_file
@_set_option
@_allow_option
@_pass_option
@click.option('--json', 'as_json', is_flag=True, help='Print it for other programs.')
def plan_command(file: str, params: dict[str, str], allow_imports: tuple[str, ...], no_passes: tuple[str, ...],
                 as_json: bool) -> None:
    """Shows what an iteration of FILE computes, differentiates and updates."""
    import json

    from graphdsl.compiled import CompiledGraph
    from graphdsl.driver import read, translate
    from graphdsl.tools import plan_table

    source = read(file)
    folder = os.path.dirname(os.path.abspath(file))
    graph = CompiledGraph(translate(source, params, folder=folder, allow_imports=allow_imports, no_passes=no_passes))
    show(graph.warnings, source)
    click.echo(json.dumps(plan_table.as_dict(graph), indent=2) if as_json else plan_table.render(graph), nl=as_json)


@main.command('check')
@_files
@_set_option
@_allow_option
@click.option('--shapes', is_flag=True, help='Print the shape and dtype of every value.')
def check_command(files: tuple[str, ...], params: dict[str, str], allow_imports: tuple[str, ...],
                  shapes: bool) -> None:
    """Checks FILES and shows all that is wrong with them."""
    from graphdsl.driver import check_all, read, translate

    wrong: list[Diagnostic] = []
    for file in files:
        try:
            source = read(file)
            folder = os.path.dirname(os.path.abspath(file))
            compilation = translate(source, params, folder=folder, allow_imports=allow_imports)
            found = _with_table(compilation) if shapes else check_all(compilation)
            wrong += [diagnostic for diagnostic in found if diagnostic.severity == 'error']
            show(found, source)
        except GraphError as error:
            wrong += error.diagnostics
            show(error.diagnostics, error.source)
    if wrong:
        sys.exit(_status(wrong))
    click.echo(f'{len(files)} file{"s are" if len(files) > 1 else " is"} fine')


def _with_table(compilation) -> tuple[Diagnostic, ...]:
    """Prints the shapes of a file; returns what is odd or wrong with it."""
    from graphdsl.shapes.check import examine
    from graphdsl.tools import shape_table

    found = examine(compilation, wants_types=True)
    click.echo(shape_table.render(compilation, found), nl=False)
    return in_order([*compilation.warnings, *found.diagnostics])


@main.command()
@_files
@click.option('--check', 'check_only', is_flag=True, help='Change nothing; exit with 1 if a file would change.')
@click.option('--diff', is_flag=True, help='Change nothing; show what would change.')
def fmt(files: tuple[str, ...], check_only: bool, diff: bool) -> None:
    """Writes FILES in the canonical layout."""
    from graphdsl.driver import read
    from graphdsl.syntax.format import format_source

    failed = changed = False
    for file in files:
        try:
            source = read(file)
            text = format_source(source)
        except GraphError as error:
            failed = True
            show(error.diagnostics, error.source)
            continue
        if text == source.text:
            continue
        changed = True
        if diff:
            click.echo(_diff(file, source.text, text), nl=False)
        if check_only:
            click.echo(f'{click.format_filename(file)} would change', err=True)
        if not (diff or check_only):
            _write(Path(file), text)
            click.echo(f'{click.format_filename(file)} changed')
    if failed or (changed and check_only):
        sys.exit(1)


def _diff(file: str, old: str, new: str) -> str:
    import difflib
    return ''.join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), file, f'{file} (formatted)'))


def _write(path: Path, text: str) -> None:
    """Writes a whole file or nothing; a link stays a link, and a device or pipe what it is."""
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            with open(target, 'w', encoding='utf-8', newline='') as file:
                file.write(text)
        else:
            _replace(target, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f'{click.format_filename(path)} cannot be written: {error.strerror}') from None


def _replace(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile('w', encoding='utf-8', newline='', dir=path.parent, delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(text)
            file.flush()
            temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
