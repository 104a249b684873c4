"""Training on a graph's own data: the Trainer, and the command line of a generated module."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable, Mapping, Optional

from chainer.iterators import SerialIterator, ShuffleOrderSampler
from chainer.training import Trainer, extensions, triggers

from graphdsl.diagnostics import GraphError
from graphdsl.runtime.progress import PrintProgress, final_report
from graphdsl.runtime.program import Program
from graphdsl.runtime.seeds import random_state, set_seed


def make_trainer(program: Program, out: str, length: Optional[tuple[int, str]] = None, device=None,
                 seed: Optional[int] = None, progress: bool = True) -> Trainer:
    """Makes a Trainer with a log, an evaluation of every test set, and snapshots.

    Args:
        program: The graph.
        out: Folder of the results.
        length: When to stop, such as ``(20, 'epoch')``; None takes the file's.
        device: Where to train.
        seed: Of the order of examples; None takes the file's.
        progress: Whether to print a line for every entry of the log.

    Raises:
        GraphError: If the data cannot be read.
        ValueError: If the file has no data or does not say how long to train, and neither does the caller.
    """
    settings = program.settings
    length = length or settings.length
    if length is None:
        raise ValueError('the length of the run is not given: write `epochs 20` in `train`, or pass it')
    datasets = program.datasets()
    if not datasets:
        raise ValueError('the graph has no data block: make a Trainer of your own with `updater(iterator)`')
    seed = settings.seed if seed is None else seed
    batch = {name: settings.batches.get(name, settings.batch) for name in datasets}
    iterators = {name: SerialIterator(entries['train'], batch[name],
                                      order_sampler=ShuffleOrderSampler(random_state(seed, name)))
                 for name, entries in datasets.items()}
    updater = program.updater(iterators, device=device)
    trainer = Trainer(updater, _stop_trigger(settings, length), out)

    def regularly(interval: tuple[int, str]) -> IntervalAndEnd:
        return IntervalAndEnd(interval, length, settings.evaluate if settings.stall is not None else None)

    for name, entries in datasets.items():
        for entry, dataset in entries.items():
            if entry != 'train':
                iterator = SerialIterator(dataset, batch[name], repeat=False, shuffle=False)
                prefix = 'validation' if entry == 'test' else entry
                trainer.extend(program.evaluator(iterator, prefix, device=updater.device), name=prefix,
                               trigger=regularly(settings.evaluate))
    trainer.extend(extensions.LogReport(trigger=regularly(settings.log)))
    if progress:
        trainer.extend(PrintProgress(), trigger=regularly(settings.log))
    trainer.extend(extensions.snapshot(n_retains=2), trigger=regularly(settings.snapshot))
    return trainer


class IntervalAndEnd(triggers.IntervalTrigger):
    """Fires at an interval and wherever the run may end, so that the end is evaluated, logged and saved.

    Args:
        interval: Such as ``(1, 'epoch')``.
        length: Of the run, likewise.
        possible_end: Interval at which the run may end early, if it may.
    """

    def __init__(self, interval: tuple[int, str], length: tuple[int, str], possible_end: Optional[tuple[int, str]]):
        super().__init__(*interval)
        self._length = length
        self._early = triggers.IntervalTrigger(*possible_end) if possible_end is not None else None

    def __call__(self, trainer) -> bool:
        fires = super().__call__(trainer)
        may_end = self._early is not None and self._early(trainer)
        end, unit = self._length
        return fires or may_end or (trainer.updater.iteration if unit == 'iteration' else trainer.updater.epoch) >= end

    def serialize(self, serializer) -> None:
        super().serialize(serializer)
        if self._early is not None:
            self._early.serialize(serializer['early'])


def _stop_trigger(settings, length: tuple[int, str]):
    if settings.stall is None:
        return length
    report, falling, evaluations = settings.stall
    return triggers.EarlyStoppingTrigger(check_trigger=settings.evaluate, monitor=report, patience=evaluations,
                                         mode='min' if falling else 'max', max_trigger=length)


def train(make_program: Callable[[], Program], seed: Optional[int], default_seed: int, out: str,
          **options: Any) -> None:
    """Seeds, makes a program, trains it and prints what it came to.

    Args:
        make_program: Makes it; its initial weights are drawn here.
        seed: Of the whole run; None takes ``default_seed``, the file's.
        default_seed: As said.
        out: Folder of the results.
        options: Those of :func:`make_trainer`.
    """
    set_seed(default_seed if seed is None else seed)
    program = make_program()
    trainer = make_trainer(program, out, seed=seed, **options)
    trainer.run(show_loop_exception_msg=False)
    print(final_report(trainer.get_extension('LogReport').log, Path(out)))


def main(module: Mapping[str, Any]) -> None:
    """Trains a generated module that runs as a program.

    Args:
        module: Its names and values.
    """
    import click

    from graphdsl.options import checked_device, length_of, run_options, writing_to

    @click.command(help=f'Trains {module["NAME"]}.')
    @run_options
    def command(epochs, iterations, out, seed, device):
        from graphdsl.runtime.origin import Origin
        try:
            with writing_to(out):
                train(lambda: Program(module, Origin.of_module(module['__file__'])), seed, module['TRAIN'].seed, out,
                      length=length_of(epochs, iterations), device=checked_device(device))
        except GraphError as error:
            print(error, file=sys.stderr)
            sys.exit(1)
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    command()
