"""Python text of expressions."""
from __future__ import annotations

import math
from typing import Callable

from graphdsl.semantics.graph import (
    Apply, Arithmetic, Assignment, BatchSize, ChainType, Construct, Expression, Function, Imported, Key, Literal,
    ModelName, PartName, Previous, Reference, Sequence, SliceItem, Subscript)
from graphdsl.emit.names import Identifiers, imported_name
from graphdsl.emit.writer import Writer

# How tightly an expression binds: sums, products, signs, powers, then everything else.
_BINDING = {'+': 1, '-': 1, '*': 2, '/': 2, '//': 2, '**': 4}
_SIGN, _TIGHTEST = 3, 5
_MODULES = {'links': 'L.', 'initializers': 'chainer.initializers.', 'optimizers': 'chainer.optimizers.',
            'optimizer_hooks': 'chainer.optimizer_hooks.'}


class Expressions:
    """Prints expressions of one Python scope.

    Args:
        names: Identifiers of the scope.
        chain_name: Returns the name of the class or function that is emitted for a chain.
    """

    def __init__(self, names: Identifiers, chain_name: Callable[[ChainType], str]):
        self.names = names
        self.chain_name = chain_name

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
        if isinstance(node, Literal):
            return literal(node.value), _SIGN if _is_negative(node.value) else _TIGHTEST
        if isinstance(node, Reference):
            return self.names.value(node.key), _TIGHTEST
        if isinstance(node, Previous):
            return f'*{previous}' if node.several else previous, _TIGHTEST
        if isinstance(node, BatchSize):
            return 'batch_size', _TIGHTEST
        if isinstance(node, Sequence):
            return self._sequence(node, previous), _TIGHTEST
        if isinstance(node, Subscript):
            items = ', '.join(self._item(item, previous) for item in node.items)
            return f'{self._wrapped(node.base, _TIGHTEST, previous)}[{items}]', _TIGHTEST
        if isinstance(node, Construct):
            name = _MODULES[node.module] + node.name if node.module else imported_name(node.name)
            return name + self._arguments(node, previous), _TIGHTEST
        return self._callee(node) + self._arguments(node, previous), _TIGHTEST

    def _wrapped(self, node: Expression, binding: int, previous: str) -> str:
        text, own = self._text(node, previous)
        return text if own >= binding else f'({text})'

    def _arithmetic(self, node: Arithmetic, previous: str) -> tuple[str, int]:
        if len(node.operands) == 1:
            return node.operator + self._wrapped(node.operands[0], _SIGN, previous), _SIGN
        left, right = node.operands
        binding = _BINDING[node.operator]
        to_the_right = node.operator == '**'
        return (f'{self._wrapped(left, binding + to_the_right, previous)} {node.operator} '
                f'{self._wrapped(right, binding + (not to_the_right), previous)}'), binding

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

    def _arguments(self, node, previous: str) -> str:
        arguments = [self.text(argument, previous) for argument in node.arguments]
        arguments += [f'{name}={self.text(value, previous)}' for name, value in node.keywords]
        return f'({", ".join(arguments)})'

    def _callee(self, node: Apply) -> str:
        callee = node.callee
        if isinstance(callee, Function):
            return f'F.{callee.name}'
        if isinstance(callee, ModelName):
            return self.names.model(callee.key)
        if isinstance(callee, PartName):
            return f'self.{callee.name}'
        if isinstance(callee, Imported):
            return imported_name(callee.name)
        return self.chain_name(callee)


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


def write_families(writer: Writer, names: Identifiers, assignments) -> None:
    """Writes the empty dictionaries that the members of families go to."""
    bases = dict.fromkeys(key.base for a in assignments for key in a.results if key.index)
    for base in bases:
        writer.line(f'{names.get("value", base)} = {{}}')


def write_assignment(writer: Writer, expressions: Expressions, assignment: Assignment) -> None:
    """Writes an assignment, a line per stage: what a stage gives is bound to the first of the names."""
    targets = [expressions.names.value(key) if key.base != '_' else '_' for key in assignment.results]
    first = next((target for target in targets if target != '_'), '_')
    *others, last = assignment.stages
    for stage in others:
        writer.line(f'{first} = {expressions.text(stage, first)}', stage.span)
    writer.line(f'{", ".join(targets)} = {expressions.text(last, first)}', last.span)


def write_return(writer: Writer, expressions: Expressions, keys: tuple[Key, ...]) -> None:
    writer.line('return ' + ', '.join(expressions.names.value(key) for key in keys))
