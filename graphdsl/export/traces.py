"""Runs the functions that compute outputs, several times, and brings together what was recorded."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

import chainer
import numpy

from graphdsl.diagnostics import Span
from graphdsl.export.traced import Record, Recorder, Source
from graphdsl.runtime import stateful
from graphdsl.runtime.arrays import array
from graphdsl.runtime.noise import draw
from graphdsl.runtime.program import Program
from graphdsl.runtime.seeds import generators_of_its_own, random_state
from graphdsl.runtime.values import Batch

#: Lengths of free axes while tracing; few arrays have axes of these lengths by themselves.
_LENGTH, _LONGER = 5, 7


@dataclass(frozen=True)
class Feature:
    """An input or noise of the graph.

    Attributes:
        axes: The free axes of the whole array, by their names, each with its place.
    """

    name: str
    dtype: numpy.dtype
    shape: tuple[Optional[int], ...]
    axes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Trace:
    """A run of one function.

    Attributes:
        lengths: Of the free axes.
        records: What was computed.
        outputs: Where each output comes from.
        values: The outputs.
        given: The inputs that were read, and what random functions drew.
        drawn: Names of the latter.
        decisions: Where values decided what was computed.
    """

    lengths: Mapping[str, int]
    records: list[Record]
    outputs: dict[str, Source]
    values: dict[str, numpy.ndarray]
    given: dict[str, numpy.ndarray]
    drawn: tuple[str, ...]
    decisions: tuple[Optional[Span], ...]


def features(program: Program) -> dict[str, Feature]:
    """Returns the inputs and noises of a graph by name; noise that is a single number is none of them."""
    found = {}
    for one in (*program.inputs, *program.noises):
        if one.name != '_' and one.dtype is not None:
            ragged = ((f'{one.stream} length', i + 1) for i, length in enumerate(one.shape) if length is None)
            found[one.name] = Feature(one.name, numpy.dtype(one.dtype), tuple(one.shape),
                                      ((one.stream, 0), *ragged))
    return found


class Tracer:
    """Traces the functions of a program.

    Args:
        program: The program.

    Attributes:
        features (dict): Its inputs and noises by name.
        axes (list of str): Their free axes.
        weights (dict): Arrays of the models by name.
    """

    def __init__(self, program: Program):
        self.program = program
        self.features = features(program)
        self.weights = _weights(program.models)
        self.axes = list(dict.fromkeys(axis for feature in self.features.values() for axis, _ in feature.axes))

    def traces(self, function: Callable, drawn_before: int) -> list[Trace]:
        """Runs a function of a minibatch so often that it shows what depends on what.

        Args:
            function: The function.
            drawn_before: How many random functions of other functions have names already.

        Returns:
            The first two differ in values alone, every other one has other lengths of free axes.
        """
        def run(lengths, seed):
            return self.run(function, lengths, seed, drawn_before)

        first = run({}, 0)
        axes = dict.fromkeys(axis for name in first.given if name in self.features
                             for axis, _ in self.features[name].axes)
        lengths = dict.fromkeys(axes, _LENGTH)
        longer = [run({**lengths, axis: _LONGER}, 2 + i) for i, axis in enumerate(axes)]
        all_longer = [run({axis: _LONGER + i for i, axis in enumerate(axes)}, 1 + len(axes))] * (len(axes) > 1)
        return [run(lengths, 0), run(lengths, 1), *longer, *all_longer]

    def run(self, function: Callable, lengths: Mapping[str, int], seed: int, drawn_before: int = 0) -> Trace:
        """Runs a function of a minibatch of random values.

        Args:
            function: The function.
            lengths: Of free axes; the others have one of their own.
            seed: Of the values.
            drawn_before: How many random functions of other functions have names already.
        """
        program = self.program
        recorder = Recorder({id(array): name for name, array in self.weights.items()}, drawn_before,
                            program.origin.span_of_call)
        values = {name: self._values(feature, lengths, seed) for name, feature in self.features.items()}
        batch = {name: _wrapped(recorder.given(name, value.copy())) for name, value in values.items()}
        with program.origin.errors(), generators_of_its_own(seed), stateful.set_aside(program.models), \
                chainer.using_config('train', False), chainer.no_backprop_mode(), numpy.errstate(all='ignore'):
            complete = _Reading(program.complete(batch, program.streams, program.evaluation_noise(
                program.settings.seed)))
            with recorder:
                outputs = function(complete)
        given = {name: value for name, value in values.items() if name in complete.read}
        return Trace(lengths, recorder.records, {name: recorder.source(_array(v)) for name, v in outputs.items()},
                     {name: numpy.asarray(_array(v)) for name, v in outputs.items()}, {**given, **recorder.drawn},
                     tuple(recorder.drawn), tuple(recorder.decisions))

    def _values(self, feature: Feature, lengths: Mapping[str, int], seed: int) -> numpy.ndarray:
        """Returns random values of an input; noise is drawn as it says.

        Floats are from 0 to 1 under even seeds, else normal; integers are 0 and 1.
        """
        places = {place: lengths.get(axis, _LENGTH) for axis, place in feature.axes}
        shape = [places.get(i, length) for i, length in enumerate((None, *feature.shape))]
        generator = random_state(seed, feature.name)
        noise = next((noise for noise in self.program.noises if noise.name == feature.name), None)
        if noise is not None:
            return array(draw(noise, generator, shape[0]))
        if feature.dtype.kind == 'f':
            return (generator.normal if seed % 2 else generator.uniform)(size=shape).astype(feature.dtype)
        return generator.randint(2, size=shape).astype(feature.dtype)


def _weights(models: Mapping[str, chainer.Link]) -> dict[str, numpy.ndarray]:
    """Returns parameters and persistent arrays by name, as they are named where weights are saved."""
    found = {}
    for name, model in models.items():
        for path, link in model.namedlinks():
            for one in sorted(link._params | link._persistent):
                value = array(getattr(link, one))
                if isinstance(value, numpy.ndarray):
                    found[f'{name}{path.rstrip("/")}/{one}'] = value
    return found


def _array(value: Any) -> Any:
    value = array(value)
    return value if isinstance(value, numpy.ndarray) else numpy.asarray(value)


def _wrapped(values: Any) -> Any:
    """Makes floats a variable, as minibatches have them."""
    return chainer.Variable(values, requires_grad=False) if values.dtype.kind == 'f' else values


class _Reading(Batch):
    """A minibatch that keeps the names of what is read."""

    def __init__(self, values: Mapping[str, Any]):
        super().__init__(values)
        self.read: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.read.append(name)
        return super().__getitem__(name)
