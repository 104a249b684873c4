"""The update plan: what an iteration computes, differentiates and updates, and nothing of how."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, FrozenSet, NamedTuple, Optional

from graphdsl.semantics.computation import Assignment, Expression, Key, Reference, walk
from graphdsl.semantics.graph import Graph, Unit

#: When something happens: in one of some cases, in each of which all of some conditions hold. Conditions are numbers
#: of the step's list; the case without conditions is always.
Guard = FrozenSet[FrozenSet[int]]

ALWAYS: Guard = frozenset([frozenset()])
NEVER: Guard = frozenset()


def both(a: Guard, b: Guard) -> Guard:
    """Returns the guard that holds where two hold."""
    # Where all cases of one are cases of the other, it is the narrower one.
    if b == ALWAYS or a <= b:
        return a
    if a == ALWAYS or b <= a:
        return b
    return simplified(frozenset(x | y for x in a for y in b))


def either(*guards: Guard) -> Guard:
    """Returns the guard that holds where one of some holds."""
    if ALWAYS in guards:
        return ALWAYS
    widest = max(guards, key=len, default=NEVER)
    if all(guard <= widest for guard in guards):
        return widest
    return simplified(frozenset().union(*guards))


def simplified(guard: Guard) -> Guard:
    """Returns a guard without cases that others include."""
    if len(set(map(len, guard))) < 2:
        return guard
    return frozenset(case for case in guard if not any(other < case for other in guard))


class Condition(NamedTuple):
    """A condition of a step, and what it decides on, such as ``'has penalty'``."""

    expression: Expression
    name: str


@dataclass(frozen=True)
class Operation:
    """An assignment of a run.

    Attributes:
        history: When the result of each stage needs a history, so that gradients may be asked of it.
        is_wanted: Whether gradients flow to its results; those that it takes itself are differentiated again then.
        guard: When it is computed.
        stack: Operations next to each other of the same number run as one; None for one by itself.
    """

    assignment: Assignment
    history: tuple[Guard, ...]
    guard: Guard = ALWAYS
    is_wanted: bool = True
    stack: Optional[int] = None

    @property
    def has_history(self) -> bool:
        """Whether gradients may ever be asked of its results."""
        return self.history[-1] != NEVER


class Draw(NamedTuple):
    """What a run draws: a minibatch of a stream, or a noise.

    Attributes:
        again: Whether the latest of the iteration serves, if there is one.
        is_read: Whether the step itself reads it; what it takes over may be all that is made of it.
    """

    kind: str
    name: str
    again: bool
    guard: Guard = ALWAYS
    is_read: bool = True


class WeightedLoss(NamedTuple):
    """A loss, what it is multiplied by, and when there is one."""

    loss: Key
    weight: float
    guard: Guard = ALWAYS


@dataclass(frozen=True)
class BackwardPass:
    """One differentiation of a sum of losses; an optimizer that is in several gets the sum of their gradients.

    Attributes:
        losses: What is summed.
        optimizers: Whose parameters get this gradient, each with when it does.
        units: The models and parts that each of these owns.
        unused: Models and parts whose gradient is computed too, and used by nobody.
    """

    losses: tuple[WeightedLoss, ...]
    optimizers: tuple[tuple[str, Guard], ...]
    units: tuple[tuple[Unit, ...], ...]
    unused: tuple[Unit, ...] = ()


class Reused(NamedTuple):
    """An operation that a step before has done already.

    Attributes:
        operation: With the history that this step needs.
        step: The name of the other step.
    """

    operation: Operation
    step: str


class Report(NamedTuple):
    """A loss or metric that a run reports, and when."""

    key: Key
    guard: Guard = ALWAYS


@dataclass(frozen=True)
class Step:
    """A step: runs, each a draw, a forward pass and backward passes, and then updates.

    Attributes:
        condition: When the step takes place, None for always.
        kind: ``'repeat'``, ``'accumulate'`` or ``'unroll'``, with ``count`` runs; None for a single run.
        conditions: On which guards are built; numbers that hold for a run.
        draws: In the order of the file, streams before noise.
        numbers: Numbers that conditions are made of, in the order of computation.
        forward: What the losses need, in the order of computation.
        metrics: What is computed on top, without history, for reports alone.
        backward: All of them take their gradients before the first update.
        updates: Optimizers in the order of the file, each with when it is updated.
        reports: Losses and metrics.
        quiet: Models that this step calls and does not own, whose statistics it leaves alone; with when it owns them.
        kept: Values that states are computed from.
        reused: What it takes from steps before instead of computing it, each with the name of the step.
        handed: Of what it computes, values that steps after it take.
    """

    name: str
    condition: Optional[Expression]
    kind: Optional[str]
    count: Optional[Expression]
    conditions: tuple[Condition, ...]
    draws: tuple[Draw, ...]
    numbers: tuple[Assignment, ...]
    forward: tuple[Operation, ...]
    metrics: tuple[Operation, ...]
    backward: tuple[BackwardPass, ...]
    updates: tuple[tuple[str, Guard], ...]
    reports: tuple[Report, ...]
    quiet: tuple[tuple[Key, Guard], ...]
    kept: tuple[Report, ...]
    reused: tuple[Reused, ...] = ()
    handed: tuple[Key, ...] = ()

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """All that it computes itself."""
        return (*self.numbers, *(one.assignment for one in (*self.forward, *self.metrics)))

    def read(self) -> set[Key]:
        """Returns the values that it uses for anything."""
        conditions = walk(*(condition.expression for condition in self.conditions))
        return {*(key for assignment in self.assignments for key in assignment.operands),
                *(node.key for node in conditions if isinstance(node, Reference)),
                *(term.loss for one in self.backward for term in one.losses),
                *(report.key for report in (*self.reports, *self.kept))}

    def taken(self) -> tuple[Key, ...]:
        """Returns the values that it uses and steps before have computed."""
        read = self.read()
        return tuple(key for one in self.reused for key in one.operation.assignment.results if key in read)


@dataclass(frozen=True)
class Computation:
    """Values that are computed without training.

    Attributes:
        sources: The streams whose minibatches, or number of rows, reports need; the inputs that outputs need.
        inputs: Inputs and noise that are read.
        forward: In the order of computation.
        results: What is asked for.
    """

    sources: tuple[str, ...]
    inputs: tuple[Key, ...]
    forward: tuple[Operation, ...]
    results: tuple[Key, ...]


@dataclass(frozen=True)
class Plan:
    """What a training run does.

    Attributes:
        graph: What was planned.
        steps: In the order in which an iteration runs them.
        pools: Sizes of the pools of past values by name.
        evaluation: Losses and metrics, together where they need the same streams.
        prediction: Outputs, together where they need the same inputs.
    """

    graph: Graph
    steps: tuple[Step, ...]
    pools: tuple[tuple[str, int], ...]
    evaluation: tuple[Computation, ...]
    prediction: tuple[Computation, ...]

    def as_dict(self) -> dict[str, Any]:
        """Returns the plan as plain lists and dictionaries, for JSON."""
        from graphdsl.plan.as_dict import as_dict
        return as_dict(self)
