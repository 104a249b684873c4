"""Arrays by name as an npz file."""
from __future__ import annotations

import io
import zipfile
from typing import Any, Mapping

import numpy


def archived(arrays: Mapping[str, Any]) -> memoryview:
    """Returns what :func:`numpy.savez_compressed` would write.

    That has no room for some names, such as ``file``, and leaves a broken archive open where the disk is full.

    Args:
        arrays: Arrays or numbers by name; of Python objects, None alone.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            with archive.open(f'{name}.npy', 'w', force_zip64=True) as entry:
                numpy.lib.format.write_array(entry, numpy.asanyarray(value), allow_pickle=value is None)
    return file.getbuffer()
