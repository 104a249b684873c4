"""Initial weights: drawn in the order of the file, before the first minibatch."""
from __future__ import annotations

from typing import Callable, Iterable, Iterator

import chainer
import numpy

from graphdsl.runtime.seeds import generators_of_its_own


def initialize(models: Iterable[chainer.Link], compute: Callable[[], None]) -> None:
    """Gives every parameter its shape and its initial value.

    A parameter whose shape Chainer infers gets it from one pass over zero examples. Its value is drawn after
    that, in the order of declaration, so that it does not depend on the order of the calls.

    Args:
        models: In the order of the file.
        compute: Calls all of them on zero examples.
    """
    open_parameters = [p for model in models for p in in_declared_order(model) if not p.is_initialized]
    with generators_of_its_own(), chainer.using_config('train', False), chainer.no_backprop_mode(), \
            numpy.errstate(all='ignore'):
        compute()
    for parameter in open_parameters:
        if parameter.is_initialized:
            parameter.initialize(parameter.shape)


def in_declared_order(link: chainer.Link) -> Iterator[chainer.Parameter]:
    """Yields the parameters of a link as its class declares them; Chainer's own order is alphabetical."""
    attributes = link if isinstance(link, (chainer.ChainList, chainer.Sequential)) else vars(link).values()
    for attribute in attributes:
        if isinstance(attribute, chainer.Parameter):
            yield attribute
        elif isinstance(attribute, chainer.Link):
            yield from in_declared_order(attribute)
