"""Evaluation of a graph's losses and metrics on data that it was not trained on."""
from __future__ import annotations

import copy
from typing import Any, Mapping

import chainer
from chainer.dataset import convert
from chainer.training import extensions

from graphdsl.runtime import stateful
from graphdsl.runtime.arrays import array
from graphdsl.runtime.batches import convert_batch
from graphdsl.runtime.seeds import generators_of_its_own


class Evaluator(extensions.Evaluator):
    """Reports losses and metrics as ``validation/NAME``, averaged over all examples.

    Unlike Chainer's, it weights minibatches by their size, of which the last may be smaller, and draws random
    numbers of its own, the same every time: how often it runs changes nothing about the training. States of
    recurrent links start from zero, and are as they were afterwards.

    Args:
        iterator: Iterator over the test data of the first stream that does not repeat, or a dictionary of iterators
            by stream. What needs a stream that has none is not evaluated.
        program: The graph.
        prefix (str): What stands before the names.
        converter: As of :class:`chainer.training.extensions.Evaluator`.
        device: Likewise.
        seed (int): Of the noise.
    """

    def __init__(self, iterator, program, prefix: str = 'validation', converter=convert.concat_examples, device=None,
                 seed: int = 0):
        iterators = iterator if isinstance(iterator, Mapping) else {program.streams[0]: iterator}
        super().__init__(dict(iterators), dict(program.models), converter, device)
        self.default_name = prefix
        self._prefix = prefix
        self._program = program
        self._seed = seed

    def evaluate(self) -> dict[str, Any]:
        """Computes the averages.

        Returns:
            Averages by their names, such as ``validation/kl``.
        """
        found: dict[str, Any] = {}
        for streams, function in self._program.evaluations.items():
            if set(streams) <= set(self._iterators):
                with chainer.using_config('train', False), chainer.no_backprop_mode(), generators_of_its_own(), \
                        stateful.set_aside(self._program.models), self._program.origin.errors():
                    found.update(self._average(streams, function))
        return {f'{self._prefix}/{name}': value for name, value in found.items()}

    def _average(self, streams: tuple[str, ...], function) -> dict[str, Any]:
        """Averages over the minibatches of some streams, together as long as all of them last."""
        if not streams:
            return {name: array(value) for name, value in function(self._program.complete({}, (), {})).items()}
        totals: dict[str, Any] = {}
        examples = 0
        states = self._program.evaluation_noise(self._seed)
        for batches in zip(*map(self._iterate, streams)):
            inputs: dict[str, Any] = {}
            for stream, (batch, columns) in zip(streams, batches):
                inputs.update(self._inputs(stream, batch, columns))
            rows = len(batches[0][0])
            examples += rows
            values = function(self._program.complete(inputs, streams, states, self.device))
            for name, value in values.items():
                totals[name] = totals.get(name, 0) + array(value) * rows
        return {name: total / examples for name, total in totals.items()}

    def _iterate(self, stream: str):
        """Yields the minibatches of a stream, each with the names of its columns."""
        iterator = self._iterators[stream]
        if hasattr(iterator, 'reset'):
            iterator.reset()
        else:
            iterator = copy.copy(iterator)
        columns = getattr(getattr(iterator, 'dataset', None), 'columns', None)
        with self._reading(stream):
            for batch in iterator:
                yield batch, columns

    def _inputs(self, stream: str, batch: list, columns) -> dict[str, Any]:
        inputs = [i for i in self._program.inputs if i.stream == stream]
        with self._reading(stream):
            values = convert_batch(batch, self.converter, self.device, columns, inputs)
        return dict(zip((i.name for i in inputs), values))

    def _reading(self, stream: str):
        return self._program.origin.reading(self._program.inputs, stream, f'a minibatch for `{self._prefix}`')
