"""Which computations give the same again: no random numbers, no state, nothing that moves by being used."""
from __future__ import annotations

from typing import Iterable, Mapping

from graphdsl.semantics import catalog
from graphdsl.semantics.computation import Assignment, Builtin, Callee, ChainType, Function, Key, ModelName, PartName
from graphdsl.semantics.optimizers import part_of
from graphdsl.semantics.paths import links

_MOVING = (Builtin('grad'), Builtin('history'))


def is_repeatable(assignment: Assignment, chains: Mapping[Key, ChainType]) -> bool:
    """Says whether an assignment gives the same from equal operands and weights, in training too.

    Args:
        assignment: The assignment. Gradients that it takes count as different each time: they are taken at a point.
        chains: What each model is made of.
    """
    return _are_repeatable(assignment.callees, chains)


def _are_repeatable(callees: Iterable[Callee], chains: Mapping[Key, ChainType]) -> bool:
    pending, seen = list(callees), set()
    while pending:
        callee = pending.pop()
        if isinstance(callee, ModelName):
            content = part_of(chains[callee.key], callee.path)
            if content is None or not all(link.module and not link.is_stateful and catalog.is_repeatable(link.name)
                                          for link in links(content)):
                return False
            callee = content
        if (isinstance(callee, Function) and callee.name in catalog.RANDOM) or callee in _MOVING:
            return False
        if isinstance(callee, PartName):
            continue
        if isinstance(callee, ChainType) and id(callee) not in seen:
            seen.add(id(callee))
            pending.extend(inner for one in callee.assignments for inner in one.callees)
            pending.extend(part.content for part in callee.parts if isinstance(part.content, ChainType))
    return True
