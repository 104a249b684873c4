"""The `train` block."""
from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Collection, Mapping

from graphdsl.semantics.computation import Expression, Key
from graphdsl.semantics.graph import Best, Interval, Stall, Stream, Train
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
        if isinstance(statement, nodes.KeepBest):
            settings = replace(settings, best=settings.best + _best(statement, within, directions, streams, seen,
                                                                    report))
            continue
        try:
            field, value = _setting(statement, within, directions, streams)
            _check_once(field, statement.span, seen)
            settings = replace(settings, **{field: value})
            if isinstance(statement, nodes.Every) and statement.keep is not None:
                keep = within.integer(statement.keep, 'the number of snapshots', least=1)
                settings = replace(settings, keep=keep)
        except Mistake as error:
            for diagnostic in error.all():
                report(diagnostic)
    return settings


def _check_once(what: str, span: Span, seen: dict[str, Span]) -> None:
    """Refuses what is set, or named, a second time."""
    if what in seen:
        raise mistake('G602', 'this is set twice', span, reason='again here', places=(Place(seen[what], 'first here'),),
                      help='a run has one length: epochs or iterations' if what == 'length' else
                      'remove one of the two')
    seen[what] = span


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
    name, falling = _quantity(statement.quantity, 'stall', resolver, directions, streams)
    patience = resolver.integer(statement.evaluations, 'the patience', least=1)
    return Stall(name, falling, patience)


def _best(statement: nodes.KeepBest, resolver: Resolver, directions: Mapping[Key, bool], streams: Collection[Stream],
          seen: dict[str, Span], report: Report) -> tuple[Best, ...]:
    found = []
    for quantity in statement.quantities:
        try:
            best = Best(*_quantity(quantity, 'be best', resolver, directions, streams))
            _check_once(f'best {best.report}', quantity.span, seen)
            found.append(best)
        except Mistake as error:
            for diagnostic in error.all():
                report(diagnostic)
    return tuple(found)


def _quantity(quantity: nodes.Expression, verb: str, resolver: Resolver, directions: Mapping[Key, bool],
              streams: Collection[Stream]) -> tuple[str, bool]:
    """Returns the name of a report and whether it should fall.

    The grammar takes `validation/NAME` for a division.
    """
    prefix = ''
    if isinstance(quantity, nodes.Binary) and quantity.operator == '/' and isinstance(quantity.left, nodes.Name):
        _check_prefix(quantity.left, streams)
        prefix, quantity = f'{quantity.left.name}/', quantity.right
    if not isinstance(quantity, (nodes.Name, nodes.Index)) or \
            (isinstance(quantity, nodes.Index) and not isinstance(quantity.base, nodes.Name)):
        raise mistake('G603', f'only a loss or metric can {verb}', quantity.span, reason='this is an expression',
                      help='name one, or its value on test data: `validation/NAME`')
    key = resolver.key(quantity)
    if key not in directions:
        values = resolver.scope.values.spans
        raise mistake('G603', f'`{key}` is no loss or metric', quantity.span, reason='nothing is reported by this name',
                      **unknown(str(key), quantity.span, {str(k): values.get(k) for k in directions},
                                'name one, or its value on test data: `validation/NAME`'))
    return f'{prefix}{key}', directions[key]


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
