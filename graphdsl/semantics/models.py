"""Models: their chains, where their first weights come from, and what holds them still or moves them."""
from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Optional, Union

from graphdsl.semantics import paths
from graphdsl.semantics.computation import ChainType, Expression, Key, Literal
from graphdsl.semantics.expressions import is_known
from graphdsl.semantics.graph import Load, Model, Unit
from graphdsl.semantics.numbers import shown
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.suggestions import listed, unknown
from graphdsl.semantics.wording import circle_of, members
from graphdsl.diagnostics import Diagnostic, Mistake, Place, Span, mistake
from graphdsl.syntax import nodes

_MOST_PLACES = 6

Copy = Union[nodes.ModelLike, nodes.ModelFollows]
Statements = list[tuple[Any, Resolver]]


class Models:
    """The models of a file, gathered statement by statement.

    Args:
        chains: Where the chain of each model is put, by key; resolvers read it.
        report: Called with each mistake.

    Attributes:
        frozen: Where models and parts of them are frozen.
    """

    def __init__(self, chains: dict[Key, ChainType], report: Callable[[Diagnostic], None]):
        self._chains = chains
        self._report = report
        self._models: dict[Key, Model] = {}
        self._copies: dict[Key, tuple[Copy, Resolver]] = {}
        self._circular: set[Key] = set()
        self.frozen: dict[Unit, Span] = {}

    def define(self, key: Key, statement: nodes.Model, chain: ChainType, resolver: Resolver) -> None:
        """Adds a model that the file defines."""
        load = None if statement.load is None else _load(statement.load, resolver)
        self._chains[key] = chain
        frozen_at = statement.target.span if statement.frozen else None
        self._models[key] = Model(statement.target.span, key, chain, frozen_at, load)

    def copy(self, key: Key, statement: Copy, resolver: Resolver) -> None:
        """Adds a model that is like another or follows one."""
        self._copies[key] = (statement, resolver)
        self._models[key] = Model(statement.target.span, key, ChainType(statement.span, key.base, (), (), (), ()))

    def settle(self, frozen: Statements) -> tuple[Model, ...]:
        """Gives copies the chains of their originals, and freezes what the file freezes.

        Args:
            frozen: The `frozen` statements.

        Returns:
            All models, in the order of the file.
        """
        for key in self._copies:
            self._attempt(self._settle_copies, key)
        for statement, resolver in frozen:
            self._attempt(self._freeze, statement, resolver)
        return tuple(self._models.values())

    def _attempt(self, action: Callable, *arguments: Any) -> None:
        try:
            action(*arguments)
        except Mistake as error:
            for diagnostic in error.all():
                self._report(diagnostic)

    def _settle_copies(self, key: Key) -> None:
        """Settles a copy, after those that it is a copy of."""
        originals: dict[Key, Key] = {}
        while key in self._copies and key not in self._chains and key not in self._circular:
            originals[key] = original = self._original(key)
            if original in originals:
                row = list(originals)
                circle = row[row.index(original):]
                self._circular.update(circle)
                raise self._circle(circle)
            key = original
        for copy, original in reversed(originals.items()):
            if original in self._chains:
                self._attempt(self._settle, copy, original)

    def _circle(self, keys: list[Key]) -> Mistake:
        """Makes the mistake of models each of which is a copy of the next, and the last of the first."""
        first, *others = keys
        following = dict(zip(keys, [*others, first]))
        return mistake('G317', 'these models are copies of each other' if others else f'`{first}` is a copy of itself',
                       self._copies[first][0].span, reason=f'`{first}` is a copy of `{following[first]}`',
                       places=tuple(Place(self._copies[key][0].span, f'`{key}` is a copy of `{following[key]}`')
                                    for key in others[:_MOST_PLACES]),
                       notes=(circle_of(keys),) if others else (),
                       help='one of them must be defined by itself: `model m = ...`')

    def _settle(self, copy: Key, original: Key) -> None:
        chain = self._chains[copy] = self._chains[original]
        decay, every = _rule(*self._copies[copy])
        self._models[copy] = replace(self._models[copy], chain=chain, original=original, decay=decay, every=every)

    def _original(self, copy: Key) -> Key:
        """Returns what a model is a copy of."""
        statement, resolver = self._copies[copy]
        node = statement.original if isinstance(statement, nodes.ModelLike) else statement.leader
        base = node.base if isinstance(node, nodes.Index) else node
        models = resolver.scope.models
        if not isinstance(base, nodes.Name) or base.name not in models:
            if not isinstance(base, nodes.Name):
                raise mistake('G408', 'only a whole model can be copied or followed', node.span,
                              reason='this is a part',
                              help='make the part a model of its own')
            known = models.bases()
            raise mistake('G408', f'there is no model `{base.name}`', base.span, **unknown(
                base.name, base.span, known, listed(known, 'this file has no models', 'model')))
        found = resolver.select(models, node, base.name)
        if not isinstance(found, Key):
            raise mistake('G408', f'this names {len(found)} models, and one is wanted', node.span,
                          reason=f'they are {members(found)}' if found else 'the family has no members',
                          help=f'name one, such as `{found[0]}`' if found else '')
        return found

    def _freeze(self, statement: nodes.Frozen, resolver: Resolver) -> None:
        for unit in paths.units(statement.path, resolver, self._chains, 'frozen'):
            if unit.model not in self._chains:      # it is wrong, and reported
                continue
            self.frozen.setdefault(unit, statement.path.span)
            model = self._models[unit.model]
            if model.follows:
                raise mistake('G413', f'`{unit.model}` follows `{model.original}`, and is frozen', statement.path.span,
                              reason='frozen here',
                              places=(Place(model.span, 'declared here'),), help='remove one of the two')
            if not unit.path:
                self._models[unit.model] = replace(model, frozen_at=statement.path.span)
                continue
            chain = paths.frozen(model.chain, unit.path)
            self._chains[unit.model] = chain
            self._models[unit.model] = replace(model, chain=chain)


def _load(node: nodes.Load, resolver: Resolver) -> Load:
    path = resolver.constant(node.file, 'the name of a file')
    part = '' if node.part is None else resolver.constant(node.part, 'the part of a file')
    for value, expression in ((path, node.file), (part, node.part)):
        if not isinstance(value, str):
            raise mistake('G203', 'this must be a string', expression.span, reason=f'this is {shown(value)}',
                          help='such as `load "teacher.npz"`')
    return Load(node.span, path, part, node.partly)


def _rule(statement: Copy, resolver: Resolver) -> tuple[Optional[Expression], Optional[int]]:
    """Returns the decay of a follower, or after how many iterations it is copied anew."""
    if isinstance(statement, nodes.ModelLike):
        return None, None
    if statement.rule == 'every':
        return None, resolver.integer(statement.amount, 'an interval', least=1)
    decay = resolver.number(statement.amount, 'a decay')
    if is_known(decay) and isinstance(decay, Literal) and not 0 <= decay.value <= 1:
        raise mistake('G204', 'a decay is between 0 and 1', statement.amount.span,
                      reason=f'this is {shown(decay.value)}',
                      help='it says how much of the follower stays in an iteration, such as 0.999')
    return decay, None
