"""What generated modules need and Chainer lacks."""
from __future__ import annotations

from typing import Any, Mapping

from graphdsl.runtime.arrays import array, detach, scalar
from graphdsl.runtime.follow import copy, follow
from graphdsl.runtime.functions import arange, gradient, one_hot, ones_like, point, reverse_gradient, zeros_like
from graphdsl.runtime.gradients import Gradients, Reports, unshare, update_if_finite
from graphdsl.runtime.hooks import Clip
from graphdsl.runtime.matching import matched, mixed
from graphdsl.runtime.modes import evaluating, quiet, quiet_unless
from graphdsl.runtime.noise import Noise
from graphdsl.runtime.owned import Owned, parameters, weight
from graphdsl.runtime.program import Program
from graphdsl.runtime.repairs import repair_deconvolution
from graphdsl.runtime.settings import Input, Train
from graphdsl.runtime.stacked import stacked_linear, stacked_mean_squared_error, stacked_softmax_cross_entropy
from graphdsl.runtime.stateful import cut
from graphdsl.runtime.weights import load

__all__ = [
    'Clip', 'Gradients', 'Input', 'Noise', 'Owned', 'Program', 'Reports', 'Train', 'arange', 'array', 'copy', 'cut',
    'detach', 'evaluating', 'follow', 'gradient', 'load', 'main', 'matched', 'mixed', 'one_hot', 'ones_like',
    'parameters', 'point', 'quiet', 'quiet_unless', 'reverse_gradient', 'scalar', 'stacked_linear',
    'stacked_mean_squared_error', 'stacked_softmax_cross_entropy', 'unshare', 'update_if_finite', 'weight',
    'zeros_like']


def main(module: Mapping[str, Any]) -> None:
    """Trains a generated module that runs as a program; see :func:`graphdsl.training.run.main`."""
    from graphdsl.training import run   # which needs this package
    run.main(module)


repair_deconvolution()
