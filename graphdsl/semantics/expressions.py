"""Resolves expressions: names become values, and what is known while compiling is computed."""
from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from typing import Any, Optional, Union

from graphdsl.semantics import absent, absent_member, numbers
from graphdsl.semantics.computation import (
    Arithmetic, Comparison, Conditional, Expression, Key, Literal, Reference, Reported, RunningNumber, Scalar, Sequence,
    SliceItem, Subscript, is_number, walk)
from graphdsl.semantics.scope import RUNNING_NUMBERS, Broken, Names, Scope, allowed
from graphdsl.diagnostics import Mistake, Place, Span, mistake
from graphdsl.limits import Limits
from graphdsl.syntax import nodes

# What people want who write an attribute of an array.
_INSTEAD = {
    'shape': 'write `shape(v, axis)` for the length of an axis, `batch_size` for that of the first',
    'size': 'write `shape(v, axis)` for the length of an axis, `batch_size` for that of the first',
    'data': 'write `detach(v)` for the value without its history',
    'array': 'write `detach(v)` for the value without its history',
    'T': 'write `transpose(v)`', 'dtype': 'arrays keep the dtype of their input; write `cast(v, "float32")`',
    'grad': 'write `grad(y, x)` for a gradient as a value',
}


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
    """Resolves expressions in a scope; :class:`graphdsl.semantics.resolve.Resolver` adds the calls.

    Attributes:
        scope: What may be named.
    """

    scope: Scope

    @property
    def limits(self) -> Limits:
        return self.scope.work.limits

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

    def integer(self, node: nodes.Expression, what: str, least: Optional[int] = None, most: Optional[int] = None
                ) -> int:
        """Returns an integer that must be known while compiling."""
        value = self.constant(node, what)
        if isinstance(value, bool) or not isinstance(value, int):
            problem = 'an integer'
        elif least is not None and value < least:
            problem = f'at least {least}'
        elif most is not None and value > most:
            problem = f'at most {most:,}'
        else:
            return value
        raise mistake('G204', f'{what} must be {problem}', node.span, reason=f'this is {numbers.shown(value)}',
                      help=f'write {problem}, or a param that is one' if problem == 'an integer' else
                      f'write an integer that is {problem}')

    # Names that statements bind

    def key(self, node: nodes.Target) -> Key:
        """Returns the name that a statement binds."""
        if isinstance(node, nodes.Name):
            return Key(allowed(node))
        indices = []
        for item in node.items:
            if isinstance(item, (nodes.Slice, nodes.Range, nodes.All)):
                raise mistake('G205', 'one member of a family is bound at a time', item.span,
                              reason='this names several',
                              help='write an integer here, in a `for` for several members')
            indices.append(self.integer(item, 'an index', least=0))
        return Key(allowed(node.base), tuple(indices))

    def keys(self, node: nodes.Target) -> list[Key]:
        """Returns the names that a result of an edge binds: several for ``p[0..3]``, ``_`` for one to discard."""
        if isinstance(node, nodes.Name) and node.name == '_':
            return [Key('_')]
        if isinstance(node, nodes.Index) and len(node.items) == 1 and isinstance(node.items[0], nodes.Range):
            span = node.items[0]
            first = self.integer(span.start, 'an index', least=0)
            last = self.integer(span.stop, 'an index', least=0)
            if last - first > self.limits.statements:
                raise mistake('G209', f'this binds more than {self.limits.statements:,} results', span.span,
                              help=self.limits.advice('statements', last - first))
            self.scope.work.add_statements(max(last - first, 0), span.span)
            base = allowed(node.base)
            return [Key(base, (i,)) for i in range(first, last)]
        return [self.key(node)]

    # Expressions

    def expression(self, node: nodes.Expression) -> Expression:
        """Resolves an expression.

        Raises:
            Mistake: With the first thing that is wrong in it.
        """
        self.scope.work.add_expressions(1, node.span)
        # What `_expression(node)` does too, after it has made a function for this one call.
        return _RULES.dispatch(type(node))(self, node)

    @functools.singledispatchmethod
    def _expression(self, node: nodes.Expression) -> Expression:
        raise mistake('G206', 'this can only stand between `[` and `]`', node.span, reason='it is no value',
                      help='take a part of an array or of a family with it: `v[0:2]`')

    @_expression.register(nodes.Number)
    @_expression.register(nodes.String)
    @_expression.register(nodes.Constant)
    def _(self, node):
        return Literal(node.span, node.value)

    @_expression.register
    def _(self, node: nodes.Name):
        name, values = node.name, self.scope.values
        if name in self.scope.reported:
            return Reported(node.span, name)
        if name in self.scope.numbers:
            value = self.scope.numbers[name]
            if isinstance(value, Broken):
                raise Mistake(value.diagnostic)
            if isinstance(value, (list, tuple)):
                self.scope.work.add_expressions(numbers.size(value), node.span)
            return literal(node.span, value)
        if name in values:
            return self._reference(node.span, values.select(node, name, None))
        if name in values.expected:
            return Reference(node.span, Key(name))
        if name in RUNNING_NUMBERS and not self.scope.in_body:
            return RunningNumber(node.span, name)
        raise absent.no_value(self.scope, node)

    def _reference(self, span: Span, key: Key) -> Reference:
        return Reference(span, key, key in self.scope.values.numbers)

    @_expression.register
    def _(self, node: nodes.Attribute):
        raise mistake('G110', 'values have no attributes', Span(node.span.end - len(node.name) - 1, node.span.end),
                      reason=f'`.{node.name}` cannot stand here',
                      help=_INSTEAD.get(node.name, 'call a function: those of chainer.functions have the same names'))

    @_expression.register(nodes.List)
    @_expression.register(nodes.Tuple)
    def _(self, node):
        kind = 'list' if isinstance(node, nodes.List) else 'tuple'
        sequence = Sequence(node.span, kind, tuple(self.expression(item) for item in node.items))
        if is_known(sequence):
            numbers.check_bounds(plain(sequence), node.span, self.limits)
        return sequence

    @_expression.register
    def _(self, node: nodes.Unary):
        operand = self.expression(node.operand)
        if is_known(operand):
            return literal(node.span, numbers.compute(node.operator, (plain(operand),), node.span, self.limits))
        return self._arithmetic(node, node.operator, operand)

    @_expression.register
    def _(self, node: nodes.Binary):
        left = self.expression(node.left)
        if node.operator in ('and', 'or') and is_known(left):
            return left if bool(plain(left)) == (node.operator == 'or') else self.expression(node.right)
        right = self.expression(node.right)
        if is_known(left, right):
            return literal(node.span, numbers.compute(node.operator, (plain(left), plain(right)), node.span,
                                                      self.limits))
        return self._arithmetic(node, node.operator, left, right)

    def _arithmetic(self, node, operator: str, *operands: Expression) -> Expression:
        for operand in operands:
            self._check_operand(operator, operand)
        operands = tuple(map(self.as_read, operands))
        if operator in ('and', 'or', 'not', '%') and not all(map(is_number, operands)):
            raise mistake('G207', f'`{operator}` does not go with arrays', node.span,
                          reason='each element would have an answer of its own',
                          help='choose between the elements of arrays with `where(mask, a, b)`')
        return Arithmetic(node.span, operator, operands)

    def _check_operand(self, operator: str, operand: Expression) -> None:
        if isinstance(operand, Sequence):
            raise mistake('G203', f'`{operator}` does not go with a {operand.kind}', operand.span,
                          reason=f'this is a {operand.kind}',
                          help='add the values of a list with `sum(...)`, join them with `concat(...)`')
        if isinstance(operand, Literal) and not isinstance(operand.value, (int, float)):
            raise mistake('G203', f'`{operator}` does not go with {numbers.kind(operand.value)}', operand.span,
                          reason='numbers and arrays are computed with', help='write a number or a value here')
        if isinstance(operand, Literal) and abs(operand.value) > sys.float_info.max:
            raise numbers.too_large(operand.span)
        self.one_result(operand)

    def as_read(self, expression: Expression) -> Expression:
        """Returns an expression as the statement reads it: where numbers are wanted, a scalar array as its number."""
        if not self.scope.reads_scalars or is_number(expression) or isinstance(expression, (Literal, Sequence)):
            return expression
        return Scalar(expression.span, expression)

    def number(self, node: nodes.Expression, what: str) -> Expression:
        """Resolves an expression that must be a number, in the run or before.

        Args:
            node: The expression.
            what (str): What it is needed for, for the message.
        """
        expression = self.as_read(self.expression(node))
        if not is_number(expression):
            if is_known(expression):
                raise mistake('G214', f'{what} must be a number', node.span,
                              reason=f'this is {numbers.kind(plain(expression))}')
            array = next((n for n in walk(expression) if isinstance(n, Reference) and not n.is_number), expression)
            raise mistake('G214', f'{what} must be a number', array.span, reason='this is an array',
                          notes=('numbers are params, states, `iteration`, `epoch`, `progress`, `batch_size`, noise '
                                 'without a type, and what follows from them',),
                          help='a `state` carries what one iteration computes to the next, as a number')
        return expression

    def one_result(self, expression: Expression) -> None:
        """Refuses a call that gives several results where a single value is wanted."""

    @_expression.register
    def _(self, node: nodes.Comparison):
        operands = [self.as_read(self.expression(operand)) for operand in (node.first, *node.others)]
        if is_known(*operands):
            values = [plain(operand) for operand in operands]
            pairs = zip(node.operators, values, values[1:])
            return Literal(node.span, all(numbers.compute(op, (a, b), node.span, self.limits) for op, a, b in pairs))
        for operator, operand in zip((*node.operators, ''), operands):
            if not (isinstance(operand, Sequence) and {'in', 'not in'}.intersection(node.operators)):
                self._check_operand(operator or node.operators[-1], operand)
        comparison = Comparison(node.span, node.operators, tuple(operands))
        if not is_number(comparison) and (len(operands) > 2 or node.operators[0] in ('in', 'not in')):
            raise mistake('G207', f'`{node.operators[0]}` does not go with arrays here', node.span,
                          reason='arrays are compared element by element',
                          help='two arrays are compared at a time; multiply masks to combine them')
        return comparison

    @_expression.register
    def _(self, node: nodes.Conditional):
        condition = self.as_read(self.expression(node.condition))
        if is_known(condition):
            return self.expression(node.value if plain(condition) else node.otherwise)
        if not is_number(condition):
            raise mistake('G208', 'an array cannot be a condition', node.condition.span,
                          reason='each element would have an answer of its own',
                          help='choose between the elements of arrays with `where(mask, a, b)`')
        branches = [self.as_read(self.expression(branch)) for branch in (node.value, node.otherwise)]
        for branch in branches:
            self._check_operand('if', branch)
        return Conditional(node.span, branches[0], condition, branches[1])

    # Brackets

    @_expression.register
    def _(self, node: nodes.Index):
        base = node.base
        if isinstance(base, nodes.Name) and base.name not in self.scope.numbers:
            if self.scope.values.is_family(base.name):
                return self._members(node)
            if base.name not in self.scope.values and base.name in self.scope.values.expected:
                return Reference(node.span, Key(base.name))
        resolved = self.expression(base)
        if isinstance(resolved, Sequence):
            return self._element(node, resolved)
        if is_known(resolved):
            raise mistake('G203', f'{numbers.kind(plain(resolved))} has no elements to take', node.span,
                          reason=f'this is {numbers.shown(plain(resolved))}', help='write it without brackets')
        if is_number(resolved):
            raise mistake('G203', 'a number has no elements to take', node.span, reason='this is a number of the run',
                          help='write it without brackets')
        return Subscript(node.span, resolved, tuple(self._subscript(item) for item in node.items))

    def _members(self, node: nodes.Index) -> Expression:
        found = self.select(self.scope.values, node, node.base.name)
        if isinstance(found, Key):
            return self._reference(node.span, found)
        self.scope.work.add_expressions(len(found), node.span)
        return Sequence(node.span, 'list', tuple(self._reference(node.span, key) for key in found))

    def _element(self, node: nodes.Index, sequence: Sequence) -> Expression:
        """Takes an element of a list, or a part of it."""
        if len(node.items) != 1 or isinstance(node.items[0], nodes.All):
            raise mistake('G203', f'a {sequence.kind} has one index', node.span, reason='more than one is given',
                          help='take one element, `v[0]`, or a part, `v[0:2]`')
        index, = self.indices(node)
        if isinstance(index, slice):
            return Sequence(node.span, sequence.kind, sequence.items[index])
        if not -len(sequence.items) <= index < len(sequence.items):
            raise mistake('G105', f'this {sequence.kind} has {len(sequence.items)} members', node.span,
                          places=() if isinstance(node.items[0], nodes.Number) else (
                              Place(node.items[0].span, f'this is {index}'),), help='indices begin with 0')
        return sequence.items[index]

    def select(self, names: Names, node: nodes.Expression, base: str) -> Union[Key, list[Key]]:
        """Finds what a name, or a family with the first bracket after it, stands for.

        Args:
            names: Where to look.
            node: The name, with its bracket if there is one.
            base (str): The name, which is bound.

        Returns:
            A key, or the list of keys that ``[*]`` or a slice selects.
        """
        indices = self.indices(node) if isinstance(node, nodes.Index) else None
        try:
            return names.select(node, base, indices)
        except Mistake as error:
            raise Mistake(absent_member.explained(error.diagnostic, node, names, self.scope, indices)) from None

    def indices(self, node: nodes.Index) -> tuple[Any, ...]:
        """Returns the indices of a family or list: integers, slices, ``'*'``."""
        found: list[Any] = []
        for item in node.items:
            if isinstance(item, nodes.All):
                found.append('*')
            elif isinstance(item, nodes.Slice):
                ends = (item.start, item.stop, item.step)
                start, stop, step = (end and self.integer(end, 'an index') for end in ends)
                if step == 0:
                    raise mistake('G204', 'a slice cannot step by 0', item.span, reason='it would never end',
                                  help='write `::1` for all, `::2` for every second')
                found.append(slice(start, stop, step))
            elif isinstance(item, nodes.Range):
                found.append(slice(self.integer(item.start, 'an index', least=0),
                                   self.integer(item.stop, 'an index', least=0)))
            else:
                found.append(self.integer(item, 'an index'))
        return tuple(found)

    def _subscript(self, item: nodes.Expression) -> Expression:
        if isinstance(item, nodes.All):
            raise mistake('G206', '`*` selects the members of a family', item.span, reason='this is not a family',
                          help='write `:` for a whole axis of an array')
        if isinstance(item, nodes.Range):
            raise mistake('G206', '`..` binds results and counts loops', item.span, reason='this is an array',
                          help='write `a:b` for a part of an axis')
        if isinstance(item, nodes.Slice):
            start, stop, step = (end and self._index(end) for end in (item.start, item.stop, item.step))
            if step == Literal(item.span, 0):
                raise mistake('G204', 'a slice cannot step by 0', item.span, reason='it would never end',
                              help='write `::1` for all, `::2` for every second')
            return SliceItem(item.span, start, stop, step)
        return self._index(item)

    def _index(self, node: nodes.Expression) -> Expression:
        index = self.expression(node)
        if isinstance(index, Literal) and isinstance(index.value, (str, float)):
            raise mistake('G204', 'an index must be an integer', node.span,
                          reason=f'this is {numbers.shown(index.value)}', help='elements are counted from 0')
        return index

    @_expression.register
    def _(self, node: nodes.Call):
        return self.call(node)


_RULES = vars(Expressions)['_expression'].dispatcher
