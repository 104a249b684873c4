"""Makes an ONNX model of the functions that compute outputs."""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence

import chainer
import numpy
import onnx

from graphdsl.diagnostics import GraphError, Span, mistake
from graphdsl.export.calls import Call, Refusal, matching
from graphdsl.export.functions import CONVERTERS
from graphdsl.export.sizes import UNKNOWN, Size, Sizes
from graphdsl.export.traced import Constant, Given, Record, Result, Source, Weight
from graphdsl.export.traces import Trace, Tracer
from graphdsl.export.writer import Writer, declared


@dataclass(frozen=True)
class Port:
    """An input or output of the model.

    Attributes:
        shape: Lengths of the axes; free ones have names, or are None.
        note: How it is drawn, if it is no data.
    """

    name: str
    dtype: numpy.dtype
    shape: tuple[Any, ...]
    note: str = ''

    def __str__(self) -> str:
        shape = ', '.join('?' if length is None else str(length) for length in self.shape)
        return f'{self.name} {self.dtype}[{shape}]' + f' ~ {self.note}' * bool(self.note)


@dataclass(frozen=True)
class Part:
    """A function of the model: independent of the others, but that they may share inputs.

    Attributes:
        function: Of a minibatch.
        axes: Its free axes.
        drawn_before: How many random functions had run before.
        inputs, outputs: Names of what it reads and computes.
    """

    function: Callable
    axes: tuple[str, ...]
    drawn_before: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Exporter:
    """Writes functions of a minibatch into one ONNX graph.

    Args:
        tracer: Runs the functions.

    Attributes:
        parts (list of Part): The functions.
        names (list of str): All their outputs.
    """

    def __init__(self, tracer: Tracer):
        self.parts: list[Part] = []
        self.names: list[str] = []
        self._tracer = tracer
        self._program = tracer.program
        self._drawn_before = 0
        self._onnx = Writer()
        self._results: dict[str, str] = {}
        self._inputs: dict[str, tuple[numpy.dtype, list[Size]]] = {}
        self._outputs: dict[str, tuple[numpy.dtype, list[Size]]] = {}
        self._notes = {noise.name: f'{noise.distribution}({", ".join(map(str, noise.arguments))})'
                       for noise in self._program.noises}

    def add(self, function: Callable, is_wanted: Callable[[str], bool]) -> None:
        """Adds a function.

        Args:
            function: Of a minibatch.
            is_wanted: Which of its outputs are.

        Raises:
            GraphError: If it cannot be exported.
        """
        drawn_before = self._drawn_before
        traces = self._tracer.traces(function, drawn_before)
        self._drawn_before += len(traces[0].drawn)
        self.names += traces[0].outputs
        outputs = [name for name in traces[0].outputs if is_wanted(name)]
        if outputs and traces[0].decisions:
            raise self._refuse(Refusal('the data decide what is computed here', 'compute both, and choose by `where`'),
                               'this', traces[0].decisions[0])
        if outputs:
            writing = _Writing(self._onnx, traces, self._tracer.weights, self._refuse)
            writing.read(self._tracer.features)
            self._results.update(writing.write(outputs, self._program.origin.values.get))
            self._inputs.update(writing.inputs)
            self._notes.update(self._drawn(traces[0]))
            self._outputs.update(writing.outputs)
            self.parts.append(Part(function, tuple(traces[0].lengths), drawn_before, tuple(writing.inputs),
                                   tuple(outputs)))

    def _drawn(self, trace: Trace) -> dict[str, str]:
        """Says where random functions drew what are inputs of the model."""
        found = {}
        for record in trace.records:
            for name in set(trace.drawn) & {source.name for source in record.inputs if isinstance(source, Given)}:
                line = self._program.origin.source.position(record.span.start)[0] if record.span else None
                found[name] = 'normal(0, 1)' + f', drawn in line {line}' * bool(line)
        return found

    def model(self) -> onnx.ModelProto:
        """Returns the model of all that was added."""
        self._onnx.free_axes({})
        ports = [[declared(port.name, port.dtype, port.shape, port.note) for port in some]
                 for some in (self.inputs, self.outputs)]
        return self._onnx.model(self._program.name, *ports, self._results)

    @property
    def inputs(self) -> list[Port]:
        return self._ports(self._inputs)

    @property
    def outputs(self) -> list[Port]:
        return self._ports(self._outputs)

    def _ports(self, found: Mapping[str, tuple[numpy.dtype, list[Size]]]) -> list[Port]:
        return [Port(name, dtype, tuple(size.base if size.is_fixed else self._axis_name(name, size) for size in shape),
                     self._notes.get(name, '')) for name, (dtype, shape) in found.items()]

    def group(self, part: Part) -> int:
        """Returns the number of the group of parts that share inputs, and so the lengths of free axes."""
        return next((i for i, names in enumerate(self._groups()) if names & set(part.inputs)), 0)

    def _groups(self) -> list[set[str]]:
        """Returns the inputs of parts that share some."""
        groups: list[set[str]] = []
        for part in self.parts:
            together = [group for group in groups if group & set(part.inputs)]
            groups = [group for group in groups if group not in together] + [set(part.inputs).union(*together)]
        return groups

    def _axis_name(self, name: str, size: Size) -> Optional[str]:
        """Names a free axis; parts that share no input have batch axes of their own."""
        if size is UNKNOWN:
            return None
        part = next(part for part in self.parts if name in part.inputs or name in part.outputs)
        groups = self._groups()
        group = groups[self.group(part)]
        streams = {axis.split()[0] for one in self.parts if group & set(one.inputs) for axis in one.axes}
        terms = []
        for axis, steps in size.growth:
            stream, *is_ragged = axis.split()
            words = ['length' if is_ragged else 'batch', *[stream] * (len(streams) > 1),
                     *[next(one for one in self._inputs if one in group)] * (len(groups) > 1)]
            terms.append(('' if steps == 1 else f'{steps}*') + '_'.join(words))
        return ' + '.join(terms + [str(size.base)] * bool(size.base)).replace('+ -', '- ')

    def _refuse(self, refusal: Refusal, what: str, span: Optional[Span]) -> GraphError:
        return GraphError([mistake('G771', f'{what} cannot be exported to ONNX', span or Span(0, 0),
                                   reason=refusal.reason, help=refusal.help or None).diagnostic],
                          self._program.origin.source)


class _Writing:
    """Writes what was traced of one function.

    Args:
        onnx: Where to.
        traces: Of the function.
        weights: Arrays of the models by name.
        refuse: Makes the error of what cannot be exported.

    Attributes:
        inputs, outputs: Dtype and shape of each, by name.
    """

    def __init__(self, onnx: Writer, traces: Sequence[Trace], weights: Mapping[str, numpy.ndarray],
                 refuse: Callable):
        self.inputs: dict[str, tuple[numpy.dtype, list[Size]]] = {}
        self.outputs: dict[str, tuple[numpy.dtype, list[Size]]] = {}
        self._onnx = onnx
        self._traces = traces
        self._weights = weights
        self._refuse = refuse
        self._sizes = Sizes([trace.lengths for trace in traces])
        self._names: dict[Source, str] = {}

    def read(self, features: Mapping[str, Any]) -> None:
        """Declares what the function reads."""
        first = self._traces[0]
        for name, array in first.given.items():
            shape = [self._sizes.of(lengths) for lengths in zip(*(trace.given[name].shape for trace in self._traces))]
            self.inputs[name] = array.dtype, shape
            self._names[Given(name)] = name
        places: dict[str, tuple[str, int]] = {}
        for name in self.inputs:
            for axis, place in features[name].axes if name in features else ():
                places.setdefault(axis, (name, place))
        self._onnx.free_axes(places)

    def write(self, outputs: Sequence[str], span_of: Callable[[str], Optional[Span]]) -> dict[str, str]:
        """Writes the calls, keeps the inputs that they need, and returns what computes each output."""
        needed = self._needed(outputs)
        for number, records in enumerate(zip(*(trace.records for trace in self._traces))):
            if number in needed:
                self._write(number, records)
        results = {}
        for name in outputs:
            sources = [trace.outputs[name] for trace in self._traces]
            try:
                if name in self.inputs:
                    raise Refusal('an input has this name', f'give the output another: `output same = {name}`')
                if not matching(sources):
                    raise Refusal(_OTHER_WAY)
                results[name] = self._name(sources)
                shapes = [trace.values[name].shape for trace in self._traces]
                shape = [self._sizes.of(lengths) for lengths in zip(*shapes)]
                if len(set(map(len, shapes))) > 1:
                    raise Refusal('the number of its axes depends on the number of examples')
                self.outputs[name] = self._traces[0].values[name].dtype, shape
            except Refusal as refusal:
                raise self._refuse(refusal, f'`{name}`', span_of(name)) from None
        used = self._onnx.used(results.values())
        self.inputs = {name: given for name, given in self.inputs.items() if name in used}
        return results

    def _needed(self, outputs: Sequence[str]) -> set[int]:
        """Returns the numbers of the calls that outputs depend on."""
        first = self._traces[0]
        found: set[int] = set()
        waiting = [first.outputs[name] for name in outputs]
        while waiting:
            source = waiting.pop()
            if isinstance(source, Result) and source.call not in found:
                found.add(source.call)
                waiting += first.records[source.call].inputs
        return found

    def _write(self, number: int, records: Sequence[Record]) -> None:
        first = records[0]
        try:
            if any(r.kind != first.kind or len(r.inputs) != len(first.inputs) for r in records):
                raise Refusal(_OTHER_WAY)
            inputs = list(zip(*(record.inputs for record in records)))
            if not all(map(matching, inputs)):
                raise Refusal(_OTHER_WAY)
            convert = CONVERTERS.get(first.kind) if _is_known(first) else None
            if convert is None:
                raise Refusal('there is no counterpart for it here', _HELP)
            call = Call(records, self._sizes, [self._name(sources) for sources in inputs])
            results = convert(call, self._onnx)
        except Refusal as refusal:
            raise self._refuse(refusal, _label(first), first.span) from None
        for i, name in enumerate([results] if isinstance(results, str) else results):
            self._names[Result(number, i)] = name

    def _name(self, sources: Sequence[Source]) -> str:
        """Returns the name of an array in the ONNX graph."""
        first = sources[0]
        if isinstance(first, Constant):
            return self._constant([source.array for source in sources])
        if isinstance(first, Weight) and first not in self._names:
            self._names[first] = self._onnx.named(first.name, self._weights[first.name])
        return self._names[first]

    def _constant(self, arrays: Sequence[numpy.ndarray]) -> str:
        """Writes an array that nothing recorded gave: it must be the same, whatever the data."""
        first = arrays[0]
        if all(numpy.array_equal(array, first, equal_nan=array.dtype.kind == 'f') for array in arrays):
            return self._onnx.constant(first)
        values = {array.flat[0] for array in arrays if array.size}
        shape = [self._sizes.of(lengths) for lengths in zip(*(array.shape for array in arrays))]
        if len(values) != 1 or not all((array == first.flat[0]).all() for array in arrays):
            raise Refusal('it computes with an array that is made outside of the graph, of the data or of the number '
                          'of examples', "compute that array with Chainer's functions")
        return self._onnx.op('Expand', [self._onnx.constant(first.flat[0], first.dtype), self._onnx.list_of(shape)])


_OTHER_WAY = 'other data, or another number of examples, takes another way'
_HELP = 'compute it in the program that runs the model; `--output NAME` exports only some outputs'


def _is_known(record: Record) -> bool:
    """Says whether a call is of one of Chainer's functions, of ours, or of NumPy's."""
    return record.kind.startswith('numpy.') or type(record.function).__module__.split('.')[0] in ('chainer', 'graphdsl')


def _label(record: Record) -> str:
    """Names a function as the language does."""
    if record.kind.startswith('numpy.'):
        return f'`{record.kind[6:]}` of NumPy'
    if not _is_known(record):
        return f'`{record.kind}`'
    kind, is_gradient, _ = record.kind.partition('Grad')
    name = type(record.function).__module__.split('.')[-1]
    if not hasattr(chainer.functions, name):        # modules of several functions
        name = re.sub(r'(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[A-Z][a-z])', '_', re.sub(r'Function$', '', kind)).lower()
    return f'the gradient of `{name}`' if is_gradient else f'`{name}`'
