"""Stops a run between two iterations when a signal asks for it."""
from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import threading
from typing import Any, Iterator, Optional

import click
from chainer.training import Trainer, extension

from graphdsl.training.triggers import never

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop(extension.Extension):
    """Knows whether a run is to stop. It is an extension so that a Trainer has it; it does nothing there.

    Attributes:
        signal (int): The signal that asked for it, None as long as none did.
        is_saved (bool): Whether a snapshot was asked for since.
    """

    name = 'stop'
    trigger = staticmethod(never)

    def __init__(self):
        self.signal: Optional[int] = None
        self.is_saved = False

    def __call__(self, trainer: Trainer) -> None:
        """Does nothing."""


class SavingTrigger:
    """The trigger of snapshots: that of an interval, and also where the run is to stop.

    Args:
        trigger: That of the interval.
        stop: Knows whether the run is to stop.
    """

    def __init__(self, trigger: Any, stop: Stop):
        self._trigger = trigger
        self._stop = stop

    def __call__(self, trainer: Trainer) -> bool:
        fires = self._trigger(trainer)
        # A signal may come at any time: between these lines, and after them.
        if self._stop.signal is not None:
            self._stop.is_saved = True
        return fires or self._stop.is_saved

    def serialize(self, serializer: Any) -> None:
        self._trigger.serialize(serializer)


@contextlib.contextmanager
def stoppable(stop: Stop, is_told: bool) -> Iterator[Stop]:
    """Lets a first Ctrl-C or SIGTERM ask a run to stop within the context. A second one does what it does elsewhere.

    Args:
        stop: What it is asked by.
        is_told: Whether the user is told that it was heard. That would garble a view that is drawn in place.

    In threads other than the main one, signals are not handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def ask(number: int, frame: Any) -> None:
        stop.signal = number
        give_back()
        if is_told:
            with contextlib.suppress(RuntimeError, OSError):    # of a stream that was being written to
                click.echo('\nstopping after this iteration; the same again stops at once', err=True)

    def give_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in _SIGNALS:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        give_back()


def how_to_go_on(trainer: Trainer) -> str:
    """Returns what to tell after a stop: where the run is saved, and the command that goes on with it."""
    program, *arguments = sys.argv
    start = ['python', program] if program.endswith('.py') else ['graphdsl']
    words = [*start, *arguments] if any(word.startswith('--resume') for word in arguments) else \
        [*start, *arguments, '--resume']
    iteration = trainer.updater.iteration
    return (f'stopped after iteration {iteration}, and saved in {trainer.out}/snapshot_iter_{iteration}. '
            f'To go on:\n  {shlex.join(words)}')
