"""What steps and values need: assignments, streams, inputs."""
from __future__ import annotations

import functools
import operator
from typing import Collection, Iterable, Mapping, Sequence

from graphdsl.semantics import catalog, flow
from graphdsl.semantics.computation import (
    Assignment, Builtin, ChainType, Expression, Function, Key, Reference, walk)
from graphdsl.semantics.graph import Graph, Optimizer, Step, Term, Update
from graphdsl.diagnostics import Span


def steps_of(graph: Graph) -> tuple[Step, ...]:
    """Returns the steps of an iteration; without any in the file, one that updates all optimizers."""
    if graph.steps or not graph.optimizers:
        return graph.steps
    span = graph.optimizers[0].span
    return (Step(span, 'main', None, None, None, None, tuple(Update(o.span, o.name) for o in graph.optimizers)),)


def terms_of(update: Update, optimizer: Optimizer) -> tuple[Term, ...]:
    """Returns the losses that an update is for."""
    return tuple(term for term in optimizer.terms if update.losses is None or term.loss in update.losses)


class Needs:
    """Tells what some values of a graph are computed from.

    Args:
        graph: The graph.

    Attributes:
        maker: The assignment that makes each value.
    """

    def __init__(self, graph: Graph):
        self._graph = graph
        self._states = {state.key for state in graph.states}
        self.maker: Mapping[Key, Assignment] = {key: a for a in graph.assignments for key in a.results}
        self._order = {id(assignment): i for i, assignment in enumerate(graph.assignments)}
        self._optimizers = {optimizer.name: optimizer for optimizer in graph.optimizers}
        self._conditions = {loss.key: loss.condition for loss in graph.losses}

    def assignments(self, keys: Iterable[Key], given: Collection[Key] = ()) -> tuple[Assignment, ...]:
        """Returns the assignments that some values need beside what is given, in the order of computation."""
        return tuple(sorted(flow.reaching(keys, self.maker, given), key=lambda assignment: self._order[id(assignment)]))

    def root(self, key: Key) -> Key:
        """Returns the value that a name stands for, through names that are just other names."""
        while key in self.maker and isinstance(self.maker[key].stages[0], Reference):
            key = self.maker[key].stages[0].key
        return key

    def leaves(self, expression: Expression) -> dict[Key, Span]:
        """Returns what a number between the steps is made of that a run has to have, with where it is read.

        Numbers, and what no run computes and follows by functions alone, are computed there.
        """
        found: dict[Key, Span] = {}
        pending = [(node.key, node.span) for node in walk(expression) if isinstance(node, Reference)]
        seen: set[Key] = set()
        for key, span in pending:       # which grows
            if key in seen:
                continue
            seen.add(key)
            assignment = self.maker.get(key)
            if assignment is not None and (assignment.is_number or (
                    key not in self.computed and _is_function(assignment))):
                pending.extend((operand, span) for operand in assignment.operands)
            elif key not in self._states:
                found[key] = span
        return found

    def following(self, values: Iterable[Key], available: Sequence[Collection[Key]]) -> dict[Key, int]:
        """Returns which of some sets of values each value follows from without a model, random numbers or a pool.

        Args:
            values: The values.
            available: The sets; states are there in any case.

        Returns:
            For each value a bit per set, the lowest for the first.
        """
        values = list(values)
        needed = self.assignments(values)
        read = {*values, *(key for assignment in needed for key in assignment.operands)}
        found = dict.fromkeys(self._states & read, (1 << len(available)) - 1)
        for number, keys in enumerate(available):
            for key in keys:
                if key in read:
                    found[key] = found.get(key, 0) | 1 << number
        for assignment in needed:
            if _is_function(assignment):
                everywhere = functools.reduce(
                    operator.and_, (found.get(key, 0) for key in assignment.operands), (1 << len(available)) - 1)
                for key in assignment.results:
                    found[key] = found.get(key, 0) | everywhere
        return {value: found.get(value, 0) for value in values}

    @functools.cached_property
    def computed(self) -> set[Key]:
        """The values that some step computes, reports apart."""
        return {key for step in steps_of(self._graph) for a in self.of_step(step) for key in a.results}

    def of_step(self, step: Step) -> tuple[Assignment, ...]:
        """Returns what a run of a step computes when all conditions hold, reports apart."""
        keys, conditions = [], []
        for update in step.updates:
            conditions.append(update.condition)
            for term in terms_of(update, self._optimizers[update.optimizer]):
                keys.append(term.loss)
                conditions.append(self._conditions[term.loss])
        keys += [node.key for c in conditions if c is not None for node in walk(c) if isinstance(node, Reference)]
        return self.assignments(keys)


def _is_function(assignment: Assignment) -> bool:
    """Says whether an assignment calls no model, draws no random numbers and moves no pool, nor do its blocks."""
    if assignment.models:
        return False
    pending, seen = list(assignment.callees), set()
    while pending:
        callee = pending.pop()
        if (isinstance(callee, Function) and callee.name in catalog.RANDOM) or (
                isinstance(callee, Builtin) and callee.name in ('grad', 'history')):
            return False
        if isinstance(callee, ChainType) and id(callee) not in seen:
            seen.add(id(callee))
            pending.extend(inner for one in callee.assignments for inner in one.callees)
    return True


def streams_read(graph: Graph, assignments: Iterable[Assignment]) -> dict[str, None]:
    """Returns the streams whose minibatches some assignments read, in the order of the file."""
    read = {key for assignment in assignments for key in assignment.operands}
    streams = {i.stream for i in graph.inputs if i.name != '_' and Key(i.name) in read}
    order = [stream.name for stream in graph.streams] or ['main']
    return dict.fromkeys(stream for stream in order if stream in streams)


def streams_of(graph: Graph) -> dict[Key, tuple[str, ...]]:
    """Returns the streams that each value needs minibatches of, or the number of their rows."""
    return sources(graph, {**{Key(i.name): i.stream for i in graph.inputs},
                           **{noise.key: noise.stream for noise in graph.noises}})


def sources(graph: Graph, origins: Mapping[Key, str]) -> dict[Key, tuple[str, ...]]:
    """Returns the streams, or inputs, that each value is computed from, in the order of the file.

    Args:
        graph: The graph.
        origins: Those of inputs and noise.
    """
    order = {name: i for i, name in enumerate(dict.fromkeys([*(s.name for s in graph.streams), *origins.values()]))}
    found: dict[Key, tuple[str, ...]] = {key: () for key in (
        *(state.key for state in graph.states), *(noise.key for noise in graph.noises))}
    found.update({key: (name,) for key, name in origins.items()})
    for assignment in graph.assignments:
        names = {name for key in assignment.operands for name in found[key]}
        for key in assignment.results:
            found[key] = tuple(sorted(names, key=order.__getitem__))
    return found
