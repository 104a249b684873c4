"""Unrolls `for` and `if`: what is left are plain statements, each with the numbers it sees."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

from graphdsl.semantics import numbers
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import Scope, allowed, bound_twice
from graphdsl.diagnostics import Diagnostic, Edit, Mistake, Span, mistake
from graphdsl.syntax import nodes

Report = Callable[[Diagnostic], None]


@dataclass(frozen=True)
class Turn:
    """A statement in one turn of the loops around it, and the numbers that it sees there."""

    statement: nodes.Statement
    numbers: Mapping[str, Any]


def unroll(braces: nodes.Braces, resolver: Resolver, report: Report) -> list[Turn]:
    """Unrolls the loops and takes the branches of some braces, of whatever kind.

    Args:
        braces: The statements.
        resolver: Resolves conditions and ranges in the scope of the braces.
        report: Called with each mistake; its statement is left out.

    Returns:
        The statements that are left, in order.

    Raises:
        TooMuch: If there are too many of them.
    """
    turns: list[Turn] = []
    pending = [Turn(statement, resolver.scope.numbers) for statement in reversed(braces.statements)]
    resolver.scope.work.add_statements(len(pending), braces.span)
    while pending:
        turn = pending.pop()
        try:
            inner = _inner(turn, resolver)
        except Mistake as error:
            for diagnostic in error.all():
                report(diagnostic)
            continue
        if inner is None:
            turns.append(turn)
            continue
        pending.extend(reversed(inner))
    return turns


def _inner(turn: Turn, resolver: Resolver) -> Optional[list[Turn]]:
    """Returns what a loop or branch comes to, None for a plain statement."""
    statement = turn.statement
    if not isinstance(statement, (nodes.For, nodes.If)):
        return None
    resolver = resolver.within(turn.numbers)
    if isinstance(statement, nodes.For):
        domain = _domain(statement, resolver)
        inner = statement.body.statements
        resolver.scope.work.add_statements(len(domain) * max(len(inner), 1), _head(statement))
        _expect_families(statement.body, resolver.scope, domain)
        name = statement.variable.name
        scopes = [turn.numbers if name == '_' else {**turn.numbers, name: value} for value in domain]
        return [Turn(s, numbers) for numbers in scopes for s in inner]
    taken = _branch(statement, resolver)
    resolver.scope.work.add_statements(1, statement.span)
    return [Turn(s, turn.numbers) for s in (taken.statements if taken is not None else ())]


def _head(loop: nodes.For) -> Span:
    return Span(loop.span.start, loop.domain.span.end)


def _domain(loop: nodes.For, resolver: Resolver) -> Sequence[Any]:
    """Returns what the variable of a loop runs over."""
    resolver.scope.values.loops[loop.span] = loop
    if loop.variable.name != '_':
        _bind_variable(loop.variable, resolver.scope)
    domain = loop.domain
    if isinstance(domain, nodes.Range):
        start = resolver.integer(domain.start, 'the start of a range')
        stop = resolver.integer(domain.stop, 'the end of a range')
        if stop - start > resolver.scope.work.limits.statements:    # which a range of Python may not hold
            resolver.scope.work.add_statements(stop - start, _head(loop))
        return range(start, stop)
    if isinstance(domain, nodes.Call) and getattr(domain.function, 'name', '') == 'range':
        raise _python_range(domain)
    values = resolver.constant(domain, 'what a loop runs over')
    if not isinstance(values, (list, tuple)):
        is_count = type(values) is int and isinstance(domain, (nodes.Number, nodes.Name))
        count = 'n' if not is_count else values if isinstance(domain, nodes.Number) else domain.name
        start = domain.span.start
        raise mistake('G203', 'a loop runs over a range or a list', domain.span,
                      reason=f'this is {numbers.kind(values)}',
                      help=f'write `0..{count}`', edits=(Edit(Span(start, start), '0..'),) if is_count else ())
    return values


def _python_range(domain: nodes.Call) -> Mistake:
    return mistake('G203', 'a loop runs over a range or a list', domain.span, reason='this is the range of Python',
                   help='write `0..n`, which leaves out n')


def _bind_variable(variable: nodes.Name, scope: Scope) -> None:
    name = allowed(variable)
    if name in scope.numbers:
        raise bound_twice(name, variable.span, scope.values.span_of_number(name))
    scope.values.bind_number(name, variable.span)


def _branch(statement: nodes.If, resolver: Resolver) -> Optional[nodes.Braces]:
    """Returns the braces that an `if` leads to."""
    branch = statement
    while isinstance(branch, nodes.If):
        if resolver.constant(branch.condition, 'a condition'):
            return branch.body
        branch = branch.otherwise
    return branch


def _expect_families(body: nodes.Braces, scope: Scope, domain: Sequence[Any]) -> None:
    """Makes the families that a loop without turns would bind: they have no members."""
    if not domain:
        for kind, target in targets(body):
            if isinstance(target, nodes.Index):
                (scope.values if kind == 'value' else scope.models).bind_empty(target.base.name)


def targets(braces: nodes.Braces) -> Iterator[tuple[str, nodes.Target]]:
    """Yields the names that statements of all branches bind, each after its kind: ``'value'`` or ``'model'``."""
    for statement in braces.statements:
        if isinstance(statement, nodes.For):
            yield from targets(statement.body)
        elif isinstance(statement, nodes.If):
            branch = statement
            while isinstance(branch, nodes.If):
                yield from targets(branch.body)
                branch = branch.otherwise
            if branch is not None:
                yield from targets(branch)
        elif isinstance(statement, (nodes.Model, nodes.ModelLike, nodes.ModelFollows, nodes.Layer)):
            yield 'model', statement.target
        elif isinstance(statement, nodes.Input):
            yield from (('value', column.name) for column in statement.columns)
        elif isinstance(statement, (nodes.Noise, nodes.State, nodes.Weight)):
            yield 'value', statement.target
        elif isinstance(statement, (nodes.Edge, nodes.Value)):
            yield from (('value', result) for result in statement.results)
        elif isinstance(statement, (nodes.Loss, nodes.Metric, nodes.Output)) and statement.expression is not None:
            yield from (('value', target) for target in statement.targets)


def names_bound(braces: nodes.Braces) -> set[str]:
    """Returns the names that some braces may bind on their level: of values, numbers and what is called."""
    found = {_base(target) for _, target in targets(braces)}
    pending = list(braces.statements)
    while pending:
        statement = pending.pop()
        if isinstance(statement, nodes.For):
            found.add(statement.variable.name)
            pending.extend(statement.body.statements)
        elif isinstance(statement, nodes.If):
            pending.extend(statement.body.statements)
            otherwise = statement.otherwise
            pending.extend(otherwise.statements if isinstance(otherwise, nodes.Braces) else filter(None, [otherwise]))
        elif isinstance(statement, (nodes.Param, nodes.Block)):
            found.add(statement.name.name)
        elif isinstance(statement, nodes.Import):
            found.update(name.name for name in statement.names)
    return found


def _base(target: nodes.Target) -> str:
    return target.name if isinstance(target, nodes.Name) else target.base.name


def expected(braces: nodes.Braces, kind: str) -> set[str]:
    """Returns the names of the values or models that some braces may bind."""
    return {_base(target) for k, target in targets(braces) if k == kind} - {'_'}
