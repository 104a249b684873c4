"""Files of data for a graph, and of what it computes."""
from __future__ import annotations

import csv
import io
import math
import os
import re
from typing import Any, Iterable, Mapping, Sequence

import numpy

from graphdsl.runtime.data import DataError, tables
from graphdsl.runtime.data.errors import listing
from graphdsl.runtime.program import Program
from graphdsl.using.predict import Prediction

_ELEMENT = re.compile(r'(.*)\[(\d+(?:, ?\d+)*)\]')


def read_arrays(program: Program, path: str, columns: Mapping[str, Sequence[str]]) -> dict[str, numpy.ndarray]:
    """Reads what a graph reads from an npz or csv file.

    Args:
        program: The graph.
        path: The file. In a csv, ``x[0]``, ``x[1]`` and so on are the elements of an input ``x``.
        columns: Names in the file, by those of inputs, where they differ.

    Returns:
        Arrays by the names of inputs and noise; those that the file does not have are not there.

    Raises:
        DataError: If it cannot be read, or has nothing that the graph reads.
    """
    known = [one.name for one in (*program.inputs, *program.noises) if one.name != '_']
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise DataError(f'there is no input {unknown[0]!r}', f'there are {listing(known)}')
    if not path.endswith(('.npz', '.csv')):
        raise DataError(f'{path} ends neither in .npz nor in .csv')
    if not os.path.exists(path):
        raise DataError(f'there is no {path}', 'name a file of data')
    found = (_of_npz if path.endswith('.npz') else _of_csv)(path, known, columns)
    if not found:
        raise DataError(f'{path} has nothing that the graph reads: it has {listing(tables.names(path))}',
                        f'inputs are {listing(known)}; `--column {known[0]}=NAME` reads one' if known else
                        'the graph has no inputs')
    return found


def _of_npz(path: str, known: Iterable[str], columns: Mapping[str, Sequence[str]]) -> dict[str, numpy.ndarray]:
    several = next((name for name, names in columns.items() if len(names) > 1), None)
    if several is not None:
        raise DataError(f'{several!r} is read from one array of an npz file',
                        f'name one of {listing(tables.names(path))}')
    here = {name: name for name in known if name in tables.names(path)}
    here.update((name, names[0]) for name, names in columns.items())
    return {name: tables.npz(path, **{'column': array}).arrays[0] for name, array in here.items()}


def _of_csv(path: str, known: Iterable[str], columns: Mapping[str, Sequence[str]]) -> dict[str, numpy.ndarray]:
    header = tables.names(path)
    found: dict[str, Any] = {name: name for name in known if name in header}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, elements in _elements(header).items():
        if name in known and name not in found:
            found[name] = [elements[index] for index in sorted(elements)]
            shapes[name] = _shape(path, name, elements)
    for name, names in columns.items():
        found[name] = names[0] if len(names) == 1 else list(names)
        shapes.pop(name, None)
    if not found:
        return {}
    dataset = tables.csv(path, **{f'column_{i}': names for i, names in enumerate(found.values())})
    return {name: array.reshape(len(array), *shapes.get(name, array.shape[1:]))
            for name, array in zip(found, dataset.arrays)}


def _elements(header: Iterable[str]) -> dict[str, dict[tuple[int, ...], str]]:
    """Finds columns that are elements of arrays: by the name of the array, and by index."""
    found: dict[str, dict[tuple[int, ...], str]] = {}
    for column in header:
        match = _ELEMENT.fullmatch(column)
        if match:
            found.setdefault(match[1], {})[tuple(map(int, match[2].split(',')))] = column
    return found


def _shape(path: str, name: str, elements: Mapping[tuple[int, ...], str]) -> tuple[int, ...]:
    axes = {len(index) for index in elements}
    shape = tuple(max(lengths) + 1 for lengths in zip(*elements))
    if len(axes) > 1 or math.prod(shape) != len(elements):
        raise DataError(f'{path} has columns for {len(elements)} elements of {name!r}, which make no whole array',
                        f'they are {listing(elements.values())}; name all of them, counted from 0')
    return shape


def check_table(found: Prediction) -> None:
    """Refuses what has no place in a table.

    Raises:
        DataError: If outputs have different numbers of rows, or none.
    """
    without = [name for name in found.values if name not in found.has_rows]
    if without:
        raise DataError(f'{listing(without)} cannot be a column: it has no rows',
                        'write an .npz file, or choose with --output')
    rows = {name: len(value) for name, value in found.values.items()}
    if len(set(rows.values())) > 1:
        raise DataError('the outputs have different numbers of rows: '
                        + ', '.join(f'{n} of {name!r}' for name, n in rows.items()),
                        'write an .npz file, or choose with --output')


def as_csv(found: Prediction) -> str:
    """Writes outputs as columns, elements of arrays as ``name[0]``.

    Args:
        found: What :func:`check_table` has passed.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow([name for output, value in found.values.items() for name in _names(output, value.shape[1:])])
    columns = [_texts(value) for value in found.values.values()]
    for row in zip(*columns):
        writer.writerow([cell for cells in row for cell in cells])
    return text.getvalue()


def _names(output: str, shape: tuple[int, ...]) -> list[str]:
    return [f'{output}[{",".join(map(str, index))}]' for index in numpy.ndindex(*shape)] if shape else [output]


def _texts(value: numpy.ndarray) -> Iterable[Sequence[str]]:
    """Yields the cells of each row: the fewest digits that tell a number from others of its dtype."""
    flat = value.reshape(len(value), -1)
    flat = flat.astype(numpy.uint8) if flat.dtype.kind == 'b' else flat
    for row in flat:
        yield [str(number) for number in row]
