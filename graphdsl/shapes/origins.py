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


def named_by_caller(frames: Sequence, node: Expression) -> tuple[Sequence, Expression]:
    """Returns the expression that gives a value its name, and the scopes up to the one in which it stands.

    The argument of a model that is written as a chain of links has no name of its own: it is its caller's.
    """
    while len(frames) > 1 and isinstance(node, Reference) and node.key in frames[-1].body.inputs \
            and node.span.end - node.span.start != len(node.key.base):
        *callers, frame = frames
        place = frame.body.inputs.index(node.key)
        call = next((n for n in walk(callers[-1].node) if isinstance(n, Apply) and len(n.arguments) > place
                     and _called(n) == frame.path[-1]), None)
        if call is None:
            break
        frames, node = callers, call.arguments[place]
    return frames, node


def _called(node: Apply) -> str:
    """Returns the name of the model, part or block that an expression calls."""
    return str(node.callee.key) if isinstance(node.callee, ModelName) else node.callee.name


def _models(stages: Iterable[Expression]) -> list[Key]:
    return [n.callee.key for n in walk(*stages) if isinstance(n, Apply) and isinstance(n.callee, ModelName)]
