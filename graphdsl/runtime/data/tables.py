"""Files of named columns: npz and csv."""
from __future__ import annotations

import os
import zipfile
import zlib
from csv import Error as CSVError, reader
from dataclasses import dataclass
from typing import Optional, Sequence, Union

import numpy

from graphdsl.runtime.data.columns import Columns
from graphdsl.runtime.data.errors import DataError, listing, reading
from graphdsl.runtime.data.split import part

_Path = Union[str, os.PathLike]


def npz(path: _Path, *, split: str = 'all', **columns: str) -> Columns:
    """Reads the arrays of an npz file, as :func:`numpy.savez` writes it.

    By default every array is a column, under its own name. Keyword arguments choose and rename:
    ``npz('mnist.npz', x='x_train', t='y_train')``. Arrays keep their shapes and dtypes.

    Args:
        path (str or path-like): The file.
        split (str): ``'all'``, or ``'train'`` or ``'test'`` for four fifths or one fifth of the examples, always
            the same; equal examples are on one side only.
        columns (str): Names of arrays, by the names that the columns shall have.

    Returns:
        :class:`Columns` with names.

    Raises:
        DataError: If the file is missing or no npz file, if an array is missing, holds anything but numbers or
            booleans (Python objects are never loaded), or is longer than another.

    """
    for name, array in columns.items():
        if not isinstance(array, str):
            raise DataError(f'column {name} is {array!r}', help='give the name of one array of the file')
    with reading(path), _opened(path) as file:
        columns = columns or {array: array for array in file.files}
        arrays = {name: _array(path, file, array) for name, array in columns.items()}
    try:
        whole = Columns(arrays)
    except DataError as error:
        raise DataError(f'{path}: {error.message}',
                        help='choose the arrays: npz("...", x="x_train", t="y_train")') from None
    if split == 'all':
        return whole
    rows = part(split, whole.arrays, shuffle=True)
    return Columns({name: array[rows] for name, array in arrays.items()})


def names(path: _Path) -> list[str]:
    """Returns the names of the arrays of an npz file, or of the columns of any other file, which is a csv.

    Raises:
        DataError: If the file is missing or something else.
    """
    if not os.fspath(path).endswith('.npz'):
        return _Table.read(path, ',').header
    with reading(path), _opened(path) as file:
        return list(file.files)


def _opened(path: _Path) -> numpy.lib.npyio.NpzFile:
    if os.path.isfile(path) and not zipfile.is_zipfile(path):
        raise DataError(f'{path} is not an npz file', help='write one with numpy.savez("...", x=..., t=...)')
    try:
        return numpy.load(path, allow_pickle=False)
    except zipfile.BadZipFile as error:
        raise DataError(f'{path} is damaged: {error}') from None


def _array(path: _Path, file: numpy.lib.npyio.NpzFile, name: str) -> numpy.ndarray:
    if name not in file.files:
        raise DataError(f'{path} has no array {name!r}', help='it has ' + listing(file.files))
    try:
        array = file[name]
    except ValueError as error:
        if 'allow_pickle' in str(error):
            raise DataError(f'array {name!r} of {path} holds Python objects, which may run code when loaded',
                            help='save it as an array of numbers') from None
        raise DataError(f'array {name!r} of {path} is damaged: {error}') from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f'array {name!r} of {path} is damaged: {error}') from None
    if not isinstance(array, numpy.ndarray) or array.dtype.kind not in 'biuf':
        raise DataError(f'{name!r} of {path} is not an array of numbers', help='save it as one, or choose others')
    return array


def csv(path: _Path, *, split: str = 'all', labels: Union[str, Sequence[str]] = (), like: Optional[_Path] = None,
        delimiter: str = ',', **columns: Union[str, Sequence[str]]) -> Columns:
    """Reads a text file of columns, whose first line names them.

    By default every column of the file is a column of numbers, under its own name. Keyword arguments choose,
    rename and join: ``csv('iris.csv', x=['length', 'width'], t='species', labels='species')`` has a column ``x``
    of vectors with 2 elements and a column ``t`` of scalars. The list gives the order of the elements;
    ``x=['length']`` is a vector with one element.

    A column is int32 if all its cells are integers (int64 if they are large), otherwise float32; so is a vector.
    Text is numbered if asked for by ``labels``: int32, counted from 0 in sorted order (of the numbers, where all
    are integers). ``classes`` of the dataset has the texts, by the column's name in the file.

    Args:
        path (str or path-like): The file, in UTF-8. Empty lines don't count, nor do blanks around a cell.
        split (str): ``'all'``, or ``'train'`` or ``'test'`` for four fifths or one fifth of the lines, always the
            same: the same share of all labels; equal lines are on one side only.
        labels (str or list of str): Columns of the file whose cells are names of classes.
        like (str or path-like): Another such file, whose labels are numbered: give the training file for a test
            file of its own, so that a number means the same class in both.
        delimiter (str): The character between two cells.
        columns (str or list of str): Columns of the file, by the names that they shall have in the dataset.

    Returns:
        :class:`Columns` with names.

    Raises:
        DataError: If the file is missing or has no lines; for a line with more or fewer cells than the first; for
            a cell that is not a finite number, or an empty one; for a column that the file hasn't; for a label
            that ``like`` hasn't. The message has the line and the column.

    """
    table = _Table.read(path, delimiter)
    columns = columns or {name: name for name in table.header}
    used = [name for column, names in columns.items() for name in _names(f'column {column}', names)]
    labels = _names('labels', labels) if labels else ()
    for label in labels:
        if label not in used:
            raise DataError(f'labels names {label!r}, but no column is made of it',
                            help='use names of the file: csv("...", t="species", labels="species")')
    if like is not None and not labels:
        raise DataError('like numbers labels, and there are none',
                        help='name the columns of classes: labels="..."')

    model = table if like is None else _Table.read(like, delimiter)
    classes = {label: model.classes(label) for label in labels}
    values = {name: table.numbered(name, classes[name], model.path) if name in classes else table.numbers(name)
              for name in used}
    strata = numpy.unique([values[label] for label in labels], axis=1, return_inverse=True)[1] if labels else None
    rows = part(split, list(values.values()), strata, shuffle=True)
    arrays = {column: values[names] if isinstance(names, str) else _vectors([values[name] for name in names])
              for column, names in columns.items()}
    return Columns({column: array[rows] for column, array in arrays.items()}, classes=classes)


def _names(argument: str, value: object) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f'{argument} is {value!r}',
                        help='give the name of a column of the file, or a list of names')
    return tuple(names)


def _vectors(columns: list[numpy.ndarray]) -> numpy.ndarray:
    vectors = numpy.stack(columns, axis=1)
    # NumPy makes float64 of int32 and float32.
    return vectors.astype(numpy.float32) if vectors.dtype.kind == 'f' else vectors


@dataclass(frozen=True)
class _Table:
    """The cells of a csv file, as text, and the line of the file that each row ends on."""

    path: _Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    @classmethod
    def read(cls, path: _Path, delimiter: str) -> _Table:
        if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
            raise DataError(f'delimiter is {delimiter!r}', help='it is one character, such as "," or ";" or "\\t"')
        rows, lines = [], []
        # Spreadsheets put a byte order mark in front.
        with reading(path), open(path, encoding='utf-8-sig', newline='') as file:
            cells = reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
            try:
                for row in cells:
                    if row and row != ['']:
                        rows.append([cell.strip() for cell in row])
                        lines.append(cells.line_num)
            except CSVError as error:
                raise DataError(f'{path}, line {cells.line_num}: {error}', help='is a quote missing?') from None
        if not rows:
            raise DataError(f'{path} is empty', help='its first line names the columns, examples follow')
        table = cls(path, rows[0], rows[1:], lines[1:])
        table._check(lines[0])
        return table

    def _check(self, first: int) -> None:
        header = self.header
        if all(_is_number(name) for name in header):
            raise DataError(f'{self.path}, line {first}: numbers where the names of the columns should be',
                            help='put a line with the names on top')
        for i, name in enumerate(header):
            if not name or name in header[:i]:
                what = f'is one more {name!r}' if name else 'has no name'
                raise DataError(f'{self.path}, line {first}: column {i + 1} {what}',
                                help='give each column a name of its own')
        if not self.rows:
            raise DataError(f'{self.path} has no examples below the names of its columns')
        for row, line in zip(self.rows, self.lines):
            if len(row) != len(header):
                raise DataError(f'{self.path}, line {line}: {len(row)} cells, but there are {len(header)} columns',
                                help='is the delimiter another one? csv("...", delimiter=";")'
                                if 1 in (len(row), len(header)) else 'a cell with a delimiter in it needs quotes')

    def cells(self, name: str) -> list[str]:
        if name not in self.header:
            raise DataError(f'{self.path} has no column {name!r}', help='it has ' + listing(self.header))
        place = self.header.index(name)
        cells = [row[place] for row in self.rows]
        if '' in cells:
            raise self._mistake(cells.index(''), name, 'the cell is empty', 'fill it, or leave the line out')
        return cells

    def numbers(self, name: str) -> numpy.ndarray:
        numbers = []
        for row, cell in enumerate(self.cells(name)):
            try:
                numbers.append(_number(cell))
            except ValueError:
                raise self._mistake(row, name, f'{cell!r} is not a finite number',
                                    f'for names of classes write labels={name!r}') from None
        array = numpy.array(numbers)
        if array.dtype.kind != 'i':
            return array.astype(numpy.float32)
        return array.astype(numpy.int32) if abs(array).max() < 2 ** 31 else array

    def classes(self, name: str) -> tuple[str, ...]:
        texts = set(self.cells(name))
        try:
            return tuple(sorted(texts, key=lambda text: (int(text), text)))
        except ValueError:
            return tuple(sorted(texts))

    def numbered(self, name: str, classes: tuple[str, ...], path: _Path) -> numpy.ndarray:
        number = {text: i for i, text in enumerate(classes)}
        cells = self.cells(name)
        for row, cell in enumerate(cells):
            if cell not in number:
                raise self._mistake(row, name, f'{cell!r} does not occur in {path}', 'it has ' + listing(classes))
        return numpy.array([number[cell] for cell in cells], dtype=numpy.int32)

    def _mistake(self, row: int, name: str, message: str, help: str) -> DataError:
        return DataError(f'{self.path}, line {self.lines[row]}, column {name!r}: {message}', help)


def _number(cell: str) -> Union[int, float]:
    if '_' in cell:
        raise ValueError('an underscore is for Python only')
    try:
        number = int(cell)
    except ValueError:
        number = float(cell)
    if not abs(number) <= numpy.finfo(numpy.float32).max:
        raise ValueError('not a finite float32')
    return number


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True
