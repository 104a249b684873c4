"""The Trainer on a graph's own data, with what its `train` block asks for."""
from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Sequence

from chainer.dataset import Iterator, concat_examples
from chainer.iterators import SerialIterator
from chainer.training import Trainer

from graphdsl.diagnostics import Diagnostic, GraphError, in_order
from graphdsl.options import Run
from graphdsl.runtime.batches import convert_batch, once
from graphdsl.runtime.data import DataError
from graphdsl.runtime.program import Program
from graphdsl.runtime.seeds import SeededOrder, generators_of_its_own
from graphdsl.training import saving, watching
from graphdsl.training.datasets import Given, datasets_of
from graphdsl.training.ending import BEFORE_EVALUATION, AtEnd, Ending, Regularly
from graphdsl.training.overrides import length_of, overridden
from graphdsl.training.stopping import Stop


def make_trainer(program: Program, run: Run, data: Optional[Mapping[str, Any]] = None,
                 converter: Callable = concat_examples) -> Trainer:
    """Makes a Trainer with an evaluation of every test set, a log, and snapshots.

    Args:
        program: The graph.
        run: What is asked of the run.
        data: Datasets and iterators in place of the file's; see :meth:`graphdsl.runtime.Program.trainer`.
        converter: Makes arrays of a list of examples.

    Raises:
        GraphError: If the data cannot be read.
        RunError: If the file has no data, neither it nor the caller says how long to train, or what is asked of the
            run cannot be.
    """
    length = length_of(program, run)        # before data is read, which may take long
    datasets = datasets_of(program, data)
    program = overridden(program, run, datasets)
    settings, seed = program.settings, program.settings.seed
    batch = {name: settings.batch_of(name) for name in datasets}
    iterators = {name: _training_iterator(program, name, entries['train'], batch[name], SeededOrder(seed, name))
                 for name, entries in datasets.items()}
    problems = [problem for name, entries in datasets.items() for entry, dataset in entries.items()
                for problem in _problems(program, name, entry, dataset, converter)]
    if problems:
        raise GraphError(in_order(problems), program.origin.source)
    updater = program.updater(iterators, converter=converter, device=run.device, seed=seed, length=length,
                              nan_check=run.nan_check)
    ending = Ending(program.stop, program.numbers, settings.stall, settings.evaluate)
    stop = Stop()
    trainer = Trainer(updater, AtEnd(length, ending, stop), run.out)
    regularly = Regularly(length, ending)
    _extend_by_evaluation(trainer, program, datasets, batch, seed, regularly)
    trainer.extend(lambda trainer: ending.check_condition(trainer), name='condition', trigger=(1, 'iteration'),
                   priority=BEFORE_EVALUATION)
    trainer.extend(ending, name='ending', trigger=(1, 'iteration'))
    watching.extend(trainer, program, run, regularly)
    saving.extend(trainer, program, regularly, stop)
    return trainer


def _extend_by_evaluation(trainer: Trainer, program: Program, datasets: Mapping[str, Mapping[str, Any]],
                          batch: Mapping[str, int], seed: int, regularly: Regularly) -> None:
    """Adds an evaluation of each entry of the data blocks but `train`."""
    for entry in dict.fromkeys(entry for entries in datasets.values() for entry in entries if entry != 'train'):
        tests = {name: once(entries[entry], batch[name]) for name, entries in datasets.items()
                 if entry in entries}
        if any(set(streams) <= set(tests) for streams in program.evaluations):
            prefix = 'validation' if entry == 'test' else entry
            evaluator = program.evaluator(tests, prefix, trainer.updater.converter, trainer.updater.device, seed)
            trainer.extend(evaluator, name=prefix, trigger=regularly(program.settings.evaluate))


def _training_iterator(program: Program, stream: str, dataset: Any, batch: int, order: SeededOrder) -> Iterator:
    """Makes an iterator whose minibatches are full."""
    with program.origin.reading(program.inputs, stream, 'the training data'):
        if hasattr(dataset, 'iterator'):
            return dataset.iterator(batch, True)
        if len(dataset) < batch:
            raise DataError(f'the training data has {len(dataset)} examples, and a minibatch takes {batch}',
                            'say a smaller `batch` in `train`, or in the data block')
    return SerialIterator(dataset, batch, order_sampler=order)


def _problems(program: Program, stream: str, entry: str, dataset: Any, converter: Callable) -> Sequence[Diagnostic]:
    """Returns how the first examples of a dataset don't fit the inputs; its iterator draws them again."""
    if isinstance(dataset, Given):
        return ()
    inputs = [i for i in program.inputs if i.stream == stream]
    try:
        with generators_of_its_own():
            first = dataset.iterator(2, False).next() if hasattr(dataset, 'iterator') else \
                [dataset[i] for i in range(min(len(dataset), 2))]
            if first and inputs:
                convert_batch(first, converter, None, getattr(dataset, 'columns', None), inputs)
    except DataError as error:
        return program.origin.errors_of_stream(error, program.inputs, stream, f'seen in `{entry}`')
    except Exception:       # of a dataset of the user's own: it has its place when the iteration meets it
        pass
    return ()
