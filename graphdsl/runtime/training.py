"""Training on a graph's own data: the Trainer, and the command line of a generated module."""
from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

from chainer.dataset import Iterator, concat_examples
from chainer.iterators import SerialIterator
from chainer.training import Trainer, extensions

from graphdsl.diagnostics import Diagnostic, GraphError, in_order
from graphdsl.options import RunError
from graphdsl.runtime.batches import convert_batch
from graphdsl.runtime.data import DataError
from graphdsl.runtime.ending import BEFORE_EVALUATION, AtEnd, Ending, IntervalAndEnd
from graphdsl.runtime.progress import PrintProgress, final_report
from graphdsl.runtime.origin import Origin
from graphdsl.runtime.program import Program
from graphdsl.runtime.seeds import SeededOrder, generators_of_its_own, set_seed


def make_trainer(program: Program, out: str, length: Optional[tuple[int, str]] = None, device=None,
                 seed: Optional[int] = None, progress: bool = True, nan_check: bool = True) -> Trainer:
    """Makes a Trainer with a log, an evaluation of every test set, and snapshots.

    Args:
        program: The graph.
        out: Folder of the results.
        length: When to stop, such as ``(20, 'epoch')``; None takes the file's.
        device: Where to train.
        seed: Of the order of examples; None takes the file's.
        progress: Whether to print a line for every entry of the log.
        nan_check: Whether losses and gradients that are not finite end the run.

    Raises:
        GraphError: If the data cannot be read.
        RunError: If the file has no data or does not say how long to train, and neither does the caller.
    """
    settings = program.settings
    length = length or settings.length
    if length is None:
        raise RunError('the length of the run is not given: write `epochs 20` in `train`, or pass it')
    if length[1] == 'epoch' and not settings.counts_epochs:
        raise RunError(f'no step draws from {program.streams[0]!r}, and an epoch would never end: '
                       'give a number of iterations')
    datasets = program.datasets()
    if not datasets:
        raise RunError('the graph has no data block: make a Trainer of your own with `updater(iterator)`')
    seed = settings.seed if seed is None else seed
    batch = {name: settings.batches.get(name, settings.batch) for name in datasets}
    iterators = {name: _training_iterator(program, name, entries['train'], batch[name], SeededOrder(seed, name))
                 for name, entries in datasets.items()}
    problems = [problem for name, entries in datasets.items() for entry, dataset in entries.items()
                for problem in _problems(program, name, entry, dataset)]
    if problems:
        raise GraphError(in_order(problems), program.origin.source)
    updater = program.updater(iterators, device=device, seed=seed, length=length, nan_check=nan_check)
    ending = Ending(program.stop, program.numbers, settings.stall, settings.evaluate)
    trainer = Trainer(updater, AtEnd(length, ending), out)

    def regularly(interval: tuple[int, str]) -> IntervalAndEnd:
        return IntervalAndEnd(interval, length, ending)

    for entry in dict.fromkeys(entry for entries in datasets.values() for entry in entries if entry != 'train'):
        tests = {name: _test_iterator(entries[entry], batch[name]) for name, entries in datasets.items()
                 if entry in entries}
        if any(set(streams) <= set(tests) for streams in program.evaluations):
            prefix = 'validation' if entry == 'test' else entry
            trainer.extend(program.evaluator(tests, prefix, device=updater.device, seed=seed), name=prefix,
                           trigger=regularly(settings.evaluate))
    trainer.extend(lambda trainer: ending.check_condition(trainer), name='condition', trigger=(1, 'iteration'),
                   priority=BEFORE_EVALUATION)
    trainer.extend(ending, name='ending', trigger=(1, 'iteration'))
    trainer.extend(extensions.LogReport(trigger=regularly(settings.log)))
    if progress:
        trainer.extend(PrintProgress(), trigger=regularly(settings.log))
    trainer.extend(extensions.snapshot(n_retains=2), trigger=regularly(settings.snapshot))
    return trainer


def _training_iterator(program: Program, stream: str, dataset: Any, batch: int, order: SeededOrder) -> Iterator:
    """Makes an iterator whose minibatches are full."""
    with program.origin.reading(program.inputs, stream, 'the training data'):
        if hasattr(dataset, 'iterator'):
            return dataset.iterator(batch, True)
        if len(dataset) < batch:
            raise DataError(f'the training data has {len(dataset)} examples, and a minibatch takes {batch}',
                            'say a smaller `batch` in `train`, or in the data block')
    return SerialIterator(dataset, batch, order_sampler=order)


def _problems(program: Program, stream: str, entry: str, dataset: Any) -> Sequence[Diagnostic]:
    """Returns how the first examples of a dataset don't fit the inputs; its iterator draws them again."""
    inputs = [i for i in program.inputs if i.stream == stream]
    try:
        with generators_of_its_own():
            first = dataset.iterator(2, False).next() if hasattr(dataset, 'iterator') else \
                [dataset[i] for i in range(min(len(dataset), 2))]
            if first and inputs:
                convert_batch(first, concat_examples, None, getattr(dataset, 'columns', None), inputs)
    except DataError as error:
        return program.origin.errors_of_stream(error, program.inputs, stream, f'seen in `{entry}`')
    except Exception:       # of a dataset of the user's own: it has its place when the iteration meets it
        pass
    return ()


def _test_iterator(dataset: Any, batch: int) -> Iterator:
    if hasattr(dataset, 'iterator'):
        return dataset.iterator(batch, False)
    return SerialIterator(dataset, batch, repeat=False, shuffle=False)


def train(make_program: Callable[[], Program], seed: Optional[int], default_seed: int, out: str,
          nan_check: bool = True, **options: Any) -> None:
    """Seeds, makes a program, trains it and prints what it came to.

    Args:
        make_program: Makes it; its initial weights are drawn here.
        seed: Of the whole run; None takes ``default_seed``, the file's.
        default_seed: As said.
        out: Folder of the results.
        nan_check: As of :func:`make_trainer`.
        options: Those of :func:`make_trainer`.
    """
    set_seed(default_seed if seed is None else seed)
    program = make_program()
    trainer = make_trainer(program, out, seed=seed, nan_check=nan_check, **options)
    with warnings.catch_warnings():
        if nan_check:
            # The check says more of what matters, and with its place. Without it these warnings are all there is.
            warnings.filterwarnings('ignore', '.* encountered in ', RuntimeWarning)
        trainer.run(show_loop_exception_msg=False)
    print(final_report(trainer.get_extension('LogReport').log, Path(out)))


def main(module: Mapping[str, Any]) -> None:
    """Trains a generated module that runs as a program.

    Args:
        module: Its names and values.
    """
    import click

    from graphdsl.cli.showing import show_error
    from graphdsl.ends import exit_status, traceback_option
    from graphdsl.options import checked_device, length_of, run_options, writing_to

    @click.command(help=f'Trains {module["NAME"]}.')
    @run_options
    @traceback_option
    @click.pass_context
    def command(context, epochs, iterations, out, seed, device, nan_check):
        with exit_status(context, show_error), writing_to(out):
            train(lambda: Program(module, Origin.of_module(module['__file__'])), seed, module['TRAIN'].seed, out,
                  length=length_of(epochs, iterations), device=checked_device(device), nan_check=nan_check)

    command()
