"""What of a snapshot fits a graph, and what does not."""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping

import numpy

from graphdsl.runtime.shapes import kind_of

_ENTRY = re.compile(r'updater/(?P<kind>model|optimizer|updates|iterator|order|numbers|states|draws/noise|draws/history)'
                    r'[:/](?P<name>[^/]*)/?(?P<path>.*)')
_TITLES = {'updates': 'optimizer', 'order': 'stream', 'iterator': 'stream', 'states': 'model', 'numbers': 'state',
           'draws/noise': 'noise', 'draws/history': 'pool of'}

Entries = Mapping[str, numpy.ndarray]


@dataclass(frozen=True)
class Comparison:
    """What fits, and what does not.

    Attributes:
        problems: Sentences on what does not.
        whole: Names of the parts that fit as a whole, such as ``'model trunk'``.
        fitting: All entries that may be loaded.
    """

    problems: tuple[str, ...]
    whole: tuple[str, ...]
    fitting: Entries


def compare(saved: Entries, now: Entries, saved_optimizers: Mapping[str, Any], optimizers: Mapping[str, Any],
            clock: str) -> Comparison:
    """Compares what a snapshot holds with what a graph has.

    Args:
        saved: Entries of the snapshot.
        now: Entries that the graph would save before its first iteration.
        saved_optimizers: Of the snapshot, as :attr:`graphdsl.training.record.Record.optimizers` has them; none where
            that is not known.
        optimizers: Of the graph.
        clock: Name of the first stream, which is ``main`` in snapshots.
    """
    parts, former = _parts(now, clock), _parts(saved, clock)
    problems = {part: list(_problems(part, sorted(names), saved, now)) for part, names in parts.items()}
    problems.update((part, [f'{part} is gone']) for part in former if part not in parts)
    for name, reason in _changed_optimizers(saved_optimizers, optimizers, problems):
        problems[f'optimizer {name}'].append(reason)
    for name, reason in _lost_momenta(saved, optimizers):
        problems[f'optimizer {name}'].append(reason)
    left_out = {name for part, reasons in problems.items() if reasons for name in former.get(part, ())
                if not (name.startswith('updater/model:') and name in now and _has_room(saved[name], now[name]))}
    return Comparison(tuple(reason for reasons in problems.values() for reason in reasons),
                      tuple(part for part in parts if not problems[part]),
                      {name: value for name, value in saved.items() if name not in left_out})


def _parts(entries: Iterable[str], clock: str) -> dict[str, list[str]]:
    """Returns the names of the entries of each part of a graph; what every run has belongs to none."""
    found: dict[str, list[str]] = {}
    for name in entries:
        match = _ENTRY.match(name)
        if match is not None:
            title, part = _TITLES.get(match['kind'], match['kind']), match['name']
            found.setdefault(f'{title} {clock if (title, part) == ("stream", "main") else part}', []).append(name)
    return found


def _problems(part: str, names: Iterable[str], saved: Entries, now: Entries) -> Iterator[str]:
    if not any(name in saved for name in names):
        yield f'{part} is new'
        return
    for name in names:
        path = _ENTRY.match(name)['path']
        if name not in saved:
            yield f'{part}: {path} is new'
        elif path == 'order' and len(saved[name]) != len(now[name]):
            yield f'{part} has {len(now[name]):,} examples, and had {len(saved[name]):,}'
        elif name.startswith('updater/model:') and not _has_room(saved[name], now[name]):
            yield f'{part}: {path} is {kind_of(now[name])}, and was {kind_of(saved[name])}'
    for name in sorted(saved):
        if name.startswith(f'updater/{part.replace(" ", ":")}/') and part.startswith('model ') and name not in now:
            yield f'{part}: {_ENTRY.match(name)["path"]} is gone'


def _has_room(saved: numpy.ndarray, now: numpy.ndarray) -> bool:
    return saved.shape == now.shape and numpy.can_cast(saved.dtype, now.dtype, 'same_kind')


def _changed_optimizers(saved: Mapping[str, Any], now: Mapping[str, Any], problems: Mapping[str, list[str]]
                        ) -> Iterator[tuple[str, str]]:
    """Yields optimizers that are others, or own something else, than they were: their momenta do not fit."""
    changed = {part for part, reasons in problems.items() if reasons}
    for name, (kind, owned) in now.items():
        if name not in saved:
            continue
        former_kind, former_owned = saved[name]
        if kind != former_kind:
            yield name, f'optimizer {name} is {kind}, and was {former_kind}'
        elif [tuple(pair) for pair in owned] != [tuple(pair) for pair in former_owned]:
            yield name, f'optimizer {name} owns something else than before'
        elif any(f'model {path.partition("/")[0]}' in changed for _, path in owned):
            yield name, f'optimizer {name} owns what does not fit'


def _lost_momenta(saved: Entries, optimizers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields optimizers that were used, and of whose parameters nothing was saved."""
    for name, (_, owned) in optimizers.items():
        if saved.get(f'updater/updates:{name}', 0) > 0:
            for within, path in owned:
                if f'updater/optimizer:{name}{within}/t' not in saved:
                    yield name, f'optimizer {name} has nothing saved of {path}'
