"""How large the models are, told before there is memory for them."""
from __future__ import annotations

import contextlib
import math
import threading
from typing import Iterator

import chainer

from graphdsl.limits import Limits

_lock = threading.RLock()


class LimitError(Exception):
    """Raised where models come to more than they may.

    Args:
        code (str): Of the diagnostic.
        message (str): What is too much.
        help (str): How to raise the limit.
    """

    def __init__(self, code: str, message: str, help: str):
        self.code = code
        self.message = message
        self.help = help
        super().__init__(message)


@contextlib.contextmanager
def checked_sizes(limits: Limits) -> Iterator[None]:
    """Refuses parameters and persistent arrays that are initialised within the context and are too large.

    Raises:
        LimitError: Before the array is made with which there would be more elements than ``limits.parameters``.
    """
    initializers = chainer.initializers
    owner = threading.get_ident()
    count = 0

    def generate(initializer, shape, *arguments, **keywords):
        nonlocal count
        if threading.get_ident() == owner and not _is_unset(initializer):
            size = math.prod(shape) if isinstance(shape, (tuple, list)) else shape
            count += size
            if count > limits.parameters:
                raise LimitError('G036', f'the models have more than {limits.parameters:,} parameters in all',
                                 limits.advice('parameters', count))
        return original(initializer, shape, *arguments, **keywords)

    with _lock:
        original, initializers.generate_array = initializers.generate_array, generate
        try:
            yield
        finally:
            initializers.generate_array = original


def _is_unset(initializer) -> bool:
    """Says whether this fills the gradient of a parameter, which nothing has computed yet."""
    return isinstance(initializer, chainer.initializers.NaN)
