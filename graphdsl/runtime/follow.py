"""Models that follow others."""
from __future__ import annotations

from copy import deepcopy

import chainer


def copy(source: chainer.Link, target: chainer.Link) -> None:
    """Copies parameters and persistent values, from one device to another as well.

    Args:
        source: Of the same architecture.
        target: What becomes equal.
    """
    for parameter, leader in _pairs(source, target):
        parameter.copydata(leader)
    _copy_persistents(source, target)


def follow(model: chainer.Link, leader: chainer.Link, decay: float) -> None:
    """Moves a model as a moving average of another.

    Every parameter becomes ``decay * parameter + (1 - decay) * leader's``, in place and without history; persistent
    values, such as the averages of batch normalization, are copied.

    Args:
        model: What moves.
        leader: Of the same architecture.
        decay (float): From 0, a copy, to 1, no motion.
    """
    decay = float(decay)
    for parameter, other in _pairs(leader, model):
        if parameter.array is None or other.array is None:
            parameter.copydata(other)
            continue
        with chainer.using_device(parameter.device):
            values = parameter.array
            values *= decay
            values += (1 - decay) * parameter.device.send(other.array)
    _copy_persistents(leader, model)


def _pairs(source: chainer.Link, target: chainer.Link) -> list[tuple[chainer.Parameter, chainer.Parameter]]:
    """Returns every parameter of the target, once, with its counterpart."""
    sources = dict(source.namedparams())
    pairs = {id(parameter): (parameter, sources[path]) for path, parameter in target.namedparams() if path in sources}
    return list(pairs.values())


def _copy_persistents(source: chainer.Link, target: chainer.Link) -> None:
    sources = dict(source.namedlinks())
    for path, link in target.namedlinks():
        other = sources.get(path)
        for name in link._persistent if other is not None else ():
            old, new = getattr(link, name, None), getattr(other, name, None)
            if not isinstance(new, chainer.get_array_types()):
                setattr(link, name, deepcopy(new))
            elif isinstance(old, chainer.get_array_types()) and old.shape == new.shape:
                chainer.backend.copyto(old, new)
            else:
                setattr(link, name, link.device.send(new).copy())
