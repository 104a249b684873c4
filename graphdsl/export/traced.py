"""Records what prediction functions compute: Chainer's functions, and NumPy's beside them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence, Union

import chainer
import numpy

from graphdsl.diagnostics import Span


@dataclass(frozen=True)
class Given:
    """An array that an input of the graph gives, or what a random function drew."""

    name: str


@dataclass(frozen=True)
class Weight:
    """A parameter or persistent array of a model."""

    name: str


@dataclass(frozen=True)
class Result:
    """An array that a recorded call gave."""

    call: int
    index: int = 0


@dataclass(frozen=True, eq=False)
class Constant:
    """An array that nothing recorded gave."""

    array: numpy.ndarray


Source = Union[Given, Weight, Result, Constant]


@dataclass(frozen=True, eq=False)
class Record:
    """A call that ran.

    Attributes:
        kind: What ran: the name of a class of :class:`chainer.FunctionNode`, of a ufunc, or of a method of arrays.
        function: The function node; of NumPy's functions, their other arguments.
        inputs: Where the arrays come from.
        shapes, dtypes: Of the inputs.
        outputs: Shapes and dtypes of the results.
        span: The line of the graph.
    """

    kind: str
    function: Any
    inputs: tuple[Source, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[numpy.dtype, ...]
    outputs: tuple[tuple[tuple[int, ...], numpy.dtype], ...]
    span: Optional[Span]


class Traced(numpy.ndarray):
    """An array that knows where it comes from. What NumPy makes of it otherwise than recorded has forgotten that."""

    source: Optional[Source] = None
    recorder: Optional[Recorder] = None

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **keywords):
        plain_keywords = {name: plain(value) for name, value in keywords.items()}
        if out is not None:
            getattr(ufunc, method)(*map(plain, inputs), out=tuple(map(plain, out)), **plain_keywords)
            for array in out:
                if isinstance(array, Traced):
                    array.source = None
            return out[0] if len(out) == 1 else out
        result = getattr(ufunc, method)(*map(plain, inputs), **plain_keywords)
        recorder = next((a.recorder for a in inputs if isinstance(a, Traced) and a.recorder is not None), None)
        if recorder is None or result is NotImplemented or isinstance(result, tuple):
            return result
        if method != '__call__' or keywords:
            return recorder.mark(result, None)
        return recorder.numpy_call(ufunc.__name__, None, inputs, result)

    def __bool__(self):
        if self.recorder is not None:
            self.recorder.note_decision()
        return bool(plain(self))

    def __getitem__(self, item):
        result = plain(self)[tuple(map(plain, item)) if isinstance(item, tuple) else plain(item)]
        if self.recorder is None:
            return result
        return self.recorder.numpy_call('getitem', item, (self, *_arrays_in(item)), result)

    def astype(self, dtype, *arguments, **keywords):
        result = plain(self).astype(dtype, *arguments, **keywords)
        if self.recorder is None or self.source is None:
            return result
        if self.dtype == dtype:
            return self.recorder.mark(result, self.source)
        return self.recorder.numpy_call('astype', dtype, (self,), result)

    def __setitem__(self, item, value):
        plain(self)[plain(item)] = plain(value)
        self.source = None


def plain(value: Any) -> Any:
    """Returns an array as NumPy's own class; anything else as it is."""
    return value.view(numpy.ndarray) if isinstance(value, Traced) else value


def _arrays_beside(kind: str, function: Any) -> list[Traced]:
    """Returns the recorded arrays that a function does not take as inputs."""
    if kind == 'Where':
        return [numpy.asarray(function.condition) if not isinstance(function.condition, Traced) else function.condition]
    if kind == 'GetItem':
        return _arrays_in(function.slices)
    return _arrays_in(function.indices) if kind == 'Permutate' else []


def _arrays_in(index: Any) -> list[Traced]:
    """Returns the recorded arrays in an index."""
    return [item for item in (index if isinstance(index, tuple) else (index,))
            if isinstance(item, Traced) and item.source is not None]


class Recorder(chainer.FunctionHook):
    """Records the functions that run within.

    Args:
        weights: Names of parameters and persistent arrays, by the identity of the array.
        drawn_before: How many random functions have names already.
        span_of_call: Returns the line of the graph that is running.

    Attributes:
        records (list of Record): In the order in which they ran.
        drawn (dict): What random functions drew, by the name that it gets.
        decisions (list): Places where the truth of a value was asked for.
    """

    name = 'graphdsl recorder'

    def __init__(self, weights: Mapping[int, str], drawn_before: int, span_of_call: Callable[[], Optional[Span]]):
        super().__init__()
        self.records: list[Record] = []
        self.drawn: dict[str, numpy.ndarray] = {}
        self.decisions: list[Optional[Span]] = []
        self._weights = weights
        self._drawn_before = drawn_before
        self._span_of_call = span_of_call
        self._is_inside = False

    def given(self, name: str, array: numpy.ndarray) -> Traced:
        """Makes an array that is an input."""
        return self.mark(array, Given(name))

    def source(self, value: Any) -> Source:
        """Returns where an array comes from."""
        array = value.array if isinstance(value, chainer.Variable) else value
        if isinstance(array, Traced) and array.source is not None:
            return array.source
        name = self._weights.get(id(array))
        return Weight(name) if name is not None else Constant(numpy.array(plain(array)))

    def forward_preprocess(self, function, in_data) -> None:
        if self._is_inside:
            return
        forward = function.forward
        sources = tuple(map(self.source, in_data))

        # The results have to be marked before anything sees them; a function node runs once.
        def marking(arrays):
            del function.forward
            self._is_inside = True
            try:
                results = forward(tuple(map(plain, arrays)))
            finally:
                self._is_inside = False
            return self._recorded(function, sources, in_data, results)

        function.forward = marking

    def _recorded(self, function: Any, sources: tuple[Source, ...], arrays: Sequence[Any], results: Any) -> Any:
        function = getattr(function, 'function', function)      # of an old-style function
        kind = type(function).__name__
        if kind == 'Gaussian':
            name = f'gaussian.{self._drawn_before + len(self.drawn) + 1}'
            self.drawn[name] = function.eps
            sources, arrays = (*sources, Given(name)), (*arrays, function.eps)
        beside = _arrays_beside(kind, function)
        sources, arrays = (*sources, *map(self.source, beside)), (*arrays, *beside)
        return self._add(kind, function, sources, arrays, results)

    def numpy_call(self, kind: str, argument: Any, arrays: Sequence[Any], result: Any) -> Traced:
        """Records a call of NumPy's, unless a function node makes it."""
        arrays = [numpy.asarray(a) if not isinstance(a, numpy.ndarray) else a for a in arrays]
        return self._add(f'numpy.{kind}', argument, tuple(map(self.source, arrays)), arrays, (result,))[0]

    def _add(self, kind: str, function: Any, sources: tuple[Source, ...], arrays: Sequence[Any],
             results: Sequence[Any]) -> tuple[Traced, ...]:
        number = len(self.records)
        marked = tuple(self.mark(result, Result(number, i)) for i, result in enumerate(results))
        self.records.append(Record(
            kind, function, sources, tuple(a.shape for a in arrays), tuple(a.dtype for a in arrays),
            tuple((m.shape, m.dtype) for m in marked), self._span_of_call()))
        return marked

    def note_decision(self) -> None:
        """Notes that a value decides what is computed, at the line that is running."""
        self.decisions.append(self._span_of_call())

    def mark(self, array: Any, source: Optional[Source]) -> Traced:
        """Makes an array that knows where it comes from; None for one that does not, but leads here."""
        traced = numpy.asarray(plain(array)).view(Traced)
        traced.source, traced.recorder = source, self
        return traced
