"""A repair of Chainer 7.8.1, without which some graphs could not be trained."""
from __future__ import annotations

from typing import Any

from chainer.functions.connection.deconvolution_2d import Deconvolution2DFunction

_set_cover_all = Deconvolution2DFunction._set_cover_all


def repair_deconvolution() -> None:
    """Lets a deconvolution whose input needs no gradient, such as a first layer's, be differentiated.

    Its ``backward`` hands arrays to a method that takes their shapes, unless the gradient of the input was asked for
    first; :func:`chainer.grad` asks for what is needed alone.
    """
    def set_cover_all(function: Deconvolution2DFunction, x: Any, w: Any) -> None:
        _set_cover_all(function, getattr(x, 'shape', x), getattr(w, 'shape', w))

    Deconvolution2DFunction._set_cover_all = set_cover_all
