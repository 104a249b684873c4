"""Which optimizer minimizes which loss: that every loss and every model has what it needs."""
from __future__ import annotations

import functools
from collections import Counter
from typing import Callable, Iterator, Optional, Sequence

from graphdsl.semantics.computation import Assignment, Key
from graphdsl.semantics.flow import gradient_sources, reaching
from graphdsl.semantics.graph import Term, Unit
from graphdsl.semantics.optimizers import Declared
from graphdsl.semantics.ownership import Ownership, units
from graphdsl.semantics.reach import UsedOutputs, unreached
from graphdsl.semantics.suggestions import meant
from graphdsl.semantics.wording import grouped, listing, members, with_article
from graphdsl.diagnostics import Diagnostic, Edit, Place, Span

_MOST_PLACES = 3


class Minimized:
    """Checks which losses optimizers minimize for the sake of which models.

    What follows from a mistake that is reported is not reported again.

    Args:
        owners: Who owns what.
    """

    def __init__(self, owners: Ownership):
        self._owners = owners
        self._terms = owners.terms()
        self._beyond: dict[tuple[int, frozenset[str]], list] = {}
        self._made: dict[Span, Diagnostic] = {}
        self._declarations = Counter(optimizer.span for optimizer in owners.declared)

    @functools.cached_property
    def _maker(self) -> dict[Key, Assignment]:
        return {key: assignment for assignment in self._owners.assignments for key in assignment.results}

    @functools.cached_property
    def _readers(self) -> dict[Key, list[Assignment]]:
        found: dict[Key, list[Assignment]] = {}
        for assignment in self._owners.assignments:
            for key in assignment.operands:
                found.setdefault(key, []).append(assignment)
        return found

    @functools.cached_property
    def _minimizing(self) -> dict[Key, list[tuple[Declared, Term]]]:
        """The optimizers that minimize each loss."""
        found: dict[Key, list[tuple[Declared, Term]]] = {}
        for optimizer, own in self._terms:
            for term in own:
                found.setdefault(term.loss, []).append((optimizer, term))
        return found

    @functools.cached_property
    def _owning(self) -> dict[Key, list[Declared]]:
        """The optimizers that own each model, or parts of it."""
        found: dict[Key, list[Declared]] = {}
        for optimizer in self._owners.declared:
            for model in dict.fromkeys(unit.model for unit, _ in optimizer.owns):
                found.setdefault(model, []).append(optimizer)
        return found

    def problems(self) -> Iterator[Diagnostic]:
        """Yields what is wrong, once names and edges are known to be right."""
        owners = self._owners
        without_owner = owners.unowned()
        yield from owners.no_owner()
        yield from owners.unownable()
        wrong: set[int] = set()
        for optimizer in owners.declared:
            found = list(self._named_losses(optimizer))
            yield from found
            if found:
                wrong.add(id(optimizer))
        minimized = {term.loss for _, own in self._terms for term in own}
        left = [loss for loss in owners.losses if loss not in minimized
                and not any(model in without_owner or self._is_excused(model, wrong) for model in owners.depends[loss])]
        for losses in grouped(left, lambda loss: (loss.base, owners.losses[loss])):
            yield self._unminimized(losses, minimized)
        yield from self._unreached([(o, own) for o, own in self._terms if id(o) not in wrong], set(left))

    def _is_excused(self, model: Key, wrong: set[int]) -> bool:
        """Says whether a mistake that is reported may be why nobody minimizes the losses of a model."""
        return any(id(optimizer) in wrong or (model not in self._owners.models and optimizer.named is None)
                   for optimizer in self._owning.get(model, ()))

    # The losses that an optimizer names

    def _named_losses(self, optimizer: Declared) -> Iterator[Diagnostic]:
        losses = self._owners.losses
        seen: dict[Key, Span] = {}
        for term in optimizer.named or ():
            loss = term.loss
            if loss not in losses:
                yield self._once(term.span, lambda: self._no_loss(term))
            elif loss in seen:
                yield Diagnostic('G405', f'this optimizer minimizes `{loss}` twice', term.span,
                                 reason='again here', places=(Place(seen[loss], 'first here'),),
                                 help=f'to count it twice, write `2 * {loss}`')
            elif not any(unit.model in self._owners.depends[loss] for unit, _ in optimizer.owns):
                yield self._once(term.span, lambda: self._unrelated(optimizer, term))
            seen.setdefault(loss, term.span)

    def _once(self, span: Span, make: Callable[[], Diagnostic]) -> Diagnostic:
        """Makes one diagnostic for all turns of a loop."""
        if span not in self._made:
            self._made[span] = make()
        return self._made[span]

    def _no_loss(self, term: Term) -> Diagnostic:
        key = term.loss
        made = self._maker.get(key)
        kind = self._owners.reports.get(key, 'value')
        close = meant(str(key), map(str, self._owners.losses))
        is_name = term.span.end - term.span.start == len(str(key))
        return Diagnostic('G405', f'`{key}` is not a loss', term.span,
                          reason=f'it is {with_article(kind)}' if made else 'it is an input',
                          places=(Place(made.span, f'makes `{key}`'),) if made is not None else (),
                          help=f'did you mean `{close}`?' if close else
                          f'declare it with `loss {key} = ...`' if kind == 'value' and made is None else
                          f'a scalar becomes a loss by `loss {key}`' if kind == 'value' else
                          f'write `loss` where it is made a {kind}, and it is reported too',
                          edits=(Edit(term.span, close),) if close and is_name else ())

    def _unrelated(self, optimizer: Declared, term: Term) -> Diagnostic:
        owners, loss = self._owners, term.loss
        owned = list(dict.fromkeys(unit.model for unit, _ in optimizer.owns))
        way = next(filter(None, (owners.ways.to(model, loss) for model in owned[:_MOST_PLACES])), None)
        ways = [way] if way is not None else owners.ways.of(owned[0])
        named = {t.loss for t in optimizer.named}
        better = list(dict.fromkeys(other for model in owned for other in owners.reaching.get(model, ())
                                    if other not in named))
        help, edits = 'let an optimizer of what it depends on minimize it', ()
        if way is not None:
            help = f'{way.mended()} to train `{way.model}` by it, or remove `{loss}` here'
        elif len(better) == 1:
            trained = members(model for model in owned if model in owners.reached[better[0]])
            help = f'did you mean `{better[0]}`? it depends on {trained}'
            edits = (Edit(term.span, str(better[0])),) if len(optimizer.named) == 1 and term.weight == 1 else ()
        return Diagnostic('G406', f'`{loss}` depends on nothing that this optimizer owns', term.span,
                          reason=self._dependence(loss),
                          places=(Place(optimizer.owns[0][1], 'what it owns'), Place(owners.losses[loss], 'the loss'),
                                  *(way.places() if way is not None else ())),
                          notes=tuple(way.note() for way in ways), help=help, edits=edits)

    def _dependence(self, loss: Key) -> str:
        models = self._owners.depends[loss]
        return f'it depends on {members(models)}' if models else 'it depends on no model'

    # Losses

    def _unminimized(self, losses: Sequence[Key], minimized: set[Key]) -> Diagnostic:
        owners, loss = self._owners, losses[0]
        named = f'the loss `{loss}`' if len(losses) == 1 else f'the losses {members(losses)}'
        models = sorted(owners.depends[loss])
        details = self._in_another(losses, minimized) or (
            self._candidates(losses, models) if models else self._on_no_model(loss))
        return Diagnostic('G403', f'nobody minimizes {named}', owners.losses[loss],
                          reason=self._dependence(loss), **details)

    def _in_another(self, losses: Sequence[Key], minimized: set[Key]) -> Optional[dict]:
        """Returns how a loss is a term of another one that is minimized, None if it isn't."""
        owners = self._owners
        whole = next((a for a in self._readers.get(losses[0], ()) if minimized.intersection(a.results)), None)
        if whole is None:
            return None
        other = whole.results[0]
        made = self._maker[losses[0]].span
        is_declared = made.start < owners.losses[losses[0]].start < made.end    # by `loss NAME = ...`
        return dict(places=(Place(whole.span, f'the loss `{other}` is made of it, and minimized'),),
                    notes=(f'it is trained as a part of `{other}`, and a loss of its own would count twice',),
                    help='make it a `metric`: it is reported, and trained as that part',
                    edits=(Edit(Span(made.start, made.start + len('loss')), 'metric'),)
                    if is_declared and not owners.conditional.intersection(losses) else ())

    def _candidates(self, losses: Sequence[Key], models: Sequence[Key]) -> dict:
        """Returns who could minimize a loss, and why each does not."""
        owners, loss = self._owners, losses[0]
        able = [o for o in dict.fromkeys(o for m in models for o in self._owning.get(m, ())) if o.named]
        places, notes = [], []
        for optimizer in able[:_MOST_PLACES]:
            owned = members(unit.model for unit, _ in optimizer.owns if unit.model in models)
            places.append(Place(_list_of(optimizer), f'the owner of {owned} minimizes only this'))
        for model in models:
            kept = owners.all[model]
            if kept.is_frozen or kept.follows:
                what = f'follows `{kept.original}`' if kept.follows else 'is frozen'
                places.append(Place(kept.frozen_at or kept.span, f'`{model}` {what}'))
        way = owners.ways.to(models[0], loss)
        notes += [way.note()] if way is not None else []
        alone = [m for m in models if m in owners.models and not set(owners.reaching[m]) - set(losses)]
        notes += [f'no other loss trains {members(alone)}'] if alone else []
        edits = ()
        if not able:
            help = 'make it a `metric`, or train one of the models that it depends on'
        elif len(able) == 1:
            help = f'add it there: `minimizes {_terms_text(able[0])}, {loss}`; or make it a `metric`'
            end = able[0].named[-1].span.end
            edits = (Edit(Span(end, end), f', {loss}'),) if len(losses) == 1 and self._is_single(able[0]) else ()
        else:
            help = f'add `{loss}` to `minimizes` of every optimizer that shall minimize it, or make it a `metric`'
        return dict(places=tuple(places[:2 * _MOST_PLACES]), notes=tuple(notes), help=help, edits=edits)

    def _on_no_model(self, loss: Key) -> dict:
        owners = self._owners
        models = dict.fromkeys(m for a in reaching([loss], self._maker) for m in a.models)
        way = next(filter(None, (owners.ways.to(model, loss) for model in list(models)[:_MOST_PLACES])), None)
        if way is None:
            return dict(help='make it a `metric`, or compute it from what a model gives')
        return dict(places=way.places(), notes=(way.note(),),
                    help=f'{way.mended()} to train `{way.model}` by it, or make it a `metric`')

    def _is_single(self, optimizer: Declared) -> bool:
        """Says whether a statement declares one optimizer, not one in each turn of a loop."""
        return self._declarations[optimizer.span] == 1

    # Models

    def _unreached(self, terms: Sequence[tuple[Declared, tuple[Term, ...]]], left: set[Key]) -> Iterator[Diagnostic]:
        """Yields a diagnostic for what an optimizer owns and none of its losses trains."""
        owners = self._owners
        used = UsedOutputs(owners.assignments)
        found: list[tuple[Declared, Unit, Span, list[Key]]] = []
        for optimizer, own in terms:
            losses = [term.loss for term in own if term.loss in owners.losses]
            reached = {model for loss in losses for model in owners.reached[loss]}
            is_wanted = owners.reach.those_reached(losses)
            movable = [(unit, span) for unit, span in optimizer.owns if unit.model in owners.models]
            for unit, span in movable:
                if not owners.owned_leaves(unit):
                    continue
                if unit.model in reached:
                    yield from self._unreached_parts(unit, span, used, is_wanted)
                elif not self._is_explained(optimizer, unit.model, left):
                    found.append((optimizer, unit, span, losses))
            if not any(owners.owned_leaves(unit) for unit, _ in movable) and not any(
                    owners.is_kept(unit) for unit, _ in optimizer.owns):
                unit, span = optimizer.owns[0]
                yield Diagnostic('G409', 'this optimizer has nothing to move', span,
                                 reason=f'`{unit}` has no parameters',
                                 places=(Place(owners.all[unit.model].span, 'it is made of functions alone'),),
                                 help='remove the optimizer')
        for same in grouped(found, lambda one: (one[1].model.base, one[1].path, one[2],
                                                one[1].model in owners.reaching)):
            optimizer, unit, span, losses = same[0]
            names = units([one[1] for one in same])
            yield self._of_others(optimizer, unit, span, losses, names) if unit.model in owners.reaching else \
                self._in_no_loss(unit, span, names, 'its' if len(same) == 1 else 'their')

    def _is_explained(self, optimizer: Declared, model: Key, left: set[Key]) -> bool:
        """Says whether a loss that nobody minimizes is why nothing trains a model."""
        if not left or model in self._owners.reaching:
            return optimizer.named is not None and not left.isdisjoint(self._owners.reaching.get(model, ()))
        return any(way.loss in left for way in self._owners.ways.of(model, left))

    def _of_others(self, optimizer: Declared, unit: Unit, span: Span, losses: list[Key], names: str) -> Diagnostic:
        """Makes the diagnostic for a model that only losses of other optimizers depend on."""
        owners = self._owners
        elsewhere = owners.reaching[unit.model]
        loss = elsewhere[0]
        way = owners.ways.to(unit.model, loss)
        others = [(o, term) for o, term in self._minimizing[loss] if o is not optimizer]
        by = listing([f'`{o.name}`' for o, _ in others])
        places = [*(way.places() if way is not None else ()),
                  Place(owners.losses[loss], f'the loss `{loss}` depends on it'),
                  *(Place(term.span, f'`{o.name}` minimizes `{loss}`') for o, term in others[:_MOST_PLACES])]
        notes = [way.note()] if way is not None else []
        is_named = any(o.named is not None for o, _ in others)
        edits = ()
        if optimizer.named is not None:
            help = f'add it to its losses: `minimizes {_terms_text(optimizer)}, {loss}`'
            end = optimizer.named[-1].span.end
            place, text = end, f', {loss}'
        else:
            notes.append(f'{by} {"names" if len(others) == 1 else "name"} `{loss}`: a loss that is named is minimized '
                         'only by the optimizers that name it')
            help = f'name it here too: `minimizes {loss}`'
            place, text = optimizer.after_owns, f' minimizes {loss}'
        if len(elsewhere) == 1 and is_named and place is not None and self._is_single(optimizer) and (
                optimizer.named or not losses):
            edits = (Edit(Span(place, place), text),)
        if len(elsewhere) > 1:
            help = f'say which losses it minimizes: `minimizes ...`; those that depend on it are {members(elsewhere)}'
        return Diagnostic('G404', f'no loss that this optimizer minimizes depends on {names}', span,
                          reason=f'it minimizes {members(losses)}' if losses else 'it minimizes no loss',
                          places=tuple(places), notes=tuple(notes), help=help, edits=edits)

    def _in_no_loss(self, unit: Unit, span: Span, names: str, its: str) -> Diagnostic:
        owners, model = self._owners, unit.model
        ways = owners.ways.of(model)
        places = [Place(owners.all[model].span, f'`{model}` is defined here')]
        if not owners.ways.calls(model):
            return Diagnostic('G404', f'no loss depends on {names}', span,
                              reason=f'nothing would train {its} parameters',
                              places=tuple(places), notes=(f'no edge calls `{model}`',),
                              help=f'call it: `x -> {model} -> y`; or take it out of `owns`, and remove it')
        first = ways[0] if ways else None
        help = first.mended() if first is not None else f'compute a loss from what `{model}` gives'
        places += first.places() if first is not None else ()
        return Diagnostic('G404', f'no loss depends on {names}', span, reason=f'nothing would train {its} parameters',
                          places=tuple(places), notes=tuple(way.note() for way in ways),
                          help=f'{help}; or take {names} out of `owns`, and freeze {"it" if its == "its" else "them"}: '
                               f'`frozen {unit}`')

    def _unreached_parts(self, unit: Unit, span: Span, used: UsedOutputs,
                         is_wanted: Callable[[Key], bool]) -> Iterator[Diagnostic]:
        key, chain = unit.model, self._owners.all[unit.model].chain
        outputs = used.of(key, chain, is_wanted)
        direct = used.parts_of(key, is_wanted)
        if (id(chain), outputs) not in self._beyond:
            self._beyond[id(chain), outputs] = list(unreached(chain, outputs))
        owned = set(self._owners.owned_leaves(unit))
        parts = [(path, part) for path, part in self._beyond[id(chain), outputs]
                 if path in owned and not any(path[:len(d)] == d or d[:len(path)] == path for d in direct)]
        if not parts:
            return
        names = ', '.join(f'`{".".join(path)}`' for path, _ in parts)
        rest = ', '.join(f'`{output}`' for output in chain.outputs if output not in outputs)
        read = listing([f'`{output}`' for output in chain.outputs if output in outputs])
        calls = [Place(a.span, f'`{key}` is called here') for a in self._owners.ways.calls(key)
                 if any(callee.key == key for callee in gradient_sources(a)[1])]
        yield Diagnostic('G404', f'no loss that this optimizer minimizes depends on {names} of `{key}`', span,
                         reason='nothing would train these parameters',
                         places=(*(Place(part.span, f'this is `{".".join(path)}`') for path, part in parts),
                                 *calls[:_MOST_PLACES]),
                         notes=(f'of the results of `{key}`, its losses depend on {read} alone',)
                         if rest and read else (),
                         help=f'use the output {rest} of `{key}` in a loss, or remove it from the model' if rest
                         else f'let an output of `{key}` depend on it, or remove it')


def _list_of(optimizer: Declared) -> Span:
    """Returns where an optimizer names its losses."""
    return Span(optimizer.named[0].span.start, optimizer.named[-1].span.end)


def _terms_text(optimizer: Declared) -> str:
    names = [str(t.loss) if t.weight == 1 else f'{t.weight:g} * {t.loss}' for t in optimizer.named]
    return ', '.join(names if len(names) <= _MOST_PLACES else ['...'])
