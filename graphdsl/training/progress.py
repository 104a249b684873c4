"""Prints how a run goes on: families of reports as their mean."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

from chainer.training import extension

from graphdsl.training.names import COUNTS, evaluation_of, folded, is_statistic
from graphdsl.training.triggers import always

_WHOLE = ('epoch', 'iteration')


class LogReader(extension.Extension):
    """Does something with every new entry of the log.

    It needs no snapshot to go on, and so a run may be resumed with other extensions of this kind than it began with.
    """

    priority = extension.PRIORITY_READER - 1
    trigger = staticmethod(always)

    def __init__(self):
        self._seen = 0

    def initialize(self, trainer) -> None:
        self._seen = len(trainer.get_extension('LogReport').log)

    def __call__(self, trainer) -> None:
        log = trainer.get_extension('LogReport').log
        for entry in log[self._seen:]:
            self.read(entry)
        self._seen = len(log)

    def read(self, entry: Mapping[str, Any]) -> None:
        """Does it."""
        raise NotImplementedError


class PrintProgress(LogReader):
    """Prints a line for every new entry of the log, with a header whenever a column is new.

    Args:
        out: File to print to.
    """

    def __init__(self, out=None):
        super().__init__()
        self._out = out
        self._header: list[str] = []

    def read(self, entry: Mapping[str, Any]) -> None:
        out = self._out or sys.stdout
        values = folded({name: value for name, value in entry.items() if not is_statistic(name)})
        if not set(self._header).issuperset(_columns(values)):
            self._header = _columns({**dict.fromkeys(self._header), **values})
            print('  '.join(f'{name:>{_width(name)}}' for name in self._header), file=out)
        texts = {name: _number(name, value) for name, value in values.items()}
        cells = (f'{texts.get(name, ""):>{_width(name)}}' for name in self._header)
        print('  '.join(cells).rstrip(), file=out, flush=True)


def final_report(log: Sequence[Mapping[str, Any]], out: Path) -> str:
    """Returns the closing lines of a run: the last value of each report on test data, and where to look.

    Args:
        log: Entries of Chainer's log.
        out: Folder of the results.
    """
    last: dict[str, Any] = {}
    for entry in log:
        last.update({name: value for name, value in entry.items() if evaluation_of(name)})
    lines = [f'  {name} = {value:.5g}' for name, value in last.items()]
    where = f'{out}/ holds the report (report.html), log, plots and snapshots.'
    return '\n'.join(['', 'At the end, on data that was not trained on:', *lines, where] if lines else ['', where])


def _columns(names: Iterable[str]) -> list[str]:
    names = [name for name in names if name not in COUNTS]
    return [*_WHOLE, *sorted(names, key=lambda name: '/' in name)]


def _width(name: str) -> int:
    return max(len(name), 9)


def _number(name: str, value: Any) -> str:
    return str(int(value)) if name in _WHOLE else f'{value:.4g}'
