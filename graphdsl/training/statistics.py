"""Statistics of weights and gradients, a few numbers per model."""
from __future__ import annotations

from typing import Any, Mapping, MutableMapping, Optional, Sequence

import chainer

NAMES = ('mean', 'std', 'min', 'max', 'norm')


class Statistics:
    """Adds statistics of each model to the entries of the log, as ``trunk/weights/norm``.

    Chainer's ParameterStatistics reports each array for itself, computes its numbers at every call, and cannot pass a
    parameter without a gradient, such as a frozen one.

    Args:
        models (dict): Models by name.
        optimizers (dict): Optimizers by name; only what they own has gradients.

    It is a `postprocess` of :class:`chainer.training.extensions.LogReport`. Gradients are those that the last update
    used, after hooks such as `WeightDecay`; a model that got none has no statistics of them.
    """

    def __init__(self, models: Mapping[str, chainer.Link], optimizers: Mapping[str, chainer.Optimizer]):
        self._models = models
        self._owned = {id(parameter) for optimizer in optimizers.values() for parameter in optimizer.target.params()}

    def __call__(self, entry: MutableMapping[str, float]) -> None:
        for name, model in self._models.items():
            parameters = [parameter for parameter in model.params() if parameter.array is not None]
            for part, arrays in (('weights', [parameter.array for parameter in parameters]),
                                 ('gradients', [parameter.grad for parameter in parameters
                                                if id(parameter) in self._owned])):
                values = summary([array for array in arrays if array is not None and array.size])
                if values is not None:
                    entry.update({f'{name}/{part}/{key}': value for key, value in zip(NAMES, values)})


def summary(arrays: Sequence[Any]) -> Optional[tuple[float, ...]]:
    """Returns mean, standard deviation, minimum, maximum and Euclidean norm of all values of some arrays together.

    They are fetched from a GPU at once. None without arrays.
    """
    if not arrays:
        return None
    device = chainer.backend.get_device_from_array(arrays[0])
    with chainer.using_device(device):
        xp = device.xp
        parts = xp.stack([xp.stack([array.sum(dtype='d'), xp.square(array, dtype='d').sum(), array.min().astype('d'),
                                    array.max().astype('d')]) for array in arrays])
    total, squares, lowest, highest = chainer.get_device('@numpy').send(parts).T
    size = sum(array.size for array in arrays)
    mean = total.sum() / size
    variance = max(squares.sum() / size - mean ** 2, 0.0)
    return (float(mean), float(variance ** 0.5), float(lowest.min()), float(highest.max()),
            float(squares.sum() ** 0.5))
