"""The updater of generated modules."""
from __future__ import annotations

from typing import Any, Mapping, Sequence

import chainer
from chainer.dataset import convert
from chainer.training import StandardUpdater

from graphdsl.runtime.batches import convert_batch
from graphdsl.runtime.origin import Origin
from graphdsl.runtime.settings import Input


class Updater(StandardUpdater):
    """Runs the generated ``update_core``, in a Trainer or by hand.

    Args:
        iterator: Iterator of the first stream, or a dictionary of iterators by stream. ``'main'`` stands for the
            first stream.
        optimizers (dict): Optimizers by name, set up with their models.
        models (dict): All models by name.
        inputs: What the graph reads from each stream.
        make_update_core: Function of the generated module.
        origin: Where the module's lines come from.
        converter: As of :class:`chainer.training.updaters.StandardUpdater`.
        device: Likewise; None leaves the models where they are.
        input_device: Likewise.

    Attributes:
        update_core: Does one iteration: draws, computes, differentiates, updates.
    """

    def __init__(self, iterator, optimizers: Mapping[str, chainer.Optimizer], models: Mapping[str, chainer.Link],
                 inputs: Sequence[Input], make_update_core, origin: Origin,
                 converter=convert.concat_examples, device=None, input_device=None):
        self._streams = list(dict.fromkeys(i.stream for i in inputs)) or ['main']
        if not isinstance(iterator, Mapping):
            iterator = {'main': iterator}
        iterators = {'main' if name == self._streams[0] else name: it for name, it in iterator.items()}
        unknown = set(iterators) - {'main', *self._streams}
        missing = {'main', *self._streams[1:]} - set(iterators)
        if unknown or missing:
            raise ValueError(f'iterators are needed for the streams {self._streams}, and given for {list(iterator)}')
        super().__init__(iterators, dict(optimizers), converter, device, input_device=input_device)
        if device is not None:
            for model in models.values():
                model.to_device(self.device)
        self._origin = origin
        self._inputs = {name: [i for i in inputs if i.stream == name] for name in self._streams}
        self.update_core = make_update_core(self, models, self._optimizers)

    def get_iterator(self, name: str):
        """Returns an iterator by the name of its stream; ``'main'`` is the first stream's."""
        return self._iterators['main' if name == self._streams[0] else name]

    def get_optimizer(self, name: str):
        """Returns an optimizer by its name; ``'main'`` is the first of the file, if none is called so."""
        if name == 'main' and name not in self._optimizers:
            return next(iter(self._optimizers.values()))
        return self._optimizers[name]

    def draw(self, stream: str) -> list[Any]:
        """Draws the next minibatch of a stream.

        Returns:
            A value for each of the stream's inputs, in order, each with the batch axis first.

        Raises:
            DataError: If the data does not fit the declared inputs.
            StopIteration: If the iterator has come to its end.
        """
        iterator = self.get_iterator(stream)
        columns = getattr(getattr(iterator, 'dataset', None), 'columns', None)
        return convert_batch(iterator.next(), self.converter, self.input_device, columns, self._inputs[stream])

    def update(self) -> None:
        """Does one iteration and counts it.

        Raises:
            GraphError: Where something goes wrong in a line that comes from the graph file, at its place.
        """
        with self._origin.errors():
            self.update_core()
        if self.auto_new_epoch and self.is_new_epoch:
            for optimizer in self._optimizers.values():
                optimizer.new_epoch(auto=True)
        self.iteration += 1
