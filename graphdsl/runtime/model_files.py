"""Files of models: what Chainer's serializers write, checked as a whole before anything is loaded."""
from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO, Mapping, NamedTuple, Optional

import chainer
import numpy
from chainer.serializers import DictionarySerializer, NpzDeserializer

from graphdsl.files import replace_by
from graphdsl.runtime.archive import archived
from graphdsl.runtime.data.errors import DataError, listing, reading
from graphdsl.runtime.weights import entries_of, is_none, member, opened

#: Where the models of a run stand in its snapshots.
IN_SNAPSHOT = 'updater/model:'
_STATES, _ITERATION = 'updater/numbers/', 'updater/iteration'
_DETAILS = 'updater/iterator:main/previous_epoch_detail', 'stop_trigger/previous_epoch_detail'
_MOST_OF_A_MODEL, _MOST = 2, 8
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class Counts(NamedTuple):
    """Where in a run a snapshot was written.

    Attributes:
        iteration: The last that was done, counted from 0.
        epoch_detail: How many epochs were done before it.
        states: Values of the states by name.
    """

    iteration: int
    epoch_detail: float
    states: Mapping[str, Any]


def save(models: Mapping[str, chainer.Link], path: str | os.PathLike, model: Optional[str] = None) -> None:
    """Saves parameters and persistent values to an npz file, whole or not at all.

    Args:
        models: Models by name.
        path: The file.
        model: The one that is saved, as :func:`chainer.serializers.save_npz` saves it; None saves all, each under
            its name.

    Raises:
        DataError: If there is no such model.
        OSError: If the file cannot be written.
    """
    serializer = DictionarySerializer()
    if model is None:
        for name, link in models.items():
            serializer[name].save(link)
    else:
        serializer.save(_named(models, model))
    replace_by(path, archived(serializer.target))


def load(models: Mapping[str, chainer.Link], path: str | os.PathLike, model: Optional[str] = None
         ) -> Optional[Counts]:
    """Loads parameters and persistent values, all or nothing. No pickle that may be in the file is run.

    Args:
        models: Models by name.
        path: The file: of several models, or a snapshot of a run.
        model: The one that is loaded; its file may also hold it alone. None loads all.

    Returns:
        What else a snapshot says of the run; None for other files.

    Raises:
        DataError: If the file can't be read, or a model is not in it, or is another.
    """
    wanted = dict(models) if model is None else {model: _named(models, model)}
    if not os.path.exists(path):
        raise DataError(f'there is no {path}', 'name a file of weights, or a snapshot of a run')
    with reading(path), open(path, 'rb') as stream:
        file = _File.of(stream, path)
        places = {name: file.place(name) for name in wanted}
        if model is not None and _is_alone(file, places[model], wanted[model]):
            places[model] = ''
        differences = {name: file.differences(places[name], entries_of(link)) for name, link in wanted.items()}
        if any(differences.values()):
            raise DataError(f'{path} does not fit: {_told(differences)}', _advice(file, models, model))
        arrays = {name: file.arrays(places[name], entries_of(link)) for name, link in wanted.items()}
        counts = file.counts() if file.is_snapshot else None
    for name, link in wanted.items():
        NpzDeserializer(arrays[name]).load(link)
    return counts


def _named(models: Mapping[str, chainer.Link], model: str) -> chainer.Link:
    if model not in models:
        raise DataError(f'there is no model {model!r}', 'there are ' + listing(models))
    return models[model]


def _is_alone(file: _File, place: Optional[str], link: chainer.Link) -> bool:
    """Says whether a file is taken as that of a single model."""
    return not file.differences('', entries_of(link)) or (place is None and not file.is_snapshot)


@dataclass(frozen=True)
class _File:
    """An open npz file.

    Attributes:
        path: As it was given.
        npz: What NumPy opened.
        names: Of its entries.
        kinds: Those that were looked at: dtype and shape, None for Python objects.
    """

    path: str | os.PathLike
    npz: numpy.lib.npyio.NpzFile
    names: tuple[str, ...]
    kinds: dict[str, Optional[tuple[numpy.dtype, tuple[int, ...]]]]

    @classmethod
    def of(cls, stream: BinaryIO, path: str | os.PathLike) -> _File:
        npz = opened(stream, path)
        return cls(path, npz, tuple(npz.files), {})

    @property
    def is_snapshot(self) -> bool:
        return any(name.startswith(IN_SNAPSHOT) for name in self.names)

    def place(self, model: str) -> Optional[str]:
        """Returns what stands before the names of a model's entries, None where the file has no such model."""
        place = f'{IN_SNAPSHOT if self.is_snapshot else ""}{model}/'
        return place if any(name.startswith(place) for name in self.names) else None

    def differences(self, place: Optional[str], wanted: Mapping[str, numpy.ndarray]) -> list[str]:
        """Says how a model in the file is not the one that is wanted."""
        if place is None:
            return ['is not in it'] if wanted else []
        here = {name[len(place):] for name in self.names if name.startswith(place)}
        missing = [name for name in wanted if name not in here]
        more = sorted(here - set(wanted))
        return [*([f'lacks {listing(missing)}'] if missing else []),
                *([f'has {listing(more)} there, and not in the graph'] if more else []),
                *(said for name, value in wanted.items() if name in here
                  for said in [self._difference(place + name, name, value)] if said)]

    def _difference(self, entry: str, name: str, wanted: numpy.ndarray) -> str:
        kind = self._kind(entry)
        if kind is None:
            if not is_none(self.npz, entry):
                return f'has a Python object as {name!r}, which might run code'
            return '' if wanted.dtype == object else f'has no value for {name!r}'
        dtype, shape = kind
        fits = wanted.dtype == object or (shape == wanted.shape and numpy.can_cast(dtype, wanted.dtype, 'same_kind'))
        return '' if fits else f'has {name!r} as {_said(dtype, shape)}, not {_said(wanted.dtype, wanted.shape)}'

    def _kind(self, entry: str) -> Optional[tuple[numpy.dtype, tuple[int, ...]]]:
        """Reads what an array is, and not the array: a few kilobytes can hold gigabytes of zeros."""
        if entry not in self.kinds:
            with self._damage(entry), self.npz.zip.open(member(self.npz, entry)) as stream:
                version = numpy.lib.format.read_magic(stream)
                read = numpy.lib.format.read_array_header_1_0 if version == (1, 0) else \
                    numpy.lib.format.read_array_header_2_0
                shape, _, dtype = read(stream)
            self.kinds[entry] = None if dtype.hasobject else (dtype, shape)
        return self.kinds[entry]

    def _damage(self, entry: str) -> _Damage:
        return _Damage(f'{entry!r} in {self.path}')

    def arrays(self, place: str, wanted: Mapping[str, numpy.ndarray]) -> dict[str, numpy.ndarray]:
        """Reads the entries of a model."""
        found: dict[str, numpy.ndarray] = {}
        for name in wanted:
            with self._damage(place + name):
                found[name] = numpy.asarray(None) if self._kind(place + name) is None else self.npz[place + name]
        return found

    def counts(self) -> Counts:
        """Reads where in a run a snapshot was written."""
        states = {name[len(_STATES):]: self._number(name) for name in self.names if name.startswith(_STATES)}
        # Only Chainer's own iterators save what was before the last minibatch.
        detail = next((self._number(name) for name in _DETAILS if name in self.names), 0)
        return Counts(max(int(self._number(_ITERATION)) - 1, 0) if _ITERATION in self.names else 0,
                      max(float(detail), 0.0), states)

    def _number(self, entry: str) -> Any:
        with self._damage(entry):
            return self.npz[entry].item()


@dataclass(frozen=True)
class _Damage:
    """The context in which an entry is read: it may be damaged."""

    what: str

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, (ValueError, *_DAMAGES)):
            raise DataError(f'{self.what} cannot be read: {error}', 'is the file complete?') from None


def _said(dtype: numpy.dtype, shape: tuple[int, ...]) -> str:
    return f'{dtype}{list(shape)}'


def _told(differences: Mapping[str, list[str]]) -> str:
    """Writes what is wrong with each model, of many the first."""
    told = [f'`{name}` {said}' for name, each in differences.items() for said in each[:_MOST_OF_A_MODEL]]
    more = sum(map(len, differences.values())) - len(told[:_MOST])
    return '; '.join(told[:_MOST]) + (f'; and {more} more' if more else '')


def _advice(file: _File, models: Mapping[str, chainer.Link], model: Optional[str]) -> str:
    """Says what else the file may be."""
    alone = [name for name, link in models.items() if not file.differences('', entries_of(link))]
    if alone and model is None:
        return f'it is the file of a single model, such as {alone[0]!r}: say which'
    if alone:
        return f'it is a file of {alone[0]!r}'
    if any(file.place(name) is not None for name in models):
        return 'is it of a run with other params?'
    if file.is_snapshot:
        tops = {name[len(IN_SNAPSHOT):].split('/')[0] for name in file.names if name.startswith(IN_SNAPSHOT)}
    else:
        tops = {name.split('/')[0] for name in file.names}
    return f'at the top it has {listing(sorted(tops))}'
