"""Files that are written whole or not at all."""
from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import BinaryIO, Iterator, Union


@contextlib.contextmanager
def replacing(path: Union[str, os.PathLike]) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes the place of ``path`` when all is written and safe on the disk.

    A link stays a link, and a device or pipe what it is. After an exception, ``path`` is as it was.

    Raises:
        OSError: If it cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with open(target, 'wb') as file:
            yield file
        return
    with tempfile.NamedTemporaryFile('wb', dir=target.parent, prefix=f'.{target.name}.', suffix='.part',
                                     delete=False) as file:
        temporary = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
            temporary.replace(target)
        except BaseException:
            temporary.unlink()
            raise
    _sync(target.parent)


def replace_by(path: Union[str, os.PathLike], content: Union[str, bytes, memoryview]) -> None:
    """Writes a file, text as UTF-8; see :func:`replacing`."""
    with replacing(path) as file:
        file.write(content.encode('utf-8') if isinstance(content, str) else content)


def _sync(folder: Path) -> None:
    """Makes sure that a new name in a folder is on the disk, where the system can."""
    if os.name == 'posix':
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
