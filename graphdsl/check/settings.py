"""The `train` block."""
from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

from graphdsl.check.graph import Interval, Key, Stall, Train
from graphdsl.check.later import STATEMENTS, not_executed
from graphdsl.check.resolve import Resolver
from graphdsl.check.unroll import Report, unroll
from graphdsl.diagnostics import Mistake, Place, mistake
from graphdsl.syntax import nodes


def check_train(train: nodes.Train, resolver: Resolver, directions: Callable[[Key], bool],
                report: Report) -> Train:
    """Checks the settings of a run.

    Args:
        train: The statement.
        resolver: Resolves numbers, and the quantity that may stall.
        directions: Says of a loss or metric whether it should fall; raises KeyError for anything else.
        report: Called with each mistake.
    """
    settings = Train()
    seen: dict[str, Any] = {}
    for turn in unroll(train.body, resolver, report):
        statement, within = turn.statement, resolver.within(turn.numbers)
        try:
            field, value = _setting(statement, within, directions)
            if field in seen:
                raise mistake('G602', 'this is set twice', statement.span, reason='again here',
                              places=(Place(seen[field], 'first here'),),
                              help='a run has one length: epochs or iterations' if field == 'length' else '')
            seen[field] = statement.span
            settings = replace(settings, **{field: value})
        except Mistake as error:
            report(error.diagnostic)
    return settings


def _setting(statement: nodes.Statement, resolver: Resolver, directions) -> tuple[str, Any]:
    """Returns the field of :class:`Train` that a line sets, and its value."""
    if isinstance(statement, nodes.Setting):
        least = 0 if statement.name == 'seed' else 1
        value = resolver.integer(statement.value, f'`{statement.name}`', least=least)
        if statement.name in ('epochs', 'iterations'):
            return 'length', Interval(value, statement.name[:-1])
        return statement.name, value
    if isinstance(statement, nodes.Every):
        count = resolver.integer(statement.count, 'the length of an interval', least=1)
        return statement.action, Interval(count, statement.unit)
    if isinstance(statement, nodes.StopStalls):
        return 'stall', _stall(statement, resolver, directions)
    raise not_executed(STATEMENTS[type(statement)], statement.span)


def _stall(statement: nodes.StopStalls, resolver: Resolver, directions) -> Stall:
    """Reads `validation/NAME`, which the grammar takes for a division."""
    quantity, prefix = statement.quantity, ''
    if isinstance(quantity, nodes.Binary) and quantity.operator == '/' and isinstance(quantity.left, nodes.Name):
        prefix, quantity = f'{quantity.left.name}/', quantity.right
    if not isinstance(quantity, (nodes.Name, nodes.Index)):
        raise mistake('G603', 'only a loss or metric can stall', quantity.span)
    key = resolver.key(quantity)
    try:
        falling = directions(key)
    except KeyError:
        raise mistake('G603', f'`{key}` is no loss or metric', quantity.span,
                      help='name one, or its value on test data: `validation/NAME`') from None
    return Stall(f'{prefix}{key}', falling, resolver.integer(statement.evaluations, 'the patience', least=1))
