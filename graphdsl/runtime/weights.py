"""Weights from files."""
from __future__ import annotations

import io
import os
import zipfile
import zlib
from typing import BinaryIO, Mapping

import chainer
import numpy
from chainer.serializers import DictionarySerializer, NpzDeserializer

from graphdsl.runtime.data.errors import DataError, listing, reading

# Bytes of what stands before an array in a file, and of a number, at most.
_HEADER, _WIDEST = 2 ** 16, 16


def load(link: chainer.Link, path: str | os.PathLike, at: str = '', partly: bool = False) -> None:
    """Loads parameters and persistent values that :func:`chainer.serializers.save_npz` wrote.

    Args:
        link: What is loaded.
        path: The file: of a link, of something that contains it, or a snapshot of a trainer.
        at (str): Where in the file the link stands, such as ``'encoder'`` or ``'updater/model:main'``.
        partly (bool): Whether what is missing, or has another shape, stays as it is. One entry at least has to fit.

    Raises:
        DataError: If the file can't be read, or doesn't fit.
    """
    prefix = at.strip('/') + '/' if at.strip('/') else ''
    wanted = entries_of(link)
    with reading(path), open(path, 'rb') as stream:
        file = opened(stream, path)
        names = list(file.keys())
        here = {name: _read(file, prefix + name, path, wanted[name]) for name in wanted if prefix + name in names}
    fitting = {name: array for name, array in here.items() if _fits(array, wanted[name])}
    if not fitting or (len(fitting) < len(wanted) and not partly):
        raise DataError(f'{path} does not fit: {_difference(wanted, here, fitting, prefix)}',
                        _advice(wanted, names, prefix))
    NpzDeserializer(fitting, strict=False).load(link)


def entries_of(link: chainer.Link) -> Mapping[str, numpy.ndarray]:
    """Returns what a link would save, sorted by name; an entry that is not initialized is an array of None."""
    serializer = DictionarySerializer()
    serializer.save(link)
    return {name: numpy.asarray(value) for name, value in sorted(serializer.target.items())}


def opened(stream: BinaryIO, path: str | os.PathLike) -> numpy.lib.npyio.NpzFile:
    """Opens an npz file, whose pickles nothing will run.

    Raises:
        DataError: If it is none.
    """
    try:
        file = numpy.load(stream, allow_pickle=False)
    except (ValueError, EOFError, NotImplementedError, zipfile.BadZipFile):
        file = None
    if not isinstance(file, numpy.lib.npyio.NpzFile):
        raise DataError(f'{path} is no npz file', 'weights are loaded from what `save_npz` writes')
    return file


def member(file: numpy.lib.npyio.NpzFile, name: str) -> zipfile.ZipInfo:
    """Returns where an entry of an npz file stands in its archive.

    Raises:
        KeyError: If there is no such entry.
    """
    found = next((info for info in file.zip.infolist() if info.filename == name + '.npy'), None)
    return file.zip.getinfo(name) if found is None else found


def is_none(file: numpy.lib.npyio.NpzFile, name: str) -> bool:
    """Tells whether an entry is None, which Chainer writes for what has no value, and no other object."""
    none = io.BytesIO()
    numpy.save(none, numpy.asarray(None))
    entry = member(file, name)
    return entry.file_size == len(none.getvalue()) and file.zip.read(entry) == none.getvalue()


def _read(file: numpy.lib.npyio.NpzFile, name: str, path: str | os.PathLike, wanted: numpy.ndarray) -> numpy.ndarray:
    _check_size(file, name, path, wanted)
    try:
        array = file[name]
    except ValueError:
        array = None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f'{name!r} in {path} cannot be read: {error}', 'is the file complete?') from None
    if not isinstance(array, numpy.ndarray):
        raise DataError(f'{name!r} in {path} is no array of numbers but a Python object',
                        'such entries are not read, as reading them may run code')
    return array


def _check_size(file: numpy.lib.npyio.NpzFile, name: str, path: str | os.PathLike, wanted: numpy.ndarray) -> None:
    """Refuses an entry that unpacks to far more than fits: a few kilobytes can hold gigabytes of zeros."""
    size = member(file, name).file_size
    if wanted.dtype != object and size > _HEADER + _WIDEST * wanted.size:
        raise DataError(f'{path} does not fit: {name!r} has {size:,} bytes, and {wanted.size:,} numbers are wanted',
                        'is this the file of another model?')


def _fits(array: numpy.ndarray, wanted: numpy.ndarray) -> bool:
    if wanted.dtype == object:
        return True
    return array.shape == wanted.shape and numpy.can_cast(array.dtype, wanted.dtype, 'same_kind')


def _difference(wanted: Mapping, here: Mapping, fitting: Mapping, prefix: str) -> str:
    parts = []
    missing = [prefix + name for name in wanted if name not in here]
    if missing:
        parts.append(f'it lacks {listing(missing)}')
    other = [f'{prefix}{name} is {_kind(array)}, not {_kind(wanted[name])}'
             for name, array in here.items() if name not in fitting]
    return '; '.join(parts + other[:12]) or 'the model has nothing that could be loaded'


def _kind(array: numpy.ndarray) -> str:
    return f'{array.dtype}{list(array.shape)}'


def _advice(wanted: Mapping, names: list[str], prefix: str) -> str:
    """Says where in the file the link may stand."""
    known = set(names)
    prefixes = {name[:i + 1] for name in names for i, letter in enumerate(name) if letter == '/'}
    elsewhere = sorted(p for p in {'', *prefixes} - {prefix} if wanted and all(p + name in known for name in wanted))
    if elsewhere:
        return 'all its entries stand ' + ' and '.join(f'at {p!r}' if p else 'at no prefix' for p in elsewhere[:12])
    return 'the file has the prefixes ' + listing(sorted(prefixes)) if prefixes else \
        'the file has the entries ' + listing(sorted(names))
