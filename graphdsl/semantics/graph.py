"""The checked graph: loops unrolled, names resolved, params replaced by their values.

It says what is computed from what and who owns which model, and nothing of how. Everything is immutable and
compares by meaning: spans don't count, so that models of the same shape are equal.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional, Union

from graphdsl.diagnostics import Span


class Key(NamedTuple):
    """A name of the graph: ``h``, or a member ``head[2]`` of a family."""

    base: str
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f'{self.base}[{", ".join(map(str, self.index))}]' if self.index else self.base


@dataclass(frozen=True)
class Located:
    """Anything that stands somewhere in the file."""

    span: Span = field(compare=False)


# Expressions

@dataclass(frozen=True, eq=False)
class Literal(Located):
    """A number, string, truth value or None that is known while compiling. 1, 1.0 and true differ here."""

    value: Union[int, float, str, bool, None]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash(repr(self.value))


@dataclass(frozen=True)
class Sequence(Located):
    """A list (``kind='list'``) or a tuple."""

    kind: str
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Reference(Located):
    """A value of the graph, or a local one within a chain."""

    key: Key


@dataclass(frozen=True)
class BatchSize(Located):
    """The number of rows of the running step's minibatch."""


@dataclass(frozen=True)
class Previous(Located):
    """What the stage before gave.

    Attributes:
        count: How many results; other than one, they are as many arguments. None where only the run can tell.
    """

    count: Optional[int] = 1

    @property
    def several(self) -> bool:
        return self.count != 1


@dataclass(frozen=True)
class Arithmetic(Located):
    """``+ - * / // **`` on two operands, or a sign before one."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class SliceItem(Located):
    start: Optional[Expression]
    stop: Optional[Expression]
    step: Optional[Expression]


@dataclass(frozen=True)
class Subscript(Located):
    """``t[:, 0]``"""

    base: Expression
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Construct(Located):
    """A class with its arguments, such as ``links.Linear(None, 10)``.

    ``module`` is ``links``, ``initializers``, ``optimizers`` or ``optimizer_hooks`` of Chainer, or ``''`` for an
    imported class.
    """

    module: str
    name: str
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True)
class Function:
    """A function of ``chainer.functions``."""

    name: str


@dataclass(frozen=True)
class Imported:
    """A function that the graph imports."""

    name: str


@dataclass(frozen=True)
class ModelName:
    key: Key


@dataclass(frozen=True)
class PartName:
    """A part of the chain in which the call stands."""

    name: str


@dataclass(frozen=True)
class Apply(Located):
    """A call of something that computes."""

    callee: Callee
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True)
class Assignment(Located):
    """Names bound to what the last of some stages gives; each stage but the first takes `Previous`."""

    results: tuple[Key, ...]
    stages: tuple[Expression, ...]

    @functools.cached_property
    def operands(self) -> tuple[Key, ...]:
        """The values that it reads, each once."""
        return tuple(dict.fromkeys(n.key for n in walk(*self.stages) if isinstance(n, Reference)))

    @functools.cached_property
    def callees(self) -> tuple[Callee, ...]:
        """What it calls, from left to right."""
        return tuple(n.callee for n in walk(*self.stages) if isinstance(n, Apply))

    @functools.cached_property
    def models(self) -> tuple[Key, ...]:
        """The models that it calls, each once."""
        return tuple(dict.fromkeys(callee.key for callee in self.callees if isinstance(callee, ModelName)))

    @functools.cached_property
    def needs_batch_size(self) -> bool:
        """Whether it asks for the number of rows of the minibatch."""
        return any(isinstance(n, BatchSize) for n in walk(*self.stages))


@dataclass(frozen=True)
class Part:
    """A link or a chain within a chain."""

    name: str
    content: Union[Construct, ChainType]


@dataclass(frozen=True)
class ChainType(Located):
    """What models of one shape have in common; one without parts is a function.

    Attributes:
        name: Name of the model family or block, for readers.
        inputs: Names of the arguments.
        outputs: Names of the results.
        parts: Links and chains, in order of declaration.
        assignments: In the order of computation.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parts: tuple[Part, ...]
    assignments: tuple[Assignment, ...]


Callee = Union[Function, Imported, ModelName, PartName, ChainType]
Expression = Union[Literal, Sequence, Reference, BatchSize, Previous, Arithmetic, SliceItem, Subscript, Construct,
                   Apply]


# The graph

@dataclass(frozen=True)
class Dataset(Located):
    """An entry of a data block; the source's arguments are plain Python values."""

    name: str
    source: str
    arguments: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Stream(Located):
    """A data block: the datasets by entry name, and its own minibatch size if it has one."""

    name: str
    datasets: tuple[Dataset, ...]
    batch: Optional[int]


@dataclass(frozen=True)
class Input(Located):
    """A column of a stream. ``shape`` leaves out the batch axis; the only stream without data is ``'main'``."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    stream: str


@dataclass(frozen=True)
class Model(Located):
    key: Key
    chain: ChainType


@dataclass(frozen=True)
class Term(Located):
    """A loss that an optimizer minimizes, times a weight of this optimizer's own."""

    loss: Key
    weight: float


@dataclass(frozen=True)
class Optimizer(Located):
    """An optimizer; ``terms`` are in the order of the losses in the file."""

    name: str
    algorithm: Construct
    owns: tuple[Key, ...]
    terms: tuple[Term, ...]
    hooks: tuple[Construct, ...]


@dataclass(frozen=True)
class Metric(Located):
    key: Key
    falling: bool


class Interval(NamedTuple):
    """A trigger in Chainer's form, such as ``(1, 'epoch')``."""

    period: int
    unit: str


class Stall(NamedTuple):
    """Stop when a report, such as ``validation/kl``, has not improved for some evaluations."""

    report: str
    falling: bool
    evaluations: int


@dataclass(frozen=True)
class Train:
    """The settings of a run; ``length`` is None if the file leaves it to the command line."""

    batch: int = 64
    length: Optional[Interval] = None
    seed: int = 0
    evaluate: Interval = Interval(1, 'epoch')
    log: Interval = Interval(1, 'epoch')
    snapshot: Interval = Interval(1, 'epoch')
    stall: Optional[Stall] = None


@dataclass(frozen=True)
class Graph:
    """A whole checked file.

    Attributes:
        assignments: In topological order, ties in the order of the file.
        losses: Keys, in the order of the file; likewise ``outputs``.
    """

    params: tuple[tuple[str, Any], ...]
    imports: tuple[tuple[str, str], ...]
    streams: tuple[Stream, ...]
    inputs: tuple[Input, ...]
    models: tuple[Model, ...]
    assignments: tuple[Assignment, ...]
    losses: tuple[Key, ...]
    metrics: tuple[Metric, ...]
    outputs: tuple[Key, ...]
    optimizers: tuple[Optimizer, ...]
    train: Train


def children(node: Any) -> tuple[Expression, ...]:
    """Returns the expressions directly within an expression."""
    if isinstance(node, (Apply, Construct)):
        return node.arguments + tuple(value for _, value in node.keywords)
    if isinstance(node, Arithmetic):
        return node.operands
    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Subscript):
        return (node.base, *node.items)
    if isinstance(node, SliceItem):
        return tuple(item for item in (node.start, node.stop, node.step) if item is not None)
    return ()


def walk(*roots: Expression):
    """Yields expressions and all that is within them, from left to right."""
    pending = list(reversed(roots))
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))
