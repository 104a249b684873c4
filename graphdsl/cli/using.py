"""The data that a trained graph is used on: the options of the commands that use one."""
from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, Optional

import click

from graphdsl.options import checked_device

if TYPE_CHECKING:
    from graphdsl.compiled import CompiledGraph
    from graphdsl.plan.plan import Computation
    from graphdsl.using.data import Data


@dataclass(frozen=True)
class Used:
    """What a graph is used on, and how.

    Attributes:
        path: A file of data; None for an entry of the graph's own.
        columns: Which of its columns stand for an input, where the names differ.
        entry: Of the data blocks; None where none is asked for.
        batch: Rows of a minibatch; None as it is usual.
        seed: Of the noise; None takes the file's.
        device: Where to compute.
    """

    path: Optional[str]
    columns: Mapping[str, tuple[str, ...]]
    entry: Optional[str]
    batch: Optional[int]
    seed: Optional[int]
    device: str

    def moved(self, graph: CompiledGraph) -> CompiledGraph:
        """Moves the models to where they compute."""
        for model in graph.models.values():
            model.to_device(self.device)
        return graph

    def data(self, graph: CompiledGraph, computations: Iterable[Computation]) -> Data:
        """Reads the data.

        Args:
            graph: The graph.
            computations: What may be computed; what needs no data is, where there is none.

        Raises:
            DataError: If it cannot be read, or there is none.
        """
        from graphdsl.runtime.data import DataError
        from graphdsl.using.data import Arrays, Entry
        from graphdsl.using.files import read_arrays
        if self.path is not None:
            return Arrays.of(graph, read_arrays(graph, self.path, self.columns))
        needed = [bool(computation.sources) for computation in computations]
        if self.entry is not None or (any(needed) and 'test' in graph.entries):
            return Entry.of(graph, self.entry or 'test')
        if needed and all(needed):
            raise DataError('no data is given', 'give --data FILE' + ''.join(
                f', or --entry {entry}' for entry in graph.entries))
        return Arrays.of(graph, {})


_OPTIONS = (
    click.option('--data', 'path', type=click.Path(),
                 help='Data to read: arrays of an .npz file by input name, or columns of a .csv file.'),
    click.option('--column', 'columns', metavar='INPUT=NAME,...', multiple=True,
                 callback=lambda context, parameter, values: _columns(values),
                 help='The array, or the columns, of --data that an input is read from. May be repeated.'),
    click.option('--entry', metavar='NAME', help="Entry of the file's data blocks to read without --data.  "
                 '[default: test]'),
    click.option('--batch', type=click.IntRange(min=1), help='Rows of a minibatch, in place of those of the file.'),
    click.option('--seed', type=click.IntRange(0, 2 ** 32 - 1), help='Seed of the noise, in place of that of `train`.'),
    click.option('--device', default='@numpy', show_default=True, help='Where to compute: @numpy, @cupy:0, @intel64.'),
)


def using_options(command: Callable) -> Callable:
    """Adds options to a command, which gets them as ``used``, a :class:`Used`."""
    @functools.wraps(command)
    def with_data(*arguments: Any, path: Optional[str], columns: Mapping[str, tuple[str, ...]], entry: Optional[str],
                  batch: Optional[int], seed: Optional[int], device: str, **given: Any) -> Any:
        if path is not None and entry is not None:
            raise click.UsageError('give --data or --entry')
        if columns and path is None:
            raise click.UsageError('--column goes with --data')
        used = Used(path, columns, entry, batch, seed, checked_device(device))
        return command(*arguments, used=used, **given)

    for option in reversed(_OPTIONS):
        with_data = option(with_data)
    return with_data


def _columns(values: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found = {}
    for value in values:
        name, sign, columns = value.partition('=')
        if not (name.strip() and columns.strip()):
            raise click.BadParameter(f'{value!r} is not of the form INPUT=NAME,...')
        found[name.strip()] = tuple(column.strip() for column in columns.split(','))
    return found
