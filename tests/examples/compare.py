"""Compares the examples with Chainer programs that are written out by hand."""
from __future__ import annotations

import collections
import contextlib
import functools
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

import chainer
import numpy
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator
from chainer.training import StandardUpdater, extensions, triggers
from sklearn.datasets import load_digits

import graphdsl

EXAMPLES = Path(__file__).resolve().parents[2] / 'examples'


@functools.lru_cache(maxsize=None)
def digits(examples: int = 32, dtype: str = 'float64') -> TupleDataset:
    """Real digits: images of shape ``(1, 8, 8)`` with values in ``[0, 1]``, and int32 labels."""
    bunch = load_digits()
    images = (bunch.images[:examples, None] / 16).astype(dtype)
    return TupleDataset(images, bunch.target[:examples].astype(numpy.int32))


def in_order(dataset, batch: int = 8) -> SerialIterator:
    """An iterator that gives the same minibatches to everyone."""
    return SerialIterator(dataset, batch, shuffle=False)


def compile_float64(name: str, no_passes: Sequence[str] = (), **params: Any) -> graphdsl.CompiledGraph:
    """Compiles an example with every float32 of it made float64; needs the fixture ``float64``.

    Args:
        name: Name of the file in ``examples``, without its ending.
        no_passes: Optimisations to leave out.
        params: Values of its params.
    """
    text = (EXAMPLES / f'{name}.graph').read_text(encoding='utf-8').replace('float32', 'float64')
    numpy.random.seed(0)
    return graphdsl.compile(text, params=params, no_passes=no_passes)


def copy_weights(graph: graphdsl.CompiledGraph, models: Mapping[str, chainer.Link]) -> None:
    """Gives chains the parameters and persistent values of the compiled models of the same names.

    Their links have the attribute names that the compiler gives: ``linear_1``, ``convolution2d_1``, or those of the
    layers. Needs the fixture ``float64`` if the chains leave input sizes open.
    """
    assert set(models) == set(graph.models)
    for name, chain in models.items():
        saved = arrays(graph.models[name])
        chain.serialize(chainer.serializers.NpzDeserializer(saved))
        assert list(arrays(chain)) == list(saved)


def arrays(serializable) -> dict[str, numpy.ndarray]:
    """Copies of everything that a model, optimizer or updater saves, sorted by name."""
    target: dict[str, Any] = {}
    serializable.serialize(chainer.serializers.DictionarySerializer(target))
    return {name: numpy.array(target[name]) for name in sorted(target)}


def check_same(ours: StandardUpdater, theirs: StandardUpdater, graph: graphdsl.CompiledGraph,
               models: Mapping[str, chainer.Link], iterations: int = 20) -> None:
    """Checks that two updaters with equal weights and minibatches do the same.

    In the first iteration all gradients, as the optimizers find them at each of their updates, agree to 1e-10, and
    so does whatever the hand-written updater reports. After the last iteration all weights and running
    statistics agree to 1e-6.

    Args:
        ours: Of the compiled graph.
        theirs: Written by hand.
        graph: The compiled graph.
        models: The hand-written models, by the names of the graph.
        iterations: How many.
    """
    before = {name: arrays(model) for name, model in graph.models.items()}
    with recorded_gradients(ours, graph.models) as gradients, recorded_gradients(theirs, models) as expected:
        reports = [_iterate(updater, 0) for updater in (ours, theirs)]
    assert set(gradients) == set(expected) and expected
    for name, updates in expected.items():
        assert len(gradients[name]) == len(updates), name
        for grad, expected_grad in zip(gradients[name], updates):
            assert_close(grad, expected_grad, 1e-10, f'gradient of {name}')
    for name, value in reports[1].items():
        assert_close(reports[0].get(name), value, 1e-10, name)

    for iteration in range(1, iterations):
        for updater in (ours, theirs):
            _iterate(updater, iteration)
    for name, model in models.items():
        after = arrays(model)
        for path, array in arrays(graph.models[name]).items():
            assert_close(array, after[path], 1e-6, f'{name}/{path}')
    for name in expected:
        model, path = name.split('/', 1)
        assert not numpy.array_equal(before[model][path], arrays(models[model])[path]), f'{name} has not moved'


@contextlib.contextmanager
def recorded_gradients(updater: StandardUpdater,
                       models: Mapping[str, chainer.Link]) -> Iterator[dict[str, list[numpy.ndarray]]]:
    """Records what every update finds in `grad`, whatever is left there later.

    Gives a dictionary that is filled within: the gradients of each update, in order, by names such as
    ``'head[0]/linear_1/W'``.
    """
    names = {id(p): name + path for name, model in models.items() for path, p in model.namedparams()}
    record: dict[str, list[numpy.ndarray]] = collections.defaultdict(list)

    def note(optimizer: chainer.Optimizer) -> None:
        for parameter in optimizer.target.params():
            if parameter.update_rule is not None and parameter.update_rule.enabled:
                record[names[id(parameter)]].append(parameter.grad.copy())

    for optimizer in updater.get_all_optimizers().values():
        optimizer.add_hook(note, 'record', timing='pre')
    yield record
    for optimizer in updater.get_all_optimizers().values():
        optimizer.remove_hook('record')


def _iterate(updater: StandardUpdater, seed: int) -> dict[str, Any]:
    """Does one iteration with its own state of the generator that dropout draws from; returns its reports."""
    numpy.random.seed(seed)
    observation: dict[str, Any] = {}
    with chainer.Reporter().scope(observation):
        updater.update()
    return {name: getattr(value, 'array', value) for name, value in observation.items()}


def assert_close(ours, theirs, tolerance: float, what: str) -> None:
    """Checks that two arrays differ by no more than a share of the largest value of the second."""
    assert ours is not None, f'{what} is missing'
    ours, theirs = numpy.asarray(ours), numpy.asarray(theirs)
    assert ours.shape == theirs.shape, what
    assert ours.dtype == theirs.dtype, what
    scale = abs(theirs).max(initial=0) or 1
    off = abs(ours - theirs).max(initial=0) / scale
    assert off <= tolerance, f'{what} is {off:.1e} off'      # so that NaN fails


def numerical_gradient(function: Callable[[], float], array: numpy.ndarray, places: int = 10,
                       step: float = 1e-5) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yields central differences of a function with respect to some elements of an array that it reads.

    Args:
        function: Computes a number; must not draw anything new.
        array: Changed in place while this runs.
        places: At how many elements, chosen at random.
        step: Half the distance of the two points.

    Returns:
        Pairs of an index and the derivative there.
    """
    random = numpy.random.RandomState(0)
    for flat in random.permutation(array.size)[:places]:
        index = numpy.unravel_index(flat, array.shape)
        value = array[index]
        array[index] = value + step
        above = function()
        array[index] = value - step
        below = function()
        array[index] = value
        yield index, (above - below) / (2 * step)


def check_runs(name: str, out: Path, iterations: int, **params: Any) -> dict[str, Any]:
    """Trains an example on its own data.

    Args:
        name: Name of the file in ``examples``, without its ending.
        out: Folder for the results, such as pytest's ``tmp_path``.
        iterations: Length of the run.
        params: Values of its params.

    Returns:
        The last entry of the log; it has only finite numbers.
    """
    trainer = _compile(name, 0, params).trainer(out=str(out), length=(iterations, 'iteration'), progress=False)
    trainer.run(show_loop_exception_msg=False)
    last = trainer.get_extension('LogReport').log[-1]
    assert last['iteration'] == iterations
    assert all(numpy.isfinite(value) for value in last.values()), last
    return last


def check_resume(name: str, out: Path, first: int, total: int, **params: Any) -> None:
    """Checks that a run that goes on from a snapshot ends bit for bit as one that was never interrupted.

    Args:
        name: Name of the file in ``examples``, without its ending.
        out: Folder for the results, such as pytest's ``tmp_path``.
        first: Iteration of the snapshot.
        total: Length of the run.
        params: Values of its params.
    """
    graphs, trainers = [], []
    for seed in (1, 2):
        graph = _compile(name, seed, params)
        trainer = graph.trainer(out=str(out / str(seed)), length=(total, 'iteration'), progress=False)
        once = triggers.ManualScheduleTrigger(first, 'iteration')
        trainer.extend(extensions.snapshot(filename='middle'), trigger=once)
        if trainers:
            chainer.serializers.load_npz(str(out / '1' / 'middle'), trainer)
            assert trainer.updater.iteration == first
        trainer.run(show_loop_exception_msg=False)
        graphs.append(graph)
        trainers.append(trainer)
    pairs = [(f'model {key}', model, graphs[1].models[key]) for key, model in graphs[0].models.items()]
    pairs.append(('updater', trainers[0].updater, trainers[1].updater))
    for what, whole, resumed in pairs:
        expected, got = arrays(whole), arrays(resumed)
        assert list(got) == list(expected)
        for path, array in expected.items():
            numpy.testing.assert_array_equal(got[path], array, err_msg=f'{what}: {path}')


def _compile(name: str, seed: int, params: Mapping[str, Any]) -> graphdsl.CompiledGraph:
    numpy.random.seed(seed)
    return graphdsl.compile_file(EXAMPLES / f'{name}.graph', params=params)
