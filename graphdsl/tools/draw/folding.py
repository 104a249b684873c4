"""Folds the families of a sketch, and says what of it is owned, frozen, cut and run."""
from __future__ import annotations

from typing import Collection, Iterator, NamedTuple, Optional, Union

from graphdsl.semantics.computation import Key
from graphdsl.shapes.types import ArrayType, Type, shape_text
from graphdsl.tools.draw.gradients import Running
from graphdsl.tools.draw.picture import Edge, Node, Picture
from graphdsl.tools.draw.sketch import Arrow, Box, Sketch
from graphdsl.tools.families import base_of, folded, sizes

_MOST_NAMES, _LONGEST = 3, 48


def folded_picture(sketch: Sketch, step: Optional[str] = None) -> Picture:
    """Makes the picture of a graph.

    Args:
        sketch: Its boxes and arrows.
        step: The step to show; None for the whole iteration.
    """
    folding = _Folding(sketch, step)
    return Picture(sketch.source.name, tuple(folding.nodes()), tuple(folding.edges()), folding.optimizers, step)


class _Group(NamedTuple):
    """What boxes have in common that are one node."""

    kind: str
    base: str
    title: str
    owner: str
    copy: int


class _Value(NamedTuple):
    """What flows have in common that are one node: what a model gives, by name, or else where it goes."""

    tail: _Group
    base: str
    head: Optional[_Group]
    kind: str = 'value'


_Stop = Union[_Group, _Value]


class _Folding:

    def __init__(self, sketch: Sketch, step: Optional[str]):
        self._sketch = sketch
        self._is_step = step is not None
        self._running = Running(sketch.plan, step)
        graph = sketch.plan.graph
        self._models = {model.key: model for model in graph.models}
        self._owners: dict[Key, dict[str, None]] = {}
        for optimizer in graph.optimizers:
            for unit in optimizer.owns:
                self._owners.setdefault(unit.model, {})[optimizer.name] = None
        families: dict[str, list[str]] = {}
        for optimizer in graph.optimizers:
            families.setdefault(_family(optimizer.name), []).append(optimizer.name)
        self._places = {family: i for i, family in enumerate(families)}
        algorithms = {_family(one.name): one.algorithm.name for one in graph.optimizers}
        self.optimizers = tuple(
            f'{_short(_few(folded(names, {base_of(names[0]): len(names)})))}: {algorithms[family]}'
            for family, names in families.items())
        self._value_sizes = sizes(map(str, sketch.values))
        self._key_sizes = {kind: sizes({str(box.key): None for box in sketch.boxes if box.kind == kind})
                           for kind in {box.kind for box in sketch.boxes}}
        self._groups = {box: self._group(box) for box in sketch.boxes}
        self._members: dict[_Group, list[Box]] = {}
        for box, group in self._groups.items():
            self._members.setdefault(group, []).append(box)
        self._ways: dict[tuple[_Stop, _Stop], list[Arrow]] = {}
        self._leaving: dict[_Stop, list[Arrow]] = {group: [] for group in self._members}
        for arrow in sketch.arrows:
            stops = self._stops(arrow)
            for tail, head in zip(stops, stops[1:]):
                self._ways.setdefault((tail, head), []).append(arrow)
                self._leaving.setdefault(tail, []).append(arrow)
        self._names = {stop: f'n{i}' for i, stop in enumerate(self._leaving)}

    def _group(self, box: Box) -> _Group:
        owner = next(iter(self._owners.get(box.key, {})), '') if box.kind == 'model' else ''
        return _Group(box.kind, box.key.base, box.title, _family(owner), box.copy)

    def _stops(self, arrow: Arrow) -> tuple[_Stop, ...]:
        """Returns where an arrow leads along: what models give is shown on the way."""
        tail, head, flow = self._groups[arrow.tail], self._groups[arrow.head], arrow.flow
        if tail.kind != 'model' or flow.value is None and flow.type is None:
            return (tail, head)
        return (tail, _Value(tail, flow.value.base, None) if flow.value is not None else _Value(tail, '', head), head)

    def nodes(self) -> Iterator[Node]:
        """Yields boxes, and the values that models give."""
        running = {stop for way, arrows in self._ways.items() if any(map(self._running.computes, arrows))
                   for stop in way}
        for stop, name in self._names.items():
            runs = not self._is_step or stop in running
            if isinstance(stop, _Value):
                yield Node(name, 'value', _short(self._label(stop)), runs=runs)
                continue
            boxes = self._members[stop]
            is_model = stop.kind == 'model'
            owners = {owner for box in boxes for owner in self._owners.get(box.key, ())} if is_model else set()
            yield Node(name, stop.kind, _short(self._title(boxes)),
                       _short(self._label(stop) if stop.kind == 'function' else self._detail(boxes[0])),
                       tuple(sorted({self._places[_family(owner)] for owner in owners})), is_model and not owners,
                       runs, bool(owners & self._running.updated))

    def _title(self, boxes: list[Box]) -> str:
        first = boxes[0]
        if first.kind == 'function':
            return first.title
        names = folded(map(str, dict.fromkeys(box.key for box in boxes)), self._key_sizes[first.kind])
        return _few(names) + first.title[len(first.key.base):]

    def _detail(self, box: Box) -> str:
        if box.kind != 'model':
            return box.detail
        model = self._models[box.key]
        return 'frozen' if model.is_frozen else f'follows {model.original}' if model.follows else ''

    def _label(self, stop: _Stop) -> str:
        """Returns the names of the values that leave a node, and their shape where it is one."""
        flows = [arrow.flow for arrow in self._leaving[stop]]
        names = dict.fromkeys(str(flow.value) for flow in flows if flow.value is not None)
        texts = {_type_text(flow.type) for flow in flows}
        return ' '.join(filter(None, [_few(folded(names, self._value_sizes)), *(texts if len(texts) == 1 else ())]))

    def edges(self) -> Iterator[Edge]:
        """Yields the arrows, and the lines to the values that models give."""
        for (tail, head), arrows in self._ways.items():
            has_gradient = any(map(self._running.has_gradient, arrows))
            is_aside = all(map(self._sketch.is_aside, arrows))
            yield Edge(self._names[tail], self._names[head],
                       not is_aside and not has_gradient and any(map(self._running.might_have_gradient, arrows)),
                       has_gradient, any(map(self._running.computes, arrows)), is_aside, head.kind == 'value')


def _family(optimizer: str) -> str:
    """Returns ``head`` for ``head[2]``, and any other name of an optimizer as it is."""
    return base_of(optimizer) if optimizer.endswith(']') and optimizer.count('[') == 1 else optimizer


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST - 3]}...'


def _few(names: Collection[str]) -> str:
    names = list(names)
    return ', '.join(names if len(names) <= _MOST_NAMES else [*names[:_MOST_NAMES - 1], '...', names[-1]])


def _type_text(kind: Type) -> str:
    """Returns a shape, with the dtype where it is not the usual one."""
    if not isinstance(kind, ArrayType):
        return ''
    return shape_text(kind.shape) if kind.dtype == 'float32' and kind.shape else str(kind)

