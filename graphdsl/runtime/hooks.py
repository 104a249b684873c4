"""Hooks of optimizers that Chainer lacks."""
from __future__ import annotations

import chainer


class Clip:
    """Bounds parameters after an update, such as those of a Wasserstein critic.

    See: M. Arjovsky et al., "Wasserstein GAN" (2017).

    Args:
        low (float): Least value.
        high (float): Greatest value.
    """

    name = 'Clip'
    call_for_each_param = True
    timing = 'post'

    def __init__(self, low: float, high: float):
        self.low = low
        self.high = high

    def __call__(self, rule: chainer.UpdateRule, parameter: chainer.Parameter) -> None:
        values = parameter.array
        if values is not None:
            with chainer.using_device(parameter.device):
                parameter.device.xp.clip(values, self.low, self.high, out=values)
