"""When values are needed: conditions of a step, and how they spread from what is asked for to what it is made of."""
from __future__ import annotations

from typing import Mapping, Optional, Sequence

from graphdsl.semantics.computation import Assignment, Expression, Key
from graphdsl.plan.plan import ALWAYS, NEVER, Condition, Guard, either


class Conditions:
    """The conditions of a step, each once."""

    def __init__(self) -> None:
        self._found: dict[Expression, tuple[int, str]] = {}

    def guard(self, expression: Optional[Expression], name: str) -> Guard:
        """Returns the guard of a condition, which is noted with a name; always, where there is none."""
        if expression is None:
            return ALWAYS
        number, _ = self._found.setdefault(expression, (len(self._found), name))
        return frozenset([frozenset([number])])

    def all(self) -> tuple[Condition, ...]:
        return tuple(Condition(expression, name) for expression, (_, name) in self._found.items())


def guarded(wanted: Mapping[Key, Guard], assignments: Sequence[Assignment]) -> dict[Key, Guard]:
    """Returns when each value has to be computed.

    Args:
        wanted: What is asked for, and when.
        assignments: In the order of computation.
    """
    asked = {key: {guard} for key, guard in wanted.items()}
    for assignment in reversed(assignments):
        guard = either(*(one for key in assignment.results for one in asked.get(key, ())))
        if guard == NEVER:
            continue
        for key in assignment.results:
            asked[key] = {guard}
        for key in assignment.operands:
            asked.setdefault(key, set()).add(guard)
    return {key: either(*guards) for key, guards in asked.items()}
