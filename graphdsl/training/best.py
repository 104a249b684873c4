"""Weights that are kept to use: those with which a report was best, and those at the end."""
from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Iterable, Mapping, Optional, Sequence

from chainer.training import Trainer, extension

from graphdsl.runtime.program import Program
from graphdsl.training.ending import IntervalAndEnd, Mean, Regularly

#: All models as they are when the run ends, in the folder of results.
LAST = 'weights.npz'


def extend(trainer: Trainer, program: Program, regularly: Regularly) -> None:
    """Adds the extensions that write weights: the best, and the last.

    Args:
        trainer: What is extended.
        program: The graph, with the settings of the run.
        regularly: Makes triggers that also fire where the run ends.
    """
    settings = program.settings
    trainer.extend(KeepBest(program, settings.best, regularly(settings.evaluate)), name='best',
                   trigger=(1, 'iteration'))
    trainer.extend(lambda trainer: program.save_weights(Path(trainer.out) / LAST), name='weights',
                   trigger=regularly(regularly.length))


@dataclass
class Best:
    """A report, and when it was best.

    Attributes:
        value: The best one; None before there is any.
        iteration: After which it was reported.
    """

    value: Optional[float] = None
    iteration: int = 0


class KeepBest(extension.Extension):
    """Writes ``best_NAME.npz`` whenever a report is better at an evaluation than at all those before.

    Of a report's values since the evaluation before, the mean counts; a mean that is not finite is never better.
    :class:`chainer.training.triggers.MinValueTrigger` would take a NaN that comes first for the best for ever, and
    fails where an evaluation lacks the report.

    Args:
        program: The graph, whose weights are written.
        reports: Names of reports, each with whether it should fall.
        is_due: Trigger of the evaluations.

    Attributes:
        best (dict of Best): By the name of the report.
        files (dict of str): Names of the files, likewise.
    """

    # After the evaluation and the end of the run; before the log and the snapshot.
    priority = extension.PRIORITY_EDITOR - 1

    def __init__(self, program: Program, reports: Sequence[tuple[str, bool]], is_due: IntervalAndEnd):
        self._program = program
        self._falling = dict(reports)
        self._is_due = is_due
        self.best = {name: Best() for name in self._falling}
        self._means = {name: Mean() for name in self._falling}
        self.files = file_names(self._falling)

    def __call__(self, trainer: Trainer) -> None:
        for name, mean in self._means.items():
            if name in trainer.observation:
                mean.add(trainer.observation[name])
        if not self._is_due(trainer):
            return
        for name, best in self.best.items():
            value = self._means[name].taken()
            if value is not None and self._is_better(name, value):
                self._program.save_weights(Path(trainer.out) / self.files[name])
                best.value, best.iteration = value, trainer.updater.iteration

    def _is_better(self, name: str, value: float) -> bool:
        so_far = self.best[name].value
        if so_far is None or not math.isfinite(value):
            return math.isfinite(value)
        return value < so_far if self._falling[name] else value > so_far

    def serialize(self, serializer) -> None:
        """Saves what was best, or sets it to what was saved of the same reports."""
        self._is_due.serialize(serializer['is_due'])
        # In one entry, so that a run goes on though its reports are others.
        text = serializer('best', json.dumps({name: [asdict(best), asdict(self._means[name])]
                                              for name, best in self.best.items()}))
        for name, (best, mean) in json.loads(str(text)).items():
            if name in self.best:
                self.best[name], self._means[name] = Best(**best), Mean(**mean)


def file_names(reports: Iterable[str]) -> Mapping[str, str]:
    """Returns a file for each report, such as ``best_validation_digit_2.npz`` for ``validation/digit[2]``.

    No two are the same, with large and small letters as one.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for report in reports:
        plain = name = re.sub(r'\W+', '_', report, flags=re.ASCII).strip('_')
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f'{plain}-{number}'
        taken.add(name.casefold())
        found[report] = f'best_{name}.npz'
    return found
