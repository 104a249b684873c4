"""What a study minimizes or maximizes."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from graphdsl.options import RunError
from graphdsl.runtime.arrays import array
from graphdsl.semantics.graph import Graph
from graphdsl.semantics.needs import streams_of
from graphdsl.semantics.suggestions import listed, meant


@dataclass(frozen=True)
class Goal:
    """A report that should become as small, or as large, as it can.

    Attributes:
        report: Its name, such as ``'validation/kl'``; ``'validation/digit[*]'`` is the mean of a family.
        is_falling: Whether it should become small.
    """

    report: str
    is_falling: bool

    @property
    def direction(self) -> str:
        """What Optuna calls it."""
        return 'minimize' if self.is_falling else 'maximize'

    def value(self, observation: Mapping[str, Any]) -> Optional[float]:
        """Returns its value among what an iteration reports, None if it is not there."""
        if not self.report.endswith('[*]'):
            names = [self.report] if self.report in observation else []
        else:
            names = [name for name in observation if name.startswith(self.report[:-2]) and name.endswith(']')]
        values = [float(array(observation[name])) for name in names]
        return sum(values) / len(values) if values else None

    def check(self, graph: Graph) -> None:
        """Refuses what a graph never reports.

        Raises:
            RunError: If it is so.
        """
        known = _reports(graph)
        if self.report in known:
            return
        found = meant(self.report, known)
        problem = f'there is no report `{self.report}` to {self.direction}'
        if found:
            raise RunError(f'{problem}: did you mean `{found}`?')
        prefix, slash, _ = self.report.rpartition('/')
        if slash and not any(name.startswith(f'{prefix}/') for name in known):
            problem += f', since no data block has an entry `{"test" if prefix == "validation" else prefix}`'
        raise RunError(f'{problem}: {listed(known, "the file has no losses")}')


def _reports(graph: Graph) -> list[str]:
    """Returns the names of what a run reports, those on test data first, families as a whole before their members."""
    keys = [*(loss.key for loss in graph.losses), *(metric.key for metric in graph.metrics)]
    needed = streams_of(graph)
    entries = {stream.name: {dataset.name for dataset in stream.datasets} for stream in graph.streams}
    every = dict.fromkeys(d.name for stream in graph.streams for d in stream.datasets if d.name != 'train')
    found = []
    for entry in [*every, None]:
        prefix = '' if entry is None else 'validation/' if entry == 'test' else f'{entry}/'
        there = [str(key) for key in keys
                 if entry is None or all(entry in entries[stream] for stream in needed.get(key, ()))]
        families = dict.fromkeys(f'{name.partition("[")[0]}[*]' for name in there if '[' in name)
        found += [prefix + name for name in [*families, *there]]
    return found
