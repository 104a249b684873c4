"""The order of computation, and what depends on what."""
from __future__ import annotations

import heapq
from typing import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from graphdsl.semantics import catalog
from graphdsl.semantics.builtins import WITHOUT_GRADIENT
from graphdsl.semantics.computation import (
    Apply, Assignment, Builtin, Comparison, Expression, Function, Key, ModelName, Previous, Reference, Scalar, children)
from graphdsl.semantics.wording import circle_of
from graphdsl.diagnostics import Mistake, Place, Span, mistake

_MOST_PLACES = 6


def in_order(assignments: Sequence[Assignment]) -> tuple[Assignment, ...]:
    """Sorts assignments so that each comes after those it reads, ties in the order of the file.

    Raises:
        Mistake: If some depend on each other in a circle; it names the whole circle.
    """
    maker = {key: i for i, assignment in enumerate(assignments) for key in assignment.results}
    needs = [{maker[key] for key in a.operands if key in maker} for a in assignments]
    users: list[list[int]] = [[] for _ in assignments]
    for i, needed in enumerate(needs):
        for j in needed:
            users[j].append(i)
    missing = [len(needed) for needed in needs]
    ready = [i for i, count in enumerate(missing) if not count]
    order = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for user in users[i]:
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, user)
    if len(order) < len(assignments):
        raise _cycle(assignments, needs, set(range(len(assignments))) - set(order))
    return tuple(assignments[i] for i in order)


def _cycle(assignments: Sequence[Assignment], needs: Sequence[set[int]], left: set[int]) -> Mistake:
    """Makes the mistake of a circle; all that is left over by the sorting needs something that is left over."""
    i = min(left)
    path: dict[int, None] = {}
    while i not in path:
        path[i] = None
        i = min(needs[i] & left)
    row = list(path)
    # Each assignment of the path needs the next: the values flow the other way.
    circle = row[row.index(i):][::-1]
    start = circle.index(min(circle))
    first, *others = circle[start:] + circle[:start]
    # Of the results of each, the one that the next reads.
    keys = [next(key for key in assignments[a].results if key in assignments[b].operands)
            for a, b in zip([first, *others], [*others, first])]
    if not others:
        return mistake('G301', f'`{keys[0]}` depends on itself', assignments[first].span,
                       reason=f'`{keys[0]}` is computed from `{keys[0]}`',
                       help='every name is bound once: give what is made here a new name')
    found: dict[Span, Place] = {}       # one for all turns of a loop
    for j, key, before in zip(others, keys[1:], keys):
        span = assignments[j].span
        if span != assignments[first].span:
            found.setdefault(span, Place(span, f'`{key}` is computed from `{before}`'))
    places = list(found.values())
    if len(places) > _MOST_PLACES:
        places[_MOST_PLACES // 2:-_MOST_PLACES // 2] = []
    return mistake('G301', f'{len(keys)} values depend on each other in a circle', assignments[first].span,
                   reason=f'`{keys[0]}` is computed from `{keys[-1]}`', places=tuple(places),
                   notes=(circle_of(keys),),
                   help='compute one of them from something else; a number of the iteration before is a `state`')


def reaching(keys: Iterable[Key], maker: Mapping[Key, Assignment], given: Collection[Key] = ()) -> list[Assignment]:
    """Returns the assignments that some values are computed by, in no particular order.

    Args:
        keys: The values.
        maker: The assignment that makes each value.
        given: Values that are there already.
    """
    found: dict[int, Assignment] = {}
    pending = list(keys)
    while pending:
        key = pending.pop()
        assignment = maker.get(key) if key not in given else None
        if assignment is not None and id(assignment) not in found:
            found[id(assignment)] = assignment
            pending.extend(assignment.operands)
    return list(found.values())


def gradient_sources(assignment: Assignment) -> tuple[list[Key], list[ModelName]]:
    """Returns the values and models that gradients of an assignment's results flow to, as far as it goes itself."""
    values: dict[Key, None] = {}
    callees: dict[ModelName, None] = {}
    for stage in reversed(assignment.stages):
        uses_previous = False
        for node in differentiable(stage):
            uses_previous = uses_previous or isinstance(node, Previous)
            if isinstance(node, Reference):
                values[node.key] = None
            elif isinstance(node, Apply) and isinstance(node.callee, ModelName):
                callees[node.callee] = None
        if not uses_previous:
            break
    return list(values), list(callees)


def differentiable(stage: Expression) -> Iterator[Expression]:
    """Yields what gradients of an expression flow to within it."""
    pending = [stage]
    while pending:
        node = pending.pop()
        if not is_cut(node):
            yield node
            pending.extend(children(node))


def is_cut(node: Expression) -> bool:
    """Says whether no gradient flows through an expression."""
    if isinstance(node, Apply):
        return (isinstance(node.callee, Builtin) and node.callee.name in WITHOUT_GRADIENT) or (
            isinstance(node.callee, Function) and node.callee.name in catalog.WITHOUT_GRADIENT)
    return isinstance(node, (Comparison, Scalar))


class Reach:
    """Which values and models some losses send gradients to, by one walk over the graph.

    Args:
        assignments: In the order of computation.
        losses: What depends.
    """

    def __init__(self, assignments: Sequence[Assignment], losses: Iterable[Key]):
        self._losses = tuple(losses)
        # A bit per loss: sets would take time and room for each pair of a loss and a value.
        self._bits = {loss: 1 << i for i, loss in enumerate(self._losses)}
        self._masks = dict(self._bits)
        self._models: dict[Key, int] = {}
        for assignment in reversed(assignments):
            mask = 0
            for key in assignment.results:
                mask |= self._masks.get(key, 0)
            if mask:
                operands, callees = gradient_sources(assignment)
                for key in operands:
                    self._masks[key] = self._masks.get(key, 0) | mask
                for model in {callee.key for callee in callees}:
                    self._models[model] = self._models.get(model, 0) | mask

    def models(self) -> dict[Key, set[Key]]:
        """Returns the models that each loss sends gradients to, losses in their order."""
        found: dict[Key, set[Key]] = {loss: set() for loss in self._losses}
        for model, mask in self._models.items():
            while mask:
                lowest = mask & -mask
                found[self._losses[lowest.bit_length() - 1]].add(model)
                mask ^= lowest
        return found

    def those_reached(self, losses: Iterable[Key]) -> Callable[[Key], bool]:
        """Returns a function that says of a value whether one of some losses depends on it."""
        wanted = sum(self._bits[loss] for loss in set(losses))
        return lambda value: bool(self._masks.get(value, 0) & wanted)
