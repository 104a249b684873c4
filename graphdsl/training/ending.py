"""When a run ends, and what is done at its end."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from chainer.training import extension, triggers

from graphdsl.runtime.arrays import array
from graphdsl.training.stopping import Stop

#: Before the evaluation of an iteration.
BEFORE_EVALUATION = extension.PRIORITY_WRITER + 1


class Ending(extension.Extension):
    """Ends a run early: when a condition of the graph holds, or a report has not improved for some evaluations.

    It is asked after each iteration's evaluation and before the log, so that the end is logged and saved.

    Args:
        condition: Function of a generated module, of the numbers and of what was reported last; None for none.
        numbers (dict): Numbers of the run.
        stall (tuple): A report, whether it should fall, and how many evaluations it may stay without improving;
            None for none.
        interval (tuple): Of evaluations.

    Attributes:
        has_come (bool): Whether the run is to end now.
    """

    priority = extension.PRIORITY_EDITOR

    def __init__(self, condition: Optional[Callable], numbers: Mapping[str, Any],
                 stall: Optional[tuple[str, bool, int]], interval: tuple[int, str]):
        self.has_come = False
        self._condition = condition
        self._numbers = numbers
        self._stall = Stall(*stall, interval) if stall is not None else None
        self._reported: dict[str, float] = {}

    def __call__(self, trainer) -> None:
        self.check_condition(trainer)
        if self._stall is not None and self._stall(trainer):
            self.has_come = True

    def check_condition(self, trainer) -> None:
        """Asks the condition alone; before the evaluation, so that an end that has come is evaluated."""
        if self._condition is None:
            return
        self._reported.update({name: float(array(value)) for name, value in trainer.observation.items()})
        self.has_come = self.has_come or self._condition(self._numbers, self._reported)

    def serialize(self, serializer) -> None:
        self.has_come = bool(serializer('has_come', self.has_come))
        if self._stall is not None:
            self._stall.serialize(serializer['stall'])


@dataclass
class Mean:
    """Mean of a report since the last evaluation.

    Attributes:
        total: Sum of what was reported since then.
        count: How often it was.
    """

    total: float = 0.0
    count: int = 0

    def add(self, value: Any) -> None:
        """Adds a value: a number, or a scalar array or variable."""
        self.total += float(array(value))
        self.count += 1

    def taken(self) -> Optional[float]:
        """Returns the mean, None if nothing was reported, and begins anew."""
        mean = self.total / self.count if self.count else None
        self.total, self.count = 0.0, 0
        return mean


class Stall:
    """Tells when a report has not improved for some evaluations.

    :class:`chainer.training.triggers.EarlyStoppingTrigger` does the same and is no part of snapshots.

    Args:
        report (str): Name of the report; of its values since the evaluation before, the mean counts.
        falling (bool): Whether it improves when it falls.
        patience (int): How many evaluations.
        interval (tuple): Of evaluations.
    """

    def __init__(self, report: str, falling: bool, patience: int, interval: tuple[int, str]):
        self._report = report
        self._sign = -1.0 if falling else 1.0
        self._patience = patience
        self._interval = triggers.IntervalTrigger(*interval)
        self._best = -float('inf')
        self._without = 0
        self._mean = Mean()

    def __call__(self, trainer) -> bool:
        if self._report in trainer.observation:
            self._mean.add(trainer.observation[self._report])
        mean = self._mean.taken() if self._interval(trainer) else None
        if mean is not None:
            value = self._sign * mean
            self._without = 0 if value > self._best else self._without + 1
            self._best = max(value, self._best)
        return self._without >= self._patience

    def serialize(self, serializer) -> None:
        self._interval.serialize(serializer['interval'])
        self._best = float(serializer('best', self._best))
        self._without = int(serializer('without', self._without))
        self._mean.total = float(serializer('total', self._mean.total))
        self._mean.count = int(serializer('values', self._mean.count))


def is_reached(length: tuple[int, str], updater) -> bool:
    """Says whether a run is as long as it is to be.

    Args:
        length: Such as ``(20, 'epoch')``.
        updater: Of the run.
    """
    end, unit = length
    return (updater.iteration if unit == 'iteration' else updater.epoch) >= end


class AtEnd(triggers.IntervalTrigger):
    """The stop trigger of a run: its length, an early ending, or a stop that was asked for and saved.

    Args:
        length (tuple): Such as ``(20, 'epoch')``.
        ending: Tells whether the run ends early.
        stop: Knows whether the run is to stop.
    """

    def __init__(self, length: tuple[int, str], ending: Ending, stop: Stop):
        super().__init__(*length)
        self._ending = ending
        self._stop = stop

    def __call__(self, trainer) -> bool:
        return self.is_done(trainer) or self._stop.is_saved

    def is_done(self, trainer) -> bool:
        """Says whether the run has come to its end. An interval would fire where it is passed, and not after that."""
        return self._ending.has_come or is_reached(self.get_training_length(), trainer.updater)


class IntervalAndEnd(triggers.IntervalTrigger):
    """Fires at an interval and where the run ends, so that the end is evaluated, logged and saved.

    Args:
        interval (tuple): Such as ``(1, 'epoch')``.
        length (tuple): Of the run, likewise.
        ending: Tells whether the run ends early.
    """

    def __init__(self, interval: tuple[int, str], length: tuple[int, str], ending: Ending):
        super().__init__(*interval)
        self._length = length
        self._ending = ending

    def __call__(self, trainer) -> bool:
        fires = super().__call__(trainer)
        return fires or self._ending.has_come or is_reached(self._length, trainer.updater)


class Regularly:
    """Makes triggers that fire at an interval and where the run ends.

    Args:
        length (tuple): Of the run, such as ``(20, 'epoch')``.
        ending: Tells whether it ends early.
    """

    def __init__(self, length: tuple[int, str], ending: Ending):
        self.length = length
        self._ending = ending

    def __call__(self, interval: tuple[int, str]) -> IntervalAndEnd:
        return IntervalAndEnd(interval, self.length, self._ending)
