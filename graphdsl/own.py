"""Which files of Python are our own."""
from __future__ import annotations

import os

#: Where this package is.
FOLDER = os.path.dirname(os.path.abspath(__file__))


def is_own(file: str) -> bool:
    """Says whether a file is one of this package."""
    return file.startswith(FOLDER + os.sep)


def place(file: str, line: int) -> str:
    """Returns a line of ours in words, the file as it is called within what is installed."""
    return f'{os.path.relpath(file, os.path.dirname(FOLDER))}, line {line}'
