"""Steps: which optimizers are updated one after the other."""
from __future__ import annotations

from typing import Iterator, Mapping, Optional, Sequence

from graphdsl.semantics.computation import Expression, Key, Literal, Reference
from graphdsl.semantics.computation import Sequence as Listing
from graphdsl.semantics.graph import Optimizer, Step, Update
from graphdsl.semantics.numbers import shown
from graphdsl.semantics.paths import no_such
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import Names
from graphdsl.semantics.unroll import Report, unroll
from graphdsl.diagnostics import Diagnostic, Mistake, Place, mistake
from graphdsl.syntax import nodes


def check_step(statement: nodes.Step, resolver: Resolver, optimizers: Names, report: Report) -> Step:
    """Checks a step.

    Args:
        statement: The statement.
        resolver: Of its turn.
        optimizers: Those that have a name.
        report: Called with each mistake in its braces.

    Raises:
        Mistake: If a clause is wrong.
    """
    name = str(resolver.key(statement.target))
    condition = None if statement.condition is None else resolver.number(statement.condition, 'a condition')
    count = None if statement.count is None else _count(statement, resolver)
    updates: dict[str, Update] = {}
    turns = unroll(statement.body, resolver, report)
    for turn in turns:
        try:
            _add_updates(updates, turn.statement, resolver.within(turn.numbers), optimizers)
        except Mistake as error:
            for diagnostic in error.all():
                report(diagnostic)
    if not turns:
        raise mistake('G128', f'the step `{name}` updates nothing', statement.span,
                      reason='its braces are empty', help='write `update OPTIMIZER` in it')
    return Step(statement.span, name, statement.on_same, condition, statement.kind, count, tuple(updates.values()))


def _count(statement: nodes.Step, resolver: Resolver) -> Expression:
    count = resolver.number(statement.count, f'the number of `{statement.kind}`')
    if isinstance(count, Literal) and (type(count.value) is not int or (
            count.value < 1 and statement.kind != 'repeat')):
        least = '' if statement.kind == 'repeat' else ', at least 1'
        raise mistake('G204', f'the number of `{statement.kind}` must be an integer{least}', statement.count.span,
                      reason=f'this is {shown(count.value)}', help='write how many times, such as `5`')
    return count


def _add_updates(updates: dict[str, Update], statement: nodes.Update, resolver: Resolver, optimizers: Names) -> None:
    """Adds the updates of a statement to those of the lines before it, by optimizer."""
    condition = None if statement.condition is None else resolver.number(statement.condition, 'a condition')
    losses = _losses(statement, resolver) if statement.losses else None
    for path in statement.optimizers:
        for key in _named(path, resolver, optimizers):
            if str(key) in updates:
                raise mistake('G129', f'this step updates `{key}` twice', path.span, reason='again here',
                              places=(Place(updates[str(key)].span, 'first here'),),
                              help='a second update needs a forward pass of its own: write another step')
            updates[str(key)] = Update(path.span, str(key), losses, condition)


def _named(path: nodes.Expression, resolver: Resolver, optimizers: Names) -> list[Key]:
    base = path.base if isinstance(path, nodes.Index) else path
    if not isinstance(base, nodes.Name) or base.name not in optimizers:
        if not isinstance(base, nodes.Name):
            raise mistake('G217', 'this is no name of an optimizer', path.span, reason='a name is wanted',
                          help='write the name that `optimizer NAME = ...` gives')
        if not optimizers.spans:
            raise mistake('G101', f'there is no optimizer `{base.name}`', base.span,
                          reason='no optimizer of this file has a name', help='write `optimizer NAME = ...`')
        raise no_such(base.span, 'optimizer', base.name, optimizers.bases())
    found = optimizers.select(path, base.name, resolver.indices(path) if isinstance(path, nodes.Index) else None)
    return [found] if isinstance(found, Key) else found


def _losses(statement: nodes.Update, resolver: Resolver) -> tuple[Key, ...]:
    found: list[Key] = []
    for node in statement.losses:
        expression = resolver.expression(node)
        for item in expression.items if isinstance(expression, Listing) else (expression,):
            if not isinstance(item, Reference):
                raise mistake('G405', 'an update is for losses', node.span, reason='this is an expression',
                              help='name losses, without weights')
            found.append(item.key)
    return tuple(found)


def problems(steps: Sequence[Step], optimizers: Mapping[str, Optimizer]) -> Iterator[Diagnostic]:
    """Yields what is wrong between steps and optimizers."""
    updated = {update.optimizer for step in steps for update in step.updates}
    for optimizer in optimizers.values() if steps else ():
        if optimizer.name not in updated:
            yield Diagnostic('G414', f'no step updates the optimizer `{optimizer.name}`', optimizer.span,
                             reason='what it owns would never move',
                             places=(Place(steps[0].span, 'with this step, steps decide what is updated'),),
                             help='write `update NAME` in a step, where `optimizer NAME = ...`')
    used: dict[str, set[Key]] = {name: set() for name in optimizers}
    for step in steps:
        for update in step.updates:
            own = {term.loss for term in optimizers[update.optimizer].terms}
            unknown: Optional[Key] = next((loss for loss in update.losses or () if loss not in own), None)
            if unknown is not None:
                yield Diagnostic('G415', f'`{update.optimizer}` does not minimize `{unknown}`', update.span,
                                 reason='it minimizes ' + ', '.join(f'`{loss}`' for loss in own),
                                 places=(Place(optimizers[update.optimizer].span, 'declared here'),),
                                 help=f'leave it out, or let `{update.optimizer}` minimize it')
            used[update.optimizer] |= own if update.losses is None else set(update.losses)
    for optimizer in optimizers.values() if steps else ():
        if optimizer.name in updated:
            for term in optimizer.terms:
                if term.loss not in used[optimizer.name]:
                    yield Diagnostic('G416', f'no step updates `{optimizer.name}` for `{term.loss}`', term.span,
                                     reason='it would never be minimized',
                                     help=f'write `update {optimizer.name} for {term.loss}`, or remove it')
