"""A loaded module: models and optimizers that are ready to train."""
from __future__ import annotations

import copy
import linecache
import os
from typing import Any, Callable, Container, Mapping, Optional, Sequence, Union

import chainer
import numpy
from chainer.dataset import convert

from graphdsl.diagnostics import Diagnostic
from graphdsl.limits import Limits
from graphdsl.options import Run
from graphdsl.runtime import model_files, stateful
from graphdsl.runtime.arrays import array
from graphdsl.runtime.evaluator import Evaluator
from graphdsl.runtime.initialize import initialize
from graphdsl.runtime.noise import draw
from graphdsl.runtime.origin import Origin
from graphdsl.runtime.seeds import generators_of_its_own, random_state
from graphdsl.runtime.settings import Train
from graphdsl.runtime.trial import try_out, zeros
from graphdsl.runtime.updater import Updater
from graphdsl.runtime.values import Batch, Numbers

Functions = Mapping[tuple[str, ...], Callable[[Mapping[str, Any]], Mapping[str, Any]]]


class Program:
    """The models of a generated module, initialised, and its optimizers, set up.

    Args:
        module: Names and values of the module.
        origin: Where its lines come from.
        limits: What the models may come to.

    Attributes:
        name (str): Name of the graph.
        models (dict): A :class:`chainer.Chain` by the name of each model: ``'trunk'``, ``'head[0]'``.
        optimizers (dict): A :class:`chainer.Optimizer` by the name of each.
        inputs (tuple): What the graph reads.
        noises (tuple): What it draws beside data.
        reported (dict): Losses and metrics, each with whether it should fall, by the streams that they need.
        streams (list of str): Its data blocks, the one that counts epochs first.
        numbers (dict): Counters and states by name, as they are now.
        settings: What its `train` block says.
        warnings (tuple of Diagnostic): What the first iteration showed to be odd.
        source (str): Text of the generated module.
        text (str): Text of the graph file; empty for a module that runs without it.
        params (dict): Values of its params by name; likewise.
        given (dict): Of those, what was set by the caller.

    Raises:
        GraphError: If an iteration on two examples of zeros goes wrong; see :mod:`graphdsl.runtime.trial`.
    """

    def __init__(self, module: Mapping[str, Any], origin: Origin, limits: Limits = Limits()):
        self.origin = origin
        self._module = module
        self.name = module['NAME']
        self.source = ''.join(linecache.getlines(origin.filename))
        self.text = ''
        self.params: dict[str, Any] = {}
        self.given: dict[str, Any] = {}
        self.inputs = module['INPUTS']
        self.losses = tuple(module['LOSSES'])
        self.reported = module.get('REPORTS', {})
        self.noises = module.get('NOISES', ())
        self.pools = module.get('POOLS', {})
        self.settings = module['TRAIN']
        self.streams = self.settings.streams or list(dict.fromkeys(i.stream for i in self.inputs)) or ['main']
        self._stop = module.get('stop')
        self.make_update_core = module['make_update_core']
        self._make_datasets = module.get('make_datasets')
        self._states = module.get('STATES', {})
        self.numbers: dict[str, Any] = Numbers(iteration=0, epoch=0, progress=0.0, **self._states)
        with origin.errors():
            self.warnings: tuple[Diagnostic, ...] = ()
            # What zeros lead to is no matter.
            with numpy.errstate(all='ignore'):
                self.models = initialize(module, self._note_warnings, limits)
            self.evaluations: Functions = module['make_evaluations'](self.models, self.numbers)
            self.predictions: Functions = module['make_predictions'](self.models, self.numbers)
            self.optimizers = module['make_optimizers'](self.models)

    def _note_warnings(self, models: Mapping[str, chainer.Link]) -> None:
        self.warnings = self._try_out(self._module, models)

    def _try_out(self, module: Mapping[str, Any], models: Mapping[str, chainer.Link]) -> tuple[Diagnostic, ...]:
        """Runs everything once; returns warnings."""
        return try_out(module, models, self.origin)

    def with_settings(self, settings: Train, stops: bool = True) -> Program:
        """Returns the same graph, of the same models and optimizers, with other settings.

        Args:
            settings: In place of those of its `train` block.
            stops: Whether its `stop when CONDITION` counts.
        """
        other = copy.copy(self)
        other.settings = settings
        other._stop = self._stop if stops else None
        return other

    @property
    def stop(self) -> Optional[Callable[[Mapping[str, Any], Mapping[str, float]], bool]]:
        """The condition under which a run ends early, of numbers and of what was reported last; None for none."""
        return self._has_ended if self._stop is not None else None

    def _has_ended(self, numbers: Mapping[str, Any], reported: Mapping[str, float]) -> bool:
        with self.origin.errors():
            try:
                return bool(self._stop(numbers, reported))
            except KeyError:        # something was not reported yet
                return False

    def reports(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Computes losses and metrics of a minibatch, in the mode that Chainer's configuration says.

        They can be differentiated. For whole data, see :meth:`graphdsl.CompiledGraph.evaluate`.

        Args:
            batch: Arrays or variables by input name, with the batch axis first. What needs inputs of a stream that
                are not there is left out. Noise is drawn, the same every time, unless it is given.

        Returns:
            Scalars by name, such as ``'digit[0]'``.

        Random generators and the states of recurrent links are as they were afterwards; states start from zero.
        """
        named = {stream: {i.name for i in self.inputs if i.stream == stream} - {'_'} for stream in self.streams}
        given = {stream for stream, names in named.items() if not names or names & set(batch)}
        return self._compute(self.evaluations, batch, given | {n.stream for n in self.noises if n.name in batch})

    def outputs(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Computes outputs of a minibatch, all whose inputs are there; see :meth:`reports`.

        For whole data, see :meth:`graphdsl.CompiledGraph.predict`.

        Outputs of noise alone have as many rows as the settings say, unless the noise is given.
        """
        return self._compute(self.predictions, batch, batch)

    def _compute(self, functions: Functions, batch: Mapping[str, Any], given: Container[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for sources, function in functions.items():
            if all(source in given for source in sources):
                with self.origin.errors(), generators_of_its_own(), stateful.set_aside(self.models):
                    noise = self.evaluation_noise(self.settings.seed)
                    found.update(function(self.complete(batch, self.streams, noise)))
        return found

    def evaluation_noise(self, seed: int) -> dict[str, numpy.random.RandomState]:
        """Returns the generators of noise outside of training, by name; they are the same every time."""
        return {noise.name: random_state(seed, f'evaluation/{noise.name}') for noise in self.noises}

    def complete(self, batch: Mapping[str, Any], streams: Sequence[str],
                 generators: Mapping[str, numpy.random.RandomState], device=None, rows: Optional[int] = None
                 ) -> dict[str, Any]:
        """Adds to a minibatch what is not data: noise, and the number of rows.

        Args:
            batch: Values by name.
            streams: The streams whose noise is wanted.
            generators: Of the noise, by name.
            device (chainer.backend.Device): Where the noise goes.
            rows: How many there are; None takes those of each stream.
        """
        complete = Batch(batch)
        complete['batch_size'] = rows or self._rows(batch, streams[0] if streams else self.streams[0])
        for noise in self.noises:
            if noise.stream in streams and noise.name not in batch:
                complete[noise.name] = draw(noise, generators[noise.name],
                                            rows or self._rows(batch, noise.stream), device)
        return complete

    def zeros(self, rows: int) -> dict[str, Any]:
        """Returns a minibatch of zeros, its noise and its number of rows by name."""
        return zeros(self._module, rows)

    def _rows(self, batch: Mapping[str, Any], stream: str) -> int:
        names = [one.name for one in (*self.inputs, *self.noises) if one.stream == stream]
        shapes = (getattr(array(batch[name]), 'shape', ()) for name in names if name in batch)
        rows = next((shape[0] for shape in shapes if shape), None)
        return self.settings.batch_of(stream) if rows is None else rows

    def save_weights(self, path: Union[str, os.PathLike], model: Optional[str] = None) -> None:
        """Saves parameters and persistent values to an npz file, whole or not at all.

        Args:
            path: The file.
            model: Name of the model that is saved, alone, as :func:`chainer.serializers.save_npz` does; None saves
                all. Chainer reads them too, one at a time: ``chainer.serializers.load_npz(path, link, 'trunk/')``.

        Raises:
            DataError: If there is no such model.
            OSError: If the file cannot be written.
        """
        model_files.save(self.models, path, model)

    def load_weights(self, path: Union[str, os.PathLike], model: Optional[str] = None) -> None:
        """Loads parameters and persistent values, all or nothing, without running pickles that may be in the file.

        Args:
            path: The file: of :meth:`save_weights`, or a snapshot of a run.
            model: Name of the model that is loaded. Its file may hold it alone, as
                :func:`chainer.serializers.save_npz` writes it. None loads all models of the graph, frozen and
                following ones as well; what else the file has is left alone.

        A snapshot also says where in the run it was written: counters and states become those of its last iteration.

        Raises:
            DataError: If the file cannot be read, or a model is not in it, or has other entries or shapes.
        """
        counts = model_files.load(self.models, path, model)
        if counts is not None and model is None:
            self.numbers.update(iteration=counts.iteration, epoch=int(counts.epoch_detail))
            self.numbers.update((name, value) for name, value in counts.states.items() if name in self._states)
            if self.settings.length is not None:
                length, unit = self.settings.length
                done = counts.iteration if unit == 'iteration' else counts.epoch_detail
                self.numbers['progress'] = min(done / length, 1.0)

    def serialize_numbers(self, serializer) -> None:
        """Saves the states, or sets them to what was saved."""
        for name in self._states:
            if isinstance(serializer, chainer.Serializer):
                serializer(name, self.numbers[name])
            else:
                saved = serializer(name, None)
                if saved is not None:       # a snapshot may be loaded partly
                    self.numbers[name] = saved.item()

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
                converter=convert.concat_examples, device=None, input_device=None, seed: Optional[int] = None,
                length: Optional[tuple[int, str]] = None, nan_check: bool = True) -> Updater:
        """Makes the updater, a :class:`chainer.training.updaters.StandardUpdater`.

        Args:
            iterator: Iterator of the first stream, or a dictionary of iterators by stream.
            optimizers: In place of the graph's own, such as multi-node optimizers that wrap them.
            converter: Makes arrays of a list of examples.
            device: Where models and minibatches go: an integer, ``'@numpy'``, ``'@cupy:0'``; None leaves the
                models where they are.
            input_device: Where minibatches go, if elsewhere.
            seed: Of noise and pools; None takes the file's.
            length: Of the run, which `progress` is a share of; None takes the file's.
            nan_check: Whether losses and gradients that are not finite end the run, before they move a weight.
        """
        optimizers = self.optimizers if optimizers is None else optimizers
        if set(optimizers) != set(self.optimizers):
            raise ValueError(f'optimizers are needed for {list(self.optimizers)}, and given for {list(optimizers)}')
        return Updater(self, iterator, optimizers, converter, device, input_device,
                       self.settings.seed if seed is None else seed, length or self.settings.length, nan_check)

    def evaluator(self, iterator, prefix: str = 'validation', converter=convert.concat_examples,
                  device=None, seed: Optional[int] = None) -> Evaluator:
        """Makes the extension that evaluates losses and metrics.

        Args:
            iterator: Over test data of the first stream, without repetition, or a dictionary of iterators by stream.
            prefix: What stands before the reported names.
            converter: Makes arrays of a list of examples.
            device: Where minibatches go.
            seed: Of the noise; None takes the file's.
        """
        return Evaluator(iterator, self, prefix, converter, device, self.settings.seed if seed is None else seed)

    def trainer(self, out: str = 'result', data: Optional[Mapping[str, Any]] = None,
                converter=convert.concat_examples, report: bool = False, **options):
        """Makes a Trainer with what the file's `train` block asks for.

        Args:
            out: Folder of the results.
            data: Datasets, or iterators, in place of the file's: ``{'train': ..., 'test': ...}``, or such a
                dictionary by stream. Streams that are not named have the file's. Iterators over what is not trained
                on must not repeat.
            converter: Makes arrays of a list of examples.
            report: Whether plots and `report.html` are written, at the end and from time to time.
            options: The other attributes of :class:`graphdsl.options.Run`.
        """
        from graphdsl.training.resuming import find_former, go_on
        from graphdsl.training.trainer import make_trainer
        run = Run(out, report=report, **options)
        begun = find_former(run)
        if begun is None:
            return make_trainer(self, run, data, converter)
        trainer = make_trainer(self, begun.completed(run), data, converter)
        go_on(trainer, self, run, begun)
        return trainer
