"""The `train` block."""
from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Collection, Mapping

from graphdsl.semantics.computation import Expression, Key
from graphdsl.semantics.graph import Interval, Stall, Stream, Train
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.suggestions import unknown
from graphdsl.semantics.unroll import Report, unroll
from graphdsl.diagnostics import Mistake, Place, Span, mistake
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
    seen: dict[str, Span] = {}
    for turn in unroll(train.body, resolver, report):
        statement, within = turn.statement, resolver.within(turn.numbers)
        try:
            field, value = _setting(statement, within, directions, streams)
            if field in seen:
                raise mistake('G602', 'this is set twice', statement.span, reason='again here',
                              places=(Place(seen[field], 'first here'),),
                              help='a run has one length: epochs or iterations' if field == 'length'
                              else 'remove one of the two')
            seen[field] = statement.span
            settings = replace(settings, **{field: value})
        except Mistake as error:
            for diagnostic in error.all():
                report(diagnostic)
    return settings


def _setting(statement: nodes.Statement, resolver: Resolver, directions: Mapping[Key, bool],
             streams: Collection[Stream]) -> tuple[str, Any]:
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
    return 'stop', _condition(statement.condition, resolver, directions, streams)


def _condition(node: nodes.Expression, resolver: Resolver, directions: Mapping[Key, bool],
               streams: Collection[Stream]) -> Expression:
    """Resolves a condition on numbers and on what was reported last."""
    prefixes = _prefixes(streams) if streams else {'validation'}
    reported = {*map(str, directions), *(f'{prefix}/{key}' for prefix in prefixes for key in directions)}
    scope = replace(resolver.scope, reported=reported)
    return replace(resolver, scope=scope).number(_with_reports(node, resolver, reported), 'a condition')


def _with_reports(node: Any, resolver: Resolver, reported: Collection[str]) -> Any:
    """Replaces what is reported by names: `validation/kl` and `kl[0]` are none to the grammar."""
    name = _reported_name(node, resolver)
    if name in reported:
        return nodes.Name(node.span, name)
    if not isinstance(node, (nodes.Unary, nodes.Binary, nodes.Comparison, nodes.Conditional, nodes.Call)):
        return node
    changes = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, nodes.Node) and field.name != 'function':
            changes[field.name] = _with_reports(value, resolver, reported)
        elif isinstance(value, tuple) and field.name in ('others', 'arguments'):
            changes[field.name] = tuple(_with_reports(inner, resolver, reported) for inner in value)
    return replace(node, **changes)


def _reported_name(node: Any, resolver: Resolver) -> str:
    """Returns the name of what may be reported, or an empty string."""
    prefix = ''
    if isinstance(node, nodes.Binary) and node.operator == '/' and isinstance(node.left, nodes.Name):
        prefix, node = f'{node.left.name}/', node.right
    if isinstance(node, nodes.Index) and isinstance(node.base, nodes.Name):
        try:
            return prefix + str(resolver.key(node))
        except Mistake:
            return ''
    return prefix + node.name if isinstance(node, nodes.Name) else ''


def _stall(statement: nodes.StopStalls, resolver: Resolver, directions: Mapping[Key, bool],
           streams: Collection[Stream]) -> Stall:
    """Reads `validation/NAME`, which the grammar takes for a division."""
    quantity, prefix = statement.quantity, ''
    if isinstance(quantity, nodes.Binary) and quantity.operator == '/' and isinstance(quantity.left, nodes.Name):
        _check_prefix(quantity.left, streams)
        prefix, quantity = f'{quantity.left.name}/', quantity.right
    if not isinstance(quantity, (nodes.Name, nodes.Index)) or \
            (isinstance(quantity, nodes.Index) and not isinstance(quantity.base, nodes.Name)):
        raise mistake('G603', 'only a loss or metric can stall', quantity.span, reason='this is an expression',
                      help='name one, or its value on test data: `validation/NAME`')
    key = resolver.key(quantity)
    if key not in directions:
        values = resolver.scope.values.spans
        raise mistake('G603', f'`{key}` is no loss or metric', quantity.span, reason='nothing is reported by this name',
                      **unknown(str(key), quantity.span, {str(k): values.get(k) for k in directions},
                                'name one, or its value on test data: `validation/NAME`'))
    patience = resolver.integer(statement.evaluations, 'the patience', least=1)
    return Stall(f'{prefix}{key}', directions[key], patience)


def _prefixes(streams: Collection[Stream]) -> set[str]:
    """Returns what stands before the names of reports on test data."""
    entries = {dataset.name for stream in streams for dataset in stream.datasets} - {'train'}
    return {'validation' if entry == 'test' else entry for entry in entries}


def _check_prefix(prefix: nodes.Name, streams: Collection[Stream]) -> None:
    """Refuses a report on data that there is not; a graph without data is evaluated on who knows what."""
    reported = _prefixes(streams)
    if streams and prefix.name not in reported:
        raise mistake('G603', f'nothing is reported as `{prefix.name}/...`', prefix.span,
                      reason='there are ' + ', '.join(f'`{r}/...`' for r in sorted(reported)) if reported
                      else 'no data block has more than `train`',
                      **unknown(prefix.name, prefix.span, reported,
                                '`test` in a data block is reported as `validation/NAME`'))
