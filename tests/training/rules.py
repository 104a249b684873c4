"""What the tests of the language's rules share: data, counted iterators, hand-driven iterations."""
from __future__ import annotations

import collections
import contextlib
import copy
from typing import Any, Iterator, Mapping

import chainer
import numpy
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator
from chainer.training import StandardUpdater

import graphdsl

random = numpy.random.RandomState(0)
SIZE = 12
X = random.randn(SIZE, 3)
T = random.randint(2, size=SIZE).astype(numpy.int32)
U = random.randn(SIZE, 3)

# Two models that play against each other.
GAME = """
input x: float64[3]
noise z: float64[2] ~ normal(0, 1)
model generator = Linear(3) -> tanh
model critic = Linear(3) -> tanh -> Linear(1, nobias=true)
z -> generator -> fake
x -> critic -> real
fake -> critic -> judged
loss judge = mean(softplus(-real)) + mean(softplus(judged))
loss fool = mean(softplus(-judged))
optimizer critic = SGD(lr=1.0) owns critic minimizes judge
optimizer generator = SGD(lr=1.0) owns generator minimizes fool
"""


class Counted(SerialIterator):
    """Minibatches in order; counts how many were drawn.

    Args:
        columns: Arrays, examples along the first axis.
        batch (int): Examples in a minibatch.
    """

    def __init__(self, *columns: numpy.ndarray, batch: int = 4, repeat: bool = True):
        self.draws = 0
        super().__init__(TupleDataset(*columns), batch, repeat=repeat, shuffle=False)

    def __next__(self):
        batch = super().__next__()
        self.draws += 1
        return batch

    next = __next__


def compiled(text: str, seed: int = 0, **options: Any) -> graphdsl.CompiledGraph:
    """Compiles a graph whose initial weights are drawn from a seed."""
    numpy.random.seed(seed)
    return graphdsl.compile(text, **options)


def iterate(updater: StandardUpdater, iterations: int = 1) -> list[dict[str, Any]]:
    """Does some iterations; returns what each reports, as numbers."""
    found = []
    for _ in range(iterations):
        observation: dict[str, Any] = {}
        with chainer.Reporter().scope(observation):
            updater.update()
        found.append({name: float(getattr(value, 'array', value)) for name, value in observation.items()})
    return found


def arrays(link: chainer.Link) -> dict[str, numpy.ndarray]:
    """Copies of parameters and persistent values, by path."""
    target: dict[str, Any] = {}
    link.serialize(chainer.serializers.DictionarySerializer(target))
    return {name: numpy.array(value) for name, value in sorted(target.items())}


def everything(graph: graphdsl.CompiledGraph) -> dict[str, numpy.ndarray]:
    """Copies of all that the models of a graph hold."""
    return {f'{name}/{path}': array for name, model in graph.models.items() for path, array in arrays(model).items()}


def assert_same(ours: Mapping[str, Any], theirs: Mapping[str, Any], tolerance: float = 0.0) -> None:
    """Checks that two dictionaries of arrays agree, to the last bit or to a relative tolerance."""
    assert set(ours) == set(theirs)
    for name, array in theirs.items():
        if tolerance:
            numpy.testing.assert_allclose(ours[name], array, rtol=tolerance, atol=tolerance, err_msg=name)
        else:
            numpy.testing.assert_array_equal(ours[name], array, err_msg=name)


def assert_moved(before: Mapping[str, Any], after: Mapping[str, Any], moved: set[str]) -> None:
    """Checks that exactly those arrays changed whose names begin with one of some words."""
    changed = {name for name, array in after.items() if not numpy.array_equal(before[name], array)}
    assert changed == {name for name in after if name.split('/')[0] in moved}


def twins(graph: graphdsl.CompiledGraph) -> dict[str, chainer.Link]:
    """Copies of a graph's models, to be trained by hand."""
    found = {}
    for name, model in graph.models.items():
        found[name] = copy.deepcopy(model)
        for parameter in found[name].params():
            parameter.update_rule = None
    return found


def assert_parameters(graph: graphdsl.CompiledGraph, theirs: Mapping[str, chainer.Link], *names: str) -> None:
    """Checks that models, all or those named, have the parameters of those that were trained by hand."""
    for name in names or theirs:
        assert_same({path: p.array for path, p in graph.models[name].namedparams()},
                    {path: p.array for path, p in theirs[name].namedparams()}, 1e-10)


def variable(array: Any) -> chainer.Variable:
    return chainer.Variable(numpy.asarray(array), requires_grad=False)


def minibatch(number: int, batch: int = 4) -> chainer.Variable:
    """What a counted iterator over the data gives at some draw."""
    return variable(X[number * batch % SIZE:][:batch])


def descend(losses: list, models: list, rate: float = 1.0) -> None:
    """Moves models by the gradient of the sum of some losses, without an optimizer."""
    parameters = [p for model in models for p in model.params()]
    gradients = chainer.grad(losses, parameters)
    for parameter, gradient in zip(parameters, gradients):
        parameter.array[...] -= rate * gradient.array


class Calls(chainer.LinkHook):
    """Notes the calls of models, by their names, with the array they were called on."""

    name = 'calls'

    def __init__(self, graph: graphdsl.CompiledGraph):
        super().__init__()
        self._names = {id(model): name for name, model in graph.models.items()}
        self.inputs: dict[str, list[Any]] = collections.defaultdict(list)

    def forward_preprocess(self, args) -> None:
        name = self._names.get(id(args.link))
        if name is not None:
            values = args.args[0]
            self.inputs[name].append(numpy.array(getattr(values, 'array', values)))

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(inputs) for name, inputs in self.inputs.items()}


class Functions(chainer.FunctionHook):
    """Counts forward passes of functions, by class."""

    name = 'functions'

    def __init__(self):
        self.counts: dict[str, int] = collections.Counter()

    def forward_preprocess(self, function, inputs) -> None:
        self.counts[type(function).__name__] += 1


@contextlib.contextmanager
def recorded(updater: StandardUpdater) -> Iterator[dict[str, list[dict[str, numpy.ndarray]]]]:
    """Records the gradients that each update of each optimizer finds, by the name of the optimizer."""
    record: dict[str, list] = collections.defaultdict(list)
    for name, optimizer in updater.get_all_optimizers().items():
        def note(o, name=name):
            record[name].append({path: None if p.grad is None else p.grad.copy()
                                 for path, p in o.target.namedparams()})
        optimizer.add_hook(note, 'record', timing='pre')
    yield record
    for optimizer in updater.get_all_optimizers().values():
        optimizer.remove_hook('record')
