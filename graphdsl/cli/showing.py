"""How diagnostics are shown, and the exit status that they come to."""
from __future__ import annotations

import os
from typing import Any, Callable, Iterable

import click

from graphdsl.diagnostics import Diagnostic, GraphError, Source, as_json, render

_COLORS: dict[str, dict[str, Any]] = {
    'error': {'fg': 'red', 'bold': True}, 'warning': {'fg': 'yellow', 'bold': True},
    'place': {'fg': 'blue'}, 'frame': {'fg': 'blue'}, 'help': {'bold': True}}
_OF_THE_COMMAND_LINE = {'G211', 'G212'}
_FORMAT = 'graphdsl.format'
#: Where the context keeps how many diagnostics are shown, of those of a file.
MOST_SHOWN = 'graphdsl.errors'


def format_option(command):
    """Adds the option that says how a command shows what is wrong."""
    def keep(context: click.Context, parameter: click.Parameter, value: str) -> None:
        context.meta[_FORMAT] = value

    return click.option('--format', type=click.Choice(['text', 'json']), default='text', show_default=True,
                        expose_value=False, callback=keep,
                        help='Show what is wrong to people, or to tools: a JSON object on a line each.')(command)


def as_objects() -> bool:
    """Says whether diagnostics are wanted as JSON."""
    return click.get_current_context().meta.get(_FORMAT) == 'json'


def show(diagnostics: Iterable[Diagnostic], source: Source, err: bool = True) -> None:
    """Prints diagnostics as the options say, in colour on a terminal.

    Args:
        diagnostics: What to show.
        source: The text that they point into.
        err: Whether JSON goes to standard error, as text always does.
    """
    diagnostics = list(diagnostics)
    most = click.get_current_context().meta.get(MOST_SHOWN, len(diagnostics))
    for text in map(_as_text(source), diagnostics[:most]):
        click.echo(text, err=err or not as_objects())
    if len(diagnostics) > most:
        click.echo(f'{len(diagnostics) - most:,} more are not shown; `--limit errors={len(diagnostics)}` shows all\n',
                   err=True)


def _as_text(source: Source) -> Callable[[Diagnostic], str]:
    """Returns a function that writes a diagnostic as the options say."""
    if as_objects():
        return lambda diagnostic: as_json.render(diagnostic, source)
    colored = click.get_text_stream('stderr').isatty() and not os.environ.get('NO_COLOR')

    def style(text: str, role: str) -> str:
        return click.style(text, **_COLORS[role]) if colored else text

    return lambda diagnostic: render(diagnostic, source, style) + '\n'


def status_of(diagnostics: Iterable[Diagnostic]) -> int:
    """Returns the exit status for some diagnostics: 2 if no more than values of `--set` are wrong."""
    return 2 if {d.code for d in diagnostics if d.severity == 'error'} <= _OF_THE_COMMAND_LINE else 1


def show_error(error: GraphError) -> int:
    """Prints what is wrong with a graph, and returns the exit status."""
    show(error.diagnostics, error.source)
    return status_of(error.diagnostics)
