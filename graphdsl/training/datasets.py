"""The datasets of a run: the file's, or the caller's."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from chainer.dataset import Iterator

from graphdsl.options import RunError
from graphdsl.runtime.program import Program


@dataclass(frozen=True)
class Given:
    """An iterator of the caller's in the place of a dataset."""

    actual: Iterator

    def iterator(self, batch_size: int, repeat: bool) -> Iterator:
        """Returns it, whatever is asked for."""
        return self.actual


def datasets_of(program: Program, given: Optional[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the datasets or iterators of a run, by stream and then by entry.

    Args:
        program: The graph.
        given: By entry, or by stream and then by entry; None takes the file's.

    Raises:
        GraphError: If data of the file cannot be read.
        RunError: If a stream has no data, or there is no stream by a name.
    """
    by_stream = _by_stream(program, given or {})
    missing = [name for name in program.streams if name not in by_stream]
    found = {**(program.datasets() if missing else {}), **by_stream}
    for name in program.streams:
        if name not in found:
            raise RunError('the graph has no data block: give the data to `trainer(data=...)`')
        if 'train' not in found[name]:
            raise RunError(f'`data` has nothing to train on for {name!r}: give an entry `train`')
    return {name: found[name] for name in program.streams}


def _by_stream(program: Program, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    if not all(isinstance(entries, Mapping) for entries in given.values()):
        if len(program.streams) > 1:
            raise RunError(f'the graph has several streams: give `data` for each of {program.streams}')
        given = {program.streams[0]: given}
    unknown = [name for name in given if name not in program.streams]
    if unknown:
        raise RunError(f'there is no stream {unknown[0]!r} to give data to: the graph has {program.streams}')
    return {name: {entry: _source(entry, data) for entry, data in entries.items()} for name, entries in given.items()}


def _source(entry: str, data: Any) -> Any:
    if not isinstance(data, Iterator):
        return data
    if entry != 'train' and getattr(data, 'repeat', False):
        raise RunError(f'the iterator for {entry!r} repeats, and an evaluation would never end: '
                       'make it with `repeat=False`')
    return Given(data)
