"""Prints how a run goes on: families of reports as their mean."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Iterable, Mapping, Sequence

from chainer.training import extension

_PLAIN = ('epoch', 'iteration')
_HIDDEN = ('elapsed_time',)


def folded(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces the members of each family in a log entry by their mean, as ``digit[*]``."""
    groups: dict[str, list[float]] = {}
    for name, value in entry.items():
        base, bracket, _ = name.partition('[')
        groups.setdefault(f'{base}[*]' if bracket else base, []).append(value)
    return {name: sum(values) / len(values) if len(values) > 1 else values[0] for name, values in groups.items()}


class PrintProgress(extension.Extension):
    """Prints a line for every new entry of the log, with a header whenever a column is new.

    Args:
        out: File to print to.
    """

    priority = extension.PRIORITY_READER - 1

    def __init__(self, out=None):
        self._out = out
        self._printed = 0
        self._header: list[str] = []

    def __call__(self, trainer) -> None:
        out = self._out or sys.stdout
        log = trainer.get_extension('LogReport').log
        for entry in log[self._printed:]:
            values = folded(entry)
            if not set(self._header).issuperset(_columns(values)):
                self._header = _columns({**dict.fromkeys(self._header), **values})
                print('  '.join(f'{name:>{_width(name)}}' for name in self._header), file=out)
            texts = {name: _number(name, value) for name, value in values.items()}
            cells = (f'{texts.get(name, ""):>{_width(name)}}' for name in self._header)
            print('  '.join(cells).rstrip(), file=out, flush=True)
        self._printed = len(log)

    def serialize(self, serializer) -> None:
        self._printed = serializer('printed', self._printed)


def final_report(log: Sequence[Mapping[str, Any]], out: Path) -> str:
    """Returns the closing lines of a run: the last value of each report on test data, and where to look.

    Args:
        log: Entries of Chainer's log.
        out: Folder of the results.
    """
    last: dict[str, Any] = {}
    for entry in log:
        last.update({name: value for name, value in entry.items() if '/' in name})
    lines = [f'  {name} = {value:.5g}' for name, value in last.items()]
    where = f'The log and the snapshots are in {out}/.'
    return '\n'.join(['', 'At the end, on data that was not trained on:', *lines, where] if lines else ['', where])


def _columns(names: Iterable[str]) -> list[str]:
    names = [name for name in names if name not in _HIDDEN]
    return [*_PLAIN, *sorted((n for n in names if n not in _PLAIN), key=lambda name: '/' in name)]


def _width(name: str) -> int:
    return max(len(name), 9)


def _number(name: str, value: Any) -> str:
    return str(int(value)) if name in _PLAIN else f'{value:.4g}'
