"""What was run, and with what: all that it takes to run it again."""
from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from typing import Any, Mapping

from graphdsl.options import Run
from graphdsl.runtime.program import Program

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

    @classmethod
    def of(cls, program: Program, run: Run, length: tuple[int, str]) -> Record:
        """Records a run that is about to begin."""
        default = Run()
        options = {field.name: getattr(run, field.name) for field in fields(Run)
                   if getattr(run, field.name) != getattr(default, field.name)}
        seed = program.settings.seed if run.seed is None else run.seed
        return cls(program.name, program.text, program.source, program.params, options, length, seed, _versions(),
                   tuple(sys.argv))

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
            return cls(**{**values, 'length': tuple(values['length']), 'command': tuple(values['command'])})
        except (KeyError, TypeError) as error:
            raise ValueError(f'no record of a run: {error}') from None


def _versions() -> dict[str, str]:
    versions = {'python': '.'.join(map(str, sys.version_info[:3]))}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    return versions
