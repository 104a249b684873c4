"""Goes on from a snapshot: finds a good one, takes over what was asked of its run, and says what does not fit."""
from __future__ import annotations

import difflib
import shlex
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Optional

import click
import numpy
from chainer.serializers import DictionarySerializer, NpzDeserializer
from chainer.training import Trainer

from graphdsl.options import Run
from graphdsl.runtime.data import DataError
from graphdsl.runtime.program import Program
from graphdsl.training.differences import Comparison, compare
from graphdsl.training.record import Record, optimizers_of
from graphdsl.training.snapshots import damage_of, entries_of, found_in

_RECORD = 'extensions/WriteRecord/json'
# What says where and how to go on, and is not taken over.
_OF_ITS_OWN = {'out', 'resume', 'partly', 'progress', 'report'}
_MOST_LINES = 20


class SnapshotError(click.ClickException):
    """Raised for a snapshot that cannot be read, or does not fit."""


@dataclass(frozen=True)
class Former:
    """A run that is to go on.

    Attributes:
        path: Its snapshot.
        entries: What is in it, by name.
        record: Of the run that wrote it; None if another program did.
    """

    path: Path
    entries: Mapping[str, numpy.ndarray]
    record: Optional[Record]

    @property
    def given(self) -> Mapping[str, Any]:
        """Values of the params that were set."""
        return self.record.given if self.record is not None else {}

    def completed(self, run: Run) -> Run:
        """Returns what is asked of a run that goes on, with what was asked of this one where it asks nothing."""
        default = Run()
        options = self.record.options if self.record is not None else {}
        known = {field.name for field in fields(Run)} - _OF_ITS_OWN
        return replace(run, **{name: _hashable(value) for name, value in options.items()
                               if name in known and getattr(run, name) == getattr(default, name)})


def _hashable(value: Any) -> Any:
    """Returns a value that was read from JSON as it was: lists were tuples."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def find_former(run: Run) -> Optional[Former]:
    """Finds the snapshot to go on from.

    Args:
        run: What is asked of the run.

    Returns:
        None if the run is to begin anew: nobody asks to go on, or there is no snapshot in the folder.

    Raises:
        SnapshotError: If the file that is asked for, or every snapshot in the folder, is broken.
    """
    if run.resume is None:
        return None
    path = _newest(run.out) if run.resume == '' else Path(run.resume)
    if path is None:
        click.echo(f'{run.out} has no snapshot to go on from: the run begins', err=True)
        return None
    damage = damage_of(path) if run.resume != '' and path.is_file() else None
    if damage is not None:
        raise SnapshotError(f'{path} is broken: {damage}; --resume alone takes the newest snapshot that is not')
    try:
        entries = entries_of(path)
    except DataError as error:
        raise SnapshotError(str(error)) from None
    if 'updater/iteration' not in entries:
        raise SnapshotError(f'{path} is no snapshot of a run; snapshots are called `snapshot_iter_...`')
    return Former(path, entries, _record_in(entries, path))


def _newest(out: str) -> Optional[Path]:
    """Returns the newest snapshot that is not broken, and warns of those that are."""
    broken = []
    for path in found_in(out):
        damage = damage_of(path)
        if damage is None:
            for one, reason in broken:
                click.echo(f'warning: {one} is broken: {reason}; {path} is taken instead', err=True)
            return path
        broken.append((path, damage))
    if broken:
        lines = [f'no snapshot in {out} can be read', *(f'  {path}: {reason}' for path, reason in broken)]
        raise SnapshotError('\n'.join(lines))
    return None


def _record_in(entries: Mapping[str, numpy.ndarray], path: Path) -> Optional[Record]:
    try:
        return Record.of_json(str(entries[_RECORD])) if _RECORD in entries else None
    except ValueError as error:
        raise SnapshotError(f'{path} cannot be read: {error}') from None


def go_on(trainer: Trainer, program: Program, run: Run, former: Former) -> None:
    """Loads a snapshot, if it fits or is to be taken partly, and says what goes on and what differs.

    Args:
        trainer: That is to go on.
        program: The graph.
        run: What is asked of the run.
        former: What to go on from.

    Raises:
        SnapshotError: If the snapshot does not fit.
    """
    optimizers = former.record.optimizers if former.record is not None else {}
    found = compare(former.entries, _entries_of(trainer), optimizers, optimizers_of(program), program.streams[0])
    changes = [*_changed_params(former, program), *_changed_lines(former, program)]
    if found.problems and not run.partly:
        raise SnapshotError('\n'.join(_refusal(former, found, changes)))
    try:
        NpzDeserializer(found.fitting, strict=False).load(trainer)
    except DataError as error:
        raise SnapshotError(f'{former.path} does not fit: {error}') from None
    for line in (*_greeting(trainer, program, former), *changes, *_anew(found)):
        click.echo(line, err=True)


def _entries_of(trainer: Trainer) -> Mapping[str, Any]:
    """Returns what a snapshot would have now, without what only a running trainer has."""
    serializer = DictionarySerializer()
    trainer.updater.serialize(serializer['updater'])
    return serializer.target


def _greeting(trainer: Trainer, program: Program, former: Former) -> Iterator[str]:
    updater = trainer.updater
    line = f'going on from {former.path}, after iteration {updater.iteration} and {updater.epoch_detail:.4g} epochs'
    asked = [f'--set {name}={shlex.quote(str(value))}' for name, value in former.given.items()
             if program.params.get(name) == value]
    if former.record is not None and former.record.options.get('seed') is not None:
        asked.append(f'--seed {former.record.seed}')
    yield line + (f', with {" ".join(asked)} as before' if asked else '')
    if trainer.stop_trigger.is_done(trainer):
        yield 'it had come to its end; more --epochs or --iterations than before go further'


def _changed_params(former: Former, program: Program) -> Iterator[str]:
    before = former.record.params if former.record is not None else {}
    for name, value in program.params.items():
        if name in before and before[name] != value:
            yield f'the param {name} is {value!r}, and was {before[name]!r}'


def _changed_lines(former: Former, program: Program) -> Iterator[str]:
    before = former.record.graph if former.record is not None else program.text
    lines = [line for line in difflib.unified_diff(before.splitlines(), program.text.splitlines(), n=0, lineterm='')
             if not line.startswith(('---', '+++', '@@'))]
    if lines and before and program.text:
        yield 'the graph file has changed since:'
        yield from (f'  {line[0]} {line[1:]}' for line in lines[:_MOST_LINES])
        if len(lines) > _MOST_LINES:
            yield f'  and {len(lines) - _MOST_LINES} lines more'


def _refusal(former: Former, found: Comparison, changes: Iterable[str]) -> Iterator[str]:
    yield f'{former.path} does not fit this graph'
    yield from (f'  {problem}' for problem in found.problems)
    yield f'What fits: {", ".join(found.whole) if found.whole else "nothing"}.'
    yield from changes
    yield '`--partly` takes what fits, and begins the rest anew; a run of its own goes into another folder: --out'


def _anew(found: Comparison) -> Iterator[str]:
    if found.problems:
        yield 'what does not fit begins anew:'
        yield from (f'  {problem}' for problem in found.problems)
