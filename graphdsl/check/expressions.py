"""Resolves expressions: names become values, and what is known while compiling is computed."""
from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Optional

from graphdsl.check import catalog, numbers
from graphdsl.check.graph import (
    Arithmetic, BatchSize, Expression, Key, Literal, Reference, Sequence, SliceItem, Subscript)
from graphdsl.check.later import RUNNING_NUMBERS, not_executed
from graphdsl.check.scope import Scope
from graphdsl.diagnostics import Span, mistake
from graphdsl.syntax import nodes

def literal(span: Span, value: Any) -> Expression:
    """Wraps a plain Python value."""
    if isinstance(value, (list, tuple)):
        kind = 'list' if isinstance(value, list) else 'tuple'
        return Sequence(span, kind, tuple(literal(span, item) for item in value))
    return Literal(span, value)


def is_known(*expressions: Expression) -> bool:
    """Says whether expressions are known while compiling."""
    return all(isinstance(e, Literal) or (isinstance(e, Sequence) and is_known(*e.items)) for e in expressions)


def plain(expression: Expression) -> Any:
    """Returns the plain Python value of an expression that :func:`is_known`."""
    if isinstance(expression, Literal):
        return expression.value
    return {'list': list, 'tuple': tuple}[expression.kind](plain(item) for item in expression.items)


@dataclass(frozen=True)
class Expressions:
    """Resolves expressions in a scope; :class:`graphdsl.check.resolve.Resolver` adds the calls.

    Attributes:
        scope: What may be named.
    """

    scope: Scope

    def call(self, node: nodes.Call) -> Expression:
        """Resolves a call that stands in an expression."""
        raise NotImplementedError

    # Known while compiling

    def constant(self, node: nodes.Expression, what: str) -> Any:
        """Returns the plain value of an expression that must be known while compiling.

        Args:
            node: The expression.
            what (str): What it is needed for, for the message.
        """
        expression = self.expression(node)
        if not is_known(expression):
            raise mistake('G201', f'{what} must be known while compiling', node.span,
                          reason='this is only known while training',
                          help='use numbers, params and loop variables here')
        return plain(expression)

    def integer(self, node: nodes.Expression, what: str, least: Optional[int] = None) -> int:
        """Returns an integer that must be known while compiling."""
        value = self.constant(node, what)
        if isinstance(value, bool) or not isinstance(value, int):
            raise mistake('G204', f'{what} must be an integer', node.span, reason=f'this is {value!r}')
        if least is not None and value < least:
            raise mistake('G204', f'{what} must be at least {least}', node.span, reason=f'this is {value}')
        return value

    def key(self, node: nodes.Target) -> Key:
        """Returns the name that a statement binds."""
        if isinstance(node, nodes.Name):
            return Key(self.bindable(node))
        indices = []
        for item in node.items:
            if isinstance(item, (nodes.Slice, nodes.Range, nodes.All)):
                raise mistake('G205', 'one member of a family is bound at a time', item.span,
                              help='use an integer here')
            indices.append(self.integer(item, 'an index', least=0))
        return Key(self.bindable(node.base), tuple(indices))

    def keys(self, node: nodes.Target) -> list[Key]:
        """Returns the names that a result of an edge binds: several for ``p[0..3]``."""
        if isinstance(node, nodes.Index) and len(node.items) == 1 and isinstance(node.items[0], nodes.Range):
            span = node.items[0]
            first = self.integer(span.start, 'an index', least=0)
            last = self.integer(span.stop, 'an index', least=0)
            return [Key(self.bindable(node.base), (i,)) for i in range(first, last)]
        return [self.key(node)]

    def bindable(self, name: nodes.Name) -> str:
        """Returns a name that a statement may bind."""
        if name.name.startswith('__'):
            raise mistake('G109', f'`{name.name}` cannot be a name', name.span,
                          help='names that start with two underscores are Python\'s own')
        if name.name in self.scope.numbers:
            raise mistake('G102', f'`{name.name}` is bound twice', name.span,
                          reason='it is a number already: a param, a loop variable or a hyper-parameter',
                          help='every name is bound once; give one of the two another name')
        return name.name

    # Expressions

    @functools.singledispatchmethod
    def expression(self, node: nodes.Expression) -> Expression:
        """Resolves an expression.

        Raises:
            Mistake: With the first thing that is wrong in it.
        """
        raise mistake('G206', 'this can only stand between `[` and `]`', node.span)

    @expression.register(nodes.Number)
    @expression.register(nodes.String)
    @expression.register(nodes.Constant)
    def _(self, node):
        return Literal(node.span, node.value)

    @expression.register
    def _(self, node: nodes.Name):
        if node.name in self.scope.numbers:
            return literal(node.span, self.scope.numbers[node.name])
        if node.name in self.scope.values:
            return Reference(node.span, self.scope.values.select(node, node.name, None))
        if node.name == 'batch_size' and not self.scope.in_body:
            return BatchSize(node.span)
        if node.name in RUNNING_NUMBERS:
            raise not_executed(f'the number `{node.name}`', node.span)
        raise self._no_value(node)

    def _no_value(self, node: nodes.Name):
        name = node.name
        if name in self.scope.callable_names() or name in catalog.members('functions'):
            return mistake('G107', f'`{name}` is something to call, not a value', node.span,
                           help=f'write `x -> {name} -> y` or `y = {name}(x)`')
        return mistake('G101', f'there is no value `{name}`', node.span,
                       help=catalog.suggestion(name, self.scope.value_names())
                       or ('a body sees its inputs, params and numbers, no outer values' if self.scope.in_body
                           else 'bind it with an edge, `=`, `input` or `param`'))

    @expression.register
    def _(self, node: nodes.Attribute):
        raise mistake('G110', 'values have no attributes', node.span,
                      reason=f'`.{node.name}` cannot stand here')

    @expression.register(nodes.List)
    @expression.register(nodes.Tuple)
    def _(self, node):
        kind = 'list' if isinstance(node, nodes.List) else 'tuple'
        return Sequence(node.span, kind, tuple(self.expression(item) for item in node.items))

    @expression.register
    def _(self, node: nodes.Unary):
        operand = self.expression(node.operand)
        if is_known(operand):
            return literal(node.span, numbers.compute(node.operator, (plain(operand),), node.span))
        return self._arithmetic(node, node.operator, operand)

    @expression.register
    def _(self, node: nodes.Binary):
        left = self.expression(node.left)
        if node.operator in ('and', 'or') and is_known(left):
            return left if bool(plain(left)) == (node.operator == 'or') else self.expression(node.right)
        right = self.expression(node.right)
        if is_known(left, right):
            return literal(node.span, numbers.compute(node.operator, (plain(left), plain(right)), node.span))
        return self._arithmetic(node, node.operator, left, right)

    def _arithmetic(self, node, operator: str, *operands: Expression) -> Expression:
        if operator in ('and', 'or', 'not', '%'):
            raise mistake('G207', f'`{operator}` does not go with arrays', node.span,
                          help='choose between the elements of arrays with `where(mask, a, b)`')
        for operand in operands:
            if isinstance(operand, Sequence):
                raise mistake('G203', f'`{operator}` does not go with a list', operand.span,
                              help='add the values of a list with `sum(...)`, join them with `concat(...)`')
            if isinstance(operand, Literal) and not isinstance(operand.value, (int, float)):
                raise mistake('G203', f'`{operator}` does not go with {numbers.kind(operand.value)}', operand.span)
            base = operand.base if isinstance(operand, Subscript) else operand
            if isinstance(base, Reference) and base.key.base in self.scope.integers:
                raise not_executed('arithmetic on arrays of integers', operand.span)
        return Arithmetic(node.span, operator, operands)

    @expression.register
    def _(self, node: nodes.Comparison):
        operands = [self.expression(operand) for operand in (node.first, *node.others)]
        if not is_known(*operands):
            raise not_executed('a comparison of arrays', node.span)
        values = [plain(operand) for operand in operands]
        pairs = zip(node.operators, values, values[1:])
        return Literal(node.span, all(numbers.compute(op, (a, b), node.span) for op, a, b in pairs))

    @expression.register
    def _(self, node: nodes.Conditional):
        condition = self.expression(node.condition)
        if not is_known(condition):
            raise mistake('G208', 'an array cannot be a condition', node.condition.span,
                          help='choose between the elements of arrays with `where(mask, a, b)`')
        return self.expression(node.value if plain(condition) else node.otherwise)

    @expression.register
    def _(self, node: nodes.Index):
        base = node.base
        if isinstance(base, nodes.Name) and base.name in self.scope.values and base.name not in self.scope.numbers \
                and self.scope.values.is_family(base.name):
            return self._members(node)
        resolved = self.expression(base)
        items = tuple(self._subscript(item) for item in node.items)
        if is_known(resolved):
            return self._element(node, plain(resolved), items)
        if isinstance(resolved, Sequence):
            index = self.integer(node.items[0], 'the index of a list') if len(items) == 1 else len(resolved.items)
            if not -len(resolved.items) <= index < len(resolved.items):
                raise mistake('G105', f'this list has {len(resolved.items)} members', node.span)
            return resolved.items[index]
        return Subscript(node.span, resolved, items)

    def _members(self, node: nodes.Index) -> Expression:
        found = self.scope.values.select(node, node.base.name, self.indices(node))
        if isinstance(found, Key):
            return Reference(node.span, found)
        return Sequence(node.span, 'list', tuple(Reference(node.span, key) for key in found))

    def indices(self, node: nodes.Index) -> tuple[Any, ...]:
        """Returns the indices of a family: integers, slices, ``'*'``."""
        found: list[Any] = []
        for item in node.items:
            if isinstance(item, nodes.All):
                found.append('*')
            elif isinstance(item, nodes.Slice):
                ends = (item.start, item.stop, item.step)
                found.append(slice(*(end and self.integer(end, 'an index') for end in ends)))
            elif isinstance(item, nodes.Range):
                found.append(slice(self.integer(item.start, 'an index'), self.integer(item.stop, 'an index')))
            else:
                found.append(self.integer(item, 'an index'))
        return tuple(found)

    def _subscript(self, item: nodes.Expression) -> Expression:
        if isinstance(item, nodes.All):
            raise mistake('G206', '`*` selects the members of a family', item.span, reason='this is not a family',
                          help='write `:` for a whole axis of an array')
        if isinstance(item, nodes.Range):
            raise mistake('G206', '`..` binds results and counts loops', item.span,
                          help='write `a:b` for a part of an axis')
        if isinstance(item, nodes.Slice):
            return SliceItem(item.span, *(end and self.expression(end) for end in (item.start, item.stop, item.step)))
        return self.expression(item)

    def _element(self, node: nodes.Index, value: Any, items: tuple[Expression, ...]) -> Expression:
        if not isinstance(value, (list, tuple)) or len(items) != 1 or not isinstance(items[0], Literal):
            raise mistake('G203', f'{numbers.kind(value)} has no elements to take like this', node.span)
        try:
            return literal(node.span, value[items[0].value])
        except (IndexError, TypeError):
            raise mistake('G105', f'this list has {len(value)} members', node.span) from None

    @expression.register
    def _(self, node: nodes.Call):
        return self.call(node)
