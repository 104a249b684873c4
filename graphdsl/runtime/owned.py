"""What an optimizer owns: models, parts of models, arrays of models."""
from __future__ import annotations

from typing import Union

import chainer

Part = Union[chainer.Link, chainer.Parameter]


class Owned(chainer.ChainList):
    """Links and parameters of other links, as the target of an optimizer.

    Args:
        parts: What is owned.
    """

    def __init__(self, *parts: Part):
        super().__init__(*(part for part in parts if isinstance(part, chainer.Link)))
        with self.init_scope():
            for i, part in enumerate(parts):
                if isinstance(part, chainer.Parameter):
                    setattr(self, f'parameter_{i}', part)


def parameters(*parts: Part) -> list[chainer.Parameter]:
    """Returns all parameters of some models and parts, which share none."""
    return [parameter for part in parts
            for parameter in ([part] if isinstance(part, chainer.Parameter) else part.params())]


def weight(value: float, loss: chainer.Variable) -> chainer.Variable:
    """Returns the gradient of ``value * loss`` with respect to a loss."""
    with chainer.using_device(loss.device):
        return chainer.Variable(loss.xp.full_like(loss.array, value), requires_grad=False)
