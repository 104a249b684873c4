"""Arrays by name as an npz file."""
from __future__ import annotations

import io
import zipfile
from typing import Any, BinaryIO, Mapping

import numpy


def write_archive(file: BinaryIO, arrays: Mapping[str, Any], compression: int = zipfile.ZIP_STORED,
                  allow_pickle: bool = True) -> None:
    """Writes what :func:`numpy.savez` would write.

    That has no room for some names, such as ``file``, and leaves a broken archive open where the disk is full.

    Args:
        file: Where to.
        arrays: Arrays or numbers by name.
        compression: Of :mod:`zipfile`.
        allow_pickle: Whether Python objects are written; None, which Chainer has for what is not set, always is.

    Raises:
        ValueError: If there are Python objects that are not to be written.
    """
    with zipfile.ZipFile(file, 'w', compression) as archive:
        for name, value in arrays.items():
            array = numpy.asanyarray(value)
            is_none = array.dtype == object and array.shape == () and array[()] is None
            with archive.open(f'{name}.npy', 'w', force_zip64=True) as entry:
                numpy.lib.format.write_array(entry, array, allow_pickle=allow_pickle or is_none)


def archived(arrays: Mapping[str, Any]) -> memoryview:
    """Returns a compressed archive, as :func:`numpy.savez_compressed` would write it.

    Args:
        arrays: Arrays or numbers by name; of Python objects, None alone.
    """
    file = io.BytesIO()
    write_archive(file, arrays, zipfile.ZIP_DEFLATED, allow_pickle=False)
    return file.getbuffer()
