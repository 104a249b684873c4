"""Values by name that say what to do where one is missing."""
from __future__ import annotations

from typing import Any

from graphdsl.runtime.data import DataError


class Batch(dict):
    """A minibatch: arrays and numbers by the names of inputs and noise."""

    def __missing__(self, name: str) -> Any:
        raise DataError(f'the minibatch has no {name!r}', 'it has ' + ', '.join(
            repr(key) for key in self if key != 'batch_size') if len(self) > 1 else 'give arrays by input name')


class Numbers(dict):
    """Counters and states by name."""

    def __missing__(self, name: str) -> Any:
        raise DataError('how much of the run is done cannot be told: its length is not given',
                        "write `epochs 20` in `train`, or pass `length=(20, 'epoch')`")
