"""The syntax tree: a frozen dataclass per construct, its span first.

Trees compare equal when they mean the same text: spans, and how a number is written, don't count.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Union

from graphdsl.diagnostics import Span


@dataclass(frozen=True)
class Node:
    """A construct and the place where it stands."""

    span: Span = field(compare=False)


# Expressions

@dataclass(frozen=True)
class Name(Node):
    name: str


@dataclass(frozen=True)
class Number(Node):
    value: Union[int, float]
    text: str = field(compare=False)


@dataclass(frozen=True)
class String(Node):
    value: str


@dataclass(frozen=True)
class Constant(Node):
    """``true``, ``false`` or ``none``."""

    value: Optional[bool]


@dataclass(frozen=True)
class Attribute(Node):
    """``trunk.conv1``"""

    base: Expression
    name: str


@dataclass(frozen=True)
class Call(Node):
    """``Linear(10, nobias=true)``"""

    function: Expression
    arguments: tuple[Expression, ...]
    keywords: tuple[Keyword, ...]


@dataclass(frozen=True)
class Keyword(Node):
    """``nobias=true`` among the arguments of a call."""

    name: str
    value: Expression


@dataclass(frozen=True)
class Index(Node):
    """``head[i]``, ``t[:, 0]``, ``head[*]``"""

    base: Expression
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Slice(Node):
    start: Optional[Expression]
    stop: Optional[Expression]
    step: Optional[Expression]


@dataclass(frozen=True)
class Range(Node):
    """``0..n``, without its end."""

    start: Expression
    stop: Expression


@dataclass(frozen=True)
class All(Node):
    """The ``*`` of ``head[*]``."""


@dataclass(frozen=True)
class List(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Tuple(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Unary(Node):
    """``-x``, ``+x``, ``not x``"""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary(Node):
    """Two operands of ``+ - * / // % ** and or``."""

    left: Expression
    operator: str
    right: Expression


@dataclass(frozen=True)
class Comparison(Node):
    """``a < b``, or a chain ``a < b <= c`` with as many operators as it has operands after the first."""

    first: Expression
    operators: tuple[str, ...]
    others: tuple[Expression, ...]


@dataclass(frozen=True)
class Conditional(Node):
    """``value if condition else otherwise``"""

    value: Expression
    condition: Expression
    otherwise: Expression


Expression = Union[Name, Number, String, Constant, Attribute, Call, Index, Slice, Range, All, List, Tuple,
                   Unary, Binary, Comparison, Conditional]
Target = Union[Name, Index]     # what a statement binds: `h` or `y[i]`


# Statements of every kind of braces

@dataclass(frozen=True)
class Braces(Node):
    """Statements between ``{`` and ``}``, both of which the span includes; of a whole file, too."""

    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class For(Node):
    variable: Name
    domain: Expression
    body: Braces


@dataclass(frozen=True)
class If(Node):
    condition: Expression
    body: Braces
    otherwise: Union[Braces, If, None]


# Parameters and data

@dataclass(frozen=True)
class Param(Node):
    name: Name
    default: Expression
    choices: tuple[Expression, ...]


@dataclass(frozen=True)
class Import(Node):
    names: tuple[Name, ...]
    module: String


@dataclass(frozen=True)
class Data(Node):
    name: Name
    body: Braces


@dataclass(frozen=True)
class Dataset(Node):
    """``train = digits()`` within ``data``."""

    name: Name
    source: Expression


@dataclass(frozen=True)
class ArrayType(Node):
    """``float32[1, 8, 8]``; an entry None of the shape is written ``?``."""

    dtype: Name
    shape: tuple[Optional[Expression], ...]


@dataclass(frozen=True)
class Column(Node):
    name: Name
    type: Optional[ArrayType]
    pad: Optional[Expression]


@dataclass(frozen=True)
class Input(Node):
    columns: tuple[Column, ...]
    stream: Optional[Name]


@dataclass(frozen=True)
class Noise(Node):
    target: Target
    type: Optional[ArrayType]
    distribution: Call
    stream: Optional[Name]


# Models

@dataclass(frozen=True)
class Chain(Node):
    """``Linear(100) -> relu -> Linear(10)``"""

    stages: tuple[Expression, ...]


@dataclass(frozen=True)
class Body(Node):
    """``(x) -> mu, ln_var { ... }``"""

    inputs: tuple[Name, ...]
    outputs: tuple[Name, ...]
    braces: Braces


@dataclass(frozen=True)
class Load(Node):
    """``load "teacher.npz" at "encoder/" partly``"""

    file: Expression
    part: Optional[Expression]
    partly: bool


@dataclass(frozen=True)
class Model(Node):
    target: Target
    definition: Union[Chain, Body]
    frozen: bool = False
    load: Optional[Load] = None


@dataclass(frozen=True)
class ModelLike(Node):
    """``model twin like student``"""

    target: Target
    original: Expression


@dataclass(frozen=True)
class ModelFollows(Node):
    """``model average follows student decay 0.999``, ``... every 1000 iterations``"""

    target: Target
    leader: Expression
    rule: str
    amount: Expression


@dataclass(frozen=True)
class Parameter(Node):
    """A hyper-parameter of a block."""

    name: Name
    default: Optional[Expression]


@dataclass(frozen=True)
class Block(Node):
    name: Name
    parameters: tuple[Parameter, ...]
    definition: Union[Chain, Body]


@dataclass(frozen=True)
class Layer(Node):
    target: Target
    link: Expression


@dataclass(frozen=True)
class Weight(Node):
    target: Target
    type: ArrayType
    initializer: Expression


@dataclass(frozen=True)
class Frozen(Node):
    path: Expression


# Data flow

@dataclass(frozen=True)
class Edge(Node):
    """``(h, z) -> decoder -> mu, ln_var``"""

    source: Expression
    stages: tuple[Expression, ...]
    results: tuple[Expression, ...]


@dataclass(frozen=True)
class Value(Node):
    """``a, b = split_axis(h, 2, axis=1)``"""

    results: tuple[Expression, ...]
    expression: Expression


@dataclass(frozen=True)
class Loss(Node):
    targets: tuple[Target, ...]
    expression: Optional[Expression]
    condition: Optional[Expression]


@dataclass(frozen=True)
class Metric(Node):
    targets: tuple[Target, ...]
    expression: Optional[Expression]
    falling: bool


@dataclass(frozen=True)
class Output(Node):
    targets: tuple[Target, ...]
    expression: Optional[Expression]


# Optimizers and steps

@dataclass(frozen=True)
class Owned(Node):
    """``trunk except (trunk.conv1, trunk.conv2)``"""

    path: Expression
    excepted: tuple[Expression, ...]


@dataclass(frozen=True)
class Optimizer(Node):
    target: Optional[Target]
    algorithm: Call
    owns: tuple[Owned, ...]
    minimizes: tuple[Expression, ...]
    body: Optional[Braces]


@dataclass(frozen=True)
class Owns(Node):
    """A line ``owns ...`` in the braces of an optimizer."""

    owned: tuple[Owned, ...]


@dataclass(frozen=True)
class Minimizes(Node):
    """A line ``minimizes ...`` in the braces of an optimizer."""

    losses: tuple[Expression, ...]


@dataclass(frozen=True)
class Hook(Node):
    hook: Call


@dataclass(frozen=True)
class SkipNonfinite(Node):
    pass


@dataclass(frozen=True)
class Step(Node):
    """``on_same`` is ``'batch'``, ``'data'`` or None; ``kind`` is ``'repeat'``, ``'accumulate'``, ``'unroll'``."""

    target: Target
    on_same: Optional[str]
    condition: Optional[Expression]
    kind: Optional[str]
    count: Optional[Expression]
    body: Braces


@dataclass(frozen=True)
class Update(Node):
    optimizers: tuple[Expression, ...]
    losses: tuple[Expression, ...]
    condition: Optional[Expression]


@dataclass(frozen=True)
class State(Node):
    target: Target
    initial: Expression


@dataclass(frozen=True)
class Next(Node):
    target: Target
    after: Optional[Expression]
    expression: Expression


@dataclass(frozen=True)
class Schedule(Node):
    hyperparameter: Expression
    expression: Expression


# Training

@dataclass(frozen=True)
class Train(Node):
    body: Braces


@dataclass(frozen=True)
class Setting(Node):
    """``batch 64``; ``name`` is ``batch``, ``epochs``, ``iterations`` or ``seed``."""

    name: str
    value: Expression


@dataclass(frozen=True)
class Every(Node):
    """``log every 100 iterations``; ``unit`` is ``epoch`` or ``iteration``, and ``keep`` a number of snapshots."""

    action: str
    count: Expression
    unit: str
    keep: Optional[Expression] = None


@dataclass(frozen=True)
class KeepBest(Node):
    """``keep best validation/kl, validation/accuracy``"""

    quantities: tuple[Expression, ...]


@dataclass(frozen=True)
class StopWhen(Node):
    condition: Expression


@dataclass(frozen=True)
class StopStalls(Node):
    """``stop when validation/kl stalls for 5 evaluations``"""

    quantity: Expression
    evaluations: Expression


Statement = Union[Param, Import, Data, Dataset, Input, Noise, Model, ModelLike, ModelFollows, Block, Layer, Weight,
                  Frozen, Edge, Value, Loss, Metric, Output, Optimizer, Owns, Minimizes, Hook, SkipNonfinite, Step,
                  Update, State, Next, Schedule, Train, Setting, Every, KeepBest, StopWhen, StopStalls, For, If]
