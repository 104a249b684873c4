"""The settings of a run: the file's, and in place of some of them what is asked for."""
from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

from graphdsl.options import Run, RunError
from graphdsl.runtime.program import Program
from graphdsl.syntax.words import closest

_STALLS = re.compile(r'\s*(?P<report>.+?)\s+stalls\s+for\s+(?P<evaluations>[1-9][0-9]*)\s+evaluations?\s*')


def overridden(program: Program, run: Run, datasets: Mapping[str, Mapping[str, Any]]) -> Program:
    """Returns a graph with the settings that count: those of a run, and else those of the file.

    Args:
        program: The graph.
        run: What is asked of the run.
        datasets: By stream, and then by entry.

    Returns:
        The same models and optimizers. The length and seed are those of the run.

    Raises:
        RunError: If something is asked for that cannot be.
    """
    settings = program.settings
    given = {name: _interval(name, getattr(run, name)) for name in ('evaluate', 'log', 'snapshot')
             if getattr(run, name) is not None}
    given.update({name: _count(name, getattr(run, name)) for name in ('batch', 'keep')
                  if getattr(run, name) is not None})
    if run.batch is not None:
        _check_batch(run.batch, program, datasets)
    if run.seed is not None:
        given['seed'] = run.seed
    reports = _reports(program, datasets)
    if run.keep_best is not None:
        names = (run.keep_best,) if isinstance(run.keep_best, str) else run.keep_best
        given['best'] = tuple(dict.fromkeys(_known(name, reports, '--keep-best') for name in names))
    if run.stop_when is not None:
        given['stall'] = None if run.stop_when == 'never' else _stall(run.stop_when, reports)
    given['length'] = length_of(program, run)
    return program.with_settings(settings._replace(**given), stops=run.stop_when is None)


def length_of(program: Program, run: Run) -> tuple[int, str]:
    """Returns the length of a run.

    Raises:
        RunError: If neither the file nor the caller says it, or it cannot be.
    """
    length = run.length or program.settings.length
    if length is None:
        raise RunError('the length of the run is not given: write `epochs 20` in `train`, or pass it')
    if length[1] == 'epoch' and not program.settings.counts_epochs:
        raise RunError(f'no step draws from {program.streams[0]!r}, and an epoch would never end: '
                       'give a number of iterations')
    return _interval('length', length)


def _interval(name: str, value: Any) -> tuple[int, str]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2 or not _is_count(value[0]) \
            or value[1] not in ('epoch', 'iteration'):
        raise RunError(f"{name} is an interval such as (2, 'epoch') or (100, 'iteration'), and not {value!r}")
    return value[0], value[1]


def _count(name: str, value: Any) -> int:
    if not _is_count(value):
        raise RunError(f'{name} is an integer from 1 on, and not {value!r}')
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _check_batch(batch: int, program: Program, datasets: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses a size of minibatches that no stream takes, or that is larger than the data of one that does."""
    streams = [name for name in datasets if name not in program.settings.batches]
    if not streams:
        raise RunError(f'each data block has a `batch` of its own, which comes before the {batch} that is asked for: '
                       'change it there')
    for name in streams:
        training = datasets[name]['train']
        if hasattr(training, 'iterator') or not hasattr(training, '__len__'):      # its length is known later or never
            continue
        with program.origin.reading(program.inputs, name, 'the training data'):
            examples = len(training)
        if examples < batch:
            raise RunError(f'the training data of {name!r} has {examples} examples, and a minibatch would take '
                           f'{batch}: ask for a smaller batch')


def _reports(program: Program, datasets: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, bool]]:
    """Returns what is reported in training and evaluation, each with whether it should fall.

    The keys are without spaces: `pair[0, 1]` can be asked for as `pair[0,1]`.
    """
    found = {}
    entries = dict.fromkeys(entry for by_entry in datasets.values() for entry in by_entry if entry != 'train')
    for streams, reports in program.reported.items():
        here = [entry for entry in entries if all(entry in datasets[stream] for stream in streams)]
        prefixes = ['', *('validation/' if entry == 'test' else f'{entry}/' for entry in here)]
        found.update({prefix + name: falls for prefix in prefixes for name, falls in reports.items()})
    return {_packed(name): (name, falls) for name, falls in found.items()}


def _known(name: str, reports: Mapping[str, tuple[str, bool]], option: str) -> tuple[str, bool]:
    if _packed(name) in reports:
        return reports[_packed(name)]
    member = next((report for report in reports if report.startswith(f'{_packed(name)}[')), '')
    close = member or closest(_packed(name), reports)
    known = [report for report, _ in reports.values()]
    more = ', ...' if len(known) > 8 else ''
    raise RunError(f'nothing is reported as {name!r}, which {option} names: ' + (
        f'did you mean {reports[close][0]!r}?' if close else f'there are {", ".join(known[:8])}{more}'))


def _packed(name: str) -> str:
    return re.sub(r'\s', '', name)


def _stall(text: str, reports: Mapping[str, tuple[str, bool]]) -> tuple[str, bool, int]:
    match = _STALLS.fullmatch(text)
    if match is None:
        raise RunError(f"--stop-when takes 'NAME stalls for 5 evaluations' or 'never', and not {text!r}")
    return (*_known(match['report'], reports, '--stop-when'), int(match['evaluations']))
