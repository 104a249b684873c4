"""The law that every parameter has exactly one owner."""
from __future__ import annotations

import functools
from typing import Iterator, Mapping, Sequence

from graphdsl.semantics.computation import Assignment, Key
from graphdsl.semantics.flow import Reach
from graphdsl.semantics.graph import Loss, Model, Optimizer, Term, Unit
from graphdsl.semantics.optimizers import Declared, is_within, part_of
from graphdsl.semantics.paths import leaves, unfrozen
from graphdsl.semantics.ways import Ways
from graphdsl.semantics.wording import grouped, listing, members
from graphdsl.diagnostics import Diagnostic, Edit, Place, Span

_MOST_PLACES = 4


class Ownership:
    """Checks who moves which models.

    Args:
        declared: The optimizers.
        losses: The losses.
        models: The models.
        assignments: What is computed, in order.
        reports: ``'metric'`` or ``'output'`` for each value that is one.
        frozen: Where the file freezes models and parts of them.

    Attributes:
        models (dict): Those that can be owned, by key: with parameters, not frozen, following nobody.
        called: All models that are called.
        losses (dict): Where each loss stands.
        reach: What the losses send gradients to.
        depends: The models that each loss sends gradients to.
        reached: Those of them that can be owned.
        reaching: The losses that send gradients to each of these models.
    """

    def __init__(self, declared: Sequence[Declared], losses: Sequence[Loss], models: Sequence[Model],
                 assignments: Sequence[Assignment], reports: Mapping[Key, str], frozen: Mapping[Unit, Span]):
        self.declared = declared
        self.losses = {loss.key: loss.span for loss in losses}
        self.conditional = {loss.key for loss in losses if loss.condition is not None}
        self.assignments = assignments
        self.reports = reports
        self.all = {model.key: model for model in models}
        self._frozen = frozen
        # Models of one block share its chain.
        by_chain = {id(chain): list(leaves(chain)) for chain in {id(m.chain): m.chain for m in models}.values()}
        self._leaves = {model.key: by_chain[id(model.chain)] for model in models}
        self.models = {model.key: model for model in models
                       if not model.is_frozen and not model.follows and self._trainable(model.key)}
        self.called = {model for assignment in assignments for model in assignment.models}
        self.reach = Reach(assignments, self.losses)
        self.depends = self.reach.models()
        self.reached = {loss: found & self.models.keys() for loss, found in self.depends.items()}
        self.reaching: dict[Key, list[Key]] = {}
        for loss, found in self.reached.items():
            for model in found:
                self.reaching.setdefault(model, []).append(loss)

    @functools.cached_property
    def ways(self) -> Ways:
        """The ways from models to losses; only a mistake asks for them."""
        return Ways(self.assignments, self.losses, self.reports)

    def unnamed(self, model: str) -> Sequence[Declared]:
        """Returns the optimizers without a name of their own that own a model, or some of a family."""
        return self._unnamed.get(model, ())

    @functools.cached_property
    def _unnamed(self) -> dict[str, list[Declared]]:
        found: dict[str, list[Declared]] = {}
        for optimizer in self.declared:
            for base in dict.fromkeys(unit.model.base for unit, _ in optimizer.owns if not optimizer.is_named):
                found.setdefault(base, []).append(optimizer)
        return found

    @functools.cached_property
    def _families(self) -> dict[str, list[Key]]:
        """The models of each name."""
        found: dict[str, list[Key]] = {}
        for key in self.all:
            found.setdefault(key.base, []).append(key)
        return found

    def _trainable(self, model: Key) -> list[tuple[str, ...]]:
        """Returns the paths of the links and arrays of a model that are not frozen."""
        return [path for path, _, is_frozen in self._leaves[model] if not is_frozen]

    def owned_leaves(self, unit: Unit) -> list[tuple[str, ...]]:
        """Returns those of a unit."""
        return [path for path in self._trainable(unit.model) if path[:len(unit.path)] == unit.path]

    def is_kept(self, unit: Unit) -> bool:
        """Says whether something else than an optimizer decides on all parameters of a unit."""
        model = self.all[unit.model]
        return model.is_frozen or model.follows or any(
            is_frozen for path, _, is_frozen in self._leaves[unit.model] if path[:len(unit.path)] == unit.path)

    # Two owners

    def duplicates(self) -> Iterator[Diagnostic]:
        """Yields a diagnostic for every name or part that two optimizers claim."""
        claims: dict[Key, list[tuple[Unit, Span]]] = {}
        clashes: dict[Unit, tuple[Unit, list[tuple[Unit, Span]]]] = {}
        names: dict[str, Span] = {}
        for optimizer in self.declared:
            claimed = False
            for unit, span in optimizer.owns:
                others = claims.setdefault(unit.model, [])
                first = next(((u, s) for u, s in others if is_within(unit, u) or is_within(u, unit)), None)
                if first is not None:
                    claimed = True
                    inner = max(unit, first[0], key=lambda u: len(u.path))
                    clashes.setdefault(inner, (inner, [first, (unit, span)]))
                others.append((unit, span))
            if optimizer.name and optimizer.name in names and not claimed:
                yield Diagnostic('G102', f'two optimizers are called `{optimizer.name}`', optimizer.span,
                                 places=(Place(names[optimizer.name], 'the other one'),),
                                 help='give one of them another name: `optimizer NAME = ...`')
            names.setdefault(optimizer.name, optimizer.span)
        for same in grouped(clashes.values(), lambda clash: (clash[0].model.base, clash[0].path, clash[1][1][1])):
            yield self._two_owners(same, claims)

    def _two_owners(self, same: list[tuple[Unit, list[tuple[Unit, Span]]]],
                    claims: Mapping[Key, list[tuple[Unit, Span]]]) -> Diagnostic:
        """Makes the diagnostic for units that are owned again at one place."""
        inner, ((first, first_span), (again, span)) = same[0]
        names = units([unit for unit, _ in same])
        places = [Place(first_span, 'owned first here' if first.path == inner.path else
                        f'owned first here, as a part of `{first}`')]
        further = list(dict.fromkeys(s for unit, s in claims[inner.model] if s not in (first_span, span) and (
            is_within(unit, inner) or is_within(inner, unit))))
        places += [Place(s, 'and here too') for s in further[:_MOST_PLACES]]
        if inner.model in self.all:     # else something is wrong with it
            places.append(Place(self.all[inner.model].span, f'`{inner.model}` is defined here'))
        count = f'{2 + len(further)}' if further else 'two'
        return Diagnostic(
            'G401', f'{names} {"has" if len(same) == 1 else "have"} {count} owners', span,
            reason='owned again here' if again.path == inner.path else f'owned again here, as a part of `{again}`',
            places=tuple(places),
            help='every parameter is moved by exactly one optimizer; give one of them up' if first.path == again.path
            else f'leave it out of the other: `owns {min(first, again, key=lambda u: len(u.path))} except {inner}`')

    # No owner

    def unowned(self) -> dict[Key, list[tuple[str, ...]]]:
        """Returns the models that are called and of which something has no owner, with the paths of that."""
        owned: dict[Key, set[tuple[str, ...]]] = {}
        for optimizer in self.declared:
            for unit, _ in optimizer.owns:
                owned.setdefault(unit.model, set()).update(self.owned_leaves(unit))
        found = {}
        for key in self.models:
            missing = [path for path in self._trainable(key) if path not in owned.get(key, ())]
            if key in self.called and missing:
                found[key] = missing
        return found

    def no_owner(self) -> Iterator[Diagnostic]:
        """Yields a diagnostic for what has no owner, one for members of a family that are declared together."""
        owners = {unit.model: span for optimizer in self.declared for unit, span in optimizer.owns}
        missing = self.unowned()
        for keys in grouped((k for k in missing if k not in owners), lambda k: (
                k.base, self.models[k].span, k in self.reaching)):
            yield self._without_owner(keys, owners) if keys[0] in self.reaching else self._without_loss(keys)
        for keys in grouped((k for k in missing if k in owners), lambda k: (
                k.base, self.models[k].span, tuple(missing[k]))):
            key, parts = keys[0], missing[keys[0]]
            names = listing([f'`{Unit(key, path)}`' for path in parts])
            content = {path: leaf for path, leaf, _ in self._leaves[key]}
            places = [Place(content[path].span, f'this is `{Unit(key, path)}`') for path in parts[:_MOST_PLACES]]
            places += [Place(span, f'`{unit}` is owned here') for o in self.declared for unit, span in o.owns
                       if unit.model == key][:_MOST_PLACES]
            yield Diagnostic('G402', f'nobody owns {names}', self.models[key].span,
                             reason=f'optimizers own other parts of `{key}`', places=tuple(places),
                             notes=(f'the same holds for {members(keys[1:])}',) if len(keys) > 1 else (),
                             help=f'let one of them own {"it" if len(parts) == 1 else "these"} too, or write '
                                  f'`frozen {Unit(key, parts[0])}`')

    def _without_owner(self, keys: Sequence[Key], owners: Mapping[Key, Span]) -> Diagnostic:
        key = keys[0]
        loss = self.reaching[key][0]
        way = self.ways.to(key, loss)
        places, edits = [*(way.places() if way is not None else ()), Place(self.losses[loss], 'depends on it')], ()
        others = [other for other in self._families[key.base] if other in owners]
        help = f'write `optimizer Adam() owns {self._written(keys)}`, or `frozen {self._written(keys)}`'
        if others:
            spans = dict.fromkeys(owners[other] for other in others)
            places += [Place(span, f'{members(o for o in others if owners[o] == span)} '
                             f'{"is" if sum(owners[o] == span for o in others) == 1 else "are"} owned here')
                       for span in list(spans)[:_MOST_PLACES]]
            count = sum(any(span in spans for _, span in owner.owns) for owner in self.declared)
            if count == len(others) > 1:
                help = f'let the loop of `optimizer` go as far as that of `model {key.base}`'
            elif count == 1 and all(unit == Unit(unit.model) for o in self.declared for unit, _ in o.owns) and len(
                    spans) == 1 and all(o in owners or o in keys for o in self._families[key.base]):
                every = self._written(self._families[key.base])
                help = f'`owns {every}` takes all of them'
                edits = (Edit(next(iter(spans)), every),)
        its = 'its' if len(keys) == 1 else 'their'
        return Diagnostic('G402', f'nobody owns {members(keys)}', self.models[key].span,
                          reason=f'no optimizer would move {its} parameters', places=tuple(places),
                          notes=(way.note(),) if way is not None else (), help=help, edits=edits)

    def _written(self, keys: Sequence[Key]) -> str:
        """Returns what names some models in a file: the whole family, or the first of them."""
        family = self._families[keys[0].base]
        every = f'{keys[0].base}[{", ".join("*" * len(keys[0].index))}]'
        return every if 1 < len(family) == len(keys) else str(keys[0])

    def _without_loss(self, keys: Sequence[Key]) -> Diagnostic:
        key = keys[0]
        ways = self.ways.of(key)
        it, its, gives = ('it', 'its', 'it gives') if len(keys) == 1 else ('them', 'their', 'they give')
        return Diagnostic('G417', f'nobody owns {members(keys)}, and no loss depends on {it}',
                          self.models[key].span, reason=f'nothing would train {its} parameters',
                          places=ways[0].places() if ways else (), notes=tuple(way.note() for way in ways),
                          help=f'compute a loss from what {gives}; to leave {its} weights as they are, write '
                               f'`frozen {self._written(keys)}`')

    # Kept by something else

    def unownable(self) -> Iterator[Diagnostic]:
        """Yields a diagnostic for what is owned, and frozen or a follower."""
        wrong = [(unit, span) for optimizer in self.declared for unit, span in optimizer.owns
                 if unit.model in self.all and self.is_kept(unit) and (
                     unit.model not in self.models or not self.owned_leaves(unit))]
        for same in grouped(wrong, lambda one: (one[0].model.base, one[0].path, one[1])):
            (unit, span), model = same[0], self.all[same[0][0].model]
            names, several = units([one for one, _ in same]), len(same) > 1
            if model.follows:
                yield Diagnostic('G413', f'{names} follow{"s" * (not several)} `{model.original}`, and '
                                 f'{"are" if several else "is"} owned', span, reason='no optimizer moves it',
                                 places=(Place(model.span, f'it moves with `{model.original}`'),),
                                 help=f'take {names} out of `owns`; a copy that an optimizer trains is declared by '
                                      f'`model {unit.model} like {model.original}`')
            else:
                yield Diagnostic('G413', f'{names} {"are" if several else "is"} frozen, and '
                                 f'{"are" if several else "is"} owned', span,
                                 reason='no optimizer moves it', places=(Place(self._frozen_at(unit), 'frozen here'),),
                                 help=f'take {names} out of `owns`, or do not freeze {"them" if several else "it"}')

    def _frozen_at(self, unit: Unit) -> Span:
        """Returns where a unit, or something of it or around it, is frozen."""
        model = self.all[unit.model]
        return next((span for frozen, span in self._frozen.items()
                     if is_within(unit, frozen) or is_within(frozen, unit)), model.frozen_at or model.span)

    # What is right

    def terms(self) -> list[tuple[Declared, tuple[Term, ...]]]:
        """Returns each optimizer's losses: those it names, or all that it reaches and no optimizer names."""
        named = {term.loss for optimizer in self.declared for term in optimizer.named or ()}
        order = {loss: i for i, loss in enumerate(self.losses)}
        found = []
        for optimizer in self.declared:
            terms = optimizer.named
            if terms is None:
                reaching = {loss for unit, _ in optimizer.owns for loss in self.reaching.get(unit.model, ())} - named
                terms = tuple(Term(optimizer.span, loss, 1.0) for loss in sorted(reaching, key=order.__getitem__))
            found.append((optimizer, terms))
        return found

    def optimizers(self) -> tuple[Optimizer, ...]:
        """Returns the checked optimizers."""
        order = {loss: i for i, loss in enumerate(self.losses)}
        return tuple(Optimizer(d.span, d.name, d.algorithm, self._movable(d),
                               tuple(sorted(terms, key=lambda term: order.get(term.loss, 0))), d.hooks, d.skips)
                     for d, terms in self.terms())

    def _movable(self, optimizer: Declared) -> tuple[Unit, ...]:
        """Returns what an optimizer owns without what is frozen in it."""
        return tuple(Unit(unit.model, (*unit.path, *path)) for unit, _ in optimizer.owns
                     for path in unfrozen(part_of(self.all[unit.model].chain, unit.path)))


def units(found: Sequence[Unit]) -> str:
    """Returns models, or one part of several, for a sentence."""
    names = members(unit.model for unit in found)
    return names if not found[0].path else f'`{found[0]}`' if len(found) == 1 else \
        f'`{".".join(found[0].path)}` of {names}'
