"""Tells a study how a trial goes on."""
from __future__ import annotations

import math
from typing import Optional

import optuna
from chainer.training import Trainer, extension, triggers

from graphdsl.training.ending import Mean
from graphdsl.tuning.goal import Goal


class NotFinite(ValueError):
    """Raised where what a study is after is no finite number."""


class Observer(extension.Extension):
    """Reports a value to a trial at every evaluation, and ends the run where it falls behind.

    Of a report that comes with every iteration, the mean since the evaluation before counts, as for
    ``stop when ... stalls``.

    Args:
        trial: Of Optuna's.
        goal: What is reported.
        interval (tuple): Of evaluations.

    Attributes:
        values (list of float): What was reported.

    Raises:
        optuna.TrialPruned: Where the run falls behind.
        NotFinite: Where the value is no finite number.
    """

    name = 'tuning'
    trigger = (1, 'iteration')
    # All else of an iteration is done, the log and the snapshot included.
    priority = extension.PRIORITY_READER - 1000

    def __init__(self, trial: optuna.Trial, goal: Goal, interval: tuple[int, str]):
        self.values: list[float] = []
        self._trial = trial
        self._goal = goal
        self._interval = triggers.IntervalTrigger(*interval)
        self._mean = Mean()

    def __call__(self, trainer: Trainer) -> None:
        value = self._goal.value(trainer.observation)
        if value is not None:
            self._mean.add(value)
        is_due = self._interval(trainer)
        if self._mean.count and (is_due or '/' in self._goal.report):
            self._report(trainer.updater.iteration)
            if self._trial.should_prune():
                raise optuna.TrialPruned

    def finish(self, trainer: Trainer) -> None:
        """Reports what came after the last evaluation."""
        if self._mean.count:
            self._report(trainer.updater.iteration)

    def best(self) -> Optional[float]:
        """Returns the best value that was reported, None if there was none."""
        return (min if self._goal.is_falling else max)(self.values, default=None)

    def _report(self, iteration: int) -> None:
        value = self._mean.taken()
        if not math.isfinite(value):
            raise NotFinite(f'`{self._goal.report}` is {value} after iteration {iteration}')
        self.values.append(value)
        self._trial.report(value, len(self.values))
