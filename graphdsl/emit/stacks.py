"""Writes operations that run as one: parallel heads, and their losses."""
from __future__ import annotations

from typing import NamedTuple, Optional, Sequence

from graphdsl.semantics.computation import (
    Apply, Assignment, Expression, Key, Literal, ModelName, Reference, SliceItem, Subscript)
from graphdsl.emit.expressions import Expressions
from graphdsl.emit.layout import write_wrapped
from graphdsl.emit.writer import Writer
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


def write_stack(writer: Writer, expressions: Expressions, assignments: Sequence[Assignment]) -> None:
    """Writes one call for several assignments.

    Args:
        writer: Where to.
        expressions: Prints what they are made of.
        assignments: Of heads on one value, or of their losses, in the order of the file.
    """
    calls = [assignment.call for assignment in assignments]
    names, span = expressions.names, assignments[0].span
    head = f'{names.get("value", assignments[0].results[0].base)} = runtime.stacked_'
    if isinstance(calls[0].callee, ModelName):
        write_wrapped(writer, f'{head}linear({expressions.text(calls[0].arguments[0])}, [',
                      [names.model(call.callee.key) for call in calls], '])', span)
        return
    head += f'{calls[0].callee.name}({names.get("value", calls[0].arguments[0].key.base)}, '
    columns = _columns(calls)
    if columns is not None:
        array, start = columns
        writer.line(f'{head}{expressions.text(array)}[:, {start}:{start + len(calls)}])', span)
    else:
        write_wrapped(writer, f'{head}[', [expressions.text(call.arguments[1]) for call in calls], '])', span)


def _columns(calls: Sequence[Apply]) -> Optional[tuple[Expression, int]]:
    """Returns the array whose columns, one after the other, are the labels of some losses, and the first column."""
    columns = [_column(call.arguments[1]) for call in calls]
    if calls[0].callee.name != 'softmax_cross_entropy' or columns[0] is None:
        return None
    array, start = columns[0]
    return columns[0] if columns == [(array, start + i) for i in range(len(calls))] else None


def _column(target: Expression) -> Optional[tuple[Expression, int]]:
    """Returns the array and the number of a column such as ``t[:, 2]``, None for anything else."""
    if not isinstance(target, Subscript) or not isinstance(target.base, Reference) or len(target.items) != 2:
        return None
    rows, column = target.items
    is_all = isinstance(rows, SliceItem) and rows.start is rows.stop is rows.step is None
    is_one = isinstance(column, Literal) and isinstance(column.value, int) and column.value >= 0
    return (target.base, column.value) if is_all and is_one else None
