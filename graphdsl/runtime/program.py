"""A loaded module: models and optimizers that are ready to train."""
from __future__ import annotations

from typing import Any, Mapping, Optional

import chainer
from chainer.dataset import convert

from graphdsl.runtime.evaluator import Evaluator
from graphdsl.runtime.initialize import initialize
from graphdsl.runtime.origin import Origin
from graphdsl.runtime.trial import try_out
from graphdsl.runtime.updater import Updater


class Program:
    """The models of a generated module, initialised, and its optimizers, set up.

    Args:
        module: Names and values of the module.
        origin: Where its lines come from.

    Attributes:
        name (str): Name of the graph.
        models (dict): A :class:`chainer.Chain` by the name of each model: ``'trunk'``, ``'head[0]'``.
        optimizers (dict): A :class:`chainer.Optimizer` by the name of each.
        inputs (tuple): What the graph reads.
        settings: What its `train` block says.

    Raises:
        GraphError: If an iteration on two examples of zeros goes wrong; see :mod:`graphdsl.runtime.trial`.
    """

    def __init__(self, module: Mapping[str, Any], origin: Origin):
        self.origin = origin
        self.name = module['NAME']
        self.inputs = module['INPUTS']
        self.settings = module['TRAIN']
        self._make_datasets = module.get('make_datasets')
        self._make_update_core = module['make_update_core']
        with origin.errors():
            self.models = initialize(module['make_models'], lambda models: try_out(module, models, origin),
                                     module['__name__'])
            self._evaluate = module['make_evaluate'](self.models)
            self._predict = module['make_predict'](self.models)
            self.optimizers = module['make_optimizers'](self.models)

    def evaluate(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Computes every loss and metric of a minibatch, in the mode that Chainer's configuration says.

        Args:
            batch: Arrays or variables by input name, with the batch axis first.

        Returns:
            Scalars by name, such as ``'digit[0]'``.
        """
        with self.origin.errors():
            return self._evaluate(batch)

    def predict(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Computes every output of a minibatch; arguments and results are like those of :meth:`evaluate`."""
        with self.origin.errors():
            return self._predict(batch)

    def datasets(self) -> dict[str, dict[str, Any]]:
        """Makes the datasets that the file names: by stream, and then by entry.

        Raises:
            GraphError: If the file has no data, or it cannot be read.
        """
        if self._make_datasets is None:
            return {}
        with self.origin.errors():
            return self._make_datasets()

    def updater(self, iterator, optimizers: Optional[Mapping[str, chainer.Optimizer]] = None,
                converter=convert.concat_examples, device=None, input_device=None) -> Updater:
        """Makes the updater, a :class:`chainer.training.updaters.StandardUpdater`.

        Args:
            iterator: Iterator of the first stream, or a dictionary of iterators by stream.
            optimizers: In place of the graph's own, such as multi-node optimizers that wrap them.
            converter: Makes arrays of a list of examples.
            device: Where models and minibatches go: an integer, ``'@numpy'``, ``'@cupy:0'``; None leaves the
                models where they are.
            input_device: Where minibatches go, if elsewhere.
        """
        optimizers = self.optimizers if optimizers is None else optimizers
        if set(optimizers) != set(self.optimizers):
            raise ValueError(f'optimizers are needed for {list(self.optimizers)}, and given for {list(optimizers)}')
        return Updater(iterator, optimizers, self.models, self.inputs, self._make_update_core, self.origin,
                       converter, device, input_device)

    def evaluator(self, iterator, prefix: str = 'validation', converter=convert.concat_examples,
                  device=None) -> Evaluator:
        """Makes the extension that evaluates losses and metrics.

        Args:
            iterator: Over test data, without repetition.
            prefix: What stands before the reported names.
            converter: Makes arrays of a list of examples.
            device: Where minibatches go.
        """
        return Evaluator(iterator, self, prefix, converter, device)

    def trainer(self, out: str = 'result', **options):
        """Makes a Trainer on the file's own data with what its `train` block asks for.

        Args:
            out: Folder of the results.
            options: Those of :func:`graphdsl.runtime.training.make_trainer`.
        """
        from graphdsl.runtime.training import make_trainer
        return make_trainer(self, out, **options)


def parameters(*models: chainer.Link) -> list[chainer.Parameter]:
    """Returns all parameters of some models, which share none."""
    return [parameter for model in models for parameter in model.params()]


def weight(value: float, loss: chainer.Variable) -> chainer.Variable:
    """Returns the gradient of ``value * loss`` with respect to a loss."""
    with chainer.using_device(loss.device):
        return chainer.Variable(loss.xp.full_like(loss.array, value), requires_grad=False)
