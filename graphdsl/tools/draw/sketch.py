"""Walks over a plan and notes every box and arrow of it, each member of a family for itself."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import FrozenSet, Iterable, Mapping, NamedTuple, Optional, Sequence

from graphdsl.diagnostics import Source
from graphdsl.plan.plan import Plan
from graphdsl.semantics.computation import (
    Apply, Assignment, Builtin, ChainType, Expression, Function, Imported, Key, ModelName, NumberFunction, Previous,
    Reference, children, walk)
from graphdsl.semantics.flow import is_cut, reaching
from graphdsl.shapes.trace import Place
from graphdsl.shapes.types import ArrayType, Type

_LONGEST = 32


class Box(NamedTuple):
    """A box of a sketch: what it is, the name it is folded by, and its title before that.

    Attributes:
        copy: Which of several boxes of a model it is.
    """

    kind: str
    key: Key
    title: str
    detail: str = ''
    copy: int = 0


class Flow(NamedTuple):
    """What flows out of a box, on its way to another.

    Attributes:
        value: Its name, if it has one.
        type: What it is, where that is known.
        values: The values that gradients of it flow back to first, itself if it has a name.
        models: The models between these and it.
        is_cut: Whether no gradient flows back from where it is used.
    """

    box: Box
    value: Optional[Key] = None
    type: Type = None
    values: FrozenSet[Key] = frozenset()
    models: FrozenSet[Key] = frozenset()
    is_cut: bool = False

    def named(self, value: Key, type: Type) -> Flow:
        """Returns the same with a name."""
        named = self._replace(value=value, type=type)
        return named if self.is_cut else named._replace(values=frozenset([value]), models=frozenset())


class Arrow(NamedTuple):
    """An arrow of a sketch.

    Attributes:
        user: The assignment that it flows into; None for the way to an output.
        is_lost: Whether gradients end between its head and the result of this.
    """

    flow: Flow
    head: Box
    user: Optional[Assignment]
    is_lost: bool = False

    @property
    def tail(self) -> Box:
        """Where it begins."""
        return self.flow.box


@dataclass
class Sketch:
    """The boxes and arrows of a graph.

    Args:
        plan: The plan.
        source: The file, whose expressions are titles.
        types: What each stage gives, by place, as far as it is known.

    Attributes:
        boxes: Each once, in the order of the file.
        arrows: In the order in which what they lead to is computed.
    """

    plan: Plan
    source: Source
    types: Mapping[Place, Type] = field(default_factory=dict)
    arrows: list[Arrow] = field(default_factory=list)
    boxes: dict[Box, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.plan.graph
        self._calls: dict[Key, list[Box]] = {}
        self._after: dict[Box, set[Box]] = {}
        self._kinds = {**{loss.key: 'loss' for loss in graph.losses},
                       **{metric.key: 'metric' for metric in graph.metrics}}
        self._values: dict[Key, tuple[Flow, ...]] = {}
        maker = {key: assignment for assignment in graph.assignments for key in assignment.results}
        self._needed = {id(one) for one in reaching((loss.key for loss in graph.losses), maker)}
        for one in graph.inputs:
            if one.name != '_':
                shape = ('B', *('?' if n is None else n for n in one.shape))
                self._bind(Box('input', Key(one.name), one.name, str(ArrayType(one.dtype, shape))))
        for noise in graph.noises:
            self._bind(Box('noise', noise.key, noise.key.base, f'~ {noise.distribution}'))
        for number, assignment in enumerate(graph.assignments):
            if not assignment.is_number:
                self._assignment(assignment, number)
        for key in graph.outputs:
            for one in self._values.get(key, ()):
                self._arrow(one, Box('output', key, key.base), None)

    def is_aside(self, arrow: Arrow) -> bool:
        """Says whether no loss depends on what an arrow leads to."""
        return id(arrow.user) not in self._needed

    @property
    def values(self) -> Iterable[Key]:
        """All values that flow."""
        return self._values

    def _bind(self, box: Box) -> None:
        self.boxes[box] = None
        self._values[box.key] = (Flow(box, box.key, values=frozenset([box.key])),)

    def _assignment(self, assignment: Assignment, number: int) -> None:
        flows: list[Flow] = []
        self._first = len(self.arrows)
        for i, stage in enumerate(assignment.stages):
            kind = self.types.get(Place((), number, i))
            flows = self._flows(stage, flows, assignment)
            if _calls_model(stage):
                flows = [flows[0]._replace(type=kind)]
        last = assignment.stages[-1]
        is_box = self._is_box(assignment, flows)
        if is_box:
            flows = [self._box(Box('function', assignment.results[0], self._text(assignment)), flows, assignment)]
        kinds = kind if isinstance(kind, tuple) and not isinstance(kind, ArrayType) else (kind,) * len(
            assignment.results)
        for result, one in zip(assignment.results, kinds):
            if result in self._kinds:
                name = _name(last)
                box = Box(self._kinds[result], result, result.base, name if name != result.base else '')
                self._values[result] = (self._box(box, flows, assignment).named(result, one),)
            else:
                self._values[result] = tuple(flow.named(result, one) if is_box or _calls_model(last) else flow
                                             for flow in flows)

    def _is_box(self, assignment: Assignment, flows: Sequence[Flow]) -> bool:
        """Says whether an assignment is drawn as a function; what leads to metrics and outputs alone is not."""
        last = assignment.stages[-1]
        return not (_calls_model(last) or isinstance(last, (Reference, Previous)) or is_cut(last) and len(flows) == 1
                    or id(assignment) not in self._needed or assignment.results[0] in self._kinds)

    def _box(self, box: Box, flows: Iterable[Flow], assignment: Assignment) -> Flow:
        """Draws a box that takes some flows; returns what flows out of it."""
        self.boxes[box] = None
        for one in flows:
            self._arrow(one, box, assignment)
        going = [one for one in flows if not one.is_cut]
        return Flow(box, None, None, frozenset().union(*(one.values for one in going)),
                    frozenset().union(*(one.models for one in going)))

    def _flows(self, node: Expression, before: Sequence[Flow], assignment: Assignment) -> list[Flow]:
        """Returns what an expression takes, the models that it calls drawn."""
        if isinstance(node, Previous):
            return list(before)
        if isinstance(node, Reference):
            return list(self._values.get(node.key, ()))
        start = len(self.arrows)
        found = _each_once(one for child in children(node) for one in self._flows(child, before, assignment))
        if _calls_model(node):
            return [self._call(node.callee, found, assignment)]
        if not is_cut(node):
            return found
        start = self._first if any(isinstance(one, Previous) for one in walk(node)) else start
        self.arrows[start:] = [arrow._replace(is_lost=True) for arrow in self.arrows[start:]]
        return [one._replace(is_cut=True) for one in found]

    def _call(self, callee: ModelName, flows: list[Flow], assignment: Assignment) -> Flow:
        """Draws a call: in the box of the model, or in another where arrows would run in a circle.

        The circle of a family, each member of which the model computes from the one before, is shown as it is.
        """
        boxes = self._calls.setdefault(callee.key, [])
        tails = {one.box for one in flows if not (one.box in boxes and one.value is not None and one.value.index)}
        box = boxes[-1] if boxes and not self._leads(boxes[-1], tails) else None
        if box is None:
            box = Box('model', callee.key, '.'.join([callee.key.base, *callee.path]), '', len(boxes))
            boxes.append(box)
        flow = self._box(box, flows, assignment)
        return flow._replace(models=flow.models | {callee.key})

    def _leads(self, first: Box, last: set[Box]) -> bool:
        seen, pending = {first}, [first]
        while pending:
            box = pending.pop()
            if box in last:
                return True
            after = self._after.get(box, set()) - seen
            seen |= after
            pending.extend(after)
        return False

    def _arrow(self, one: Flow, head: Box, user: Optional[Assignment]) -> None:
        self.boxes[head] = None
        self._after.setdefault(one.box, set()).add(head)
        self.arrows.append(Arrow(one, head, user))

    def _text(self, assignment: Assignment) -> str:
        """Returns a title for what functions compute: the expression, or the names of the functions if that is long."""
        text = ''.join(c if c.isprintable() else ' ' for c in self.source[assignment.stages[-1].span])
        text = ' '.join(text.split())
        if len(text) <= _LONGEST and len(assignment.stages) < 3 and not assignment.results[0].index:
            return text
        names = dict.fromkeys(filter(None, map(_name, walk(*assignment.stages))))
        title = ', '.join(names) or text
        return title if len(title) <= _LONGEST else title[:_LONGEST - 3] + '...'


def _calls_model(node: Expression) -> bool:
    return isinstance(node, Apply) and isinstance(node.callee, ModelName)


def _name(node: Expression) -> str:
    """Returns the name of the function that an expression calls, empty for one that calls none."""
    callee = node.callee if isinstance(node, Apply) else None
    return callee.name if isinstance(callee, (Function, Builtin, Imported, NumberFunction, ChainType)) else ''


def _each_once(flows: Iterable[Flow]) -> list[Flow]:
    return list(dict.fromkeys(flows))
