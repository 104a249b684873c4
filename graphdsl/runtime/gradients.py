"""Gradients and reports: sums and means over several passes, and arrays that hooks may change."""
from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional, Sequence

import chainer
from chainer.utils import force_array

from graphdsl.runtime.arrays import array, is_finite


def unshare(optimizers: Mapping[str, chainer.Optimizer]) -> None:
    """Gives every parameter of some optimizers a gradient in an array of its own.

    Hooks such as weight decay change gradients in place, and Chainer's gradients of a sum are one array for all that
    was added, or a view that repeats one number.
    """
    owners = set()
    for parameter in (p for optimizer in optimizers.values() for p in optimizer.target.params()):
        gradient = parameter.grad
        if gradient is None:
            continue
        owner = gradient
        while getattr(owner, 'base', None) is not None:
            owner = owner.base
        writeable = getattr(gradient.flags, 'writeable', True)
        if id(owner) in owners or not writeable or 0 in gradient.strides:
            parameter.grad = gradient.copy()
        owners.add(id(owner))


def update_if_finite(name: str, optimizers: Mapping[str, chainer.Optimizer], numbers: dict[str, Any]) -> None:
    """Updates an optimizer if all of its gradients are finite, else counts in ``NAME.skipped`` that it did not."""
    optimizer = optimizers[name]
    if is_finite(optimizer.target.params()):
        optimizer.update()
    else:
        numbers[f'{name}.skipped'] += 1


class Gradients:
    """Gradients that several passes add up to."""

    def __init__(self) -> None:
        self._totals: dict[int, tuple[chainer.Parameter, Any]] = {}

    def add(self, parameters: Sequence[chainer.Parameter], gradients: Iterable[Optional[chainer.Variable]]) -> None:
        """Adds the gradients of one pass, None where there is none; those beyond the parameters are left out."""
        for parameter, gradient in zip(parameters, gradients):
            _, total = self._totals.get(id(parameter), (parameter, None))
            # Not in place: two parameters may have been given one array.
            self._totals[id(parameter)] = parameter, total if gradient is None else _sum(total, gradient.array)

    def set(self, runs: int = 1) -> None:
        """Gives every parameter its sum, or the mean over some runs; None to one that never got a gradient.

        A mean is an array of its own.
        """
        for parameter, total in self._totals.values():
            parameter.grad = None if total is None else force_array(
                total if runs == 1 else total / runs, parameter.dtype)


class Reports:
    """Means of reported values, each over the passes that computed it."""

    def __init__(self) -> None:
        self.clear()

    def add(self, values: Mapping[str, Any]) -> None:
        """Adds the values of one pass: numbers, or variables or arrays without axes."""
        for name, value in values.items():
            self._totals[name] = _sum(self._totals.get(name), array(value))
            self._passes[name] = self._passes.get(name, 0) + 1

    def means(self) -> dict[str, Any]:
        """Returns the means by name; those of arrays stay on their device."""
        return {name: total / self._passes[name] for name, total in self._totals.items()}

    def clear(self) -> None:
        """Forgets everything."""
        self._totals: dict[str, Any] = {}
        self._passes: dict[str, int] = {}


def _sum(total: Any, value: Any) -> Any:
    return value if total is None else total + value
