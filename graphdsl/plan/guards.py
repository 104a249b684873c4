"""When values are needed: conditions of a step, and how they spread from what is asked for to what it is made of."""
from __future__ import annotations

from typing import Mapping, Optional, Sequence

from graphdsl.semantics.computation import Assignment, Expression, Key
from graphdsl.plan.plan import ALWAYS, NEVER, Condition, Guard, either


class Conditions:
    """The conditions of a step, each once."""

    def __init__(self) -> None:
        self._names: dict[Expression, str] = {}

    def guard(self, expression: Optional[Expression], name: str) -> Guard:
        """Returns the guard of a condition, which is noted with a name; always, where there is none."""
        if expression is None:
            return ALWAYS
        self._names.setdefault(expression, name)
        return frozenset([frozenset([list(self._names).index(expression)])])

    def all(self) -> tuple[Condition, ...]:
        return tuple(Condition(expression, name) for expression, name in self._names.items())


def guarded(wanted: Mapping[Key, Guard], assignments: Sequence[Assignment]) -> dict[Key, Guard]:
    """Returns when each value has to be computed.

    Args:
        wanted: What is asked for, and when.
        assignments: In the order of computation.
    """
    guards = dict(wanted)
    for assignment in reversed(assignments):
        guard = NEVER
        for key in assignment.results:
            guard = either(guard, guards.get(key, NEVER))
        if guard == NEVER:
            continue
        for key in assignment.results:
            guards[key] = guard
        for key in assignment.operands:
            guards[key] = either(guards.get(key, NEVER), guard)
    return guards
