"""The updater of generated modules."""
from __future__ import annotations

from typing import Any, Mapping, Optional

import chainer
from chainer.dataset import convert
from chainer.training import StandardUpdater

from graphdsl.runtime import stateful
from graphdsl.runtime.batches import convert_batch
from graphdsl.runtime.data import Ended
from graphdsl.runtime.draws import Draws
from graphdsl.runtime.finite import FiniteCheck, NonFinite, unchecked
from graphdsl.runtime.nonfinite import explain_non_finite
from graphdsl.runtime.random_state import serialize_global, serialize_random_state
from graphdsl.runtime.seeds import SeededOrder, reseed


class Updater(StandardUpdater):
    """Runs the generated ``update_core``, in a Trainer or by hand.

    Args:
        program (graphdsl.runtime.Program): The graph: its models, numbers, and what an iteration does.
        iterator: Iterator of the first stream, or a dictionary of iterators by stream. ``'main'`` stands for the
            first stream.
        optimizers (dict): Optimizers by name, set up with their models.
        converter: As of :class:`chainer.training.updaters.StandardUpdater`.
        device: Likewise; None leaves the models where they are.
        input_device: Likewise.
        seed (int): Of noise and pools.
        length (tuple): Of the run, such as ``(20, 'epoch')``; only `progress` needs it.
        nan_check (bool): Whether losses and gradients that are not finite end the run, before they move a weight.

    Attributes:
        update_core: Does one iteration: draws, computes, differentiates, updates.
    """

    def __init__(self, program, iterator, optimizers: Mapping[str, chainer.Optimizer],
                 converter=convert.concat_examples, device=None, input_device=None, seed: int = 0,
                 length: Optional[tuple[int, str]] = None, nan_check: bool = True):
        self._streams = program.streams
        if not isinstance(iterator, Mapping):
            iterator = {'main': iterator}
        iterators = {'main' if name == self._streams[0] else name: it for name, it in iterator.items()}
        unknown = set(iterators) - {'main', *self._streams}
        missing = {'main', *self._streams[1:]} - set(iterators)
        if unknown or missing:
            raise ValueError(f'iterators are needed for the streams {self._streams}, and given for {list(iterator)}')
        super().__init__(iterators, dict(optimizers), converter, device, input_device=input_device)
        self._models: Mapping[str, chainer.Link] = program.models
        if device is not None:
            for model in self._models.values():
                model.to_device(self.device)
        self._program = program
        self._length = length
        self._seed = seed
        self._drawn = dict.fromkeys(self._streams, 0)
        self._inputs = {name: [i for i in program.inputs if i.stream == name] for name in self._streams}
        self._draws = Draws(self._minibatch, self._batch_size, program.noises, seed, self.input_device, program.pools)
        check = FiniteCheck(self._optimizers) if nan_check else unchecked
        self.update_core = program.make_update_core(self._draws, self._models, self._optimizers, program.numbers,
                                                    check)

    def get_iterator(self, name: str):
        """Returns an iterator by the name of its stream; ``'main'`` is the first stream's."""
        return self._iterators['main' if name == self._streams[0] else name]

    def get_optimizer(self, name: str):
        """Returns an optimizer by its name; ``'main'`` is the first of the file, if none is called so."""
        if name == 'main' and name not in self._optimizers:
            return next(iter(self._optimizers.values()))
        return self._optimizers[name]

    def _minibatch(self, stream: str) -> list[Any]:
        """Draws the next minibatch of a stream: a value for each of its inputs, in order."""
        iterator = self.get_iterator(stream)
        columns = getattr(getattr(iterator, 'dataset', None), 'columns', None)
        try:
            batch = iterator.next()
        except StopIteration as error:
            raise Ended(stream, self._drawn[stream]) from error
        self._drawn[stream] += 1
        return convert_batch(batch, self.converter, self.input_device, columns, self._inputs[stream])

    def _batch_size(self, stream: str) -> int:
        size = getattr(self.get_iterator(stream), 'batch_size', None)
        return self._program.settings.batch_of(stream) if size is None else size

    @property
    def examples(self) -> int:
        """How many examples were drawn since this was made, of all streams together."""
        return sum(minibatches * self._batch_size(stream) for stream, minibatches in self._drawn.items())

    def update(self) -> None:
        """Does one iteration and counts it.

        Raises:
            GraphError: Where something goes wrong in a line that comes from the graph file, at its place.
        """
        self._draws.begin()
        reseed(self.device, self._seed, self.iteration)
        numbers = self._program.numbers
        numbers['iteration'] = self.iteration
        numbers['epoch'] = epoch = self.epoch
        if self._length is not None:
            numbers['progress'] = self._progress(*self._length)
        else:
            numbers.pop('progress', None)
        with self._program.origin.errors():
            try:
                self.update_core()
            except NonFinite as error:
                raise explain_non_finite(error, self._program, self._draws, self._optimizers, self.iteration,
                                         epoch) from error
        # An epoch may end within an iteration of several minibatches.
        if self.epoch > epoch and self.auto_new_epoch:
            for optimizer in self._optimizers.values():
                optimizer.new_epoch(auto=True)
        self.iteration += 1

    def _progress(self, length: int, unit: str) -> float:
        """Returns the share of the run that is done."""
        return min((self.iteration if unit == 'iteration' else self.epoch_detail) / length, 1.0)

    def serialize(self, serializer) -> None:
        """Saves all that changes over time, or sets it to what was saved."""
        for name, iterator in self._iterators.items():
            iterator.serialize(serializer[f'iterator:{name}'])
            sampler = getattr(iterator, 'order_sampler', None)
            if isinstance(sampler, SeededOrder):
                serialize_random_state(serializer[f'order:{name}'], sampler.state)
        for name, model in self._models.items():
            model.serialize(serializer[f'model:{name}'])
        for name, optimizer in self._optimizers.items():
            # Chainer cannot load an optimizer that was saved before its first update.
            part = serializer[f'optimizer:{name}']
            if serializer(f'updates:{name}', optimizer.t) > 0:
                optimizer.serialize(part)
            else:
                optimizer.epoch = part('epoch', optimizer.epoch)
        self._draws.serialize(serializer['draws'])
        stateful.serialize(serializer['states'], self._models)
        self._program.serialize_numbers(serializer['numbers'])
        serialize_global(serializer['random'])
        self.iteration = serializer('iteration', self.iteration)
