"""Folds the families of a sketch, and says what of it is owned, frozen, cut and run."""
from __future__ import annotations

from typing import Collection, Iterable, Iterator, NamedTuple, Optional

from graphdsl.semantics.computation import Key
from graphdsl.shapes.types import ArrayType, Type, shape_text
from graphdsl.tools.draw.gradients import Running
from graphdsl.tools.draw.picture import Edge, Node, Picture
from graphdsl.tools.draw.sketch import Arrow, Box, Sketch
from graphdsl.tools.families import base_of, folded, sizes

_MOST_NAMES = 3


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
        families = sizes(optimizer.name for optimizer in graph.optimizers)
        self._places = {base: i for i, base in enumerate(families)}
        members: dict[str, list[str]] = {base: [] for base in families}
        for optimizer in graph.optimizers:
            members[base_of(optimizer.name)].append(optimizer.name)
        algorithms = {base_of(one.name): one.algorithm.name for one in graph.optimizers}
        self.optimizers = tuple(f'{", ".join(folded(names, families))}: {algorithms[base]}'
                                for base, names in members.items())
        self._value_sizes = sizes(map(str, sketch.values))
        self._key_sizes = {kind: sizes({str(box.key): None for box in sketch.boxes if box.kind == kind})
                           for kind in {box.kind for box in sketch.boxes}}
        self._groups = {box: self._group(box) for box in sketch.boxes}
        self._members: dict[_Group, list[Box]] = {}
        for box, group in self._groups.items():
            self._members.setdefault(group, []).append(box)
        self._names = {group: f'n{i}' for i, group in enumerate(self._members)}

    def _group(self, box: Box) -> _Group:
        owner = next(iter(self._owners.get(box.key, {})), '') if box.kind == 'model' else ''
        return _Group(box.kind, box.key.base, box.title, base_of(owner), box.copy)

    def nodes(self) -> Iterator[Node]:
        running = {box for arrow in self._sketch.arrows if self._running.computes(arrow)
                   for box in (arrow.tail, arrow.head)}
        for group, boxes in self._members.items():
            is_model = group.kind == 'model'
            owners = {name for box in boxes for name in self._owners.get(box.key, ())} if is_model else set()
            yield Node(self._names[group], group.kind, self._title(boxes), self._detail(boxes[0]),
                       tuple(sorted({self._places[base_of(name)] for name in owners})), is_model and not owners,
                       not self._is_step or not running.isdisjoint(boxes), bool(owners & self._running.updated))

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

    def edges(self) -> Iterator[Edge]:
        groups: dict[tuple[_Group, _Group], list[Arrow]] = {}
        for arrow in self._sketch.arrows:
            groups.setdefault((self._groups[arrow.tail], self._groups[arrow.head]), []).append(arrow)
        aside = _aside(groups)
        for (tail, head), arrows in groups.items():
            has_gradient = any(map(self._running.has_gradient, arrows))
            yield Edge(self._names[tail], self._names[head], self._label(tail, arrows),
                       head not in aside and not has_gradient and any(map(self._running.might_have_gradient, arrows)),
                       has_gradient, any(map(self._running.computes, arrows)), head in aside)

    def _label(self, tail: _Group, arrows: list[Arrow]) -> str:
        """Returns the names of the values that flow, and their shape where it is one; the boxes of data have them."""
        if tail.kind in ('input', 'noise'):
            return ''
        names = dict.fromkeys(str(arrow.flow.value) for arrow in arrows if arrow.flow.value is not None)
        texts = {_type_text(arrow.flow.type) for arrow in arrows}
        return ' '.join(filter(None, [_few(folded(names, self._value_sizes)), *(texts if len(texts) == 1 else ())]))


def _few(names: Collection[str]) -> str:
    names = list(names)
    return ', '.join(names if len(names) <= _MOST_NAMES else [*names[:_MOST_NAMES - 1], '...', names[-1]])


def _type_text(kind: Type) -> str:
    """Returns a shape, with the dtype where it is not the usual one."""
    if not isinstance(kind, ArrayType):
        return ''
    return shape_text(kind.shape) if kind.dtype == 'float32' and kind.shape else str(kind)


def _aside(edges: Iterable[tuple[_Group, _Group]]) -> set[_Group]:
    """Returns what no loss depends on."""
    before: dict[_Group, list[_Group]] = {}
    for tail, head in edges:
        before.setdefault(head, []).append(tail)
    needed = {head for _, head in edges if head.kind == 'loss'}
    pending = list(needed)
    while pending:
        for tail in before.get(pending.pop(), ()):
            if tail not in needed:
                needed.add(tail)
                pending.append(tail)
    return {head for _, head in edges} - needed
