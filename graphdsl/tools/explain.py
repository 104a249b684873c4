"""A plan in words: what each step draws, takes over, computes, differentiates, updates, and what it leaves out."""
from __future__ import annotations

import itertools
from typing import Callable, Iterable, Iterator, Sequence

from graphdsl.diagnostics import Source
from graphdsl.semantics.computation import Assignment, Expression, Key, ModelName
from graphdsl.plan.history import History
from graphdsl.plan.plan import ALWAYS, NEVER, BackwardPass, Guard, Operation, Plan, Step
from graphdsl.tools.families import folded, sizes


class Explanation:
    """Tells what a plan does.

    Args:
        plan: The plan.
        source: The file, whose conditions are shown.
    """

    def __init__(self, plan: Plan, source: Source):
        self.plan = plan
        self._source = source
        graph = plan.graph
        self._values = sizes(str(key) for assignment in graph.assignments for key in assignment.results)
        self._models = sizes(str(model.key) for model in graph.models)
        self._optimizers = sizes(optimizer.name for optimizer in graph.optimizers)
        self._positions = {id(assignment): i for i, assignment in enumerate(graph.assignments)}

    def lines(self, step: Step) -> Iterator[tuple[str, str]]:
        """Yields what there is to say of a step: a heading, and a text or, for a further one, no heading."""
        yield from _several('draws', self._draws(step))
        for name in dict.fromkeys(one.step for one in step.reused):
            taken = [one.operation for one in step.reused if one.step == name]
            yield 'takes over', f'{self._results(taken)}, as step {name} has computed it'
        yield 'computes', self._results(step.forward)
        yield from _several('as one', self._stacks(step.forward))
        yield from _several('cut', self._cuts(step))
        for number, one in enumerate(step.backward, 1):
            heading = 'backward' if len(step.backward) == 1 else f'backward {number}'
            yield heading, f'{self._losses(one)} to {self._owned(one)}'
            yield '', f'through {self.path(step, one)}'
            if one.unused:
                yield '', f'and to {self._names(map(str, one.unused))}, unused'
        if step.quiet:
            yield 'quiet', f'{self._names(str(key) for key, _ in step.quiet)}: running statistics stay as they are'
        yield 'updates', self._guarded(step, step.updates, self.optimizers)
        if step.handed:
            yield 'hands on', self.values(step.handed)

    def path(self, step: Step, one: BackwardPass) -> str:
        """Returns what the gradients of a pass go through, models and values in the order of computation.

        Args:
            step: The step.
            one: The pass.
        """
        operations = sorted([*(reused.operation for reused in step.reused), *step.forward],
                            key=lambda operation: self._positions[id(operation.assignment)])
        moved = {unit.model for units in one.units for unit in units}
        history = History([operation.assignment for operation in operations],
                          {term.loss: ALWAYS for term in one.losses}, dict.fromkeys(moved, ALWAYS), ())
        stations = [name for operation in operations if history.stages(operation.assignment)[-1] != NEVER
                    for name in (*map(str, operation.assignment.models), *_named(operation.assignment.results))]
        return ', '.join(folded(stations, {**self._models, **self._values}))

    def values(self, keys: Iterable[Key]) -> str:
        """Returns values as text."""
        return ', '.join(folded(map(str, keys), self._values))

    def optimizers(self, names: Iterable[str]) -> str:
        """Returns optimizers as text."""
        return ', '.join(folded(names, self._optimizers))

    def _names(self, names: Iterable[str]) -> str:
        return ', '.join(folded(names, self._models))

    def _results(self, operations: Iterable[Operation]) -> str:
        return self.values(key for one in operations for key in one.assignment.results if key.base != '_')

    def _draws(self, step: Step) -> Iterator[str]:
        for draw in (draw for draw in step.draws if draw.is_read):
            article = 'the same' if draw.again else 'a' if draw.kind == 'stream' else ''
            what = f'{article} minibatch of {draw.name}' if draw.kind == 'stream' else f'{article} noise {draw.name}'
            yield what.strip() + self._when(step, draw.guard)

    def _stacks(self, operations: Sequence[Operation]) -> Iterator[str]:
        stacks: dict[int, list[Operation]] = {}
        for one in operations:
            if one.stack is not None:
                stacks.setdefault(one.stack, []).append(one)
        for members in stacks.values():
            models = [str(model) for one in members for model in one.assignment.models]
            yield f'{self._names(models)} in one matrix product' if models else \
                f'{self._results(members)} in one evaluation'

    def _cuts(self, step: Step) -> Iterator[str]:
        without = [one for one in step.forward if not one.has_history and not one.assignment.is_number]
        upstream = [one for one in without if one.is_wanted]
        unwanted = [one for one in without if not one.is_wanted]
        if upstream:
            yield f'{self._results(upstream)}: no history, made of nothing that is updated here'
        if unwanted:
            yield f'{self._results(unwanted)}: no history, what reads it passes no gradient on'
        for one in step.forward:
            for stage, guard in zip(one.assignment.stages, one.history):
                models = [str(callee.key) for callee in Assignment(one.assignment.span, (), (stage,)).callees
                          if isinstance(callee, ModelName)]
                if models and guard not in (ALWAYS, NEVER, one.guard):
                    yield f'{self._names(models)}: a history only{self._when(step, guard)[1:]}'
        reported = [one for one in step.metrics if not one.has_history and not one.assignment.is_number]
        if reported:
            yield f'{self._results(reported)}: no history, computed for reports alone'

    def _losses(self, one: BackwardPass) -> str:
        groups = itertools.groupby(one.losses, lambda term: term.weight)
        return ', '.join(f'{_factor(weight)}{name}' for weight, terms in groups
                         for name in folded((str(term.loss) for term in terms), self._values))

    def _owned(self, one: BackwardPass) -> str:
        return self._names(str(unit) for units in one.units for unit in units)

    def _guarded(self, step: Step, items: Sequence[tuple[str, Guard]],
                 written: Callable[[Iterable[str]], str]) -> str:
        groups: dict[Guard, list[str]] = {}
        for name, guard in items:
            groups.setdefault(guard, []).append(name)
        return '; '.join(written(names) + self._when(step, guard) for guard, names in groups.items())

    def _when(self, step: Step, guard: Guard) -> str:
        if guard == ALWAYS:
            return ''
        texts = {i: self._text(step.conditions[i].expression) for case in guard for i in case}
        if len(texts) > 1:
            texts = {i: f'({text})' if ' or ' in text else text for i, text in texts.items()}
        cases = [' and '.join(texts[i] for i in sorted(case)) for case in sorted(guard, key=sorted)]
        return f', if {" or ".join(cases)}'

    def _text(self, expression: Expression) -> str:
        return ' '.join(self._source.text[expression.span.start:expression.span.end].split())

    def heading(self, step: Step) -> str:
        """Returns a step's name, how often it runs and when."""
        count = '' if step.count is None else self._text(step.count)
        runs = {None: '', 'repeat': f', {count} times', 'accumulate': f', the mean over {count} minibatches',
                'unroll': f', over {count} consecutive minibatches'}[step.kind]
        return f'step {step.name}{runs}{"" if step.condition is None else f", if {self._text(step.condition)}"}'


def _named(keys: Iterable[Key]) -> list[str]:
    return [str(key) for key in keys if key.base != '_']


def _factor(weight: float) -> str:
    return '' if weight == 1 else '-' if weight == -1 else f'{weight:g} * '


def _several(heading: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, text in enumerate(texts):
        yield ('' if number else heading), text
