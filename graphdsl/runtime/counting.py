"""Counts the function nodes of an iteration, by the regions of a generated module."""
from __future__ import annotations

import sys
from typing import Any, Mapping, NamedTuple, Optional

import chainer
from chainer import _backprop

from graphdsl.runtime.trial import iterate_on_zeros


class Nodes(NamedTuple):
    """Function nodes that ran.

    Attributes:
        forward: Forward.
        backward: Backward; what their gradients are computed with does not count.
    """

    forward: int = 0
    backward: int = 0


class Counter(chainer.FunctionHook):
    """Counts function nodes by the region of the module that they are called from.

    Args:
        filename (str): The module's file name, as tracebacks show it.
        regions: The region of each of its lines, by line number.

    Attributes:
        nodes (dict): Counts by region.
    """

    name = 'graphdsl counter'

    def __init__(self, filename: str, regions: Mapping[int, Any]):
        super().__init__()
        self._filename = filename
        self._regions = regions
        self.nodes: dict[Any, Nodes] = {}

    def forward_preprocess(self, function, in_data) -> None:
        self._add(Nodes(forward=1), outside=_backprop.__file__)

    def backward_preprocess(self, function, in_data, out_grad) -> None:
        self._add(Nodes(backward=1))

    def _add(self, nodes: Nodes, outside: str = '') -> None:
        region = self._region(outside)
        if region is not None:
            before = self.nodes.get(region, Nodes())
            self.nodes[region] = Nodes(before.forward + nodes.forward, before.backward + nodes.backward)

    def _region(self, outside: str) -> Optional[Any]:
        """Returns the region of the innermost line of the module that runs and has one.

        Args:
            outside (str): A file that must not have been called from there.
        """
        frame = sys._getframe(2)
        while frame is not None:
            filename = frame.f_code.co_filename
            if filename == outside:
                return None
            if filename == self._filename and frame.f_lineno in self._regions:
                return self._regions[frame.f_lineno]
            frame = frame.f_back
        return None


def count_nodes(module: Mapping[str, Any], models: Mapping[str, chainer.Link], filename: str,
                regions: Mapping[int, Any]) -> dict[Any, Nodes]:
    """Counts the nodes of the first iteration, on zeros.

    Args:
        module: Names and values of a generated module.
        models: Of this module, to be thrown away.
        filename (str): The module's file name, as tracebacks show it.
        regions: The region of each of its lines, by line number.

    Returns:
        Counts by region.
    """
    with Counter(filename, regions) as counter:
        iterate_on_zeros(module, models)
    return counter.nodes
