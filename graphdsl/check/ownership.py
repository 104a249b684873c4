"""Optimizers, and the law that every parameter has exactly one owner."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from graphdsl.check import flow
from graphdsl.check.graph import (
    Arithmetic, Assignment, ChainType, Construct, Expression, Key, Literal, Optimizer, Reference, Sequence as Listing,
    Term, callees)
from graphdsl.check.later import STATEMENTS, not_executed
from graphdsl.check.resolve import Resolver
from graphdsl.check.unroll import Report, unroll
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
    """Resolves an optimizer statement."""
    owned, named, hooks = list(statement.owns), list(statement.minimizes), []
    keys: list[tuple[Key, Span]] = []
    losses: list[Term] = []
    items: list[tuple[Any, Resolver]] = [(nodes.Owns(statement.span, tuple(owned)), resolver),
                                         (nodes.Minimizes(statement.span, tuple(named)), resolver)]
    if statement.body is not None:
        items += [(turn.statement, resolver.within(turn.numbers)) for turn in unroll(statement.body, resolver, report)]
    names_losses = bool(named)
    for item, within in items:
        try:
            if isinstance(item, nodes.Owns):
                keys.extend((key, o.path.span) for o in item.owned for key in _owned(o, within))
            elif isinstance(item, nodes.Minimizes):
                names_losses = names_losses or item is not items[1][0]
                losses.extend(term for loss in item.losses for term in _terms(loss, within))
            elif isinstance(item, nodes.Hook):
                hooks.append(_construct('optimizer_hooks', item.hook, within))
            else:
                raise not_executed(STATEMENTS[type(item)], item.span)
        except Mistake as error:
            report(error.diagnostic)
    algorithm = _construct('optimizers', statement.algorithm, resolver)
    if not keys:
        raise mistake('G407', 'this optimizer owns nothing', statement.span,
                      help='say which models it moves: `owns trunk, head[*]`')
    name = str(resolver.key(statement.target)) if statement.target is not None else '_'.join(str(k) for k, _ in keys)
    return Declared(statement.span, name, algorithm, tuple(keys), tuple(losses) if names_losses else None, tuple(hooks))


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
    if not isinstance(base, nodes.Name) or base.name not in resolver.scope.models:
        raise mistake('G408', 'only models are owned', path.span,
                      help='there are ' + ', '.join(f'`{name}`' for name in resolver.scope.models.bases()))
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
                return Term(span, loss.key, float(weight.value))
    raise mistake('G405', 'an optimizer minimizes losses, each times a number or not', span,
                  help='give this expression a name with `loss NAME = ...`')


class Ownership:
    """Checks who moves which models for the sake of which losses.

    Args:
        declared: The optimizers.
        losses: Each loss and where it stands.
        chains: The models that were built.
        model_spans: Where each model is declared.
        assignments: What is computed.
    """

    def __init__(self, declared: Sequence[Declared], losses: Mapping[Key, Span], chains: Mapping[Key, ChainType],
                 model_spans: Mapping[Key, Span], assignments: Sequence[Assignment]):
        self.declared = declared
        self.losses = losses
        self.models = {key: model_spans[key] for key, chain in chains.items() if has_parameters(chain)}
        self.called = {model for assignment in assignments for model in callees(assignment)}
        maker = {key: assignment for assignment in assignments for key in assignment.results}
        self.reached = {loss: {model for a in flow.reaching([loss], maker) for model in callees(a)} & set(self.models)
                        for loss in losses}

    def duplicates(self) -> Iterator[Diagnostic]:
        """Yields a diagnostic for every name or model that two optimizers claim."""
        owners: dict[Key, Span] = {}
        names: dict[str, Span] = {}
        for optimizer in self.declared:
            if optimizer.name in names:
                yield Diagnostic('G102', f'two optimizers are called `{optimizer.name}`', optimizer.span,
                                 places=(Place(names[optimizer.name], 'the other one'),))
            names[optimizer.name] = optimizer.span
            for key, span in optimizer.owns:
                if key in owners:
                    yield Diagnostic('G401', f'`{key}` has two owners', span, reason='owned again here',
                                     places=(Place(owners[key], 'owned first here'),),
                                     help='every parameter is moved by exactly one optimizer; give one of them up')
                owners.setdefault(key, span)

    def problems(self) -> Iterator[Diagnostic]:
        """Yields what is wrong with owners and losses, once names and edges are known to be right."""
        owned = {key for optimizer in self.declared for key, _ in optimizer.owns}
        for key, span in self.models.items():
            if key not in owned and key in self.called:
                yield Diagnostic('G402', f'nobody owns `{key}`', span, reason='no optimizer would move its parameters',
                                 help=f'write `optimizer Adam() owns {key}`')
        for optimizer in self.declared:
            for term in optimizer.named or ():
                if term.loss not in self.losses:
                    yield Diagnostic('G405', f'`{term.loss}` is not a loss', term.span,
                                     help=f'declare it with `loss {term.loss} = ...`')
        yield from self._repeated()
        minimized = {term.loss for _, terms in self.terms() for term in terms}
        for loss, span in self.losses.items():
            if loss not in minimized:
                yield self._unminimized(loss, span)
        for optimizer, terms in self.terms():
            reached = {model for term in terms for model in self.reached.get(term.loss, ())}
            for key, span in optimizer.owns:
                if key not in reached and key in self.models:
                    yield self._unreached(key, span, terms)

    def _repeated(self) -> Iterator[Diagnostic]:
        for optimizer in self.declared:
            seen: dict[Key, Span] = {}
            for term in optimizer.named or ():
                if term.loss in seen:
                    yield Diagnostic('G405', f'this optimizer minimizes `{term.loss}` twice', term.span,
                                     reason='again here', places=(Place(seen[term.loss], 'first here'),),
                                     help=f'to count it twice, write `2 * {term.loss}`')
                seen.setdefault(term.loss, term.span)

    def _unminimized(self, loss: Key, span: Span) -> Diagnostic:
        models = sorted(self.reached[loss])
        return Diagnostic('G403', f'nobody minimizes the loss `{loss}`', span,
                          reason=f'it depends on {", ".join(f"`{m}`" for m in models)}' if models
                          else 'it depends on no model',
                          help='let an optimizer of one of these minimize it, or make it a `metric`' if models
                          else 'make it a `metric`, or compute it from what a model gives')

    def _unreached(self, key: Key, span: Span, terms: tuple[Term, ...]) -> Diagnostic:
        names = ', '.join(f'`{term.loss}`' for term in terms)
        elsewhere = [str(loss) for loss, models in self.reached.items() if key in models]
        return Diagnostic('G404', f'no loss that this optimizer minimizes depends on `{key}`', span,
                          reason=f'it minimizes {names}' if names else 'it minimizes no loss',
                          help=f'`{elsewhere[0]}` depends on it: add it to `minimizes`' if elsewhere
                          else f'no loss depends on `{key}`: check the edges after it, or disown it')

    def terms(self) -> list[tuple[Declared, tuple[Term, ...]]]:
        """Returns each optimizer's losses: those it names, or all that it reaches and no optimizer names."""
        named = {term.loss for optimizer in self.declared for term in optimizer.named or ()}
        found = []
        for optimizer in self.declared:
            owned = {key for key, _ in optimizer.owns}
            terms = optimizer.named
            if terms is None:
                terms = tuple(Term(optimizer.span, loss, 1.0) for loss, models in self.reached.items()
                              if loss not in named and owned & models)
            found.append((optimizer, terms))
        return found

    def optimizers(self) -> tuple[Optimizer, ...]:
        """Returns the checked optimizers."""
        return tuple(Optimizer(d.span, d.name, d.algorithm, tuple(key for key, _ in d.owns), terms, d.hooks)
                     for d, terms in self.terms())
