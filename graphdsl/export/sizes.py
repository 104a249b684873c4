"""Lengths of axes, as they depend on the number of examples."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence


@dataclass(frozen=True)
class Size:
    """An integer that grows with free axes.

    Attributes:
        base: What it is without them.
        growth: Pairs of a free axis and how much an element of it adds.
    """

    base: int
    growth: tuple[tuple[str, int], ...] = ()

    @property
    def is_fixed(self) -> bool:
        return not self.growth


#: A length that grows otherwise than linearly; ONNX has to find it out.
UNKNOWN = Size(0, (('?', 1),))


class Sizes:
    """Finds how integers depend on free axes, from their values in several traces.

    Args:
        traces: The lengths of the free axes in each trace. For every free axis there is one where it alone is not as
            long as in the first.
    """

    def __init__(self, traces: Sequence[Mapping[str, int]]):
        self._traces = traces

    def of(self, values: Sequence[int]) -> Size:
        """Returns the size that has some values in the traces."""
        first, growth = self._traces[0], {}
        for lengths, value in zip(self._traces, values):
            longer = [axis for axis, length in lengths.items() if length != first[axis]]
            if len(longer) == 1:
                growth[longer[0]] = (value - values[0]) // (lengths[longer[0]] - first[longer[0]])
        growth = {axis: steps for axis, steps in growth.items() if steps}
        size = Size(values[0] - sum(steps * first[axis] for axis, steps in growth.items()), tuple(growth.items()))
        return size if [_value(size, lengths) for lengths in self._traces] == list(values) else UNKNOWN


def _value(size: Size, lengths: Mapping[str, int]) -> int:
    return size.base + sum(steps * lengths[axis] for axis, steps in size.growth)
