"""Runs the trials of a study, for the command line and for Python."""
from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Optional, Sequence, Union

import optuna
from optuna.trial import FrozenTrial, TrialState

from graphdsl.compiled import CompiledGraph
from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import Compilation, read, translate
from graphdsl.guard import guarded
from graphdsl.limits import Limits, with_room
from graphdsl.options import Run, RunError
from graphdsl.runtime.seeds import set_seed
from graphdsl.training.run import run_trainer
from graphdsl.training.trainer import make_trainer
from graphdsl.tuning import table
from graphdsl.tuning.goal import Goal
from graphdsl.tuning.observer import NotFinite, Observer
from graphdsl.tuning.space import read_space
from graphdsl.tuning.study import MESSAGE, Claimed, Study, open_study


@dataclass(frozen=True)
class File:
    """A file whose params are tuned, and how it is compiled.

    Attributes:
        source: Its text.
        folder: What its paths are relative to.
        fixed: Values of params that are not tuned.
        bind: What its imports stand for.
        allow_imports: Modules that it may import.
        no_passes: Optimisations to leave out.
        limits: What it may come to.
    """

    source: Source
    folder: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    bind: Mapping[str, Any] = field(default_factory=dict)
    allow_imports: Iterable[str] = ()
    no_passes: Iterable[str] = ()
    limits: Limits = Limits()

    def translate(self, params: Mapping[str, Any]) -> Compilation:
        """Compiles it with some params, up to the module."""
        with guarded(self.limits, self.source):
            return translate(self.source, {**self.fixed, **params}, self.bind, self.folder, self.allow_imports,
                             self.no_passes, self.limits)

    def load(self, compilation: Compilation) -> CompiledGraph:
        """Makes the program of a compilation; initial weights are drawn here."""
        with guarded(self.limits, self.source, is_timed=False):
            return with_room(self.limits, CompiledGraph, compilation)


@dataclass(frozen=True)
class Ended:
    """A trial that has ended.

    Attributes:
        trial: As it is in the study.
        error: Why it failed, if that has a place in the file.
    """

    trial: FrozenTrial
    error: Optional[GraphError] = None


def tune(path: Union[str, os.PathLike], params: Mapping[str, Optional[str]], minimize: Optional[str] = None,
         maximize: Optional[str] = None, trials: int = 20, prune: bool = True, storage: Optional[str] = None,
         study: Optional[str] = None, fixed: Mapping[str, Any] = {}, bind: Mapping[str, Any] = {},
         allow_imports: Iterable[str] = (), limits: Limits = Limits(), **run: Any) -> optuna.Study:
    """Trains a file with several values of its params, and looks for the best.

    Args:
        path: The graph file.
        params: What to try, by name, as on the command line: ``{'alpha': '1e-4..1e-2:log'}``.
        minimize: The report that should become small, such as ``'validation/kl'``; or
        maximize: the one that should become large.
        trials: How many trials the study is to have in all.
        prune: Whether trials that fall behind end early.
        storage: URL of Optuna's storage; None takes ``study.db`` in the folder of results.
        study: Name of the study; None takes that of the file.
        fixed: Values of params that are not tuned.
        bind: What imports of the file stand for.
        allow_imports: Modules that the file may import.
        limits: What the file may come to.
        run: Attributes of :class:`graphdsl.options.Run`: ``out``, ``length``, ``seed``, ``device``.

    Returns:
        The study, with ``best_params``, ``best_value`` and ``trials``.

    Raises:
        GraphError: If the file is wrong, or a param cannot have one of the values.
        RunError: If something else cannot be as it is asked for.
    """
    if (minimize is None) == (maximize is None):
        raise RunError('a study has one aim: give `minimize` or `maximize`')
    file = File(read(path, limits), os.path.dirname(os.path.abspath(path)), fixed, bind, allow_imports, (), limits)
    asked = Run(**{'progress': False, **run})
    options = sorted(f'{name}={value}' for name, value in {**fixed, **run}.items() if name not in ('out', 'progress'))
    begun = begin(file, params, Goal(minimize or maximize or '', minimize is not None), asked, options,
                  study or Path(path).stem, prune, storage)
    for _ in run_trials(begun, trials, file, asked):
        pass
    return begun.actual


def begin(file: File, written: Mapping[str, Optional[str]], goal: Goal, run: Run, options: Sequence[str], name: str,
          prune: bool, storage: Optional[str]) -> Study:
    """Checks what is asked for and opens the study; see :func:`tune`."""
    compilation = file.translate({})
    goal.check(compilation.graph)
    space = read_space(written, file.source, compilation.tree, file.fixed, file.limits)
    return open_study(storage, name, Path(run.out), goal, {key: one.distribution() for key, one in space.items()},
                      options, compilation.graph.train.seed if run.seed is None else run.seed, prune)


def run_trials(study: Study, total: int, file: File, run: Run) -> Iterator[Ended]:
    """Runs trials until a study has as many as are wanted; yields each when it has ended.

    Args:
        study: The study.
        total: How many trials it is to have.
        file: The file.
        run: What is asked of each run. All have one seed, and differ by params alone.
    """
    while True:
        claimed = study.begin(total)
        if claimed is None:
            return
        try:
            ended = _run(study, claimed, file, run)
        except BaseException:
            study.interrupt(claimed)
            raise
        with study.locked():
            table.write(study)
        claimed.lock.release()
        yield ended


def _run(study: Study, claimed: Claimed, file: File, run: Run) -> Ended:
    trial = claimed.trial

    try:
        compilation = file.translate(trial.params)
        set_seed(compilation.graph.train.seed if run.seed is None else run.seed)
        program = file.load(compilation)
        trainer = make_trainer(program, replace(run, out=str(claimed.out), report=False))
        observer = Observer(trial, study.goal, run.evaluate or program.settings.evaluate)
        trainer.extend(observer)
        run_trainer(trainer, run)
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
