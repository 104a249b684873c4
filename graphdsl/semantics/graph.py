"""The checked graph: loops unrolled, names resolved, params replaced by their values.

It says what is computed from what and who owns which model, and nothing of how. Everything is immutable.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Union

from graphdsl.diagnostics import Span
from graphdsl.semantics.computation import Assignment, ChainType, Construct, Expression, Key, Located


# Data

@dataclass(frozen=True)
class Dataset(Located):
    """An entry of a data block; the source's arguments are plain Python values.

    Attributes:
        is_sequence: Whether its one long array is read in parallel lanes.
    """

    name: str
    source: str
    arguments: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...]
    is_sequence: bool = False


@dataclass(frozen=True)
class Stream(Located):
    """A data block: the datasets by entry name, and its own minibatch size if it has one."""

    name: str
    datasets: tuple[Dataset, ...]
    batch: Optional[int]


@dataclass(frozen=True)
class Input(Located):
    """A column of a stream.

    Attributes:
        shape: Without the batch axis; None for an axis that has another length in every example.
        stream: Its data block; the only stream of a graph without data is ``'main'``.
        pad: What fills up the examples of ragged axes.
    """

    name: str
    dtype: str
    shape: tuple[Optional[int], ...]
    stream: str
    pad: Union[int, float, None] = None


@dataclass(frozen=True)
class Noise(Located):
    """Random numbers, drawn anew with every minibatch of a stream.

    Attributes:
        dtype: None for one number per draw.
        shape: Without the batch axis.
        arguments: Plain values; the permutation of a minibatch has ``'batch_size'``.
    """

    key: Key
    dtype: Optional[str]
    shape: tuple[int, ...]
    distribution: str
    arguments: tuple[Any, ...]
    stream: str


# Models

@dataclass(frozen=True)
class Load(Located):
    """Where the weights of a model come from: a part of a file, and whether what fits is enough."""

    path: str
    part: str
    is_partial: bool


@dataclass(frozen=True)
class Model(Located):
    """A model.

    Attributes:
        frozen_at: Where the file freezes it, if it does.
        original: The model that it is a copy of at the start.
        decay: For a moving average of the original, what stays of it in an iteration.
        every: For a copy of the original that is made again, after how many iterations.
    """

    key: Key
    chain: ChainType
    frozen_at: Optional[Span] = None
    load: Optional[Load] = None
    original: Optional[Key] = None
    decay: Optional[Expression] = None
    every: Optional[int] = None

    @property
    def is_frozen(self) -> bool:
        """Whether it runs with train=False and is not trained."""
        return self.frozen_at is not None

    @property
    def follows(self) -> bool:
        """Whether it moves with its original."""
        return self.decay is not None or self.every is not None


class Unit(NamedTuple):
    """What an optimizer owns: a model, or a part of one named by a path such as ``('encoder', 'linear_1')``."""

    model: Key
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return '.'.join([str(self.model), *self.path])


# Losses, optimizers and steps

@dataclass(frozen=True)
class Loss(Located):
    """A loss; where its condition is false, it is absent and not computed."""

    key: Key
    condition: Optional[Expression] = None


@dataclass(frozen=True)
class Metric(Located):
    key: Key
    falling: bool


@dataclass(frozen=True)
class Term(Located):
    """A loss that an optimizer minimizes, times a weight of this optimizer's own."""

    loss: Key
    weight: float


@dataclass(frozen=True)
class Optimizer(Located):
    """An optimizer.

    Attributes:
        terms: In the order of the losses in the file.
        skips: Whether it makes no update when a gradient is not finite.
    """

    name: str
    algorithm: Construct
    owns: tuple[Unit, ...]
    terms: tuple[Term, ...]
    hooks: tuple[Construct, ...]
    skips: bool = False


@dataclass(frozen=True)
class Update(Located):
    """An update of an optimizer within a step: for all of its losses or some, always or where something holds."""

    optimizer: str
    losses: Optional[tuple[Key, ...]] = None
    condition: Optional[Expression] = None


@dataclass(frozen=True)
class Step(Located):
    """A step of an iteration.

    Attributes:
        again: ``'batch'`` for the minibatches and noise of this iteration, ``'data'`` for its minibatches alone.
        kind: ``'repeat'``, ``'accumulate'`` or ``'unroll'``, ``count`` times; None for one run.
    """

    name: str
    again: Optional[str]
    condition: Optional[Expression]
    kind: Optional[str]
    count: Optional[Expression]
    updates: tuple[Update, ...]


# What changes over time

@dataclass(frozen=True)
class State(Located):
    """A number that the run carries along."""

    key: Key
    initial: Union[int, float]


@dataclass(frozen=True)
class Next(Located):
    """How a state moves, at the end of an iteration or after a step."""

    key: Key
    after: Optional[str]
    expression: Expression


@dataclass(frozen=True)
class Schedule(Located):
    """What a hyperparameter of an optimizer is set to before each iteration."""

    optimizer: str
    hyperparameter: str
    expression: Expression


# Training

class Interval(NamedTuple):
    """A trigger in Chainer's form, such as ``(1, 'epoch')``."""

    period: int
    unit: str


class Stall(NamedTuple):
    """Stop when a report, such as ``validation/kl``, has not improved for some evaluations."""

    report: str
    falling: bool
    evaluations: int


class Best(NamedTuple):
    """Keep the weights with which a report, such as ``validation/kl``, was best."""

    report: str
    falling: bool


@dataclass(frozen=True)
class Train:
    """The settings of a run; ``length`` is None if the file leaves it to the command line."""

    batch: int = 64
    length: Optional[Interval] = None
    seed: int = 0
    evaluate: Interval = Interval(1, 'epoch')
    log: Interval = Interval(1, 'epoch')
    snapshot: Interval = Interval(1, 'epoch')
    keep: int = 2
    best: tuple[Best, ...] = ()
    stall: Optional[Stall] = None
    stop: Optional[Expression] = None


@dataclass(frozen=True)
class Graph:
    """A whole checked file.

    Attributes:
        assignments: In topological order, ties in the order of the file.
        losses: In the order of the file; likewise ``outputs``.
        steps: In the order of the file; none where an iteration updates all optimizers at once.
    """

    params: tuple[tuple[str, Any], ...]
    imports: tuple[tuple[str, str], ...]
    streams: tuple[Stream, ...]
    inputs: tuple[Input, ...]
    noises: tuple[Noise, ...]
    states: tuple[State, ...]
    models: tuple[Model, ...]
    assignments: tuple[Assignment, ...]
    losses: tuple[Loss, ...]
    metrics: tuple[Metric, ...]
    outputs: tuple[Key, ...]
    optimizers: tuple[Optimizer, ...]
    steps: tuple[Step, ...]
    nexts: tuple[Next, ...]
    schedules: tuple[Schedule, ...]
    train: Train

    @functools.cached_property
    def state_places(self) -> Mapping[Key, int]:
        """The place of each state among all."""
        return {state.key: i for i, state in enumerate(self.states)}

    @functools.cached_property
    def noise_places(self) -> Mapping[Key, int]:
        """The place of each noise among all."""
        return {noise.key: i for i, noise in enumerate(self.noises)}

    def conditions(self) -> Iterator[Expression]:
        """Yields the conditions of losses, steps and updates."""
        updates = (update for step in self.steps for update in step.updates)
        yield from (one.condition for one in (*self.losses, *self.steps, *updates) if one.condition is not None)

    def numbers(self) -> Iterator[Expression]:
        """Yields the expressions that are numbers of the run and no values: conditions, counts, rules."""
        yield from self.conditions()
        yield from (step.count for step in self.steps if step.count is not None)
        yield from (change.expression for change in (*self.nexts, *self.schedules))
        yield from (model.decay for model in self.models if model.decay is not None)
        if self.train.stop is not None:
            yield self.train.stop
