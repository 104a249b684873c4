"""A study as people read it: a line per trial, and a table of all."""
from __future__ import annotations

import csv
import io

from optuna.trial import FrozenTrial, TrialState

from graphdsl.files import replace_by
from graphdsl.tuning.space import shown
from graphdsl.tuning.study import MESSAGE, Study

_STATES = {TrialState.COMPLETE: 'complete', TrialState.PRUNED: 'pruned', TrialState.FAIL: 'failed'}

_DIED = 'it ended its process every time'


def write(study: Study) -> None:
    """Writes ``trials.csv``: what each trial tried, and what came of it."""
    trials = study.trials()
    params = list(dict.fromkeys(name for trial in trials for name in trial.params))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['trial', 'state', study.goal.report, *params, 'evaluations', 'seconds', 'message'])
    for trial in trials:
        values = dict(shown(trial.params))
        writer.writerow([trial.number, _STATES[trial.state], _value(trial), *(values.get(name, '') for name in params),
                         len(trial.intermediate_values), f'{trial.duration.total_seconds():.1f}',
                         trial.user_attrs.get(MESSAGE, _DIED if trial.state == TrialState.FAIL else '')])
    replace_by(study.out / 'trials.csv', text.getvalue())


def line(study: Study, trial: FrozenTrial) -> str:
    """Returns a line that says what came of a trial."""
    params = ' '.join(f'{name}={_short(value)}' for name, value in trial.params.items())
    count = len(trial.intermediate_values)
    if trial.state == TrialState.COMPLETE:
        came = f'{trial.value:.5g}'
    elif trial.state == TrialState.PRUNED:
        came = f'pruned after {count} evaluation{"s" if count > 1 else ""}, at {_last(trial):.5g}'
    else:
        came = f'failed: {trial.user_attrs[MESSAGE]}'
    best = study.best()
    so_far = '' if best is None else f'  best: {best.value:.5g} (trial {best.number})'
    return f'trial {trial.number}  {params}  {came}{so_far}'


def _value(trial: FrozenTrial) -> str:
    """Returns what a trial came to: where it was pruned, what it had reached."""
    if trial.state == TrialState.COMPLETE:
        return repr(trial.value)
    return repr(_last(trial)) if trial.intermediate_values else ''


def _last(trial: FrozenTrial) -> float:
    return trial.intermediate_values[max(trial.intermediate_values)]


def _short(value: object) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value) if not isinstance(value, bool) else \
        str(value).lower()
