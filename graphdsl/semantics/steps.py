"""Steps: which optimizers are updated one after the other."""
from __future__ import annotations

import functools
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

from graphdsl.semantics.computation import Expression, Key, Literal, Reference
from graphdsl.semantics.computation import Sequence as Listing
from graphdsl.semantics.graph import Step, Term, Update
from graphdsl.semantics.numbers import shown
from graphdsl.semantics.optimizers import Declared, no_optimizer
from graphdsl.semantics.paths import check_loss
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import Names
from graphdsl.semantics.unroll import Report, unroll
from graphdsl.semantics.wording import grouped, listing, members
from graphdsl.diagnostics import Diagnostic, Mistake, Place, Span, mistake
from graphdsl.syntax import nodes

_MOST_PLACES = 4


class Updates:
    """Checks the updates of all steps.

    Args:
        optimizers: Those that have a name.
        unnamed: Function that returns those without a name that own some model.
        terms: Each optimizer, where it is declared and what it minimizes; empty where something is wrong with one.
        losses: Where each loss stands.
        report: Called with each mistake in the braces of a step.
    """

    def __init__(self, optimizers: Names, unnamed: Callable[[str], Sequence[Declared]],
                 terms: Mapping[str, tuple[Span, tuple[Term, ...]]], losses: Mapping[Key, Span], report: Report):
        self.report = report
        self._optimizers = optimizers
        self._unnamed = unnamed
        self._terms = terms
        self._losses = losses
        self._own: dict[str, set[Key]] = {}

    def add(self, updates: dict[str, Update], statement: nodes.Update, resolver: Resolver) -> None:
        """Adds the updates of a statement to those of the lines before it, by optimizer."""
        named = [(path, self.attempt(self._named, path, resolver) or ()) for path in statement.optimizers]
        condition = None if statement.condition is None else self.attempt(
            resolver.number, statement.condition, 'a condition')
        losses = self._named_losses(statement, resolver) if statement.losses else None
        for path, keys in named:
            for key in keys:
                first = updates.get(str(key))
                if first is not None:
                    both = [*(first.losses or ()), *(losses or ())]
                    raise mistake('G129', f'this step updates `{key}` twice', path.span, reason='again here',
                                  places=(Place(first.span, 'first here'),),
                                  help=f'one update is for all of them: `update {key} for '
                                       f'{", ".join(map(str, dict.fromkeys(both)))}`' if first.losses and losses
                                  else 'a second update needs a forward pass of its own: write another step')
                for loss, span in (losses or {}).items():
                    self._check_minimized(str(key), loss, span)
                updates[str(key)] = Update(path.span, str(key), None if losses is None else tuple(losses), condition)

    def attempt(self, action: Callable, *arguments: Any) -> Any:
        """Calls an action; returns None where it ends in a mistake, which is reported."""
        try:
            return action(*arguments)
        except Mistake as error:
            for diagnostic in error.all():
                self.report(diagnostic)
        return None

    def _named(self, path: nodes.Expression, resolver: Resolver) -> list[Key]:
        optimizers = self._optimizers
        base = path.base if isinstance(path, nodes.Index) else path
        if not isinstance(base, nodes.Name):
            raise mistake('G101', 'this is no name of an optimizer', path.span,
                          help='an update names optimizers, and no parts of them')
        if base.name not in optimizers:
            raise no_optimizer(base, optimizers, self._unnamed(base.name))
        found = resolver.select(optimizers, path, base.name)
        return [found] if isinstance(found, Key) else found

    def _named_losses(self, statement: nodes.Update, resolver: Resolver) -> dict[Key, Span]:
        """Returns the losses that an update is for, with their places."""
        found: dict[Key, Span] = {}
        for node in statement.losses:
            check_loss(node, resolver, self._losses)
            expression = resolver.expression(node)
            for item in expression.items if isinstance(expression, Listing) else (expression,):
                if not isinstance(item, Reference):
                    raise mistake('G405', 'an update is for losses', node.span, reason='this is no name of one',
                                  help='name losses here; weights and sums stand where the optimizer is declared')
                found.setdefault(item.key, node.span)
        return found

    def _check_minimized(self, optimizer: str, loss: Key, span: Span) -> None:
        """Refuses an update for a loss that its optimizer does not minimize."""
        if optimizer not in self._terms:
            return
        declared, terms = self._terms[optimizer]
        own = self._own.setdefault(optimizer, {term.loss for term in terms})
        if loss in own:
            return
        if loss not in self._losses:
            raise mistake('G405', f'`{loss}` is not a loss', span, reason='an update is for losses',
                          help=f'`{optimizer}` minimizes {members(own)}')
        raise mistake('G415', f'`{optimizer}` does not minimize `{loss}`', span,
                      reason=f'it minimizes {members(own)}',
                      places=(Place(declared, f'`{optimizer}` is declared here'),
                              Place(self._losses[loss], f'`{loss}` is minimized by '
                                    f'{listing([f"`{name}`" for name in self._minimizers[loss]])}')),
                      help=f'add `{loss}` to its `minimizes`, or update one that minimizes it')

    @functools.cached_property
    def _minimizers(self) -> dict[Key, list[str]]:
        """The optimizers that minimize each loss."""
        found: dict[Key, list[str]] = {}
        for name, (_, terms) in self._terms.items():
            for term in terms:
                found.setdefault(term.loss, []).append(name)
        return found

    def problems(self, steps: Sequence[Step]) -> Iterator[Diagnostic]:
        """Yields what is wrong between steps and optimizers."""
        if not steps:
            return
        of_optimizer: dict[str, list[Update]] = {}
        for step in steps:
            for update in step.updates:
                of_optimizer.setdefault(update.optimizer, []).append(update)
        left = [name for name in self._terms if name not in of_optimizer]
        for names in grouped(left, lambda name: self._terms[name][0]):
            yield self._never_updated(names, steps)
        missing: list[tuple[str, Term]] = []
        for name, updates in of_optimizer.items():
            if all(update.losses is not None for update in updates):
                used = {loss for update in updates for loss in update.losses}
                missing += [(name, term) for term in self._terms[name][1] if term.loss not in used]
        for same in grouped(missing, lambda one: (one[0], one[1].span)):
            name, terms = same[0][0], [term for _, term in same]
            losses = ', '.join(str(term.loss) for term in terms) if len(terms) < 4 else '...'
            yield Diagnostic('G416', f'no step updates `{name}` for {members(term.loss for term in terms)}',
                             terms[0].span, reason='it would never be minimized',
                             places=tuple(Place(update.span, f'updated for {members(update.losses)} only')
                                          for update in of_optimizer[name][:_MOST_PLACES]),
                             help=f'add it: `update {name} for {losses}`, or say that `{name}` minimizes less')

    def _never_updated(self, names: Sequence[str], steps: Sequence[Step]) -> Diagnostic:
        known = {str(key): key for key in self._optimizers.spans}
        is_named = names[0] in known
        which = members(known[name] for name in names) if is_named else f'`{names[0]}`'
        base = known[names[0]].base if is_named else ''
        places = [Place(step.span, f'this step updates {listing([f"`{u.optimizer}`" for u in step.updates])}')
                  for step in steps[:_MOST_PLACES]]
        return Diagnostic('G414', f'no step updates the optimizer{"s" * (len(names) > 1)} {which}',
                          self._terms[names[0]][0], reason='what it owns would never move', places=tuple(places),
                          notes=('where a file has steps, these alone say what is updated',),
                          help=f'write `update {names[0] if len(names) == 1 else f"{base}[*]"}` in a step' if is_named
                          else 'give it a name, `optimizer NAME = ...`, and write `update NAME` in a step')


def check_step(statement: nodes.Step, resolver: Resolver, updates: Updates) -> Step:
    """Checks a step.

    Args:
        statement: The statement.
        resolver: Of its turn.
        updates: Checks what is in its braces.

    Raises:
        Mistake: If it updates nothing.
    """
    name = str(resolver.key(statement.target))
    condition = None if statement.condition is None else updates.attempt(
        resolver.number, statement.condition, 'a condition')
    count = None if statement.count is None else updates.attempt(_count, statement, resolver)
    found: dict[str, Update] = {}
    turns = unroll(statement.body, resolver, updates.report)
    for turn in turns:
        updates.attempt(updates.add, found, turn.statement, resolver.within(turn.numbers))
    if not turns:
        raise mistake('G128', f'the step `{name}` updates nothing', statement.target.span,
                      reason='there is no `update` in its braces' if not statement.body.statements else
                      'no turn of a loop, and no branch that is taken, has an `update`',
                      help='write `update OPTIMIZER` in it, or remove the step')
    return Step(statement.span, name, statement.on_same, condition, statement.kind, count, tuple(found.values()))


def _count(statement: nodes.Step, resolver: Resolver) -> Expression:
    count: Optional[Expression] = resolver.number(statement.count, f'the number of `{statement.kind}`')
    if isinstance(count, Literal) and (type(count.value) is not int or (
            count.value < 1 and statement.kind != 'repeat')):
        least = '' if statement.kind == 'repeat' else ', at least 1'
        raise mistake('G204', f'the number of `{statement.kind}` must be an integer{least}', statement.count.span,
                      reason=f'this is {shown(count.value)}', help='write how many times, such as `5`')
    return count
