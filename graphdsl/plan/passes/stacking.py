"""Stacking: parallel heads run as one matrix product, and their losses as one evaluation.

Small heads cost their calls more than their arithmetic. Each stays a model with weights and an optimizer of its own.
What is stacked is a family of linear models on one value with a loss each, where nothing else is differentiated through
either and all get their gradients from one pass.
"""
from __future__ import annotations

import heapq
import itertools
from collections import Counter
from dataclasses import replace
from typing import Hashable, Iterable, Iterator, Mapping, Optional, Sequence

from graphdsl.semantics.computation import (
    Assignment, Builtin, ChainType, Construct, Function, Key, Literal, ModelName, PartName, Reference, walk)
from graphdsl.semantics.graph import Unit
from graphdsl.semantics.repeatable import is_repeatable
from graphdsl.plan.history import points
from graphdsl.plan.plan import ALWAYS, BackwardPass, Operation, Plan, Step
from graphdsl.plan.statistics import has_statistics

#: Functions of Chainer, called with a prediction and its target, that are evaluated for several heads at once.
LOSSES = frozenset({'mean_squared_error', 'softmax_cross_entropy'})

# Of one head there is nothing to gain; with more outputs each, products take longer than calls (RESULTS.md).
_FEWEST = 2
_MOST_OUTPUTS = 128

Group = Sequence[int]


def stacking(plan: Plan) -> Plan:
    """Marks what runs as one, and brings it together."""
    chains = {model.key: model.chain for model in plan.graph.models}
    frozen = {model.key for model in plan.graph.models if model.is_frozen}
    return replace(plan, steps=tuple(replace(step, forward=_stacked(step, chains, frozen)) for step in plan.steps))


def _stacked(step: Step, chains: Mapping[Key, ChainType], frozen: set[Key]) -> tuple[Operation, ...]:
    candidates = list(_candidates(step, chains, frozen)) if _is_plain(step) else []
    if not candidates:
        return step.forward
    # Random numbers, states and running statistics move in the order of the calls.
    is_free = [is_repeatable(one.assignment, chains) and not any(
        has_statistics(chains[model]) for model in one.assignment.models) for one in step.forward]
    everything = _together(step.forward, list(itertools.chain(*candidates)), is_free)
    if everything is not None:
        return everything
    found = step.forward
    chosen: list[Group] = []
    for heads, losses in candidates:
        together = _together(step.forward, [*chosen, heads, losses], is_free)
        if together is not None:
            found = together
            chosen += [heads, losses]
    return found


def _is_plain(step: Step) -> bool:
    """Says whether each run differentiates the same, once for each optimizer, and nothing twice."""
    passes = step.backward
    names = [name for one in passes for name, _ in one.optimizers]
    guards = [guard for one in passes for guard in (*(g for _, _, g in one.losses), *(g for _, g in one.optimizers))]
    return (step.kind in (None, 'repeat') and len(set(names)) == len(names) and all(g == ALWAYS for g in guards)
            and not any(one.unused for one in passes) and not points(one.assignment for one in step.forward))


def _candidates(step: Step, chains: Mapping[Key, ChainType], frozen: set[Key]) -> Iterator[tuple[Group, Group]]:
    """Yields families of heads, and the losses that are all that is differentiated of them."""
    operations = step.forward
    taken = [one.operation.assignment for one in step.reused]
    families = Counter(key.base for assignment in (*step.assignments, *taken) for key in assignment.results)
    users: dict[Key, list[int]] = {}
    for i, one in enumerate(operations):
        for key in (*one.assignment.operands, *one.assignment.models):
            users.setdefault(key, []).append(i)
    passes = _Passes(step.backward)
    handed = set(step.handed)
    for heads in _groups((_head(one.assignment, chains, frozen), i, one) for i, one in enumerate(operations)):
        values = [operations[i].assignment.results[0] for i in heads]
        models = [operations[i].assignment.models[0] for i in heads]
        using = sorted({i for value in values for i in users.get(value, ())})
        of_heads = set(values)
        found = _groups((_loss(operations[i].assignment, of_heads), i, operations[i]) for i in using)
        if len(found) != 1 or any(operations[i].has_history for i in set(using).difference(found[0])):
            continue
        losses = [operations[i].assignment.results[0] for i in found[0]]
        kept = {i for loss in losses for i in users.get(loss, ()) if operations[i].has_history}
        if (_is_family(values, families) and _is_family(losses, families) and len(losses) == len(values)
                and not kept and handed.isdisjoint([*values, *losses])
                and _has_few_outputs(linear_of(chains[models[0]]))
                and all(len(users[model]) == 1 for model in models)
                and passes.take_whole(models, losses)):
            yield heads, found[0]


class _Passes:
    """The backward passes of a step, found by what they differentiate and move."""

    def __init__(self, backward: Sequence[BackwardPass]):
        self._weights: dict[Key, dict[int, float]] = {}
        self._units: dict[Key, list[tuple[int, Unit]]] = {}
        for number, one in enumerate(backward):
            for term in one.losses:
                self._weights.setdefault(term.loss, {})[number] = term.weight
            for unit in itertools.chain(*one.units):
                self._units.setdefault(unit.model, []).append((number, unit))

    def take_whole(self, models: Sequence[Key], losses: Sequence[Key]) -> bool:
        """Says whether each pass differentiates all losses alike or none, and moves all heads as a whole or none."""
        weights = self._weights.get(losses[0], {})
        units = [one for model in models for one in self._units.get(model, ())]
        moved = Counter(number for number, _ in units)
        return (all(self._weights.get(loss, {}) == weights for loss in losses)
                and moved.keys() <= weights.keys() and all(count == len(models) for count in moved.values())
                and not any(unit.path for _, unit in units))


def _is_family(values: Sequence[Key], families: Mapping[str, int]) -> bool:
    """Says whether values are a whole family, counted from 0."""
    base = values[0].base
    return families[base] == len(values) and list(values) == [Key(base, (i,)) for i in range(len(values))]


def _groups(found: Iterable[tuple[Optional[Hashable], int, Operation]]) -> list[Group]:
    """Gathers operations that are alike and computed under the same conditions."""
    groups: dict[Hashable, list[int]] = {}
    for kind, i, one in found:
        if kind is not None:
            groups.setdefault((kind, one.guard, one.has_history), []).append(i)
    return [group for group in groups.values() if len(group) >= _FEWEST]


def _head(assignment: Assignment, chains: Mapping[Key, ChainType], frozen: set[Key]) -> Optional[Hashable]:
    """Returns what a call of a head has in common with those beside it, None if this is none."""
    call = assignment.call
    if call is None or not isinstance(call.callee, ModelName) or len(call.arguments) != 1:
        return None
    if call.callee.mode or call.callee.path or not isinstance(call.arguments[0], Reference):
        return None
    link = linear_of(chains[call.callee.key])
    return None if link is None or call.callee.key in frozen else (call.arguments[0].key, link)


def linear_of(chain: ChainType) -> Optional[Construct]:
    """Returns the link of a chain that is nothing but one linear layer."""
    if len(chain.parts) != 1 or len(chain.assignments) != 1 or len(chain.inputs) != 1:
        return None
    part, call = chain.parts[0], chain.assignments[0].call
    is_whole = call is not None and isinstance(call.callee, PartName) and not call.callee.path and \
        not call.callee.mode and [type(argument) for argument in call.arguments] == [Reference]
    return part.content if is_whole and part.is_linear and not part.is_frozen else None


def _has_few_outputs(link: Construct) -> bool:
    """Says whether a linear layer is known to have few outputs; its only size is in the second place."""
    size = link.arguments[1] if len(link.arguments) > 1 else dict(link.keywords).get('out_size')
    return isinstance(size, Literal) and isinstance(size.value, int) and size.value <= _MOST_OUTPUTS


def _loss(assignment: Assignment, values: set[Key]) -> Optional[Hashable]:
    """Returns what a loss of a head has in common with those beside it, None if this is none.

    Args:
        assignment: It reads at least one of the values.
        values: Those of the heads.
    """
    call = assignment.call
    if call is None or not isinstance(call.callee, Function) or call.callee.meets or call.callee.name not in LOSSES:
        return None
    if len(call.arguments) != 2 or not isinstance(call.arguments[0], Reference):
        return None
    prediction, target = call.arguments
    read = {node.key for node in walk(target) if isinstance(node, Reference)}
    # A pool moves by being read, in the order of the file.
    is_plain = values.isdisjoint(read) and Builtin('history') not in assignment.callees
    return call.callee.name if prediction.key in values and is_plain else None


def _together(operations: Sequence[Operation], groups: Sequence[Group], is_free: Sequence[bool]
              ) -> Optional[tuple[Operation, ...]]:
    """Sorts operations so that each group stands together, otherwise as they were; None if that can't be.

    Args:
        operations: In the order of computation.
        groups: Positions of those that run as one.
        is_free: Whether each may change places with others.
    """
    unit_of = list(range(len(operations)))
    for group in groups:
        for i in group:
            unit_of[i] = group[0]
    members: dict[int, list[int]] = {}
    for i, unit in enumerate(unit_of):
        members.setdefault(unit, []).append(i)
    users, missing = _dependencies(operations, unit_of, is_free)
    ready = [unit for unit in members if not missing.get(unit)]
    heapq.heapify(ready)
    found: list[Operation] = []
    while ready:
        unit = heapq.heappop(ready)
        is_stack = len(members[unit]) > 1
        found.extend(replace(operations[i], stack=unit) if is_stack else operations[i] for i in members[unit])
        for user in users.get(unit, ()):
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, user)
    return tuple(found) if len(found) == len(operations) else None


def _dependencies(operations: Sequence[Operation], unit_of: Sequence[int], is_free: Sequence[bool]
                  ) -> tuple[dict[int, list[int]], dict[int, int]]:
    """Returns which units wait for each unit, and for how many each waits."""
    maker = {key: unit_of[i] for i, one in enumerate(operations) for key in one.assignment.results}
    needs: dict[int, set[int]] = {}
    latest: Optional[int] = None
    for i, one in enumerate(operations):
        needed = {maker[key] for key in one.assignment.operands if key in maker}
        if not is_free[i]:
            needed |= {latest} if latest is not None else set()
            latest = unit_of[i]
        needs.setdefault(unit_of[i], set()).update(needed - {unit_of[i]})
    users: dict[int, list[int]] = {}
    for unit, needed in needs.items():
        for other in needed:
            users.setdefault(other, []).append(unit)
    return users, {unit: len(needed) for unit, needed in needs.items()}
