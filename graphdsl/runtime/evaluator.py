"""Evaluation of a graph's losses and metrics on data that it was not trained on."""
from __future__ import annotations

from typing import Any, Mapping

import chainer
from chainer.dataset import convert
from chainer.training import extensions

from graphdsl.runtime.batches import convert_batch
from graphdsl.runtime.seeds import generators_of_its_own


class Evaluator(extensions.Evaluator):
    """Reports losses and metrics as ``validation/NAME``, averaged over all examples.

    Unlike Chainer's, it weights minibatches by their size, of which the last may be smaller, and draws random
    numbers of its own, the same every time: how often it runs changes nothing about the training.

    Args:
        iterator: Iterator over the test data that does not repeat.
        program: The graph.
        prefix (str): What stands before the names.
        converter: As of :class:`chainer.training.extensions.Evaluator`.
        device: Likewise.
    """

    def __init__(self, iterator, program, prefix: str = 'validation', converter=convert.concat_examples, device=None):
        super().__init__(iterator, dict(program.models), converter, device)
        self.default_name = prefix
        self._prefix = prefix
        self._program = program

    def evaluate(self) -> dict[str, Any]:
        """Computes the averages.

        Returns:
            Averages by their names, such as ``validation/kl``.
        """
        iterator = self._iterators['main']
        if hasattr(iterator, 'reset'):
            iterator.reset()
        columns = getattr(getattr(iterator, 'dataset', None), 'columns', None)
        totals: dict[str, Any] = {}
        examples = 0
        with chainer.no_backprop_mode(), generators_of_its_own(), self._program.origin.errors():
            for batch in iterator:
                values = self._program.evaluate(self._inputs(batch, columns))
                examples += len(batch)
                for name, value in values.items():
                    array = value.array if isinstance(value, chainer.Variable) else value
                    totals[name] = totals.get(name, 0) + array * len(batch)
        return {f'{self._prefix}/{name}': total / examples for name, total in totals.items()}

    def _inputs(self, batch: list, columns) -> Mapping[str, Any]:
        inputs = self._program.inputs
        return dict(zip((i.name for i in inputs), convert_batch(batch, self.converter, self.device, columns, inputs)))
