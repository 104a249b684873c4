"""Explains which ways lead from a model, and where each of them ends. Only a mistake asks for it."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Iterator, Mapping, Optional, Sequence

from graphdsl.semantics.computation import (
    Apply, Assignment, Builtin, Comparison, Expression, Function, Key, ModelName, Reference, Scalar, children, walk)
from graphdsl.semantics.flow import gradient_sources, is_cut, reaching
from graphdsl.semantics.wording import row, with_article
from graphdsl.diagnostics import Place, Span

_MOST_WAYS = 3
_MOST_PLACES = 4
#: A large file may have as many mistakes as models; the first ones are explained.
_MOST_STEPS = 50_000
#: What is worth saying first.
_ENDS = ('loss', 'cut', 'report', 'nothing')


@dataclass(frozen=True)
class Way:
    """A way from a model through values to where it ends.

    Attributes:
        model: Where it starts.
        keys: The values that it passes.
        made: The assignment that makes each of them.
        end: ``'loss'``, ``'cut'``, ``'report'`` or ``'nothing'``.
        loss: The loss that it comes to, or would come to if it were not cut.
        cut: What cuts it, or the way to the report.
        report: Whether it ends in a ``'metric'`` or ``'output'``.
    """

    model: Key
    keys: tuple[Key, ...]
    made: tuple[Assignment, ...]
    end: str
    loss: Optional[Key] = None
    cut: Optional[Expression] = None
    report: str = ''

    @property
    def last(self) -> Key:
        return self.keys[-1] if self.keys else self.model

    def note(self) -> str:
        """Returns the way as a sentence."""
        way = row((self.model, *self.keys))
        if self.end == 'loss':
            return f'the way {way} leads to the loss `{self.loss}`'
        if self.end == 'cut':
            return f'the way {way} to the loss `{self.loss}` is cut by {cutter(self.cut)}: no gradient flows through it'
        if self.end == 'report':
            return f'the way {way} ends here: `{self.last}` is only {with_article(self.report)}'
        return f'the way {way} ends here: no edge and no loss reads `{self.last}`'

    def places(self) -> tuple[Place, ...]:
        """Returns where to look at it, from its start to its end, the middle of a long way left out."""
        found: dict[Span, Place] = {}
        for i, (key, assignment) in enumerate(zip(self.keys, self.made)):
            if key != self.loss:
                found.setdefault(assignment.span, Place(
                    assignment.span, f'`{self.model}` gives `{key}`' if i == 0 else f'makes `{key}`'))
        places = list(found.values())
        if len(places) > _MOST_PLACES:
            places[_MOST_PLACES // 2:-_MOST_PLACES // 2] = []
        if self.end == 'cut':
            places.append(Place(self.cut.span, f'no gradient flows through {cutter(self.cut)}'))
        return tuple(places)

    def mended(self) -> str:
        """Returns what to do for the model to be trained by this way."""
        if self.end == 'cut':
            is_builtin = isinstance(self.cut, Apply) and isinstance(self.cut.callee, Builtin)
            return f'remove {cutter(self.cut)}' if is_builtin else \
                f'use something that has a gradient in place of {cutter(self.cut)}'
        return f'make `{self.last}` a `loss`' if self.report == 'metric' else f'compute a loss from `{self.last}`'


class Ways:
    """Finds the ways from models.

    Args:
        assignments: In the order of computation.
        losses: Where each stands.
        reports: ``'metric'`` or ``'output'`` for each value that is one.
    """

    def __init__(self, assignments: Sequence[Assignment], losses: Mapping[Key, Span], reports: Mapping[Key, str]):
        self._losses = losses
        self._reports = reports
        self._room = _MOST_STEPS
        self._latest: Optional[Key] = None
        self._values: dict[Key, Key] = {}
        self._readers: dict[Key, list[Assignment]] = {}
        self._callers: dict[Key, list[Assignment]] = {}
        self._maker: dict[Key, Assignment] = {}
        for assignment in assignments:
            for key in assignment.operands:
                self._readers.setdefault(key, []).append(assignment)
            for key in assignment.results:
                self._maker[key] = assignment
            for model in assignment.models:
                self._callers.setdefault(model, []).append(assignment)
        # The loss that each value comes to when nothing cuts the way.
        self._toward: dict[Key, Key] = {loss: loss for loss in losses}
        for assignment in reversed(assignments):
            loss = next((self._toward[key] for key in assignment.results if key in self._toward), None)
            for key in assignment.operands if loss is not None else ():
                if key not in losses:
                    self._toward[key] = loss

    def of(self, model: Key, wanted: Collection[Key] = ()) -> list[Way]:
        """Returns some ways from a model, the most telling first.

        Args:
            model: The model.
            wanted: Losses; ways to these come before ways to others.
        """
        found = sorted(self._all(model), key=lambda way: (
            _ENDS.index(way.end), way.loss not in wanted, way.cut is not None))
        return [way for way in found if way.end == found[0].end][:_MOST_WAYS]

    def calls(self, model: Key) -> list[Assignment]:
        """Returns the assignments that call a model."""
        return self._callers.get(model, [])

    def to(self, model: Key, loss: Key) -> Optional[Way]:
        """Returns the way from a model to a loss, the cut one if there is no other."""
        if self._room < 0:
            return None
        ways = [way for way in self._all(model, self._behind(loss)) if way.loss == loss]
        return min(ways, key=lambda way: _ENDS.index(way.end), default=None)

    def _behind(self, loss: Key) -> dict[Key, Key]:
        """Returns the loss for each value that it is computed from, whether gradients flow there or not."""
        if loss != self._latest:
            assignments = reaching([loss], self._maker)
            self._room -= len(assignments)
            self._latest = loss
            self._values = dict.fromkeys([loss, *(key for a in assignments for key in a.operands)], loss)
        return self._values

    def _all(self, model: Key, toward: Optional[Mapping[Key, Key]] = None) -> Iterator[Way]:
        """Yields a way for each end, by a walk that comes to each value once; none after too much of this.

        Args:
            model: Where ways begin.
            toward: The loss that lies behind each value, for ways that are cut.
        """
        toward = self._toward if toward is None else toward
        before: dict[Key, tuple[Optional[Key], Assignment]] = {}
        pending: list[Key] = []
        for assignment in self._callers.get(model, ()):
            if any(callee.key == model for callee in gradient_sources(assignment)[1]):
                for key in assignment.results:
                    before.setdefault(key, (None, assignment))
                    pending.append(key)
            else:
                yield from self._cut(model, None, assignment, {}, toward)
        for key in pending:         # which grows
            self._room -= 1
            if self._room < 0:
                return
            readers = self._readers.get(key, ())
            if key in self._losses:
                yield self._way(model, key, before, 'loss', loss=key)
            elif not readers and key in self._reports:
                yield self._way(model, key, before, 'report', report=self._reports[key])
            elif not readers:
                yield self._way(model, key, before, 'nothing')
            for assignment in readers:
                if key not in gradient_sources(assignment)[0]:
                    yield from self._cut(model, key, assignment, before, toward)
                    continue
                for result in assignment.results:
                    if result not in before:
                        before[result] = key, assignment
                        pending.append(result)

    def _cut(self, model: Key, key: Optional[Key], assignment: Assignment,
             before: Mapping[Key, tuple[Optional[Key], Assignment]], toward: Mapping[Key, Key]) -> Iterator[Way]:
        """Yields the way that an assignment cuts, if a loss or a report lies behind."""
        loss = next((toward[result] for result in assignment.results if result in toward), None)
        cut = _cutting(assignment, key, model)
        report = next((result for result in assignment.results if result in self._reports), None)
        if loss is not None:
            yield self._way(model, key, before, 'cut', loss=loss, cut=cut)
        elif report is not None:
            way = self._way(model, key, before, 'report', report=self._reports[report])
            yield Way(model, (*way.keys, report), (*way.made, assignment), 'report', cut=cut, report=way.report)
        else:
            yield self._way(model, key, before, 'nothing')

    @staticmethod
    def _way(model: Key, key: Optional[Key], before: Mapping[Key, tuple[Optional[Key], Assignment]], end: str,
             **details) -> Way:
        row = []
        while key is not None:
            row.append((key, before[key][1]))
            key = before[key][0]
        row.reverse()
        return Way(model, tuple(key for key, _ in row), tuple(made for _, made in row), end, **details)


def _cutting(assignment: Assignment, key: Optional[Key], model: Key) -> Expression:
    """Returns what within an assignment lets no gradient through to a value, or to a model if there is none."""
    for i, stage in enumerate(assignment.stages):
        pending: list[tuple[Expression, Optional[Expression]]] = [(stage, None)]
        while pending:
            node, cut = pending.pop()
            is_it = node.key == key if isinstance(node, Reference) else (
                key is None and isinstance(node, Apply) and isinstance(node.callee, ModelName)
                and node.callee.key == model)
            if is_it:
                later = (inner for after in assignment.stages[i + 1:] for inner in walk(after) if is_cut(inner))
                return cut or next(later, assignment.stages[-1])
            cut = cut or (node if is_cut(node) else None)
            pending.extend((child, cut) for child in children(node))
    return assignment.stages[-1]


def cutter(node: Optional[Expression]) -> str:
    """Returns what to call something that no gradient flows through."""
    if isinstance(node, Apply) and isinstance(node.callee, (Builtin, Function)):
        return f'`{node.callee.name}`'
    if isinstance(node, Comparison):
        return 'a comparison'
    return 'a number that is read from it' if isinstance(node, Scalar) else 'this'
