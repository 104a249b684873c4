"""What is computed: expressions, assignments and chains, with names resolved and params replaced by their values.

Everything is immutable and compares by meaning: spans don't count, so that models of the same shape are equal.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import Iterator, NamedTuple, Optional, Union

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
    """A value of the graph, or a local one within a chain.

    Attributes:
        is_number: Whether it is a Python number, not an array.
    """

    key: Key
    is_number: bool = False


@dataclass(frozen=True)
class RunningNumber(Located):
    """``batch_size``, ``iteration``, ``epoch`` or ``progress``."""

    name: str


@dataclass(frozen=True)
class Scalar(Located):
    """An array of one element, read as its number."""

    value: Expression


@dataclass(frozen=True)
class Reported(Located):
    """What was reported last under some name, such as ``validation/kl``."""

    name: str


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
    """``+ - * / // **`` on two operands, or a sign before one; ``% and or not`` on numbers.

    Attributes:
        is_mixed: Whether the dtypes of the operands may differ, and integers meet floats.
    """

    operator: str
    operands: tuple[Expression, ...]
    is_mixed: bool = False


@dataclass(frozen=True)
class Comparison(Located):
    """``a < b``, or a chain ``a < b <= c``; of arrays, elements that are true or false."""

    operators: tuple[str, ...]
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Conditional(Located):
    """``value if condition else otherwise``, of numbers."""

    value: Expression
    condition: Expression
    otherwise: Expression


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

    Attributes:
        is_stateful: Whether it is a link that carries a state from one minibatch to the next.
    """

    module: str
    name: str
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[str, Expression], ...]
    is_stateful: bool = False


@dataclass(frozen=True)
class Function:
    """A function of ``chainer.functions``.

    Attributes:
        meets: Positions of arrays that must have one dtype, where integers or numbers stand among them.
    """

    name: str
    meets: tuple[int, ...] = ()


@dataclass(frozen=True)
class NumberFunction:
    """A function of numbers, such as ``exp``."""

    name: str


@dataclass(frozen=True)
class Builtin:
    """A function of the language's own, such as ``detach``."""

    name: str


@dataclass(frozen=True)
class Imported:
    """A function that the graph imports."""

    name: str


@dataclass(frozen=True)
class ModelName:
    """A model, or a part of one.

    Attributes:
        path: Names of parts within parts, the last of them perhaps a method of an imported link.
        mode: ``'eval'`` or ``'quiet'`` where the file says so.
    """

    key: Key
    path: tuple[str, ...] = ()
    mode: str = ''


@dataclass(frozen=True)
class PartName:
    """A part of the chain in which the call stands; ``path`` and ``mode`` are as in :class:`ModelName`."""

    name: str
    path: tuple[str, ...] = ()
    mode: str = ''


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
    def points(self) -> tuple[Key, ...]:
        """The values that it takes gradients with respect to by `grad`, each once."""
        return tuple(dict.fromkeys(n.arguments[1].key for n in walk(*self.stages)
                                   if isinstance(n, Apply) and n.callee == Builtin('grad')))

    @functools.cached_property
    def numbers(self) -> tuple[str, ...]:
        """The numbers of the run that it asks for, such as ``batch_size``, each once."""
        return tuple(dict.fromkeys(n.name for n in walk(*self.stages) if isinstance(n, RunningNumber)))

    @functools.cached_property
    def call(self) -> Optional[Apply]:
        """What it is as one plain call of one result, what comes from a stage before in its place; None if it isn't."""
        if len(self.results) != 1 or len(self.stages) > 2:
            return None
        *before, call = self.stages
        if not isinstance(call, Apply) or call.keywords:
            return None
        if not before:
            return call
        first, *others = call.arguments
        if first != Previous(call.span) or any(isinstance(other, Previous) for other in others):
            return None
        return replace(call, arguments=(before[0], *others))

    @functools.cached_property
    def needs_batch_size(self) -> bool:
        """Whether it asks for the number of rows of the minibatch."""
        return 'batch_size' in self.numbers

    @functools.cached_property
    def is_number(self) -> bool:
        """Whether it computes a Python number."""
        return is_number(self.stages[-1])


@dataclass(frozen=True)
class Weight(Located):
    """A trainable array, without batch axis, and the name by which assignments know it."""

    key: Key
    dtype: str
    shape: tuple[int, ...]
    initializer: Expression


@dataclass(frozen=True)
class Part:
    """A link, a chain or an array within a chain; a frozen one runs with train=False and is not trained."""

    name: str
    content: Union[Construct, ChainType, Weight]
    is_frozen: bool = False

    @property
    def is_linear(self) -> bool:
        """Whether it is Chainer's linear layer."""
        return isinstance(self.content, Construct) and (self.content.module, self.content.name) == ('links', 'Linear')


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


Callee = Union[Function, NumberFunction, Builtin, Imported, ModelName, PartName, ChainType]
Expression = Union[Literal, Sequence, Reference, RunningNumber, Scalar, Reported, Previous, Arithmetic,
                   Comparison, Conditional, SliceItem, Subscript, Construct, Apply]


def children(node: Expression) -> tuple[Expression, ...]:
    """Returns the expressions directly within an expression."""
    if isinstance(node, (Reference, Literal, Previous)):
        return ()
    if isinstance(node, (Apply, Construct)):
        return node.arguments + tuple(value for _, value in node.keywords)
    if isinstance(node, (Arithmetic, Comparison)):
        return node.operands
    if isinstance(node, Conditional):
        return (node.value, node.condition, node.otherwise)
    if isinstance(node, Scalar):
        return (node.value,)
    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Subscript):
        return (node.base, *node.items)
    if isinstance(node, SliceItem):
        return tuple(item for item in (node.start, node.stop, node.step) if item is not None)
    return ()


def walk(*roots: Expression) -> Iterator[Expression]:
    """Yields expressions and all that is within them, from left to right."""
    pending = list(reversed(roots))
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def is_number(node: Expression) -> bool:
    """Says whether an expression is a Python number or truth value, not an array."""
    if isinstance(node, Literal):
        return isinstance(node.value, (int, float))
    if isinstance(node, Reference):
        return node.is_number
    if isinstance(node, (RunningNumber, Scalar, Reported)):
        return True
    if isinstance(node, (Arithmetic, Conditional)):
        return all(map(is_number, children(node)))
    if isinstance(node, Comparison):
        return all(is_number(o) or (isinstance(o, Sequence) and all(map(is_number, o.items))) for o in node.operands)
    return isinstance(node, Apply) and (isinstance(node.callee, NumberFunction) or node.callee == Builtin('shape'))
