"""The `train` block."""
from __future__ import annotations

from dataclasses import replace
from typing import Any, Collection, Mapping

from graphdsl.semantics import catalog
from graphdsl.semantics.graph import Interval, Key, Stall, Stream, Train
from graphdsl.semantics.later import STATEMENTS, not_executed
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.unroll import Report, unroll
from graphdsl.diagnostics import Mistake, Place, mistake
from graphdsl.syntax import nodes

_LARGEST_SEED = 2 ** 32 - 1


def check_train(train: nodes.Train, resolver: Resolver, directions: Mapping[Key, bool],
                streams: Collection[Stream], report: Report) -> Train:
    """Checks the settings of a run.

    Args:
        train: The statement.
        resolver: Resolves numbers.
        directions: Whether each loss and metric should fall.
        streams: What evaluation reads from.
        report: Called with each mistake.
    """
    settings = Train()
    seen: dict[str, Any] = {}
    for turn in unroll(train.body, resolver, report):
        statement, within = turn.statement, resolver.within(turn.numbers)
        try:
            field, value = _setting(statement, within, directions, streams)
            if field in seen:
                raise mistake('G602', 'this is set twice', statement.span, reason='again here',
                              places=(Place(seen[field], 'first here'),),
                              help='a run has one length: epochs or iterations' if field == 'length' else '')
            seen[field] = statement.span
            settings = replace(settings, **{field: value})
        except Mistake as error:
            report(error.diagnostic)
    return settings


def _setting(statement: nodes.Statement, resolver: Resolver, directions, streams) -> tuple[str, Any]:
    """Returns the field of :class:`Train` that a line sets, and its value."""
    if isinstance(statement, nodes.Setting):
        least, most = (0, _LARGEST_SEED) if statement.name == 'seed' else (1, None)
        value = resolver.integer(statement.value, f'`{statement.name}`', least, most)
        if statement.name in ('epochs', 'iterations'):
            return 'length', Interval(value, statement.name[:-1])
        return statement.name, value
    if isinstance(statement, nodes.Every):
        count = resolver.integer(statement.count, 'the length of an interval', least=1)
        return statement.action, Interval(count, statement.unit)
    if isinstance(statement, nodes.StopStalls):
        return 'stall', _stall(statement, resolver, directions, streams)
    raise not_executed(STATEMENTS[type(statement)], statement.span)


def _stall(statement: nodes.StopStalls, resolver: Resolver, directions, streams) -> Stall:
    """Reads `validation/NAME`, which the grammar takes for a division."""
    quantity, prefix = statement.quantity, ''
    if isinstance(quantity, nodes.Binary) and quantity.operator == '/' and isinstance(quantity.left, nodes.Name):
        _check_prefix(quantity.left, streams)
        prefix, quantity = f'{quantity.left.name}/', quantity.right
    if not isinstance(quantity, (nodes.Name, nodes.Index)) or \
            (isinstance(quantity, nodes.Index) and not isinstance(quantity.base, nodes.Name)):
        raise mistake('G603', 'only a loss or metric can stall', quantity.span,
                      help='name one, or its value on test data: `validation/NAME`')
    key = resolver.key(quantity)
    if key not in directions:
        raise mistake('G603', f'`{key}` is no loss or metric', quantity.span,
                      help=catalog.suggestion(str(key), map(str, directions))
                      or 'name one, or its value on test data: `validation/NAME`')
    patience = resolver.integer(statement.evaluations, 'the patience', least=1)
    return Stall(f'{prefix}{key}', directions[key], patience)


def _check_prefix(prefix: nodes.Name, streams: Collection[Stream]) -> None:
    """Refuses a report on data that there is not; a graph without data is evaluated on who knows what."""
    entries = {dataset.name for stream in streams for dataset in stream.datasets} - {'train'}
    reported = {'validation' if entry == 'test' else entry for entry in entries}
    if streams and prefix.name not in reported:
        raise mistake('G603', f'nothing is reported as `{prefix.name}/...`', prefix.span,
                      reason='there are ' + ', '.join(f'`{r}/...`' for r in sorted(reported)) if reported
                      else 'no data block has more than `train`',
                      help='`test` in a data block is reported as `validation/NAME`')
