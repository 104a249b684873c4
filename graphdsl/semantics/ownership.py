"""The law that every parameter has exactly one owner."""
from __future__ import annotations

from typing import Callable, Iterator, Mapping, Sequence

from graphdsl.semantics.computation import Assignment, Key
from graphdsl.semantics.flow import Reach
from graphdsl.semantics.graph import Model, Optimizer, Term, Unit
from graphdsl.semantics.optimizers import Declared, is_within, part_of
from graphdsl.semantics.paths import leaves, unfrozen
from graphdsl.semantics.reach import UsedOutputs, unreached
from graphdsl.diagnostics import Diagnostic, Place, Span


class Ownership:
    """Checks who moves which models for the sake of which losses.

    Args:
        declared: The optimizers.
        losses: Each loss and where it stands.
        models: The models.
        assignments: What is computed, in order.

    Attributes:
        models (dict): Those that can be owned, by key: with parameters, not frozen, following nobody.
        called: All models that are called.
        reach: What the losses send gradients to.
    """

    def __init__(self, declared: Sequence[Declared], losses: Mapping[Key, Span], models: Sequence[Model],
                 assignments: Sequence[Assignment]):
        self.declared = declared
        self.losses = losses
        self.assignments = assignments
        self._all = {model.key: model for model in models}
        # Models of one block share its chain.
        by_chain = {id(chain): list(leaves(chain)) for chain in {id(m.chain): m.chain for m in models}.values()}
        self._leaves = {model.key: by_chain[id(model.chain)] for model in models}
        self._beyond: dict[tuple[int, frozenset[str]], list] = {}
        self.models = {model.key: model for model in models
                       if not model.is_frozen and not model.follows and self._trainable(model.key)}
        self.called = {model for assignment in assignments for model in assignment.models}
        self.reach = Reach(assignments, losses)
        self.reached = {loss: found & self.models.keys() for loss, found in self.reach.models().items()}
        self.reaching: dict[Key, list[Key]] = {}
        for loss, found in self.reached.items():
            for model in found:
                self.reaching.setdefault(model, []).append(loss)

    def _trainable(self, model: Key) -> list[tuple[str, ...]]:
        """Returns the paths of the links and arrays of a model that are not frozen."""
        return [path for path, _, is_frozen in self._leaves[model] if not is_frozen]

    def _owned_leaves(self, unit: Unit) -> list[tuple[str, ...]]:
        """Returns those of a unit."""
        return [path for path in self._trainable(unit.model) if path[:len(unit.path)] == unit.path]

    def duplicates(self) -> Iterator[Diagnostic]:
        """Yields a diagnostic for every name or part that two optimizers claim."""
        owners: dict[Key, list[tuple[Unit, Span]]] = {}
        names: dict[str, Span] = {}
        for optimizer in self.declared:
            claimed = False
            for unit, span in optimizer.owns:
                others = owners.setdefault(unit.model, [])
                first = next(((u, s) for u, s in others if is_within(unit, u) or is_within(u, unit)), None)
                if first is not None:
                    claimed = True
                    inner = unit if len(unit.path) > len(first[0].path) else first[0]
                    yield Diagnostic('G401', f'`{inner}` has two owners', span, reason='owned again here',
                                     places=(Place(first[1], 'owned first here'),),
                                     help='every parameter is moved by exactly one optimizer; give one of them up')
                others.append((unit, span))
            if optimizer.name and optimizer.name in names and not claimed:
                yield Diagnostic('G102', f'two optimizers are called `{optimizer.name}`', optimizer.span,
                                 places=(Place(names[optimizer.name], 'the other one'),),
                                 help='give one of them another name: `optimizer NAME = ...`')
            names.setdefault(optimizer.name, optimizer.span)

    def problems(self) -> Iterator[Diagnostic]:
        """Yields what is wrong with owners and losses, once names and edges are known to be right."""
        yield from self._unowned()
        for optimizer in self.declared:
            yield from self._unownable(optimizer)
            yield from self._named_losses(optimizer)
        terms = self.terms()
        minimized = {term.loss for _, own in terms for term in own}
        for loss, span in self.losses.items():
            if loss not in minimized:
                yield self._unminimized(loss, span)
        used = UsedOutputs(self.assignments)
        for optimizer, own in terms:
            yield from self._reached_by(optimizer, [term.loss for term in own if term.loss in self.losses], used)

    def _reached_by(self, optimizer: Declared, losses: list[Key], used: UsedOutputs) -> Iterator[Diagnostic]:
        reached = {model for loss in losses for model in self.reached[loss]}
        is_wanted = self.reach.those_reached(losses)
        movable = [(unit, span) for unit, span in optimizer.owns if unit.model in self.models]
        for unit, span in movable:
            if not self._owned_leaves(unit):
                continue
            if unit.model not in reached:
                yield self._unreached(unit, span, losses)
            else:
                yield from self._unreached_parts(unit, span, used, is_wanted)
        if not any(self._owned_leaves(unit) for unit, _ in movable) and not any(
                self._is_kept(unit) for unit, _ in optimizer.owns):
            yield Diagnostic('G409', 'this optimizer has nothing to move', optimizer.owns[0][1],
                             reason=f'`{optimizer.owns[0][0]}` has no parameters', help='remove the optimizer')

    def _is_kept(self, unit: Unit) -> bool:
        """Says whether something else than an optimizer decides on all parameters of a unit."""
        model = self._all[unit.model]
        return model.is_frozen or model.follows or any(
            is_frozen for path, _, is_frozen in self._leaves[unit.model] if path[:len(unit.path)] == unit.path)

    def _unowned(self) -> Iterator[Diagnostic]:
        owned: dict[Key, set[tuple[str, ...]]] = {}
        for optimizer in self.declared:
            for unit, _ in optimizer.owns:
                owned.setdefault(unit.model, set()).update(self._owned_leaves(unit))
        for key, model in self.models.items():
            if key not in self.called:
                continue
            missing = [path for path in self._trainable(key) if path not in owned.get(key, ())]
            if missing and key not in owned:
                yield Diagnostic('G402', f'nobody owns `{key}`', model.span,
                                 reason='no optimizer would move its parameters',
                                 help=f'write `optimizer Adam() owns {key}`')
            elif missing:
                parts = ', '.join(f'`{Unit(key, path)}`' for path in missing)
                yield Diagnostic('G402', f'nobody owns {parts}', model.span,
                                 reason=f'optimizers own other parts of `{key}`',
                                 help='let one of them own these too, or write '
                                      f'`frozen {Unit(key, missing[0])}`')

    def _unownable(self, optimizer: Declared) -> Iterator[Diagnostic]:
        for unit, span in optimizer.owns:
            model = self._all.get(unit.model)
            if model is not None and self._is_kept(unit) and (unit.model not in self.models
                                                              or not self._owned_leaves(unit)):
                how = f'follows `{model.original}`' if model.follows else 'is frozen'
                yield Diagnostic('G413', f'`{unit}` {how}, and is owned', span, reason='no optimizer moves it',
                                 places=(Place(model.frozen_at or model.span, 'said here'),),
                                 help='remove one of the two')

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
            elif not any(unit.model in self.reached[loss] for unit, _ in optimizer.owns):
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

    def _unreached(self, unit: Unit, span: Span, losses: list[Key]) -> Diagnostic:
        names = ', '.join(f'`{loss}`' for loss in losses)
        elsewhere = self.reaching.get(unit.model)
        return Diagnostic('G404', f'no loss that this optimizer minimizes depends on `{unit}`', span,
                          reason=f'it minimizes {names}' if names else 'it minimizes no loss',
                          help=f'`{elsewhere[0]}` depends on it: add it to `minimizes`' if elsewhere
                          else f'no loss depends on `{unit}`: check the edges after it, or disown it')

    def _unreached_parts(self, unit: Unit, span: Span, used: UsedOutputs,
                         is_wanted: Callable[[Key], bool]) -> Iterator[Diagnostic]:
        key, chain = unit.model, self._all[unit.model].chain
        outputs = used.of(key, chain, is_wanted)
        direct = used.parts_of(key, is_wanted)
        if (id(chain), outputs) not in self._beyond:
            self._beyond[id(chain), outputs] = list(unreached(chain, outputs))
        owned = set(self._owned_leaves(unit))
        parts = [(path, part) for path, part in self._beyond[id(chain), outputs]
                 if path in owned and not any(path[:len(d)] == d or d[:len(path)] == path for d in direct)]
        if not parts:
            return
        names = ', '.join(f'`{".".join(path)}`' for path, _ in parts)
        rest = ', '.join(f'`{output}`' for output in chain.outputs if output not in outputs)
        yield Diagnostic('G404', f'no loss that this optimizer minimizes depends on {names} of `{key}`', span,
                         reason='nothing would train these parameters',
                         places=tuple(Place(part.span, f'this is `{".".join(path)}`') for path, part in parts),
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
                     for path in unfrozen(part_of(self._all[unit.model].chain, unit.path)))
