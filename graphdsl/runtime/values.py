"""Values by name that say what to do where one is missing."""
from __future__ import annotations

from typing import Any, Mapping

from graphdsl.runtime.data import DataError
from graphdsl.runtime.stacked import Stack


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


def named_values(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a generated function by their names in the graph.

    Args:
        variables: The function's local variables: a value, or the members of a family by index.

    Returns:
        Variables, arrays and numbers, such as ``'y'`` and ``'digit[0]'``.
    """
    found: dict[str, Any] = {}
    for variable, value in variables.items():
        # An identifier that is taken gets underscores.
        for end in range(len(variable.rstrip('_')) or 1, len(variable) + 1):
            name = variable[:end]
            if isinstance(value, Stack):
                found.update({f'{name}[{i}]': value[i] for i in range(len(value))})
            elif isinstance(value, dict):
                found.update({f'{name}[{", ".join(map(str, k)) if isinstance(k, tuple) else k}]': member
                              for k, member in value.items()})
            elif name == variable or name not in variables:
                found[name] = value
    return found
