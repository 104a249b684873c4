"""Writes operations that run as one: parallel heads, and their losses."""
from __future__ import annotations

from typing import Mapping, NamedTuple, Sequence

from graphdsl.semantics.computation import (
    Apply, Assignment, ChainType, Expression, Key, Literal, ModelName, SliceItem, Subscript)
from graphdsl.emit.expressions import Expressions
from graphdsl.emit.layout import looped, write_wrapped
from graphdsl.emit.writer import Writer
from graphdsl.plan.passes.stacking import as_call
from graphdsl.plan.plan import Operation


class StackedFamily(NamedTuple):
    """Heads that run as one.

    Attributes:
        models: The heads.
        value (str): Name of the family of their values.
        loss (str): Name of the family of their losses.
    """

    models: frozenset[Key]
    value: str
    loss: str


def stacked_families(operations: Sequence[Operation]) -> list[StackedFamily]:
    """Returns what runs as one among the operations of a step."""
    groups: dict[int, list[Assignment]] = {}
    for one in operations:
        if one.stack is not None:
            groups.setdefault(one.stack, []).append(one.assignment)
    readers: dict[Key, Key] = {}
    for group in groups.values():
        for key in group[0].operands:
            readers.setdefault(key, group[0].results[0])
    found = []
    for heads in groups.values():
        value = heads[0].results[0]
        if value in readers:
            loss = readers[value]
            models = frozenset(model for assignment in heads for model in assignment.models)
            found.append(StackedFamily(models, value.base, loss.base))
    return found


def write_stack(writer: Writer, expressions: Expressions, chains: Mapping[Key, ChainType],
                assignments: Sequence[Assignment]) -> None:
    """Writes one call for several assignments.

    Args:
        writer: Where to.
        expressions: Prints what they are made of.
        chains: What each model is made of.
        assignments: Of heads on one value, or of their losses, in the order of the file.
    """
    calls = [as_call(assignment) for assignment in assignments]
    results = [assignment.results[0] for assignment in assignments]
    names = expressions.names
    if isinstance(calls[0].callee, ModelName):
        links = [f'{names.model(call.callee.key)}.{chains[call.callee.key].parts[0].name}' for call in calls]
        write_wrapped(writer, f'{names.get("value", results[0].base)} = runtime.stacked_linear('
                              f'{expressions.text(calls[0].arguments[0])}, [', links, '])', assignments[0].span)
        return
    values = names.get('value', calls[0].arguments[0].key.base)
    writer.line(f'{names.get("value", results[0].base)} = runtime.stacked_{calls[0].callee.name}('
                f'{values}, {_targets(calls, expressions)})', assignments[0].span)


def _targets(calls: Sequence[Apply], expressions: Expressions) -> str:
    """Returns the targets of some losses: a list, or the columns of an array."""
    targets = [call.arguments[1] for call in calls]
    first, columns = _column(targets[0]), [_column(target) for target in targets]
    if calls[0].callee.name == 'softmax_cross_entropy' and first is not None and \
            columns == [(first[0], first[1] + i) for i in range(len(calls))]:
        return f'{expressions.text(first[0])}[:, {first[1]}:{first[1] + len(calls)}]'
    return f'[{", ".join(looped(list(map(expressions.text, targets)), "["))}]'


def _column(target: Expression):
    """Returns the array and the number of a column such as ``t[:, 2]``, None for anything else."""
    if not isinstance(target, Subscript) or len(target.items) != 2:
        return None
    rows, column = target.items
    is_all = isinstance(rows, SliceItem) and rows.start is rows.stop is rows.step is None
    is_one = isinstance(column, Literal) and isinstance(column.value, int) and column.value >= 0
    return (target.base, column.value) if is_all and is_one else None
