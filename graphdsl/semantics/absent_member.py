"""Explains which member of a family is asked for and is not there, and which loop made those that are."""
from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

from graphdsl.semantics import numbers
from graphdsl.semantics.mentions import names_in
from graphdsl.semantics.scope import Broken, Names, Scope
from graphdsl.diagnostics import Diagnostic, Place, Span
from graphdsl.syntax import nodes


def explained(diagnostic: Diagnostic, node: nodes.Expression, names: Names, scope: Scope,
              indices: Optional[tuple[Any, ...]]) -> Diagnostic:
    """Adds to the mistake of an absent member what its index came to, and the loop of the others.

    Args:
        diagnostic: The mistake.
        node: The expression that selects.
        names: What it selects from.
        scope: Where it stands.
        indices: What its brackets came to.
    """
    if not isinstance(node, nodes.Index) or not indices or not names.is_family(node.base.name):
        return diagnostic
    places = [Place(item.span, f'this is {value}{_with(item, scope)}') for item, value in zip(node.items, indices)
              if isinstance(value, int) and not isinstance(item, (nodes.Number, nodes.Unary))]
    bound = diagnostic.places[0].span if diagnostic.places else None
    loops = [loop for loop in scope.values.loops.values() if bound is not None and _is_within(bound, loop.span)]
    places += [Place(Span(loop.variable.span.start, loop.domain.span.end), 'this loop makes them')
               for loop in sorted(loops, key=lambda loop: loop.span.start)]
    members = names.members(node.base.name)
    one = indices[0] if len(indices) == 1 and isinstance(indices[0], int) else None
    help = diagnostic.help
    if members and one is not None and one == members[-1].index[0] + 1:
        help = f'the last one is `{members[-1]}`: indices begin with 0, and `0..n` leaves out n'
    elif members and one is not None and one < 0:
        help = f'indices begin with 0; `{members[0].base}[-1:]` is the list of the last one'
    return replace(diagnostic, places=(*diagnostic.places, *places), help=help)


def _with(item: nodes.Expression, scope: Scope) -> str:
    """Returns the numbers that an index is computed from."""
    known = {name: scope.numbers[name] for name in dict.fromkeys(names_in(item)) if name in scope.numbers}
    shown = [f'`{name}` = {numbers.shown(value)}' for name, value in known.items() if not isinstance(value, Broken)]
    return f', with {" and ".join(shown)}' if shown and not isinstance(item, nodes.Name) else ''


def _is_within(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end
