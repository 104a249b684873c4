"""Snapshots of others: read as data, and never as code."""
from __future__ import annotations

import io
import os
from typing import Iterator, Mapping

import numpy
from chainer.serializers import NpzDeserializer

from graphdsl.runtime.data.errors import DataError, reading
from graphdsl.runtime.weights import opened


def load_snapshot(path: str | os.PathLike, trainer) -> None:
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
            if self._is_none(name):
                return numpy.asarray(None)
            raise DataError(f'{name!r} in {self._path} is no array of numbers but a Python object',
                            'such entries are not read, as reading them may run code') from None

    def _is_none(self, name: str) -> bool:
        none = io.BytesIO()
        numpy.save(none, numpy.asarray(None))
        entry = next(info for info in self._file.zip.infolist() if info.filename in (name, name + '.npy'))
        return entry.file_size == len(none.getvalue()) and self._file.zip.read(entry) == none.getvalue()

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)
