"""Optimizer statements: what each owns, which losses it names, its hooks."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Collection, Iterator, Mapping, Optional, Sequence

from graphdsl.semantics import paths
from graphdsl.semantics.computation import Arithmetic, ChainType, Construct, Expression, Key, Literal, Reference
from graphdsl.semantics.computation import Sequence as Listing
from graphdsl.semantics.graph import Term, Unit
from graphdsl.semantics.numbers import as_float
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import Names
from graphdsl.semantics.unroll import Report, unroll
from graphdsl.diagnostics import Edit, Mistake, Place, Span, mistake
from graphdsl.syntax import nodes


@dataclass(frozen=True)
class Declared:
    """An optimizer as the file declares it.

    Attributes:
        owns: What it owns, each with its place.
        named: Losses that it names, None where it says nothing of losses.
        after_owns: Where the list of what it owns ends, if it is not in braces.
        is_named: Whether it has a name of its own.
        skips: Whether it makes no update when a gradient is not finite.
    """

    span: Span
    name: str
    algorithm: Construct
    owns: tuple[tuple[Unit, Span], ...]
    named: Optional[tuple[Term, ...]]
    hooks: tuple[Construct, ...]
    skips: bool
    after_owns: Optional[int] = None
    is_named: bool = False


def declare(statement: nodes.Optimizer, resolver: Resolver, names: Names, chains: Mapping[Key, ChainType],
            losses: Collection[Key], report: Report) -> Declared:
    """Resolves an optimizer statement.

    Args:
        statement: The statement.
        resolver: Of its turn.
        names: The optimizers that have a name of their own; this one is added.
        chains: Of the models.
        losses: Of the file.
        report: Called with each mistake but the one that is raised.

    Raises:
        Mistake: If it cannot be told what it owns, or what it is.
    """
    units: list[tuple[Unit, Span]] = []
    terms: list[Term] = []
    hooks: list[Construct] = []
    owned: list[nodes.Owned] = []
    names_losses = failed = skips = False
    for item, within in _items(statement, resolver, report):
        names_losses = names_losses or isinstance(item, nodes.Minimizes)
        try:
            if isinstance(item, nodes.Owned):
                owned.append(item)
                units.extend((unit, item.path.span) for unit in _owned(item, within, chains))
            elif isinstance(item, nodes.Minimizes):
                paths.check_loss(item.losses[0], within, losses)
                terms.extend(_terms(item.losses[0], within))
            elif isinstance(item, nodes.Hook):
                hooks.append(_hook(item, hooks, within))
            else:
                skips = True
        except Mistake as error:
            failed = True
            for diagnostic in error.all():
                report(diagnostic)
    if statement.target is None:
        name = '_'.join(str(unit) for unit, _ in units)
    else:   # before all that may fail below: steps and schedules find the name of a wrong optimizer, too
        key = resolver.key(statement.target)
        names.bind(key, statement.target.span)
        name = str(key)
    algorithm = _construct('optimizers', statement.algorithm, resolver)
    if not units and not failed:
        raise _owns_nothing(statement, owned)
    return Declared(statement.span, name, algorithm, tuple(units), tuple(terms) if names_losses else None,
                    tuple(hooks), skips, statement.owns[-1].span.end if statement.owns else None,
                    statement.target is not None)


def _owns_nothing(statement: nodes.Optimizer, owned: Sequence[nodes.Owned]) -> Mistake:
    if not owned:
        return mistake('G407', 'this optimizer owns nothing', Span(statement.span.start, statement.algorithm.span.end),
                       reason='no `owns` stands here' if statement.body is None else 'no `owns` is left in its braces',
                       help='say which models it moves: `owns trunk, head[*]`')
    is_excepted = any(one.excepted for one in owned)
    return mistake('G407', 'this optimizer owns nothing', owned[0].span,
                   reason='nothing is left' if is_excepted else 'this family has no members: its loop has no turns',
                   help=f'{"except less" if is_excepted else "let the loop have turns"}, or remove the optimizer')


def no_optimizer(node: nodes.Name, names: Names, found: Sequence[Declared]) -> Mistake:
    """Makes the mistake of an optimizer that there is not, which is perhaps there without a name.

    Args:
        node: What names it.
        names: The optimizers that have a name.
        found: Those without a name that own a model of this name.
    """
    if not found:
        error = paths.no_such(node.span, 'optimizer', node.name, names.bases())
        return error if names.spans else mistake('G101', error.diagnostic.message, node.span,
                                           reason='no optimizer of this file has a name',
                                           help='write `optimizer NAME = ...`')
    algorithm = found[0].algorithm.span
    return mistake('G101', f'there is no optimizer `{node.name}`', node.span,
                   reason=f'the one that owns `{found[0].owns[0][0]}` has no name',
                   places=(Place(algorithm, 'it is declared here'),),
                   help=f'give it one: `optimizer {node.name} = ...`' if len(found) == 1 else
                   f'give each a name: `optimizer {node.name}[i] = ...`',
                   edits=(Edit(Span(algorithm.start, algorithm.start), f'{node.name} = '),) if len(found) == 1 else ())


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


def _construct(module: str, node: nodes.Expression, resolver: Resolver) -> Construct:
    call = node if isinstance(node, nodes.Call) else None
    base = node.function if call is not None else node
    if not isinstance(base, nodes.Name):
        raise mistake('G106', 'this is not the name of a class', base.span, reason='a name is wanted',
                      help=f'write a class of chainer.{module}, or import one')
    return resolver.construct(module, base, node.span, call)


def _owned(owned: nodes.Owned, resolver: Resolver, chains: Mapping[Key, ChainType]) -> list[Unit]:
    """Returns what a path owns; where parts are excepted, the rest part by part."""
    units = paths.units(owned.path, resolver, chains)
    for path in owned.excepted:
        for excepted in paths.units(path, resolver, chains):
            if not any(is_within(excepted, unit) for unit in units):
                raise mistake('G412', f'`{excepted}` is no part of what is owned here', path.span,
                              reason='nothing to leave out', places=(Place(owned.path.span, 'owned here'),),
                              help='`owns m except m.part` leaves out a part of m')
            units = [rest for unit in units for rest in _without(unit, excepted, chains)]
    return units


def _without(unit: Unit, excepted: Unit, chains: Mapping[Key, ChainType]) -> list[Unit]:
    """Returns the parts of a unit that are not within another."""
    if is_within(unit, excepted):
        return []
    if not is_within(excepted, unit):
        return [unit]
    content = part_of(chains[unit.model], unit.path)
    if not isinstance(content, ChainType):
        return [unit]
    inner = [Unit(unit.model, (*unit.path, part.name)) for part in content.parts if not part.is_frozen]
    return [rest for part in inner for rest in _without(part, excepted, chains)]


def is_within(unit: Unit, other: Unit) -> bool:
    """Says whether a unit is another, or a part of it."""
    return unit.model == other.model and unit.path[:len(other.path)] == other.path


def part_of(chain: ChainType, path: tuple[str, ...]) -> Any:
    """Returns what a part of a chain is made of, None within an imported link."""
    content: Any = chain
    for name in path:
        content = next((p.content for p in content.parts if p.name == name), None) \
            if isinstance(content, ChainType) else None
    return content


def _terms(node: nodes.Expression, resolver: Resolver) -> Iterator[Term]:
    expression = resolver.expression(node)
    for item in expression.items if isinstance(expression, Listing) else (expression,):
        yield _term(node.span, item)


def _term(span: Span, expression: Expression) -> Term:
    if isinstance(expression, Reference):
        return Term(span, expression.key, 1.0)
    if isinstance(expression, Arithmetic) and expression.operator == '-' and len(expression.operands) == 1:
        term = _term(span, expression.operands[0])
        return replace(term, weight=-term.weight)
    if isinstance(expression, Arithmetic) and expression.operator == '*':
        for weight, loss in (expression.operands, expression.operands[::-1]):
            if isinstance(weight, Literal) and isinstance(loss, Reference):
                return Term(span, loss.key, as_float(weight.value, weight.span))
    raise mistake('G405', 'an optimizer minimizes losses, each perhaps times a number', span,
                  reason='the number must be known while compiling',
                  help='write a weight as `0.5 * a`; give anything else a name with `loss NAME = ...`')
