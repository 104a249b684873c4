"""Runs the trials of a study."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Iterator, Mapping, Optional

import optuna
from chainer.training import Trainer
from optuna.trial import FrozenTrial, TrialState

from graphdsl.diagnostics import GraphError
from graphdsl.options import Run
from graphdsl.runtime.program import Program
from graphdsl.training.run import trained
from graphdsl.tuning import table
from graphdsl.tuning.goal import Goal
from graphdsl.tuning.observer import NotFinite, Observer
from graphdsl.tuning.study import MESSAGE, Claimed, Study


@dataclass(frozen=True)
class Ended:
    """A trial that has ended.

    Attributes:
        trial: As it is in the study.
        error: Why it failed, if that has a place in the file.
    """

    trial: FrozenTrial
    error: Optional[GraphError] = None


def run_trials(study: Study, total: int, make_program: Callable[[Mapping[str, Any]], Program], run: Run,
               default_seed: int) -> Iterator[Ended]:
    """Runs trials until a study has as many as are wanted; yields each when it has ended.

    Args:
        study: The study.
        total: How many trials it is to have.
        make_program: Compiles the file with some params; initial weights are drawn here.
        run: What is asked of each run.
        default_seed: The file's, where none is asked for. All trials have one seed, and differ by params alone.
    """
    while True:
        claimed = study.begin(total)
        if claimed is None:
            return
        try:
            ended = _run(study, claimed, make_program, run, default_seed)
        except BaseException:
            study.interrupt(claimed)
            raise
        with study.locked():
            table.write(study)
        claimed.lock.release()
        yield ended


def _run(study: Study, claimed: Claimed, make_program: Callable[[Mapping[str, Any]], Program], run: Run,
         default_seed: int) -> Ended:
    trial = claimed.trial

    def extend(trainer: Trainer, program: Program) -> None:
        trainer.extend(Observer(trial, study.goal, program.settings.evaluate))

    try:
        trainer = trained(lambda: make_program(trial.params), replace(run, out=str(claimed.out)), default_seed, extend)
        observer = trainer.get_extension(Observer.name)
        observer.finish(trainer)
        best = observer.best()
        if best is None:
            return _failed(study, trial, f'`{study.goal.report}` was never reported')
        return Ended(study.actual.tell(trial, best))
    except optuna.TrialPruned:
        return Ended(study.actual.tell(trial, state=TrialState.PRUNED))
    except GraphError as error:
        first = next(d for d in error.diagnostics if d.severity == 'error')
        return _failed(study, trial, f'{first.code}: {first.message}', error)
    except NotFinite as error:
        return _failed(study, trial, str(error))
    except MemoryError:
        return _failed(study, trial, 'there is not enough memory')


def _failed(study: Study, trial: optuna.Trial, message: str, error: Optional[GraphError] = None) -> Ended:
    trial.set_user_attr(MESSAGE, message)
    return Ended(study.actual.tell(trial, state=TrialState.FAIL), error)
