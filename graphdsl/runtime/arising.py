"""Finds the function that a value which is not finite comes from."""
from __future__ import annotations

from typing import Any, Iterable, Iterator, NamedTuple, Optional, Sequence

import chainer

from graphdsl.diagnostics import Span
from graphdsl.runtime.finite import all_finite
from graphdsl.runtime.origin import Origin


class Call(NamedTuple):
    """A call of a function that gave something that is not finite.

    Attributes:
        function: The function node.
        span: Of the line that called it.
        inputs: Arrays that it got.
        outputs: Arrays that it gave; of a gradient, those of its inputs.
        is_gradient: Whether this was in a backward pass.
    """

    function: chainer.FunctionNode
    span: Optional[Span]
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    is_gradient: bool = False


class Found(Exception):
    """Carries the call out of a replay."""

    def __init__(self, call: Optional[Call]):
        self.call = call
        super().__init__(call)


class Finder(chainer.FunctionHook):
    """Remembers which functions gave values that are not finite, and what to.

    A mask of minus infinities is fine where nothing comes of it, so what counts is where a loss got them from.

    Args:
        origin: Where the lines of the generated module come from.
    """

    name = 'graphdsl finder'

    def __init__(self, origin: Origin):
        super().__init__()
        self._origin = origin
        self._outputs: dict[Any, Any] = {}
        self._forward: dict[Any, tuple[Optional[Span], Sequence[Any]]] = {}
        # By the identity of each array, which the call keeps alive.
        self._sources: dict[int, Call] = {}
        self._gradient: Optional[Call] = None
        self._is_asleep = False

    def forward_preprocess(self, function, in_data) -> None:
        if self._is_asleep:
            return
        forward = function.forward

        def recorded(inputs):
            self._outputs[function] = forward(inputs)
            return self._outputs[function]
        function.forward = recorded

    def forward_postprocess(self, function, in_data) -> None:
        outputs = self._outputs.pop(function, None)
        if outputs is None:
            return
        del function.forward
        span = self._origin.span_of_call()
        self._forward[function] = span, in_data
        if not all_finite(_floats(outputs)):
            call = Call(function, span, in_data, outputs)
            # Some functions hand on the very array that they get.
            own = set(map(id, outputs)) - set(map(id, in_data))
            self._sources.update({place: call for place in own})

    def backward_preprocess(self, function, in_data, out_grad) -> None:
        if self._is_asleep or self._gradient is not None or not all_finite(_floats(out_grad)):
            return
        gradients = self._gradients(function, out_grad)
        if not all_finite(_floats(gradients)):
            span, inputs = self._forward.get(function, (None, in_data))
            self._gradient = Call(function, span, inputs, gradients, is_gradient=True)

    def _gradients(self, function, out_grad) -> list[Any]:
        """Computes what the backward pass is about to: its results come to nobody's sight."""
        indexes = tuple(i for i, x in enumerate(function.inputs) if x.requires_grad)
        self._is_asleep = True
        try:
            found = function.backward(indexes, tuple(None if g is None else chainer.Variable(g) for g in out_grad))
        except Exception:       # the pass itself will say what is wrong
            return []
        finally:
            self._is_asleep = False
        return [None if g is None else g.array for g in found or ()]

    def check(self, losses: Sequence[chainer.Variable], optimizers: Iterable[str] = ()) -> None:
        """Takes the place of the check of a generated module.

        Raises:
            Found: If a loss is not finite, or a gradient was not.
        """
        for loss in losses:
            if not all_finite([loss.array]):
                call = self._sources.get(id(loss.array))
                raise Found(None if call is None else self._first(call))
        if self._gradient is not None:
            raise Found(self._gradient)

    def _first(self, call: Call) -> Call:
        """Returns where the values that a call got come from, as far as they were not finite."""
        while True:
            sources = [self._sources[id(array)] for array in bad(call.inputs) if id(array) in self._sources]
            if not sources:
                return call
            call = sources[0]


def bad(arrays: Iterable[Any]) -> list[Any]:
    """Returns the arrays that are not finite, those with NaN first."""
    found = [array for array in _floats(arrays) if not all_finite([array])]
    return sorted(found, key=lambda array: not (array != array).any())


def _floats(arrays: Iterable[Any]) -> Iterator[Any]:
    return (array for array in arrays if getattr(getattr(array, 'dtype', None), 'kind', '') == 'f')
