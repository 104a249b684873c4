"""What the rules of the language ask of the runs of a graph."""
from __future__ import annotations

from typing import Iterable, Iterator, Mapping, Optional

from graphdsl.semantics.changes import known_before
from graphdsl.semantics.computation import (
    Apply, Assignment, Builtin, ChainType, Expression, Key, Literal, ModelName, Previous, Reference,
    Reported, walk)
from graphdsl.semantics.graph import Graph, Loss, Step
from graphdsl.semantics.needs import Needs, steps_of, streams_of, streams_read, terms_of
from graphdsl.semantics.optimizers import part_of
from graphdsl.semantics.paths import links
from graphdsl.semantics.wording import members
from graphdsl.diagnostics import Diagnostic, Place, Span


def check_runs(graph: Graph) -> Iterator[Diagnostic]:
    """Yields what is wrong with the runs of a graph whose names and owners are right."""
    needs = Needs(graph)
    runs = [(step, needs.of_step(step)) for step in steps_of(graph) if not _is_skipped(step)]
    yield from _undrawn(graph, [a for _, run in runs for a in run])
    yield from _known_too_late(graph, needs)
    yield from _stateful(graph, runs)
    yield from _points(graph, needs)
    yield from _conditional_aliases(graph, needs)
    yield from _never_reported(graph)
    yield from _never_computed(graph, needs, [a for _, run in runs for a in run])


def _is_skipped(step: Step) -> bool:
    """Says whether a step never runs, by a number of repetitions that is known."""
    return isinstance(step.count, Literal) and step.count.value <= 0


def _never_computed(graph: Graph, needs: Needs, run: list[Assignment]) -> Iterator[Diagnostic]:
    """Warns of states that wait for what no run computes."""
    there = {key for a in run for key in (*a.results, *a.operands)}
    numbers = {step.name: i for i, step in enumerate(graph.steps)}
    first: dict[Key, int] = {}      # the number of the step that computes, or reads, each value first
    for step in graph.steps:
        for assignment in needs.of_step(step):
            for key in (*assignment.results, *assignment.operands):
                first.setdefault(key, numbers[step.name])
    read = {node.key for expression in graph.conditions() for node in walk(expression) if isinstance(node, Reference)}
    for change in graph.nexts:
        for key, span in needs.leaves(change.expression).items():
            if key in read:
                continue
            if key not in there:
                yield Diagnostic('G155', f'no step computes `{key}`', span, severity='warning',
                                 reason='the state never moves',
                                 help='read what a loss needs, or what follows from it by functions')
            elif change.after is not None and first.get(key, len(numbers)) > numbers[change.after]:
                yield Diagnostic('G155', f'no step up to `{change.after}` computes `{key}`', span, severity='warning',
                                 reason='the state never moves',
                                 help='leave out `after`, and the state moves at the end of the iteration')


def _never_reported(graph: Graph) -> Iterator[Diagnostic]:
    """Refuses to wait for a report on test data that some stream does not have."""
    needed = {str(key): streams for key, streams in streams_of(graph).items()}
    entries = {stream.name: {dataset.name for dataset in stream.datasets} for stream in graph.streams}
    names = [best.report for best in graph.train.best]
    if graph.train.stall is not None:
        names.append(graph.train.stall.report)
    if graph.train.stop is not None:
        names += [node.name for node in walk(graph.train.stop) if isinstance(node, Reported)]
    for name in names:
        prefix, slash, report = name.rpartition('/')
        entry = 'test' if prefix == 'validation' else prefix
        without = [stream for stream in needed.get(report, ()) if slash and entries and entry not in entries[stream]]
        if without:
            span = next(stream.span for stream in graph.streams if stream.name == without[0])
            yield Diagnostic('G603', f'`{name}` is never reported', span,
                             reason=f'`{report}` needs `{without[0]}`, which has no `{entry}`',
                             help=f'add a line `{entry} = SOURCE`, or name another report')


def _undrawn(graph: Graph, assignments: list[Assignment]) -> Iterator[Diagnostic]:
    """Refuses a run that reads no input of the clock: it would never come to the end of an epoch."""
    if not graph.streams and not any(i.name != '_' for i in graph.inputs):
        for assignment in graph.assignments:
            if assignment.needs_batch_size:
                yield Diagnostic('G125', '`batch_size` needs an input', assignment.span)
    counted_in_epochs = graph.train.length is not None and graph.train.length.unit == 'epoch'
    if graph.streams and counted_in_epochs and graph.streams[0].name not in streams_read(graph, assignments):
        clock = graph.streams[0]
        what = 'the data' if len(graph.streams) == 1 else f'`{clock.name}`, which counts the epochs'
        yield Diagnostic('G508', f'no loss reads {what}', clock.span, reason='an epoch would never end',
                         help='say `iterations` in `train`, or use an input')


def _known_too_late(graph: Graph, needs: Needs) -> Iterator[Diagnostic]:
    """Refuses numbers that depend on what is not there yet."""
    noises = {noise.key: noise for noise in graph.noises}
    optimizers = {optimizer.name: optimizer for optimizer in graph.optimizers}

    def late(expression: Optional[Expression], what: str, drawn: bool = False) -> Iterator[Diagnostic]:
        span = None if expression is None else known_before(expression, needs.maker, noises, drawn)
        if span is not None:
            yield Diagnostic('G219', f'{what} is needed before this is known', span,
                             reason='it is drawn or computed within a run',
                             help='use params, states, `iteration`, `epoch`, `progress`, `batch_size`')

    shared = {loss for step in graph.steps if step.kind in ('accumulate', 'unroll') for update in step.updates
              for loss in (term.loss for term in terms_of(update, optimizers[update.optimizer]))}
    for loss in graph.losses:
        yield from late(loss.condition, 'the condition of a loss', drawn=loss.key not in shared)
    for step in graph.steps:
        yield from late(step.condition, 'the condition of a step', drawn=True)
        yield from late(step.count, f'the number of `{step.kind}`')
        for update in step.updates:
            yield from late(update.condition, 'the condition of an update', drawn=step.kind in (None, 'repeat'))
    for schedule in graph.schedules:
        yield from late(schedule.expression, 'a hyperparameter')
    for model in graph.models:
        yield from late(model.decay, 'a decay')


def _stateful(graph: Graph, runs: list[tuple[Step, tuple[Assignment, ...]]]) -> Iterator[Diagnostic]:
    """Refuses a model that carries a state and is called in two places, or needed by two steps."""
    chains = {model.key: model.chain for model in graph.models}
    calls: dict[Key, Span] = {}
    for key, span in _stateful_calls(graph.assignments, chains):
        if key in calls:
            yield Diagnostic('G318', f'`{key}` carries a state, and is called twice', span,
                             places=(Place(calls[key], 'called here too'),),
                             help='each call would move its state: declare a second model')
        calls.setdefault(key, span)
    first: dict[Key, Step] = {}
    for step, run in runs:
        for key, span in _stateful_calls(run, chains):
            if first.setdefault(key, step) is not step:
                yield Diagnostic('G318', f'`{key}` carries a state, and the steps `{first[key].name}` and '
                                 f'`{step.name}` need it', span,
                                 places=(Place(first[key].span, 'a step'), Place(step.span, 'the other one')),
                                 help='each step would move its state: declare a second model')


def _stateful_calls(assignments: Iterable[Assignment], chains: Mapping[Key, ChainType]
                    ) -> Iterator[tuple[Key, Span]]:
    """Yields the models whose state some assignments move, each with its place."""
    for assignment in assignments:
        for node in walk(*assignment.stages):
            if isinstance(node, Apply) and isinstance(node.callee, ModelName):
                model, path = node.callee.key, node.callee.path
                if any(link.is_stateful for link in links(part_of(chains[model], path))):
                    yield model, node.span


def may_be_stateful(chain: ChainType) -> bool:
    """Says whether a chain may carry a state: nobody knows what is in an imported link."""
    return any(link.is_stateful or not link.module for link in links(chain))


def _points(graph: Graph, needs: Needs) -> Iterator[Diagnostic]:
    """Refuses the gradient of a value with respect to one that it does not depend on."""
    for assignment in graph.assignments:
        for i, stage in enumerate(assignment.stages):
            for node in walk(stage):
                if not (isinstance(node, Apply) and node.callee == Builtin('grad')):
                    continue
                y, x = node.arguments
                found = _ancestors([y, *(assignment.stages[:i] if isinstance(y, Previous) else ())], needs)
                if x.key not in found:
                    yield Diagnostic('G220', f'this does not depend on `{x.key}`', y.span,
                                     reason='its gradient would be 0',
                                     places=(Place(x.span, 'differentiated with respect to this'),),
                                     notes=(f'it is computed from {members(found)}',) if found else (),
                                     help=f'differentiate with respect to one of these, or compute it from `{x.key}`')


def _conditional_aliases(graph: Graph, needs: Needs) -> Iterator[Diagnostic]:
    """Refuses two losses that name one value under different conditions: a value is differentiated once."""
    first: dict[Key, Loss] = {}
    for loss in graph.losses:
        other = first.setdefault(needs.root(loss.key), loss)
        if other.condition != loss.condition:
            yield Diagnostic('G221', f'`{loss.key}` and `{other.key}` are one value, with different conditions',
                             loss.span, places=(Place(other.span, f'this is `{other.key}`'),),
                             help=f'make it a value of its own: `1 * {other.key}`')


def _ancestors(expressions: Iterable[Expression], needs: Needs) -> set[Key]:
    """Returns the values that some expressions are computed from."""
    direct = [node.key for node in walk(*expressions) if isinstance(node, Reference)]
    return {*direct, *(key for a in needs.assignments(direct) for key in a.operands)}
