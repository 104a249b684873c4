"""A study in Optuna's storage: trials begun and ended, those of a process that was killed run again."""
from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

import numpy
import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from graphdsl.options import RunError
from graphdsl.tuning.goal import Goal

#: Attributes of trials: why one failed, which one it runs again, and how often the process ended in that.
MESSAGE, AGAIN, DEATHS = 'message', 'again', 'deaths'
_MOST_DEATHS = 5
_ABOUT = 'graphdsl'


@dataclass(frozen=True)
class Claimed:
    """A trial of this process, which holds a lock for it that ends with the process.

    Attributes:
        trial: Its params, and where it reports to.
        out: Its folder.
        lock: Held while it runs.
    """

    trial: optuna.Trial
    out: Path
    lock: FileLock


class Study:
    """A study whose trials have a folder each.

    Args:
        study: Of Optuna's.
        out: Folder of the results.
        goal: What it is after.
        distributions: What may be tried, by param.
        seed: Of the choice of params.
    """

    def __init__(self, study: optuna.Study, out: Path, goal: Goal, distributions: Mapping[str, Any], seed: int):
        self.actual = study
        self.out = out
        self.goal = goal
        self._distributions = dict(distributions)
        self._seed = seed

    def trials(self) -> list[FrozenTrial]:
        """Returns the trials that have ended: none that runs, nor one that was interrupted and is run again."""
        return [trial for trial in self._begun() if trial.state.is_finished()]

    def _begun(self) -> list[FrozenTrial]:
        trials = self.actual.get_trials(deepcopy=False)
        interrupted = {trial.user_attrs.get(AGAIN) for trial in trials}
        return [trial for trial in trials if trial.state != TrialState.WAITING and trial.number not in interrupted]

    def best(self) -> Optional[FrozenTrial]:
        """Returns the best trial, None before any has succeeded."""
        complete = [trial for trial in self.trials() if trial.state == TrialState.COMPLETE]
        sign = 1 if self.goal.is_falling else -1
        return min(complete, key=lambda trial: sign * trial.value, default=None)

    def locked(self) -> FileLock:
        """Returns the lock under which trials begin."""
        return FileLock(str(self.out / '.lock'))

    def begin(self, total: int) -> Optional[Claimed]:
        """Begins a trial, unless as many as are wanted have ended or run.

        Args:
            total: How many are wanted.
        """
        with self.locked():
            self._revive()
            begun = len(self._begun())
            if begun >= total:
                return None
            # Of the number of trials, so that a study that was interrupted tries what one that was not does.
            self.actual.sampler = optuna.samplers.TPESampler(seed=_mixed(self._seed, begun))
            trial = self.actual.ask(self._distributions)
            lock = self._lock_of(trial.number)
            lock.acquire()
            return Claimed(trial, self.out / f'trial_{trial.number:04d}', lock)

    def interrupt(self, claimed: Claimed) -> None:
        """Ends a trial that is to be run again."""
        with self.locked():
            trial = self._frozen(claimed.trial.number)
            if trial.state == TrialState.RUNNING:
                self._end_interrupted(trial, deaths=0)
        claimed.lock.release()

    def _revive(self) -> None:
        """Ends the trials whose process is gone, and queues them to be run again."""
        for trial in self.actual.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            lock = self._lock_of(trial.number)
            try:
                # Without a file, it was killed between two lines of `begin`.
                with lock.acquire(timeout=0) if Path(lock.lock_file).exists() else contextlib.nullcontext():
                    if self._frozen(trial.number).state == TrialState.RUNNING:
                        self._end_interrupted(trial, deaths=1)
            except Timeout:     # it runs
                pass

    def _end_interrupted(self, trial: FrozenTrial, deaths: int) -> None:
        """Queues a trial to be run again, and ends it; one that ends every process counts as failed."""
        deaths += trial.user_attrs.get(DEATHS, 0)
        known = {other.user_attrs.get(AGAIN) for other in self.actual.get_trials(deepcopy=False)}
        if trial.number not in known and deaths < _MOST_DEATHS:
            # Of one that was killed while its params were chosen, those that it was queued with.
            params = trial.params if self._distributions.keys() <= trial.params.keys() else \
                trial.system_attrs.get('fixed_params', {})
            self.actual.enqueue_trial(params, {AGAIN: trial.number, DEATHS: deaths})
        self.actual.tell(trial.number, state=TrialState.FAIL)

    def _frozen(self, number: int) -> FrozenTrial:
        return self.actual.get_trials(deepcopy=False)[number]

    def _lock_of(self, number: int) -> FileLock:
        return FileLock(str(self.out / f'.trial_{number:04d}'))


def open_study(storage: Optional[str], name: str, out: Path, goal: Goal, distributions: Mapping[str, Any],
               options: Sequence[str], seed: int, is_pruning: bool) -> Study:
    """Opens a study, or makes it if there is none.

    Args:
        storage: URL; None takes a database in the folder of results.
        name: Of the study.
        out: Folder of the results.
        goal: What it is after.
        distributions: What may be tried, by param.
        options: Of its runs, as they are written; all its trials have the same.
        seed: Of the choice of params.
        is_pruning: Whether trials that fall behind are ended early.

    Raises:
        RunError: If there is another study by this name, or it cannot be opened.
    """
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    url = storage or f'sqlite:///{out / "study.db"}'
    pruner = optuna.pruners.MedianPruner() if is_pruning else optuna.pruners.NopPruner()
    with FileLock(str(out / '.lock')):      # two processes may be the first
        try:
            study = optuna.create_study(storage=url, study_name=name, direction=goal.direction, pruner=pruner,
                                        load_if_exists=True)
        except Exception as error:      # of SQLAlchemy, of a database's driver, of Optuna
            raise RunError(f'the storage {url} cannot be opened: {_first_line(error)}') from error
        about = {'goal': goal.report, 'direction': goal.direction, 'out': str(out.resolve()),
                 'options': list(options),
                 'params': {key: json.loads(optuna.distributions.distribution_to_json(distribution))
                            for key, distribution in distributions.items()}}
        earlier = study.user_attrs.get(_ABOUT)
        if earlier is None:
            if study.direction.name.lower() != goal.direction:
                raise RunError(f'the study `{name}` is there, and is to {study.direction.name.lower()}')
            if any(re.fullmatch(r'trial_\d+', path.name) for path in out.iterdir()):
                raise RunError(f'{out} holds the trials of another study: give another folder, by `--out`')
            study.set_user_attr(_ABOUT, about)
        else:
            _check_same(name, earlier, about, storage is None)
    return Study(study, out, goal, distributions, seed)


def _check_same(name: str, earlier: Mapping[str, Any], about: Mapping[str, Any], may_move: bool) -> None:
    """Refuses to go on with a study of something else."""
    rest = 'go on as it began, or begin another with another `--out`'
    if (earlier['goal'], earlier['direction']) != (about['goal'], about['direction']):
        raise RunError(f'the study is to {earlier["direction"]} `{earlier["goal"]}`, and you want to '
                       f'{about["direction"]} `{about["goal"]}`: {rest}')
    if not may_move and earlier['out'] != about['out']:
        raise RunError(f'the trials of the study `{name}` are in {earlier["out"]}: give it as `--out`')
    for key in dict.fromkeys([*earlier['params'], *about['params']]):
        before, now = earlier['params'].get(key), about['params'].get(key)
        if before != now:
            raise RunError(f'the study tries {_shown(key, before)}, and you want {_shown(key, now)}: {rest}')
    for option in earlier['options']:
        if option not in about['options']:
            raise RunError(f'the study began with `{option}`, which is not there now: {rest}')
    for option in about['options']:
        if option not in earlier['options']:
            raise RunError(f'the study began without `{option}`: {rest}')


def _shown(key: str, distribution: Optional[Mapping[str, Any]]) -> str:
    if distribution is None:
        return f'no `{key}`'
    about = distribution['attributes']
    if 'choices' in about:
        return f'`{key}={",".join(map(str, about["choices"]))}`'
    end = ':log' if about['log'] else f':step={about["step"]}' if about['step'] not in (None, 1) else ''
    return f'`{key}={about["low"]}..{about["high"]}{end}`'


def _mixed(seed: int, number: int) -> int:
    return int(numpy.random.SeedSequence([seed, number]).generate_state(1)[0])


def _first_line(error: BaseException) -> str:
    return str(error).strip().split('\n', 1)[0] or type(error).__name__
