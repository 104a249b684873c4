"""Optimizers, and the law that every parameter has exactly one owner."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from graphdsl.semantics import catalog
from graphdsl.semantics.flow import Reach
from graphdsl.semantics.graph import (
    Arithmetic, Assignment, ChainType, Construct, Expression, Key, Literal, Optimizer, Reference,
    Sequence as Listing, Term)
from graphdsl.semantics.later import STATEMENTS, not_executed
from graphdsl.semantics.numbers import too_large
from graphdsl.semantics.reach import UsedOutputs, unreached
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.unroll import Report, unroll
from graphdsl.diagnostics import Diagnostic, Mistake, Place, Span, mistake
from graphdsl.syntax import nodes


def has_parameters(chain: ChainType) -> bool:
    """Says whether a chain contains links."""
    return any(isinstance(p.content, Construct) or has_parameters(p.content) for p in chain.parts)


@dataclass(frozen=True)
class Declared:
    """An optimizer as the file declares it; ``named`` is None where it says nothing of losses."""

    span: Span
    name: str
    algorithm: Construct
    owns: tuple[tuple[Key, Span], ...]
    named: Any
    hooks: tuple[Construct, ...]


def declare(statement: nodes.Optimizer, resolver: Resolver, report: Report) -> Declared:
    """Resolves an optimizer statement.

    Args:
        statement: The statement.
        resolver: Of its turn.
        report: Called with each mistake but the one that is raised.

    Raises:
        Mistake: If it cannot be told what it owns, or what it is.
    """
    keys: list[tuple[Key, Span]] = []
    terms: list[Term] = []
    hooks: list[Construct] = []
    names_losses = failed = False
    for item, within in _items(statement, resolver, report):
        names_losses = names_losses or isinstance(item, nodes.Minimizes)
        try:
            if isinstance(item, nodes.Owned):
                keys.extend((key, item.path.span) for key in _owned(item, within))
            elif isinstance(item, nodes.Minimizes):
                terms.extend(_terms(item.losses[0], within))
            elif isinstance(item, nodes.Hook):
                hooks.append(_hook(item, hooks, within))
            else:
                raise not_executed(STATEMENTS[type(item)], item.span)
        except Mistake as error:
            failed = True
            report(error.diagnostic)
    algorithm = _construct('optimizers', statement.algorithm, resolver)
    if not keys and not failed:
        raise mistake('G407', 'this optimizer owns nothing', statement.span,
                      help='say which models it moves: `owns trunk, head[*]`')
    name = str(resolver.key(statement.target)) if statement.target is not None else _joined(keys)
    return Declared(statement.span, name, algorithm, tuple(keys), tuple(terms) if names_losses else None,
                    tuple(hooks))


def _items(statement: nodes.Optimizer, resolver: Resolver, report: Report) -> Iterator[tuple[Any, Resolver]]:
    """Yields what an optimizer owns, minimizes and else has, one at a time, each with the resolver of its turn."""
    turns = [] if statement.body is None else unroll(statement.body, resolver, report)
    lines = [(nodes.Owns(statement.span, statement.owns), resolver),
             (nodes.Minimizes(statement.span, statement.minimizes), resolver),
             *((turn.statement, resolver.within(turn.numbers)) for turn in turns)]
    for line, within in lines:
        if isinstance(line, nodes.Owns):
            yield from ((owned, within) for owned in line.owned)
        elif isinstance(line, nodes.Minimizes):
            yield from ((nodes.Minimizes(loss.span, (loss,)), within) for loss in line.losses)
        else:
            yield line, within


def _hook(item: nodes.Hook, hooks: Sequence[Construct], resolver: Resolver) -> Construct:
    """Resolves a hook, the only one of its class: Chainer tells hooks apart by nothing else."""
    hook = _construct('optimizer_hooks', item.hook, resolver)
    first = next((other for other in hooks if other.name == hook.name), None)
    if first is not None:
        raise mistake('G411', f'this optimizer has two hooks `{hook.name}`', hook.span, reason='again here',
                      places=(Place(first.span, 'first here'),), help='remove one of the two')
    return hook


def _joined(keys: list[tuple[Key, Span]]) -> str:
    return '_'.join(str(key) for key, _ in keys)


def _construct(module: str, node: nodes.Expression, resolver: Resolver) -> Construct:
    call = node if isinstance(node, nodes.Call) else None
    base = node.function if call is not None else node
    if not isinstance(base, nodes.Name):
        raise mistake('G106', 'this is not the name of a class', base.span)
    return resolver.construct(module, base, node.span, call)


def _owned(owned: nodes.Owned, resolver: Resolver) -> list[Key]:
    path = owned.path
    if owned.excepted or isinstance(path, nodes.Attribute):
        raise not_executed('owning a part of a model', owned.span)
    base = path.base if isinstance(path, nodes.Index) else path
    models = resolver.scope.models.bases()
    if not isinstance(base, nodes.Name) or base.name not in models:
        close = catalog.suggestion(base.name, models) if isinstance(base, nodes.Name) else ''
        raise mistake('G408', 'only models are owned', path.span,
                      reason=f'there is no model `{base.name}`' if isinstance(base, nodes.Name) else '',
                      help=close or ('there are ' + ', '.join(f'`{name}`' for name in models) if models
                                     else 'this file has no models'))
    indices = resolver.indices(path) if isinstance(path, nodes.Index) else None
    found = resolver.scope.models.select(path, base.name, indices)
    return [found] if isinstance(found, Key) else found


def _terms(node: nodes.Expression, resolver: Resolver) -> Iterator[Term]:
    expression = resolver.expression(node)
    for item in expression.items if isinstance(expression, Listing) else (expression,):
        yield _term(node.span, item)


def _term(span: Span, expression: Expression) -> Term:
    if isinstance(expression, Reference):
        return Term(span, expression.key, 1.0)
    if isinstance(expression, Arithmetic) and expression.operator == '*':
        for weight, loss in (expression.operands, expression.operands[::-1]):
            if isinstance(weight, Literal) and isinstance(loss, Reference):
                return Term(span, loss.key, _as_float(weight))
    raise mistake('G405', 'an optimizer minimizes losses, each times a number or not', span,
                  help='write a weight as `0.5 * a`; give anything else a name with `loss NAME = ...`')


def _as_float(weight: Literal) -> float:
    try:
        return float(weight.value)
    except OverflowError:
        raise too_large(weight.span) from None


class Ownership:
    """Checks who moves which models for the sake of which losses.

    Args:
        declared: The optimizers.
        losses: Each loss and where it stands.
        chains: The models that were built.
        model_spans: Where each model is declared.
        assignments: What is computed, in order.
    """

    def __init__(self, declared: Sequence[Declared], losses: Mapping[Key, Span], chains: Mapping[Key, ChainType],
                 model_spans: Mapping[Key, Span], assignments: Sequence[Assignment]):
        self.declared = declared
        self.losses = losses
        self.chains = chains
        self.assignments = assignments
        self.models = {key: model_spans[key] for key, chain in chains.items() if has_parameters(chain)}
        self.called = {model for assignment in assignments for model in assignment.models}
        self.reach = Reach(assignments, losses)
        self.reached = {loss: models & self.models.keys() for loss, models in self.reach.models().items()}
        self.reaching: dict[Key, list[Key]] = {}
        for loss, models in self.reached.items():
            for model in models:
                self.reaching.setdefault(model, []).append(loss)

    def duplicates(self) -> Iterator[Diagnostic]:
        """Yields a diagnostic for every name or model that two optimizers claim."""
        owners: dict[Key, Span] = {}
        names: dict[str, Span] = {}
        for optimizer in self.declared:
            claimed = False
            for key, span in optimizer.owns:
                if key in owners:
                    claimed = True
                    yield Diagnostic('G401', f'`{key}` has two owners', span, reason='owned again here',
                                     places=(Place(owners[key], 'owned first here'),),
                                     help='every parameter is moved by exactly one optimizer; give one of them up')
                owners.setdefault(key, span)
            if optimizer.name in names and not claimed:
                yield Diagnostic('G102', f'two optimizers are called `{optimizer.name}`', optimizer.span,
                                 places=(Place(names[optimizer.name], 'the other one'),),
                                 help='give one of them another name: `optimizer NAME = ...`')
            names.setdefault(optimizer.name, optimizer.span)

    def problems(self) -> Iterator[Diagnostic]:
        """Yields what is wrong with owners and losses, once names and edges are known to be right."""
        yield from self._unowned()
        for optimizer in self.declared:
            yield from self._named_losses(optimizer)
        terms = self.terms()
        minimized = {term.loss for _, own in terms for term in own}
        for loss, span in self.losses.items():
            if loss not in minimized:
                yield self._unminimized(loss, span)
        used = UsedOutputs(self.assignments)
        for optimizer, own in terms:
            losses = [term.loss for term in own if term.loss in self.losses]
            reached = {model for loss in losses for model in self.reached[loss]}
            is_wanted = self.reach.those_reached(losses)
            for key, span in optimizer.owns:
                if key in self.models and key not in reached:
                    yield self._unreached(key, span, losses)
                elif key in self.models:
                    yield from self._unreached_parts(key, span, used.of(key, self.chains[key], is_wanted))
            if not any(key in self.models for key, _ in optimizer.owns):
                yield Diagnostic('G409', 'this optimizer has nothing to move', optimizer.owns[0][1],
                                 reason=f'`{optimizer.owns[0][0]}` has no parameters', help='remove the optimizer')

    def _unowned(self) -> Iterator[Diagnostic]:
        owned = {key for optimizer in self.declared for key, _ in optimizer.owns}
        for key, span in self.models.items():
            if key not in owned and key in self.called:
                yield Diagnostic('G402', f'nobody owns `{key}`', span,
                                 reason='no optimizer would move its parameters',
                                 help=f'write `optimizer Adam() owns {key}`')

    def _named_losses(self, optimizer: Declared) -> Iterator[Diagnostic]:
        """Yields what is wrong with the losses that an optimizer names."""
        seen: dict[Key, Span] = {}
        for term in optimizer.named or ():
            loss = term.loss
            if loss not in self.losses:
                yield Diagnostic('G405', f'`{loss}` is not a loss', term.span,
                                 help=f'declare it with `loss {loss} = ...`')
            elif loss in seen:
                yield Diagnostic('G405', f'this optimizer minimizes `{loss}` twice', term.span,
                                 reason='again here', places=(Place(seen[loss], 'first here'),),
                                 help=f'to count it twice, write `2 * {loss}`')
            elif not any(key in self.reached[loss] for key, _ in optimizer.owns):
                yield Diagnostic('G406', f'`{loss}` depends on nothing that this optimizer owns', term.span,
                                 reason=self._dependence(loss),
                                 places=(Place(optimizer.owns[0][1], 'what it owns'),),
                                 help='let an optimizer of what it depends on minimize it')
            seen.setdefault(loss, term.span)

    def _dependence(self, loss: Key) -> str:
        models = sorted(self.reached[loss])
        return f'it depends on {", ".join(f"`{m}`" for m in models)}' if models else 'it depends on no model'

    def _unminimized(self, loss: Key, span: Span) -> Diagnostic:
        return Diagnostic('G403', f'nobody minimizes the loss `{loss}`', span, reason=self._dependence(loss),
                          help='let an optimizer of one of these minimize it, or make it a `metric`'
                          if self.reached[loss] else 'make it a `metric`, or compute it from what a model gives')

    def _unreached(self, key: Key, span: Span, losses: list[Key]) -> Diagnostic:
        names = ', '.join(f'`{loss}`' for loss in losses)
        elsewhere = self.reaching.get(key)
        return Diagnostic('G404', f'no loss that this optimizer minimizes depends on `{key}`', span,
                          reason=f'it minimizes {names}' if names else 'it minimizes no loss',
                          help=f'`{elsewhere[0]}` depends on it: add it to `minimizes`' if elsewhere
                          else f'no loss depends on `{key}`: check the edges after it, or disown it')

    def _unreached_parts(self, key: Key, span: Span, outputs: frozenset[str]) -> Iterator[Diagnostic]:
        chain = self.chains[key]
        parts = list(unreached(chain, outputs))
        if not parts:
            return
        paths = ', '.join(f'`{path}`' for path, _ in parts)
        rest = ', '.join(f'`{output}`' for output in chain.outputs if output not in outputs)
        yield Diagnostic('G404', f'no loss that this optimizer minimizes depends on {paths} of `{key}`', span,
                         reason='nothing would train these parameters',
                         places=tuple(Place(link.span, f'this is `{path}`') for path, link in parts),
                         help=f'use the output {rest} of `{key}` in a loss, or remove it from the model' if rest
                         else f'let an output of `{key}` depend on it, or remove it')

    def terms(self) -> list[tuple[Declared, tuple[Term, ...]]]:
        """Returns each optimizer's losses: those it names, or all that it reaches and no optimizer names."""
        named = {term.loss for optimizer in self.declared for term in optimizer.named or ()}
        order = {loss: i for i, loss in enumerate(self.losses)}
        found = []
        for optimizer in self.declared:
            terms = optimizer.named
            if terms is None:
                reaching = {loss for key, _ in optimizer.owns for loss in self.reaching.get(key, ())} - named
                terms = tuple(Term(optimizer.span, loss, 1.0) for loss in sorted(reaching, key=order.__getitem__))
            found.append((optimizer, terms))
        return found

    def optimizers(self) -> tuple[Optimizer, ...]:
        """Returns the checked optimizers."""
        order = {loss: i for i, loss in enumerate(self.losses)}
        return tuple(Optimizer(d.span, d.name, d.algorithm, tuple(key for key, _ in d.owns),
                               tuple(sorted(terms, key=lambda term: order.get(term.loss, 0))), d.hooks)
                     for d, terms in self.terms())
