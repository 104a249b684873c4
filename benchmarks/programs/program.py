"""What a benchmark is, and the updaters that it compares."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

import chainer
import numpy
from chainer.iterators import SerialIterator
from chainer.training import StandardUpdater

import graphdsl

BATCH = 64
EXAMPLES = 1024


@dataclass(frozen=True, eq=False)
class Program:
    """A program as a graph, and as two updaters that are written by hand.

    The same models, optimizers and hyper-parameters stand in all three, and all draw from an iterator, convert,
    report every loss and update.

    Attributes:
        name: Its name.
        graph: Its text; every float in it is `float32`.
        models: Makes the chains of the hand-written updaters, by the names of the graph's models, with links that are
            called as the compiler calls them.
        usual: The updater that people write: called with iterators by stream, and with the models.
        best: The fastest updater that we know to write in Chainer, with exactly the graph's results; called likewise.
        datasets: Makes the data: called with a dtype, returns a dataset by stream.
        params: Of the graph.
        same: Whether the usual updater has the graph's results.
        passes: The compiler's passes without which the graph is measured as well.
    """

    name: str
    graph: str
    models: Callable[[], dict[str, chainer.Chain]]
    usual: Callable[[dict, dict], StandardUpdater]
    best: Callable[[dict, dict], StandardUpdater]
    datasets: Callable[[str], dict[str, Any]]
    params: Mapping[str, Any] = field(default_factory=dict)
    same: bool = True
    passes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """An updater, and its models by name."""

    updater: StandardUpdater
    models: Mapping[str, chainer.Chain]


def variants(program: Program, dtype: str = 'float32', batch: int = BATCH) -> dict[str, Variant]:
    """Makes all updaters of a program, with equal weights, minibatches and noise.

    Args:
        program: The program.
        dtype: Of data and parameters; set ``chainer.config.dtype``, too, if it is another.
        batch: Number of examples in a minibatch.

    Returns:
        ``'usual'``, ``'ours'``, ``'best'``, and ``'without'`` if the program names passes that can be switched off.
    """
    datasets = program.datasets(dtype)

    def iterators() -> dict[str, SerialIterator]:
        return {stream: SerialIterator(dataset, batch, shuffle=False) for stream, dataset in datasets.items()}

    def compiled(**options: Any) -> Variant:
        numpy.random.seed(0)
        text = program.graph.replace('float32', dtype)
        graph = graphdsl.compile(text, params=program.params, **options)
        return Variant(graph.updater(iterators()), graph.models)

    def by_hand(updater: Callable[[dict, dict], StandardUpdater]) -> Variant:
        models = program.models()
        _copy_weights(ours.models, models)
        return Variant(updater(iterators(), models), models)

    ours = compiled()
    found = {'usual': by_hand(program.usual), 'ours': ours, 'best': by_hand(program.best)}
    if program.passes:
        found['without'] = compiled(no_passes=program.passes)
    return found


def weights(models: Mapping[str, chainer.Chain]) -> dict[str, numpy.ndarray]:
    """Returns parameters and running statistics, by names such as ``'head[0]/linear_1/W'``; no copies."""
    found: dict[str, numpy.ndarray] = {}
    for name, model in models.items():
        target: dict[str, Any] = {}
        model.serialize(chainer.serializers.DictionarySerializer(target))
        found.update({f'{name}/{path}': array for path, array in target.items()})
    return found


def _copy_weights(source: Mapping[str, chainer.Chain], models: Mapping[str, chainer.Chain]) -> None:
    if set(source) != set(models):
        raise ValueError(f'the models of the graph are {list(source)}, and those by hand {list(models)}')
    for name, model in models.items():
        target: dict[str, Any] = {}
        source[name].serialize(chainer.serializers.DictionarySerializer(target))
        model.serialize(chainer.serializers.NpzDeserializer(target))
