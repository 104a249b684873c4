"""How a command ends: what it says, and its exit status.

0 fine, 1 a file or its data is wrong, 2 wrong command line, 70 a mistake of ours, 130 interrupted.
"""
from __future__ import annotations

import contextlib
import linecache
import platform
import re
import sys
import traceback
from typing import Any, Callable, Iterator, Optional

import click

import graphdsl
from graphdsl import own
from graphdsl.diagnostics import GraphError, Source, Span

WRONG, INTERNAL_ERROR, INTERRUPTED = 1, 70, 130
_WRITTEN = re.compile(r'<graphdsl \d+: (.*)>')
_LINE = re.compile(r'  # line (\d+)$')
_TRACEBACK = 'graphdsl.traceback'


def traceback_option(command: Callable) -> Callable:
    """Adds `--traceback` to a command."""
    return click.option('--traceback', is_flag=True, expose_value=False, callback=_remember,
                        help='Show the Python traceback of what goes wrong, too.')(command)


def _remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    # Options of a group and its command are one: `graphdsl --traceback check` and `graphdsl check --traceback`.
    context.meta[_TRACEBACK] = value or context.meta.get(_TRACEBACK, False)


@contextlib.contextmanager
def exit_status(context: click.Context, show: Callable[[GraphError], int]) -> Iterator[None]:
    """Turns what ends a command into an exit status, and never into a traceback that nobody asked for.

    Args:
        context: Of the command.
        show: Shows what is wrong with a graph, and returns the exit status.
    """
    try:
        yield
    except GraphError as error:
        _traceback(context, error)
        sys.exit(show(error))
    except (KeyboardInterrupt, click.Abort):
        click.echo('interrupted', err=True)
        sys.exit(INTERRUPTED)
    except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
        raise
    except MemoryError as error:
        _traceback(context, error)
        click.echo('there is not enough memory' + (f': {error}' if str(error) else ''), err=True)
        sys.exit(WRONG)
    except Exception as error:
        _traceback(context, error)
        click.echo(bug_report(error), err=True)
        sys.exit(INTERNAL_ERROR)


def _traceback(context: click.Context, error: BaseException) -> None:
    if context.meta.get(_TRACEBACK):
        error = error.__cause__ or error
        # What a diagnostic says is shown in any case.
        lines = ['Traceback (most recent call last):\n', *traceback.format_tb(error.__traceback__)] \
            if isinstance(error, GraphError) else traceback.format_exception(type(error), error, error.__traceback__)
        click.echo(''.join(lines), err=True)


def bug_report(error: BaseException) -> str:
    """Returns what to say, and to report, of a mistake of ours."""
    frames = list(traceback.walk_tb(error.__traceback__))
    innermost = next(((frame.f_code.co_filename, line) for frame, line in reversed(frames)
                      if own.is_own(frame.f_code.co_filename)), None)
    message = traceback.format_exception_only(type(error), error)[-1].strip()
    lines = ['graphdsl has a bug: ' + message, 'This is our mistake, not yours. Please report it, with the graph file '
             'and these lines; `--traceback` shows more.']
    if innermost is not None:
        lines.append(f'  raised at      {own.place(*innermost)}')
    place = _place(frames)
    if place is not None:
        lines.append(f'  while at       {place}')
    lines.append(f'  graphdsl       {graphdsl.__version__}')
    lines.append(f'  Python         {platform.python_version()}, {platform.platform()}')
    lines.append('  ' + ', '.join(f'{name} {_version(name)}' for name in ('Chainer', 'NumPy', 'Lark')))
    return '\n'.join(lines)


def _version(name: str) -> str:
    from importlib import metadata      # what takes time to import, and is seldom needed
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return 'missing'


def _place(frames: list) -> Optional[str]:
    """Returns the line of the graph file that was worked on: that of the innermost thing that has a place in it."""
    for frame, line in reversed(frames):
        written = _WRITTEN.match(frame.f_code.co_filename)
        comment = _LINE.search(linecache.getline(frame.f_code.co_filename, line).rstrip())
        if written and comment:
            return f'{written[1]}, line {comment[1]}'
    sources = [value for frame, _ in frames for value in _values(frame) if isinstance(value, Source)]
    if not sources:
        return None
    source = sources[-1]
    for frame, _ in reversed(frames):
        spans = (value if isinstance(value, Span) else getattr(value, 'span', None)
                 for value in frame.f_locals.values() if _is_plain(value))
        span = next((span for span in spans if isinstance(span, Span) and span.end <= len(source.text)), None)
        if span is not None:
            return f'{source.name}, line {source.position(span.start)[0]}'
    return source.name


def _values(frame: Any) -> Iterator[Any]:
    for value in frame.f_locals.values():
        yield value
        if _is_plain(value):
            yield getattr(value, 'source', None)
            yield getattr(value, '_source', None)


def _is_plain(value: Any) -> bool:
    """Says whether attributes of a value can be asked without running code of others."""
    return type(value).__module__.startswith('graphdsl')
