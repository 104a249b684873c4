"""Arithmetic on what is known while compiling: params, loop variables, literals."""
from __future__ import annotations

import json
import math
import operator
from typing import Any, Callable

from graphdsl.diagnostics import Mistake, Span, mistake
from graphdsl.limits import Limits

_OPERATORS: dict[str, Callable] = {
    '+': operator.add, '-': operator.sub, '*': operator.mul, '/': operator.truediv, '//': operator.floordiv,
    '%': operator.mod, '==': operator.eq, '!=': operator.ne, '<': operator.lt, '<=': operator.le,
    '>': operator.gt, '>=': operator.ge, 'in': lambda a, b: a in b, 'not in': lambda a, b: a not in b,
}

FUNCTIONS: dict[str, Callable] = {
    'min': min, 'max': max, 'sum': sum, 'mean': lambda values: sum(values) / len(values), 'abs': abs,
    'exp': math.exp, 'log': math.log, 'sqrt': math.sqrt, 'sin': math.sin, 'cos': math.cos, 'tanh': math.tanh,
    'floor': math.floor,
}

_SHOWN = 60


def compute(symbol: str, operands: tuple, span: Span, limits: Limits = Limits()) -> Any:
    """Applies an operator to compile-time values.

    Args:
        symbol (str): An operator of the language with one or two operands.
        operands (tuple): Plain Python values.
        span: Where, for messages.
        limits: How large the result may be.

    Raises:
        Mistake: If the operands don't fit or the result is out of bounds.
    """
    if len(operands) == 1:
        unary = {'-': operator.neg, '+': operator.pos, 'not': operator.not_}[symbol]
        return _guarded(unary, operands, symbol, span, limits)
    # Python repeats and formats texts with these.
    if symbol in ('*', '%') and any(isinstance(o, (str, list, tuple)) for o in operands):
        raise _unfit(symbol, operands, span)
    if symbol == '**':
        _check_power(*operands, span, limits)
    return _guarded(_power if symbol == '**' else _OPERATORS[symbol], operands, symbol, span, limits)


def call(name: str, arguments: tuple, span: Span, limits: Limits = Limits()) -> Any:
    """Applies one of :data:`FUNCTIONS` to compile-time values; raises :class:`Mistake` where it cannot."""
    if not arguments:
        raise mistake('G306', f'`{name}` needs an argument', span, reason='nothing is given',
                      help=f'write a number, such as `{name}(2)`' if name not in ('sum', 'mean') else
                      f'write a list of numbers, such as `{name}([1, 2])`')
    return _guarded(FUNCTIONS[name], arguments, name, span, limits)


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and exponent < 0:
        base = float(base)
    result = base ** exponent
    if isinstance(result, complex):
        raise ValueError('a negative number has no real power of this kind')
    return result


def _check_power(base: Any, exponent: Any, span: Span, limits: Limits) -> None:
    """Refuses a power before it is computed."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        bits = (abs(base).bit_length() - 1) * exponent + 1
        if abs(base) > 1 and bits > limits.bits:
            raise too_many_bits(bits, span, limits)


def _guarded(function: Callable, operands: tuple, symbol: str, span: Span, limits: Limits) -> Any:
    try:
        value = function(*operands)
    except ZeroDivisionError:
        raise mistake('G202', 'division by zero', span, reason='what stands on the right is 0 here',
                      help='look at the params that it is made of') from None
    except OverflowError:
        raise too_large(span) from None
    except ValueError as error:
        raise mistake('G202', f'`{symbol}` has no value here', span, reason=str(error),
                      help='look at the params that its operands are made of') from None
    except TypeError:
        raise _unfit(symbol, operands, span) from None
    check_bounds(value, span, limits)
    return value


def check_bounds(value: Any, span: Span, limits: Limits, finite: bool = True) -> None:
    """Refuses a value that is too large to go on with, or not finite where it has to be.

    Raises:
        Mistake: As said.
    """
    pending, count = [(value, 0)], 0
    while pending:
        item, level = pending.pop()
        count += len(item) if isinstance(item, (str, list, tuple)) else 0
        if count > limits.elements:
            what = 'string' if isinstance(value, str) else 'list'
            raise mistake('G035', f'this {what} is too long', span, reason=f'more than {limits.elements:,} elements',
                          help=limits.advice('elements'))
        if finite and isinstance(item, float) and not math.isfinite(item):
            raise too_large(span)
        if isinstance(item, int) and item.bit_length() > limits.bits:
            raise too_many_bits(item.bit_length(), span, limits)
        if level > limits.depth:
            raise mistake('G009', 'this list is nested too deeply', span, reason=f'more than {limits.depth:,} levels',
                          help=limits.advice('depth'))
        if isinstance(item, (list, tuple)):
            pending.extend((inner, level + 1) for inner in item)


def size(value: Any) -> int:
    """Returns how many elements a list has, those of lists in it included."""
    count, pending = 0, [value]
    while pending:
        item = pending.pop()
        if isinstance(item, (list, tuple)):
            count += len(item)
            pending.extend(item)
    return count


def as_float(value: Any, span: Span) -> float:
    """Turns a number into a float; raises :class:`Mistake` for one that is too large."""
    try:
        return float(value)
    except OverflowError:
        raise too_large(span) from None


def too_large(span: Span) -> Mistake:
    return mistake('G202', 'this is too large', span, help='numbers go up to 1.8e308')


def too_many_bits(bits: int, span: Span, limits: Limits) -> Mistake:
    """Makes the mistake of an integer that is too large.

    Args:
        bits: Those that it has at least.
        span: Where.
        limits: How large it may be.
    """
    has = f'it has {bits:,} bits' if bits.bit_length() < 64 else 'it has more bits than can be counted here'
    return mistake('G034', 'this integer is too large', span, reason=has, help=limits.advice('bits', bits))


def _unfit(symbol: str, operands: tuple, span: Span) -> Mistake:
    kinds = ' and '.join(kind(operand) for operand in operands)
    return mistake('G203', f'`{symbol}` does not go with {kinds}', span, reason='it is for numbers',
                   help='compute with numbers, which stand without quotes')


def shown(value: Any) -> str:
    """Returns a compile-time value as a graph file writes it, shortened if it is long."""
    if isinstance(value, (list, tuple)):
        opening, closing = '[]' if isinstance(value, list) else '()'
        text = opening + ', '.join(map(shown, value[:_SHOWN])) + closing
    elif isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = {None: 'none', True: 'true', False: 'false'}[value] if value is None or isinstance(value, bool) \
            else repr(value)
    return text if len(text) <= _SHOWN else f'{text[:_SHOWN - 3]}...'


def kind(value: Any) -> str:
    """Names a compile-time value's kind in the words of the language."""
    if value is None:
        return '`none`'
    if isinstance(value, bool):
        return 'a truth value'
    return {int: 'an integer', float: 'a number', str: 'a string', list: 'a list', tuple: 'a tuple'}.get(
        type(value), f'a Python object of the type {type(value).__name__}')
