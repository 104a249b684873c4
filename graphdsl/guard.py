"""Ends a command that takes too long or too much memory before it trains."""
from __future__ import annotations

import contextlib
import signal
import sys
import threading
from dataclasses import replace
from typing import Iterator

from graphdsl.diagnostics import Diagnostic, GraphError, Source, Span
from graphdsl.limits import Limits


class _TooLong(BaseException):
    """Passes all that catches exceptions."""


@contextlib.contextmanager
def guarded(limits: Limits, source: Source, is_timed: bool = True) -> Iterator[None]:
    """Watches what happens within the context.

    Args:
        limits: Processor time in seconds, and memory in megabytes, that it may take.
        source: The file that is compiled.
        is_timed: Whether its time counts; the first iteration of a run may take long.

    Raises:
        GraphError: If it takes more. A single call of NumPy's is not broken off; what exceeds the memory is.

    Systems without these limits, and threads other than the main one, go without.
    """
    try:
        with _time(limits.seconds) if is_timed else contextlib.nullcontext(), _memory(limits.memory * 2 ** 20):
            yield
    except _TooLong:
        raise _error('G038', f'takes more than {limits.seconds:,} s of processor time', limits.advice('seconds'),
                     source) from None
    except MemoryError:
        raise _error('G735', f'takes more than {limits.memory:,} MB of memory', limits.advice('memory'),
                     source) from None
    except GraphError as error:
        raise _with_limit(error, limits) from error.__cause__
    except RecursionError:
        raise _error('G009', 'is nested too deeply', 'give parts of it names', source) from None


def _with_limit(error: GraphError, limits: Limits) -> GraphError:
    """Adds to what lacks memory that it may have more."""
    if not _pages():
        return error
    note = f'before training, a command has {limits.memory:,} MB; `--limit memory={2 * limits.memory}` gives it more'
    return GraphError([replace(diagnostic, notes=(*diagnostic.notes, note)) if diagnostic.code == 'G735' else diagnostic
                       for diagnostic in error.diagnostics], error.source)


def _error(code: str, problem: str, help: str, source: Source) -> GraphError:
    return GraphError([Diagnostic(code, f'{source.name} {problem}', Span(0, 0), help=help)], Source('', source.name))


@contextlib.contextmanager
def _time(seconds: int) -> Iterator[None]:
    if not hasattr(signal, 'SIGPROF') or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number, frame):
        raise _TooLong

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextlib.contextmanager
def _memory(size: int) -> Iterator[None]:
    pages = _pages()
    if not pages:
        yield
        return
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + size
    for most in (soft, hard):
        wanted = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _pages() -> int:
    """Returns how many pages of address space this process has, 0 where that cannot be told.

    It says nothing with CUDA, which reserves more addresses than there is memory.
    """
    if not sys.platform.startswith('linux') or 'cupy' in sys.modules:
        return 0
    try:
        with open('/proc/self/statm', encoding='ascii') as file:
            return int(file.read().split()[0])
    except (OSError, ValueError):
        return 0
