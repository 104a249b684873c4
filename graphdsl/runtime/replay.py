"""Computes an iteration again, on the minibatch, noise and weights that it had, and moves nothing."""
from __future__ import annotations

import copy
from typing import Any, Callable, Mapping

import chainer

from graphdsl.runtime import stateful
from graphdsl.runtime.draws import Draws
from graphdsl.runtime.seeds import generators_of_its_own


class Over(Exception):
    """Raised where a replay comes to what the iteration did not."""


class Again:
    """Gives the latest draws of an iteration again, in place of :class:`Draws`."""

    def __init__(self, draws: Draws):
        self._draws = draws
        self._minibatches, self._noise, self._taken = draws.latest

    def begin(self) -> None:
        """Does nothing."""

    def minibatch(self, stream: str, again: bool = False) -> list:
        """Returns the latest minibatch of a stream."""
        return _found(self._minibatches, stream)

    def noise(self, name: str, again: bool = False) -> Any:
        """Returns the latest draw of a noise."""
        return _found(self._noise, name)

    def batch_size(self, stream: str) -> int:
        """Returns the rows of a stream's latest minibatch."""
        return self._draws.batch_size(stream)

    def history(self, name: str, value: Any) -> Any:
        """Returns what the pool gave last."""
        return _found(self._taken, name)


def _found(draws: Mapping[str, Any], name: str) -> Any:
    if name not in draws:
        raise Over
    return draws[name]


class _Still:
    """Stands for an optimizer: has its hyperparameters, and moves nothing."""

    def __init__(self, optimizer: Any):
        self.target = chainer.ChainList()
        self._optimizer = optimizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)

    def update(self) -> None:
        """Does nothing."""


def replay(program: Any, draws: Draws, optimizers: Mapping[str, chainer.Optimizer], seed: int,
           check: Callable) -> Mapping[str, chainer.Link]:
    """Computes the latest iteration again, on copies of the models.

    Args:
        program (graphdsl.runtime.Program): The graph.
        draws: What the iteration drew.
        optimizers: By name.
        seed (int): Of dropout and the like, whose values are gone.
        check: Called in place of the check for values that are not finite.

    Returns:
        The copies.
    """
    for model in program.models.values():
        stateful.cut(model)
    models = copy.deepcopy(dict(program.models))
    still = {name: _Still(optimizer) for name, optimizer in optimizers.items()}
    update_core = program.make_update_core(Again(draws), models, still, copy.copy(program.numbers), check)
    with chainer.Reporter().scope({}), generators_of_its_own(seed):
        update_core()
    return models
