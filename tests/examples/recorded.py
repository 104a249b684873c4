"""Records every function that Chainer runs in an iteration, and works out which of them were needed.

What is needed is a walk over the recorded graph, and a sweep backward over it that is written out here; nothing is
taken from the compiler's plan.
"""
from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any, Iterable, Iterator, NamedTuple, Sequence
from unittest import mock

import chainer
import numpy
from chainer import FunctionNode, Variable

from graphdsl import runtime
from graphdsl.runtime.draws import Draws


class Call(NamedTuple):
    """A function that ran, and in which visit of a backward pass, None for none.

    It holds all that it names, so that no identity is given out twice.
    """

    function: FunctionNode
    inputs: tuple[Any, ...]
    outputs: tuple[Variable, ...]
    visit: Any
    what: tuple


class Visit(NamedTuple):
    """A function that was differentiated, from which gradients, and whether these may be differentiated again."""

    function: FunctionNode
    gradients: tuple
    is_forward: bool


class Recording(chainer.FunctionHook):
    """What an iteration runs.

    Attributes:
        calls: All functions, those of backward passes as well.
        visits: What backward passes visited.
        reported: Names and values, in the order of the reports.
        pooled: What went into pools of past values.
        asked: Gradients that are values of the graph: of what, and at which points.
    """

    name = 'Recording'

    def __init__(self):
        super().__init__()
        self.calls: list[Call] = []
        self.visits: list[Visit] = []
        self.reported: list[tuple[str, Any]] = []
        self.pooled: list[Any] = []
        self.asked: list[tuple[Sequence[Variable], Sequence[Variable]]] = []
        self._visit = None

    def backward_preprocess(self, function, in_data, out_grad):
        self._visit = Visit(function, _contents(out_grad), chainer.config.enable_backprop)
        self.visits.append(self._visit)

    def backward_postprocess(self, function, in_data, out_grad):
        self._visit = None

    @property
    def forward(self) -> list[Call]:
        """What ran forward; a gradient that is a value of the graph is a part of it."""
        return [call for call in self.calls if call.visit is None or call.visit.is_forward]

    @property
    def derivatives(self) -> list[Call]:
        """What ran to take the gradients that optimizers move by."""
        return [call for call in self.calls if call.visit is not None and not call.visit.is_forward]

    def losses(self, *names: str) -> Iterator[tuple[Variable, ...]]:
        """Yields the losses of some names, run by run, whether variables or their arrays were reported."""
        variables = {id(y.array): y for call in self.calls for y in call.outputs}
        reported = [(name, variables.get(id(getattr(value, 'array', value)))) for name, value in self.reported]
        runs = [[loss for name, loss in reported if name == wanted and loss is not None] for wanted in names]
        assert runs[0] and len({len(values) for values in runs}) == 1, names
        return zip(*runs)


@contextlib.contextmanager
def recording() -> Iterator[Recording]:
    """Records what stands within."""
    record = Recording()
    apply, report, add, history, grad = (
        FunctionNode.apply, chainer.report, runtime.Reports.add, Draws.history, chainer.grad)

    def recorded_apply(function, inputs):
        visit = record._visit
        outputs = apply(function, inputs)
        arrays = [getattr(x, 'array', x) for x in inputs]
        what = function.label, _contents(arrays), _contents([y.array for y in outputs])
        record.calls.append(Call(function, tuple(inputs), outputs, visit, what))
        return outputs

    def recorded_report(values, observer=None):
        record.reported += values.items()
        report(values, observer)

    def recorded_add(reports, values):
        record.reported += values.items()
        add(reports, values)

    def recorded_history(draws, name, value):
        record.pooled.append(value)
        return history(draws, name, value)

    def recorded_grad(outputs, inputs, *args, enable_double_backprop=False, **options):
        if enable_double_backprop:
            record.asked.append((outputs, inputs))
        return grad(outputs, inputs, *args, enable_double_backprop=enable_double_backprop, **options)

    with mock.patch.object(FunctionNode, 'apply', recorded_apply), \
            mock.patch.object(chainer, 'report', recorded_report), \
            mock.patch.object(chainer, 'grad', recorded_grad), \
            mock.patch.object(runtime.Reports, 'add', recorded_add), \
            mock.patch.object(Draws, 'history', recorded_history), record:
        yield record


def _contents(arrays: Iterable[Any]) -> tuple:
    return tuple(None if array is None else (array.shape, array.dtype.str, array.tobytes()) for array in arrays)


def needed(calls: Sequence[Call], values: Iterable[Any]) -> set[int]:
    """Returns the places of the calls that some values follow from.

    A variable follows from what made it, or from what made its array, if it has no history; a gradient also from what
    it is taken through.
    """
    makers: dict[int, int] = {}
    places = {call.function: place for place, call in enumerate(calls)}
    for place, call in enumerate(calls):
        for y in call.outputs:
            makers[id(y.node)] = place
            makers.setdefault(id(y.array), place)
    found: set[int] = set()
    ahead = list(values)
    while ahead:
        value = ahead.pop()
        if isinstance(value, FunctionNode):
            place = places.get(value)
        else:
            place = makers.get(id(getattr(value, 'node', None)), makers.get(id(getattr(value, 'array', value))))
        if place is not None and place not in found:
            found.add(place)
            ahead += calls[place].inputs
            if calls[place].visit is not None:
                ahead.append(calls[place].visit.function)
    return found


def with_history(calls: Iterable[Call]) -> set[FunctionNode]:
    """Returns the functions through which Chainer could take a gradient of some parameter."""
    found: set[FunctionNode] = set()
    for call in calls:
        nodes = call.function.inputs or ()
        if any(x.creator_node in found or isinstance(x.get_variable_or_none(), chainer.Parameter) for x in nodes):
            found.add(call.function)
    return found


def repeated(calls: Sequence[Call]) -> Counter:
    """Returns the labels of the functions that made equal arrays of equal arrays more than once.

    Dropout makes others every time, and so does what an update has changed.
    """
    repeats: Counter = Counter()
    for what, times in Counter(call.what for call in calls).items():
        repeats[what[0]] += times - 1
    return +repeats


def on_a_path(outputs: Iterable[Variable], inputs: Iterable[Variable]) -> dict[FunctionNode, tuple[int, ...]]:
    """Returns the functions on the ways from some variables to others, each with which of its inputs are on them."""
    ends = {x.node for x in inputs}
    found: dict[FunctionNode, tuple[int, ...]] = {}

    def leads_there(node) -> bool:
        if node.creator_node is None or not node.requires_grad:
            return node in ends
        function = node.creator_node
        if function not in found:
            found[function] = tuple(i for i, x in enumerate(function.inputs) if leads_there(x))
        return bool(found[function]) or node in ends

    for y in outputs:
        leads_there(y.node)
    return {function: places for function, places in found.items() if places}


def derivatives(outputs: Sequence[Variable], inputs: Sequence[Variable]) -> Counter:
    """Returns the labels of the functions that one backward sweep runs, visiting what is on a path and no more."""
    paths = on_a_path(outputs, inputs)
    gradients = {y.node: Variable(numpy.ones_like(y.array)) for y in outputs}
    with _Labels() as ran, chainer.no_backprop_mode():
        for function in sorted(paths, key=lambda function: -function.rank):
            places = paths[function]
            results = function.backward(places, tuple(gradients.get(y()) for y in function.outputs))
            if len(results) == len(function.inputs):
                results = [results[i] for i in places]
            for i, gradient in zip(places, results):
                x = function.inputs[i]
                if gradient is not None:
                    gradients[x] = gradients[x] + gradient if x in gradients else gradient
    return Counter(ran.labels)


class _Labels(chainer.FunctionHook):

    name = 'labels'

    def __init__(self):
        super().__init__()
        self.labels: list[str] = []

    def forward_postprocess(self, function, in_data):
        self.labels.append(function.label)


def labels(functions: Iterable[FunctionNode]) -> Counter:
    return Counter(function.label for function in functions)
