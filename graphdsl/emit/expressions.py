"""Python text of expressions."""
from __future__ import annotations

import math
from typing import Any, Callable, Collection, Iterable, Iterator, Mapping, Union

from graphdsl.plan.pools import pools_in
from graphdsl.semantics.catalog import own_hooks
from graphdsl.semantics.computation import (
    Apply, Arithmetic, Assignment, Builtin, Callee, ChainType, Comparison, Conditional, Construct, Expression, Function,
    Imported, Key, Literal, ModelName, NumberFunction, PartName, Previous, Reference, Reported, RunningNumber, Scalar,
    Sequence, SliceItem, Subscript, is_number)
from graphdsl.emit.names import Identifiers, imported_name
from graphdsl.emit.writer import Writer

# How tightly an expression binds: conditionals, logic, comparisons, sums, products, signs, powers, everything else.
_CONDITIONAL, _COMPARISON, _SIGN, _POWER, _TIGHTEST = 0, 4, 7, 8, 9
_BINDING = {'or': 1, 'and': 2, '+': 5, '-': 5, '*': 6, '/': 6, '//': 6, '%': 6, '**': _POWER}
_NOT = 3
_MODULES = {'links': 'L.', 'initializers': 'chainer.initializers.', 'optimizers': 'chainer.optimizers.',
            'optimizer_hooks': 'chainer.optimizer_hooks.'}
PYTHON_FUNCTIONS = {'abs', 'max', 'mean', 'min', 'sum'}


class Expressions:
    """Prints expressions of one Python scope.

    Args:
        names: Identifiers of the scope.
        chain_name: Returns the name of the class or function that is emitted for a chain.
        modes: What stands around a call of some models or parts, by key or name: ``'runtime.quiet({})'``.
        references: What some values are called, other than by their own identifiers.
        as_arrays: Models, and inputs: a call of one of the models on one of the inputs takes its array.
        is_training: Whether values may be differentiated, and pools move.
    """

    def __init__(self, names: Identifiers, chain_name: Callable[[ChainType], str], modes: Mapping[Any, str] = {},
                 references: Mapping[Key, str] = {}, as_arrays: tuple[Collection[Key], Collection[Key]] = ((), ()),
                 is_training: bool = True):
        self.names = names
        self.chain_name = chain_name
        self.is_training = is_training
        self._modes = modes
        self._references = references
        self._as_arrays = as_arrays
        self._pools: Iterator[tuple[str, int]] = iter(())
        self._gradient_options = ''

    def begin(self, assignment: Assignment, twice: bool = True) -> None:
        """Turns to the expressions of an assignment: pools are called by its results.

        Args:
            assignment: The assignment.
            twice: Whether the gradients that it takes are differentiated again.
        """
        self._pools = pools_in(assignment)
        self._gradient_options = '' if twice else ', twice=False'

    def text(self, node: Expression, previous: str = '') -> str:
        """Returns an expression as Python.

        Args:
            node: The expression.
            previous: The variable that holds what the stage before gave.
        """
        return self._text(node, previous)[0]

    def _text(self, node: Expression, previous: str) -> tuple[str, int]:
        """Returns the text and how tightly it binds."""
        if isinstance(node, Arithmetic):
            return self._arithmetic(node, previous)
        if isinstance(node, Comparison):
            return self._comparison(node, previous)
        if isinstance(node, Conditional):
            value, condition = (self._wrapped(n, _CONDITIONAL + 1, previous) for n in (node.value, node.condition))
            return f'{value} if {condition} else {self.text(node.otherwise, previous)}', _CONDITIONAL
        if isinstance(node, Literal):
            return literal(node.value), _SIGN if _is_negative(node.value) else _TIGHTEST
        if isinstance(node, Reference):
            return self._references.get(node.key) or self.names.value(node.key), _TIGHTEST
        if isinstance(node, Previous):
            return f'*{previous}' if node.several else previous, _TIGHTEST
        if isinstance(node, RunningNumber):
            return node.name, _TIGHTEST
        if isinstance(node, Reported):
            return f'reported[{node.name!r}]', _TIGHTEST
        if isinstance(node, Scalar):
            return f'runtime.scalar({self.text(node.value, previous)})', _TIGHTEST
        if isinstance(node, Sequence):
            return self._sequence(node, previous), _TIGHTEST
        if isinstance(node, Subscript):
            items = ', '.join(self._item(item, previous) for item in node.items)
            return f'{self._wrapped(node.base, _TIGHTEST, previous)}[{items}]', _TIGHTEST
        if isinstance(node, Construct):
            return _class_name(node) + self._arguments(node, previous), _TIGHTEST
        return self._call(node, previous), _TIGHTEST

    def _wrapped(self, node: Expression, binding: int, previous: str) -> str:
        text, own = self._text(node, previous)
        return text if own >= binding else f'({text})'

    def _arithmetic(self, node: Arithmetic, previous: str) -> tuple[str, int]:
        if node.is_mixed:
            operands = ', '.join(self.text(operand, previous) for operand in node.operands)
            return f'runtime.mixed({node.operator!r}, {operands})', _TIGHTEST
        if node.operator == 'not':
            return f'not {self._wrapped(node.operands[0], _NOT, previous)}', _NOT
        if len(node.operands) == 1:
            return node.operator + self._wrapped(node.operands[0], _SIGN, previous), _SIGN
        left, right = node.operands
        binding = _BINDING[node.operator]
        to_the_right = node.operator == '**'
        return (f'{self._wrapped(left, binding + to_the_right, previous)} {node.operator} '
                f'{self._wrapped(right, binding + (not to_the_right), previous)}'), binding

    def _comparison(self, node: Comparison, previous: str) -> tuple[str, int]:
        operands = [self._wrapped(o, _COMPARISON + 1, previous) if is_number(node) or is_number(o)
                    else f'runtime.array({self.text(o, previous)})' for o in node.operands]
        pairs = zip(('', *node.operators), operands)
        return ' '.join(f'{operator} {operand}' if operator else operand for operator, operand in pairs), _COMPARISON

    def _sequence(self, node: Sequence, previous: str) -> str:
        items = ', '.join(self.text(item, previous) for item in node.items)
        if node.kind == 'list':
            return f'[{items}]'
        return f'({items},)' if len(node.items) == 1 else f'({items})'

    def _item(self, node: Expression, previous: str) -> str:
        if not isinstance(node, SliceItem):
            return self.text(node, previous)
        start, stop, step = (end and self.text(end, previous) or '' for end in (node.start, node.stop, node.step))
        return f'{start}:{stop}:{step}' if step else f'{start}:{stop}'

    def _arguments(self, node, previous: str, first: tuple[str, ...] = ()) -> str:
        arguments = [*first, *(self.text(argument, previous) for argument in node.arguments)]
        arguments += [f'{name}={self.text(value, previous)}' for name, value in node.keywords]
        return f'({", ".join(arguments)})'

    def _call(self, node: Apply, previous: str) -> str:
        callee = node.callee
        if isinstance(callee, Builtin):
            return self._builtin(node, previous)
        if isinstance(callee, NumberFunction):
            return self._number_function(node, previous)
        if isinstance(callee, Function):
            if not callee.meets:
                return f'F.{callee.name}' + self._arguments(node, previous)
            return 'runtime.matched' + self._arguments(node, previous, (f'F.{callee.name}', literal(callee.meets)))
        models, inputs = self._as_arrays
        if isinstance(callee, ModelName) and callee.key in models and len(node.arguments) == 1 \
                and isinstance(node.arguments[0], Reference) and node.arguments[0].key in inputs:
            return f'{self._callee(callee)}({self.text(node.arguments[0], previous)}.array)'
        return self._callee(callee) + self._arguments(node, previous)

    def _callee(self, callee: Callee) -> str:
        if isinstance(callee, ModelName):
            return self._in_mode(self.names.model(callee.key), callee.key, callee)
        if isinstance(callee, PartName):
            return self._in_mode(f'self.{callee.name}', callee.name, callee)
        if isinstance(callee, Imported):
            return imported_name(callee.name)
        return self.chain_name(callee)

    def _in_mode(self, text: str, name: Any, callee: Union[ModelName, PartName]) -> str:
        text = '.'.join([text, *callee.path])
        own = {'eval': 'runtime.evaluating({})', 'quiet': 'runtime.quiet({})'}.get(callee.mode)
        return (own or self._modes.get(name, '{}')).format(text)

    def _builtin(self, node: Apply, previous: str) -> str:
        name = node.callee.name
        if name == 'shape':
            return f'{self._wrapped(node.arguments[0], _TIGHTEST, previous)}.shape[{node.arguments[1].value}]'
        if name == 'history':
            value = self.text(node.arguments[0], previous)
            pool, _ = next(self._pools)
            return f'draw.history({pool!r}, {value})' if self.is_training else value
        if name == 'grad':
            y, x = (self.text(argument, previous) for argument in node.arguments)
            return f'runtime.gradient({y}, {x}{self._gradient_options})'
        return f'runtime.{name}' + self._arguments(node, previous)

    def _number_function(self, node: Apply, previous: str) -> str:
        name = node.callee.name
        if name == 'mean':
            items = node.arguments[0]
            return f'(sum({self.text(items, previous)}) / {len(items.items)})'
        return (name if name in PYTHON_FUNCTIONS else f'math.{name}') + self._arguments(node, previous)


def _class_name(node: Construct) -> str:
    if not node.module:
        return imported_name(node.name)
    if node.module == 'optimizer_hooks' and node.name in own_hooks():
        return f'runtime.{node.name}'
    return _MODULES[node.module] + node.name


def literal(value) -> str:
    """Returns the literal of a plain value; every text of the file passes through `repr`."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if isinstance(value, (list, tuple)):
        items = ', '.join(map(literal, value))
        return f'[{items}]' if isinstance(value, list) else f'({items},)' if len(value) == 1 else f'({items})'
    return repr(value)


def _is_negative(value) -> bool:
    return isinstance(value, (int, float)) and value < 0


def count_text(expressions: Expressions, count: Expression) -> str:
    """Returns a number of runs; one that is computed may be no integer, and its whole part counts."""
    text = expressions.text(count)
    return text if isinstance(count, Literal) else f'int({text})'


def write_families(writer: Writer, names: Identifiers, keys: Iterable[Key]) -> None:
    """Writes the empty dictionaries that the members of families among some values go to."""
    for base in dict.fromkeys(key.base for key in keys if key.index):
        writer.line(f'{names.get("value", base)} = {{}}')


def write_assignment(writer: Writer, expressions: Expressions, assignment: Assignment,
                     points: Collection[Key] = (), is_wanted: bool = True, modes: Collection[str] = ()) -> None:
    """Writes an assignment, a line per stage: what a stage gives is bound to the first of the names.

    Args:
        writer: Where to.
        expressions: Prints the stages.
        assignment: The assignment.
        points: Values that something is differentiated with respect to.
        is_wanted: Whether gradients that it takes are differentiated again.
        modes: What each stage runs within, if anything.
    """
    for i, line in enumerate(assignment_lines(expressions, assignment, is_wanted)):
        is_last = i == len(assignment.stages) - 1
        with writer.within(modes[i] if modes and not is_last else ''):
            writer.line(line, assignment.stages[i].span)
    for key in assignment.results:
        if key in points:
            target = expressions.names.value(key)
            writer.line(f'{target} = runtime.point({target})', assignment.span)


def assignment_lines(expressions: Expressions, assignment: Assignment, is_wanted: bool = True) -> Iterator[str]:
    """Yields an assignment as Python, a line per stage; see :func:`write_assignment`."""
    expressions.begin(assignment, is_wanted)
    targets = [expressions.names.value(key) if key.base != '_' else '_' for key in assignment.results]
    first = next((target for target in targets if target != '_'), '_')
    *others, last = assignment.stages
    for stage in others:
        yield f'{first} = {expressions.text(stage, first)}'
    yield f'{", ".join(targets)} = {expressions.text(last, first)}'


def write_return(writer: Writer, expressions: Expressions, keys: tuple[Key, ...]) -> None:
    writer.line('return ' + ', '.join(expressions.names.value(key) for key in keys))
