"""Which declared inputs a value comes from, and through which models."""
from __future__ import annotations

from typing import Iterable, NamedTuple, Sequence

from graphdsl.semantics.computation import Apply, Expression, Key, ModelName, Previous, Reference, walk


class Origin(NamedTuple):
    """Where a value comes from.

    Attributes:
        inputs: Inputs and noise, in the order of the way back.
        through: The graph's models on the way, in the order of computation.
    """

    inputs: tuple[Key, ...]
    through: tuple[Key, ...]


def origin_of(frames: Sequence, node: Expression) -> Origin:
    """Returns where something comes from that an expression reads in the innermost of some running scopes.

    Args:
        frames: The scopes, outermost first, of :class:`graphdsl.shapes.trace.Frame`.
        node: The expression, in the stage that is running.
    """
    through: list[Key] = []
    keys: set[Key] = set()
    for i, frame in enumerate(reversed(frames)):
        is_graph = i == len(frames) - 1
        read = [node]
        if any(isinstance(n, Previous) for n in walk(node)):
            read += frame.running.stages[:frame.stage]
            through = [*_models(read[1:]), *through] if is_graph else through
        keys = {n.key for n in walk(*read) if isinstance(n, Reference)}
        for assignment in reversed(frame.body.assignments[:frame.assignment]):
            if not keys.isdisjoint(assignment.results):
                keys.update(assignment.operands)
                through = [*assignment.models, *through] if is_graph else through
        # The caller's arguments are not told apart.
        node = frames[len(frames) - 2 - i].node if not is_graph else node
        if not is_graph and keys.isdisjoint(frame.body.inputs):
            return Origin((), ())
    return Origin(tuple(sorted(keys)), tuple(dict.fromkeys(through)))


def _models(stages: Iterable[Expression]) -> list[Key]:
    return [n.callee.key for n in walk(*stages) if isinstance(n, Apply) and isinstance(n.callee, ModelName)]
