"""Tells which values of a graph are numbers, before any expression is resolved: their statements have no order."""
from __future__ import annotations

from typing import Iterable, Optional

from graphdsl.semantics import numbers
from graphdsl.semantics.computation import Key
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import RUNNING_NUMBERS
from graphdsl.diagnostics import Mistake
from graphdsl.syntax import nodes


def number_values(bound: Iterable[tuple[Key, nodes.Expression, Resolver]], known: Iterable[Key]) -> set[Key]:
    """Returns the values that are Python numbers in the run.

    Args:
        bound: Each value that an expression makes, with the expression and the resolver of its turn.
        known: Numbers of other origin: states, noise without a type.
    """
    known = set(known)
    needs = {key: _needed(node, resolver) for key, node, resolver in bound}
    users: dict[Key, list[Key]] = {}
    pending = [key for key, needed in needs.items() if needed is None]
    for key, needed in needs.items():
        for other in needed or ():
            users.setdefault(other, []).append(key)
            if other not in needs and other not in known:
                pending.append(key)
    arrays: set[Key] = set()
    while pending:
        key = pending.pop()
        if key not in arrays:
            arrays.add(key)
            pending.extend(users.get(key, ()))
    return known | (needs.keys() - arrays)


def _needed(node: nodes.Expression, resolver: Resolver) -> Optional[set[Key]]:
    """Returns the values that must be numbers for an expression to be one; None if it is none anyway."""
    found: set[Key] = set()
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, nodes.Name):
            if node.name not in resolver.scope.numbers and node.name not in RUNNING_NUMBERS:
                found.add(Key(node.name))
        elif isinstance(node, nodes.Index):
            if not _is_in_numbers(node, resolver):
                key = _member(node, resolver)
                if key is None:
                    return None
                found.add(key)
        elif isinstance(node, (nodes.Unary, nodes.Binary, nodes.Comparison, nodes.Conditional)):
            pending.extend(_operands(node))
        elif isinstance(node, nodes.Call):
            if _is_shape(node):
                continue
            if not isinstance(node.function, nodes.Name) or node.function.name not in numbers.FUNCTIONS \
                    or node.keywords:
                return None
            for argument in node.arguments:
                pending.extend(argument.items if isinstance(argument, (nodes.List, nodes.Tuple)) else [argument])
        elif not isinstance(node, (nodes.Number, nodes.Constant)):
            return None
    return found


def _operands(node: nodes.Expression) -> tuple[nodes.Expression, ...]:
    if isinstance(node, nodes.Unary):
        return (node.operand,)
    if isinstance(node, nodes.Binary):
        return (node.left, node.right)
    if isinstance(node, nodes.Comparison):
        return tuple(n for o in (node.first, *node.others)
                     for n in (o.items if isinstance(o, (nodes.List, nodes.Tuple)) else (o,)))
    return (node.value, node.condition, node.otherwise)


def _is_in_numbers(node: nodes.Index, resolver: Resolver) -> bool:
    return isinstance(node.base, nodes.Name) and node.base.name in resolver.scope.numbers


def _member(node: nodes.Index, resolver: Resolver) -> Optional[Key]:
    """Returns the member of a family that an expression names, None if it names no single one."""
    if not isinstance(node.base, nodes.Name) or not resolver.scope.values.is_family(node.base.name):
        return None
    try:
        indices = resolver.indices(node)
    except Mistake:
        return None
    return Key(node.base.name, indices) if all(isinstance(i, int) for i in indices) else None


def _is_shape(node: nodes.Call) -> bool:
    return isinstance(node.function, nodes.Name) and node.function.name == 'shape'
