"""Snapshots: written whole or not at all, found again, checked, and read as data, never as code."""
from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

import numpy
from chainer.serializers import NpzDeserializer
from chainer.training.extensions import snapshot_writers

from graphdsl.files import replacing
from graphdsl.runtime.archive import write_archive
from graphdsl.runtime.data.errors import DataError, reading
from graphdsl.runtime.weights import is_none, opened

_NAME = re.compile(r'snapshot_iter_(\d+)')
# Where a zip file without a comment has the number of its entries, in two bytes.
_ENTRIES_FROM_END = -12
# What zipfile raises for files that are damaged in one way or another.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, KeyError, OverflowError,
           NotImplementedError, RuntimeError, DataError)


class Writer(snapshot_writers.Writer):
    """Writes snapshots whole or not at all; unlike Chainer's, a loss of power does no harm to it either.

    They are npz files as :func:`chainer.serializers.save_npz` writes them, and have a checksum (CRC-32) for each
    entry. They are not compressed: weights hardly are smaller then, and training waits.
    """

    def __call__(self, filename: str, outdir: str, target: Mapping[str, numpy.ndarray]) -> None:
        with replacing(Path(outdir) / filename) as file:
            write_archive(file, target)
        self._post_save()


def found_in(out: str | os.PathLike) -> list[Path]:
    """Returns the snapshots in a folder, that of the latest iteration first."""
    names = [name for name in (os.listdir(out) if os.path.isdir(out) else ()) if _NAME.fullmatch(name)]
    return sorted((Path(out) / name for name in names), key=iteration_of, reverse=True)


def iteration_of(path: Path) -> int:
    """Returns the iteration that a snapshot is called by."""
    return int(_NAME.fullmatch(path.name)[1])


def damage_of(path: str | os.PathLike) -> Optional[str]:
    """Reads all of a snapshot; returns what is wrong with it, None if its checksums are right."""
    try:
        with open(path, 'rb') as stream, zipfile.ZipFile(stream) as archive:
            # An entry of the list that is taken for the comment of the one before, or for one of the same name, has no
            # checksum that could be wrong. A list that zeros took the place of is empty.
            found = len(set(archive.namelist()))
            stream.seek(_ENTRIES_FROM_END, os.SEEK_END)
            if not found or int.from_bytes(stream.read(2), 'little') != found & 0xffff:
                return 'its list of entries is damaged'
            wrong = archive.testzip()
            return f'the checksum of {wrong.removesuffix(".npy")!r} is wrong' if wrong else None
    except _DAMAGE as error:
        return str(error).rstrip('.') or type(error).__name__


def entries_of(path: str | os.PathLike) -> dict[str, numpy.ndarray]:
    """Reads all entries of a snapshot by name.

    Raises:
        DataError: If the file can't be read, or holds Python objects.
    """
    with reading(path), open(path, 'rb') as stream:
        return dict(_Entries(opened(stream, path), path))


def load_snapshot(path: str | os.PathLike, trainer: Any) -> None:
    """Loads a snapshot, as :func:`chainer.serializers.load_npz` does, without running pickles that may be in it.

    Args:
        path: The file, written by :func:`chainer.training.extensions.snapshot` or
            :func:`chainer.serializers.save_npz`.
        trainer: Trainer that was made like the one that was saved; or whatever else was saved.

    Raises:
        DataError: If the file can't be read, or holds Python objects.
        KeyError: If it is a snapshot of something else.
    """
    with reading(path), open(path, 'rb') as stream:
        NpzDeserializer(_Entries(opened(stream, path), path)).load(trainer)


class _Entries(Mapping[str, numpy.ndarray]):
    """The entries of a file, none of them a Python object but ``None``, which Chainer writes for what is not set."""

    def __init__(self, file: numpy.lib.npyio.NpzFile, path: str | os.PathLike):
        self._file = file
        self._path = path

    def __getitem__(self, name: str) -> numpy.ndarray:
        try:
            return self._file[name]
        except ValueError:
            if is_none(self._file, name):
                return numpy.asarray(None)
            raise DataError(f'{name!r} in {self._path} is no array of numbers but a Python object',
                            'such entries are not read, as reading them may run code') from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)
