"""Unrolls `for` and `if`: what is left are plain statements, each with the numbers it sees."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from graphdsl.check.resolve import Resolver
from graphdsl.diagnostics import Diagnostic, Mistake, mistake
from graphdsl.syntax import nodes

_MOST_STATEMENTS = 1_000_000

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
    """
    turns: list[Turn] = []
    pending: list[Turn] = []

    def push(statements, numbers):
        pending.extend(Turn(statement, numbers) for statement in reversed(statements))

    push(braces.statements, resolver.scope.numbers)
    while pending:
        turn = pending.pop()
        statement, within = turn.statement, resolver.within(turn.numbers)
        if len(turns) + len(pending) > _MOST_STATEMENTS:
            report(mistake('G209', f'this unrolls to more than {_MOST_STATEMENTS:,} statements',
                           statement.span).diagnostic)
            break
        try:
            if isinstance(statement, nodes.For):
                name = within.bindable(statement.variable)
                for value in reversed(_domain(statement, within)):
                    push(statement.body.statements, {**turn.numbers, name: value})
            elif isinstance(statement, nodes.If):
                taken = _branch(statement, within)
                push(taken.statements if taken is not None else (), turn.numbers)
            else:
                turns.append(turn)
        except Mistake as error:
            report(error.diagnostic)
    return turns


def _domain(loop: nodes.For, resolver: Resolver):
    """Returns what the variable of a loop runs over."""
    domain = loop.domain
    if isinstance(domain, nodes.Range):
        start = resolver.integer(domain.start, 'the start of a range')
        stop = resolver.integer(domain.stop, 'the end of a range')
        if stop - start > _MOST_STATEMENTS:
            raise mistake('G209', f'a loop has at most {_MOST_STATEMENTS:,} turns', domain.span)
        return range(start, stop)
    values = resolver.constant(domain, 'what a loop runs over')
    if not isinstance(values, (list, tuple)):
        raise mistake('G203', 'a loop runs over a range or a list', domain.span, help='write `0..n`')
    return values


def _branch(statement: nodes.If, resolver: Resolver) -> Optional[nodes.Braces]:
    """Returns the braces that an `if` leads to."""
    branch = statement
    while isinstance(branch, nodes.If):
        if resolver.constant(branch.condition, 'a condition'):
            return branch.body
        branch = branch.otherwise
    return branch
