"""Checks that losses and gradients are finite, before they move a weight."""
from __future__ import annotations

from math import isfinite
from typing import Any, Iterable, Mapping, Sequence

import chainer
import numpy


class NonFinite(Exception):
    """Raised where a loss, or a gradient that an optimizer is about to use, is not finite.

    Args:
        optimizers: Names of those whose gradients were checked.
    """

    def __init__(self, optimizers: Iterable[str]):
        self.optimizers = tuple(optimizers)
        super().__init__(self.optimizers)


def unchecked(losses: Sequence[chainer.Variable], optimizers: Iterable[str] = ()) -> None:
    """Checks nothing."""


class FiniteCheck:
    """Raises :class:`NonFinite` for losses and gradients that are not finite.

    Args:
        optimizers: By name.
    """

    def __init__(self, optimizers: Mapping[str, chainer.Optimizer]):
        self._optimizers = optimizers
        # To walk through a link takes longer than the check.
        self._parameters: dict[str, list[chainer.Parameter]] = {}

    def __call__(self, losses: Sequence[chainer.Variable], optimizers: Iterable[str] = ()) -> None:
        """Checks some losses, and all gradients of some optimizers. A parameter without one counts as finite."""
        arrays = [loss.array for loss in losses]
        for name in optimizers:
            if name not in self._parameters:
                self._parameters[name] = list(self._optimizers[name].target.params())
            arrays += [parameter.grad for parameter in self._parameters[name]]
        if not all_finite(arrays):
            raise NonFinite(optimizers)


def all_finite(arrays: Iterable[Any]) -> bool:
    """Tells whether all values of some arrays are finite; None stands for no array.

    In main memory it is one dot product per array, several times as fast as to ask each value. The answers of a GPU
    are gathered there and fetched once.
    """
    elsewhere: Any = True
    for array in arrays:
        if type(array) is numpy.ndarray:
            values = array.ravel('K')
            # The squares of large values overflow, and so the values have to be asked then.
            if not isfinite(values.dot(values)) and not numpy.isfinite(values).all():
                return False
        elif array is not None:
            device = chainer.backend.get_device_from_array(array)
            with chainer.using_device(device):
                elsewhere = device.xp.isfinite(array).all() & elsewhere
    return bool(elsewhere)
