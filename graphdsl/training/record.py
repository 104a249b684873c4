"""What was run, and with what: all that it takes to run it again."""
from __future__ import annotations

import errno
import json
import os
import platform
import re
import sys
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, Mapping, Optional

import chainer
from chainer.training import extension

from graphdsl.files import replace_by
from graphdsl.options import Run
from graphdsl.runtime.program import Program
from graphdsl.training.folder import prepare
from graphdsl.training.triggers import never

#: Name of the record in the folder of results.
_NAME = 'run.json'
_PACKAGES = ('graphdsl', 'chainer', 'numpy', 'scipy', 'lark', 'scikit-learn', 'cupy')


@dataclass(frozen=True)
class Record:
    """What was run, and with what.

    Attributes:
        name: Name of the graph.
        graph: Text of the graph file; empty for a generated module that runs without it.
        module: Text of the generated module.
        params: Values of all params.
        options: What was asked of the run, in place of what the file says; of :class:`graphdsl.options.Run`.
        length: When the run stops, such as ``(20, 'epoch')``.
        seed: Of the run.
        versions: Of Python and packages, by name.
        command: The command line.
        started: When it began, in UTC.
        system: What it ran on: the machine's system, the folder that paths are relative to, the device.
        before: Of each run in the same folder that this one goes on from: its `command`, and when it `started`.
        given: Values of the params that were set, in place of their defaults.
        optimizers: Of each optimizer, by name, its class and what it owns: how the parameters are called in it, and
            in the models.
    """

    name: str
    graph: str
    module: str
    params: Mapping[str, Any]
    options: Mapping[str, Any]
    length: tuple[int, str]
    seed: int
    versions: Mapping[str, str]
    command: tuple[str, ...]
    started: str = ''
    system: Mapping[str, str] = field(default_factory=dict)
    before: tuple[Mapping[str, Any], ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    optimizers: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, program: Program, run: Run, length: tuple[int, str]) -> Record:
        """Records a run that is about to begin."""
        default = Run()
        options = {field.name: getattr(run, field.name) for field in fields(Run)
                   if getattr(run, field.name) != getattr(default, field.name)}
        seed = program.settings.seed if run.seed is None else run.seed
        system = {'platform': platform.platform(), 'folder': os.getcwd(), 'device': run.device or '@numpy'}
        started = datetime.now(timezone.utc).isoformat(' ', 'seconds')
        return cls(program.name, program.text, program.source, program.params, options, length, seed, _versions(),
                   tuple(sys.argv), started, system, given=program.given, optimizers=optimizers_of(program))

    def as_json(self) -> str:
        """Returns it as text."""
        return json.dumps(asdict(self), indent=2, default=str) + '\n'

    @classmethod
    def of_json(cls, text: str) -> Record:
        """Reads what :meth:`as_json` wrote.

        Raises:
            ValueError: If it is something else.
        """
        try:
            values = json.loads(text)
            lists = {name: tuple(values[name]) for name in ('length', 'command', 'before') if name in values}
            return cls(**{**values, **lists})
        except (KeyError, TypeError) as error:
            raise ValueError(f'no record of a run: {error}') from None


def optimizers_of(program: Program) -> dict[str, Any]:
    """Returns of each optimizer, by name, its class, and of each parameter its path in the target and in the models."""
    names = {id(parameter): model + name for model, link in program.models.items()
             for name, parameter in link.namedparams()}
    return {name: [type(optimizer).__name__, [[within, names[id(parameter)]]
                                              for within, parameter in optimizer.target.namedparams()]]
            for name, optimizer in program.optimizers.items()}


class WriteRecord(extension.Extension):
    """Writes what is about to run into the folder of results: the graph, its module, and `run.json`.

    It is a part of snapshots, for :mod:`graphdsl.training.resuming`.

    Args:
        record: What is about to run.
    """

    trigger = staticmethod(never)
    priority = extension.PRIORITY_WRITER + 1000     # the others find the folder ready

    def __init__(self, record: Record):
        self.record = record

    def initialize(self, trainer) -> None:
        former = _former(Path(trainer.out) / _NAME)
        aside = prepare(trainer.out, trainer.updater.iteration)
        if aside is not None and former is not None:
            for name, text in self._texts(former).items():
                _write(aside / name, text, None)
        if former is not None and trainer.updater.iteration > 0:
            before = {'command': former.command, 'started': former.started}
            self.record = replace(self.record, before=(*former.before, before))
        for name, text in self._texts(self.record).items():
            _write(Path(trainer.out) / name, text, self._texts(former).get(name) if former is not None else None)

    def serialize(self, serializer) -> None:
        """Saves the record. A run that goes on has one of its own."""
        if isinstance(serializer, chainer.Serializer):
            serializer('json', self.record.as_json())

    def _texts(self, record: Record) -> dict[str, str]:
        """Returns what is written, by the name of the file."""
        name = re.sub(r'[^\w.-]', '', record.name) or 'graph'
        texts = {f'{name}.graph': record.graph, f'{name}.py': record.module, _NAME: record.as_json()}
        return {name: text for name, text in texts.items() if text}


def _former(path: Path) -> Optional[Record]:
    """Returns the record of the run before, if there is one."""
    try:
        return Record.of_json(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None


def _write(path: Path, text: str, former: Optional[str]) -> None:
    """Writes a file, but not over one that was not written by a run."""
    try:
        there = path.read_bytes().decode('utf-8')
    except FileNotFoundError:
        there = None
    except UnicodeDecodeError:
        there = ''
    if there == text:
        return
    if there is not None and there != former and path.name != _NAME:
        raise FileExistsError(errno.EEXIST, 'it is there, and not from a run; take it away, or choose another --out',
                              str(path))
    try:
        replace_by(path, text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _versions() -> dict[str, str]:
    versions = {'python': '.'.join(map(str, sys.version_info[:3]))}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    return versions
