"""A view of a run that is kept up to date in place, on a terminal."""
from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any, Iterator, Mapping, Optional

from chainer.training import extension
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from graphdsl.runtime.arrays import array
from graphdsl.training.names import COUNTS, base_of, evaluation_of, folded, is_statistic
from graphdsl.training.triggers import always

#: Seconds between two refreshes at least, and the share of the run's time that they may take.
_PAUSE, _SHARE = 0.25, 0.005
#: Speed is that of so many refreshes.
_WINDOW = 40
#: Lines beside those of the table, and what is shown on a terminal that is lower still.
_LINES, _LEAST = 7, 3


def is_possible(out) -> bool:
    """Says whether a file is a terminal on which lines can be written anew."""
    return out.isatty() and Console(file=out).is_interactive


class LiveView(extension.Extension):
    """Shows bars, speed, and the values of losses, metrics and rates.

    After an iteration it asks the clock. Values are fetched and shown a few times a second, or as seldom as it takes
    to spend no more than half a percent of the time on it.

    Args:
        name (str): Name of the graph.
        length (tuple): Of the run, such as ``(20, 'epoch')``.
        out: The terminal; None for the standard output.
    """

    priority = extension.PRIORITY_READER - 2
    trigger = staticmethod(always)

    def __init__(self, name: str, length: tuple[int, str], out=None):
        self._name = name
        self._length = length
        self._out = out
        self._live: Optional[Live] = None
        self._trainer: Any = None
        self._values: dict[str, Any] = {}
        self._size = 0
        self._due = 0.0

    def initialize(self, trainer) -> None:
        console = Console(file=self._out or sys.stdout, highlight=False)
        # What goes to a file shall stay there.
        self._live = Live(console=console, auto_refresh=False, redirect_stderr=sys.stderr.isatty())
        self._trainer = trainer
        self._start = self._instant()
        self._instants = deque([self._start], _WINDOW)

    def __call__(self, trainer) -> None:
        observation = trainer.observation
        if len(observation) != self._size:      # it may have what is reported seldom, such as an evaluation
            self._size = len(observation)
            self._values.update(observation)
        if time.monotonic() >= self._due:
            self._values.update(observation)
            self._refresh()

    def finalize(self) -> None:
        """Shows the last state, and leaves the terminal as it was; does nothing the second time."""
        if self._live is not None:
            try:
                if self._live.is_started:
                    self._values.update(self._trainer.observation)
                    self._show()
            finally:
                live, self._live = self._live, None
                live.stop()

    def _refresh(self) -> None:
        if self._live is None:
            return
        start = time.monotonic()
        self._instants.append(self._instant())
        self._live.start()
        self._show()
        now = time.monotonic()
        self._due = now + max(_PAUSE, (now - start) / _SHARE)

    def _show(self) -> None:
        self._live.update(Group(*self._lines()), refresh=True)

    def _instant(self) -> tuple[float, int, float]:
        """Returns the time, how many examples were drawn, and the share of the run that is done."""
        updater = self._trainer.updater
        end, unit = self._length
        done = updater.iteration if unit == 'iteration' else updater.epoch_detail
        return time.monotonic(), updater.examples, min(done / end, 1.0)

    def _lines(self) -> Iterator[Any]:
        now, examples, share = self._instant()
        since, before, _ = self._instants[0]
        start, _, first = self._start
        speed = (examples - before) / (now - since) if now > since else 0.0
        left = (now - start) * (1 - share) / (share - first) if share > first else None
        yield Text(f'{self._name}   {speed:,.0f} examples/s   {_clock(now - start)}'
                   + (f', {_clock(left)} left' if left else ''), style='bold')
        yield self._bars(share)
        rows, columns = self._rows()
        if rows:
            most = max(self._live.console.height - _LINES, _LEAST)
            yield Text('')
            yield _table(dict(list(rows.items())[:most]), columns)
            if len(rows) > most:
                yield Text(f'and {len(rows) - most} more', style='dim')

    def _bars(self, share: float) -> Table:
        updater = self._trainer.updater
        end, unit = self._length
        bars = Table.grid(padding=(0, 1))
        epochs = f'epoch {updater.epoch_detail:.1f}' + (f' of {end}' if unit == 'epoch' else '')
        iterations = f'iteration {updater.iteration}' + (f' of {end}' if unit == 'iteration' else '')
        for name, part, where in (('run', share, epochs if unit == 'epoch' else iterations),
                                  ('epoch', updater.epoch_detail % 1, iterations if unit == 'epoch' else epochs)):
            bars.add_row(name, ProgressBar(1.0, part, width=40), f'{100 * part:3.0f} %', where)
        return bars

    def _rows(self) -> tuple[dict[str, dict[str, float]], list[str]]:
        """Returns what is shown of each report, by column, and the columns."""
        log = self._trainer.get_extension('LogReport').log
        seen = {**(log[-1] if log else {}), **_numbers(self._values)}
        rows: dict[str, dict[str, float]] = {}
        columns = ['now']
        for name, value in folded(_shown(seen)).items():
            column = evaluation_of(name) or 'now'
            columns += [] if column in columns else [column]
            rows.setdefault(base_of(name), {})[column] = value
        for name, value in folded(_rates(self._trainer.updater)).items():
            rows.setdefault(name, {}).setdefault('now', value)
        for name, value in folded(_shown(log[-1])).items() if log else ():
            if not evaluation_of(name) and name in rows:
                rows[name]['logged'] = value
        return rows, columns[:1] + ['logged'] * bool(log) + columns[1:]


def _table(rows: Mapping[str, Mapping[str, float]], columns: list[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style='dim')
    table.add_column('')
    for column in columns:
        table.add_column(column, justify='right', min_width=9)
    for name, values in rows.items():
        table.add_row(Text(name), *(f'{values[column]:.4g}' if column in values else '' for column in columns))
    return table


def _shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in COUNTS and not is_statistic(name)}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(array(value)) for name, value in values.items()}


def _rates(updater) -> dict[str, float]:
    """Returns the learning rates as they are now: `lr`, or `alpha` for Adam and its kin."""
    found = {}
    for name, optimizer in updater.get_all_optimizers().items():
        hyperparameters = optimizer.hyperparam.get_dict()
        rate = next((rate for rate in ('lr', 'alpha') if rate in hyperparameters), None)
        if rate is not None:
            found[f'{name}.{rate}'] = hyperparameters[rate]
    return found


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{seconds:02d}' if hours else f'{minutes}:{seconds:02d}'
