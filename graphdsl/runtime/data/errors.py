"""What is wrong with data, said in the words of the person who named it."""
from __future__ import annotations

import contextlib
import os
from typing import Iterator


class DataError(Exception):
    """Raised for data that cannot be used as asked. No source raises anything else for what its user got wrong.

    Args:
        message (str): What is wrong, and in which file.
        help (str): The next step.

    Attributes:
        code: Of the diagnostic.
        column: Name of the input that it is about; empty where it is about no single one.
    """

    code = 'G505'
    column = ''

    def __init__(self, message: str, help: str = ''):
        self.message = message
        self.help = help
        super().__init__(message, help)

    def __str__(self) -> str:
        return f'{self.message}; {self.help}' if self.help else self.message

    def parts(self) -> tuple[DataError, ...]:
        """Returns what is to be told one by one."""
        return (self,)


class Ended(StopIteration):
    """Raised where a stream has no further minibatch.

    Args:
        stream (str): Its name.
        minibatches (int): How many there were.
    """

    def __init__(self, stream: str, minibatches: int):
        self.stream = stream
        self.minibatches = minibatches
        super().__init__(f'{stream} gave {minibatches} minibatches')


@contextlib.contextmanager
def reading(path: str | os.PathLike) -> Iterator[None]:
    """Turns what the operating system says about a file into a :class:`DataError`."""
    if not isinstance(path, (str, os.PathLike)):
        raise DataError(f'{path!r} is not a path', help='write it as a string')
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        # A pipe would be waited for, and a device may have no end.
        raise DataError(f'{path} is no regular file', help='name a file that has an end')
    try:
        yield
    except FileNotFoundError:
        raise DataError(f'there is no {path}', help='paths in a graph file start at its own folder') from None
    except UnicodeDecodeError:
        raise DataError(f'{path} is not text in UTF-8', help='save it as UTF-8') from None
    except MemoryError:
        raise DataError(f'{path} needs more memory than there is', help='is the file damaged?') from None
    except OSError as error:
        raise DataError(f'{path} cannot be read: {error.strerror or error}') from error


def check_whole(name: str, value: object, least: int) -> None:
    """Refuses what is not an integer, or is too small."""
    if isinstance(value, bool) or not hasattr(value, '__index__') or value < least:
        raise DataError(f'{name} is {value!r}', help=f'it is a whole number from {least} upwards')


def check_choice(name: str, value: object, choices: tuple) -> None:
    """Refuses what is none of a few values."""
    if value not in choices:
        raise DataError(f'{name} is {value!r}', help='it is one of ' + listing(choices))


def listing(values) -> str:
    """Writes values one after the other, the first dozen of many."""
    values = list(values)
    return ', '.join(repr(value) for value in values[:12]) + (', ...' if len(values) > 12 else '')
