"""The report of a run: one page with the graph, curves, numbers, and what it takes to run it again."""
from __future__ import annotations

import base64
import functools
import shlex
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional, Sequence

import jinja2
from chainer.training import extension

from graphdsl.diagnostics import GraphError, render
from graphdsl.files import replace_by
from graphdsl.runtime.program import Program
from graphdsl.training import plots
from graphdsl.training.ending import is_reached
from graphdsl.training.names import COUNTS, base_of, evaluation_of, family_of, folded, is_statistic
from graphdsl.training.record import Record, WriteRecord
from graphdsl.training.triggers import always

#: Seconds between two reports at least, and the share of the run's time that they may take.
_PAUSE, _SHARE = 60.0, 0.005
_TITLES = {'losses': 'Losses', 'metrics': 'Metrics', 'states': 'States and rates', 'statistics': 'Statistics'}


@dataclass(frozen=True)
class End:
    """How a run ended.

    Attributes:
        kind: ``'running'``, ``'finished'``, ``'stopped'``, ``'interrupted'`` or ``'failed'``.
        text: A sentence.
        details: What is wrong, as it is printed.
    """

    kind: str
    text: str
    details: str = ''


class WriteReport(extension.Extension):
    """Writes plots and `report.html` at the end, however it comes, and before it so seldom that it costs nothing.

    Args:
        program: The graph.
        record: Of what runs.
    """

    priority = extension.PRIORITY_READER - 3
    trigger = staticmethod(always)

    def __init__(self, program: Program, record: WriteRecord):
        self._program = program
        self._record = record
        self._trainer: Any = None
        self._due = 0.0

    def initialize(self, trainer) -> None:
        self._trainer = trainer
        self._due = time.monotonic() + _PAUSE

    def __call__(self, trainer) -> None:
        if time.monotonic() >= self._due:
            start = time.monotonic()
            self._write(End('running', 'The run had not ended when this was written.'))
            now = time.monotonic()
            self._due = now + max(_PAUSE, (now - start) / _SHARE)

    def finalize(self) -> None:
        """Writes the last report; does nothing the second time."""
        if self._trainer is not None:
            error = sys.exc_info()[1]       # what ends the run is on its way past here
            try:
                self._write(how_it_ended(self._trainer, self._program, self._record.record, error))
            except OSError:
                if error is None:           # else it says more than that the disk is full
                    raise
            finally:
                self._trainer = None

    def _write(self, end: End) -> None:
        write_report(self._trainer, self._program, self._record.record, end, self._picture)

    @functools.cached_property
    def _picture(self) -> Optional[str]:
        """The picture of the graph; there is none of a module that runs without its file."""
        if not hasattr(self._program, 'draw'):
            return None
        try:
            return _data_uri(self._program.draw().svg.encode('utf-8'))
        except (Exception, SystemExit):     # too large, or code of the user's own; no run ends for want of a picture
            return None


def how_it_ended(trainer, program: Program, record: Record, error: Optional[BaseException]) -> End:
    """Says how a run ended.

    Args:
        trainer: That ran.
        program: The graph.
        record: What ran.
        error: What ended it; None if nothing went wrong.
    """
    place = f'in iteration {trainer.updater.iteration + 1}'
    if isinstance(error, KeyboardInterrupt):
        return End('interrupted', f'Interrupted {place}.')
    if error is not None:
        return End('failed', f'Failed {place}.',
                   str(error) if isinstance(error, GraphError) else f'{type(error).__name__}: {error}')
    if is_reached(record.length, trainer.updater):
        length, unit = record.length
        return End('finished', f'Finished after {length} {unit}{"s" * (length > 1)}.')
    if not trainer.get_extension('ending').has_come:
        return End('interrupted', f'Stopped after {trainer.updater.iteration} iterations.')
    if program.settings.stall is not None:
        report, _, patience = program.settings.stall
        return End('stopped', f'Stopped early: {report} had not improved for {patience} evaluations.')
    return End('stopped', 'Stopped early: the condition of `stop when` came true.')


def write_report(trainer, program: Program, record: Record, end: End, picture: Optional[str] = None) -> None:
    """Writes the plots and `report.html` into the folder of results.

    Args:
        trainer: That runs, or ran.
        program: The graph.
        record: What runs.
        end: How it ended.
        picture: Of the graph, as a URI.
    """
    out = Path(trainer.out)
    log = trainer.get_extension('LogReport').log
    curves = {}
    for name, panels in plots.panels(log, program.losses).items():
        png, svg = plots.draw(panels)
        curves[_TITLES[name]] = _data_uri(svg)
        replace_by(out / f'{name}.png', png)
    replace_by(out / 'report.html', page(trainer, program, record, end, picture, curves))


def page(trainer, program: Program, record: Record, end: End, picture: Optional[str],
         curves: Mapping[str, str]) -> str:
    """Returns the text of the page; all that comes from a file or from outside is escaped by the template."""
    environment = jinja2.Environment(loader=jinja2.PackageLoader('graphdsl.training', ''), autoescape=True,
                                     trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    log = trainer.get_extension('LogReport').log
    return environment.get_template('report.html').render(
        record=record, end=end, curves=curves, picture=picture, command=_command(record.command),
        before=[(_command(run['command']), run['started']) for run in record.before],
        iterations=trainer.updater.iteration, epochs=trainer.updater.epoch_detail,
        took=timedelta(seconds=round(trainer.elapsed_time)), numbers=_numbers(map(folded, log)),
        members=_numbers(log) if any('[' in name for entry in log for name in entry) else [],
        models=_models(program), optimizers=_optimizers(program),
        warnings=[render(warning, program.origin.source) for warning in program.warnings])


def _data_uri(svg: bytes) -> str:
    """An image cannot run scripts, whatever is in it."""
    return 'data:image/svg+xml;base64,' + base64.b64encode(svg).decode('ascii')


def _command(arguments: Sequence[str]) -> str:
    first, *rest = arguments or ('',)
    return shlex.join([Path(first).name, *rest])


@dataclass(frozen=True)
class Number:
    """A report over a run.

    Attributes:
        name: Of the report.
        last: Its last value.
        lowest: The smallest one, and its iteration.
        highest: The largest one, and its iteration.
    """

    name: str
    last: float
    lowest: tuple[float, int]
    highest: tuple[float, int]


def _numbers(log: Iterable[Mapping[str, Any]]) -> list[Number]:
    """Returns what was reported, evaluations first, each in the order of training."""
    found: dict[str, list[tuple[float, int]]] = {}
    for entry in log:
        for name, value in entry.items():
            if name not in COUNTS and not is_statistic(name):
                found.setdefault(name, []).append((value, entry['iteration']))
    places = {name: place for place, name in enumerate(found) if not evaluation_of(name)}
    names = sorted(found, key=lambda name: (not evaluation_of(name), places.get(base_of(name), len(found))))
    return [Number(name, found[name][-1][0], min(found[name]), max(found[name])) for name in names]


def _models(program: Program) -> list[tuple[str, ...]]:
    """Returns the name of each model, its number of parameters, and whose they are."""
    owners = {id(parameter): name for name, optimizer in program.optimizers.items()
              for parameter in optimizer.target.params()}
    rows = []
    for name, model in program.models.items():
        found = dict.fromkeys(owners.get(id(parameter), 'none') for parameter in model.params())
        rows.append((name, f'{sum(parameter.size for parameter in model.params()):,}', ', '.join(found)))
    return _families(rows)


def _optimizers(program: Program) -> list[tuple[str, ...]]:
    """Returns the name of each optimizer, its class, its updates, and its hyperparameters as they are now."""
    rows = []
    for name, optimizer in program.optimizers.items():
        values = ', '.join(f'{key}={value:g}' if isinstance(value, float) else f'{key}={value}'
                           for key, value in optimizer.hyperparam.get_dict().items())
        rows.append((name, type(optimizer).__name__, f'{optimizer.t:,}', values))
    return _families(rows)


def _families(rows: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Puts rows together that are alike but for their index."""
    found: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for row in rows:
        found.setdefault(tuple(map(family_of, row)), []).append(row)
    return [(f'{key[0]} ({len(members)})', *key[1:]) if len(members) > 1 else members[0]
            for key, members in found.items()]
