"""Arithmetic on what is known while compiling: params, loop variables, literals."""
from __future__ import annotations

import math
import operator
from typing import Any, Callable

from graphdsl.diagnostics import Mistake, Span, mistake

_OPERATORS: dict[str, Callable] = {
    '+': operator.add, '-': operator.sub, '*': operator.mul, '/': operator.truediv, '//': operator.floordiv,
    '%': operator.mod, '==': operator.eq, '!=': operator.ne, '<': operator.lt, '<=': operator.le,
    '>': operator.gt, '>=': operator.ge, 'in': lambda a, b: a in b, 'not in': lambda a, b: a not in b,
}

FUNCTIONS: dict[str, Callable] = {
    'min': min, 'max': max, 'sum': sum, 'abs': abs, 'exp': math.exp, 'log': math.log, 'sqrt': math.sqrt,
    'sin': math.sin, 'cos': math.cos, 'tanh': math.tanh, 'floor': math.floor,
}

_LARGEST_BITS = 4096
_LONGEST = 1_000_000


def compute(symbol: str, operands: tuple, span: Span) -> Any:
    """Applies an operator to compile-time values.

    Args:
        symbol (str): An operator of the language with one or two operands.
        operands (tuple): Plain Python values.
        span: Where, for messages.

    Raises:
        Mistake: If the operands don't fit or the result is out of bounds.
    """
    if len(operands) == 1:
        unary = {'-': operator.neg, '+': operator.pos, 'not': operator.not_}[symbol]
        return _guarded(unary, operands, symbol, span)
    function = _power if symbol == '**' else _OPERATORS[symbol]
    if symbol == '*' and any(isinstance(o, (str, list, tuple)) for o in operands):
        raise _unfit(symbol, operands, span)
    return _bounded(_guarded(function, operands, symbol, span), span)


def call(name: str, arguments: tuple, span: Span) -> Any:
    """Applies one of :data:`FUNCTIONS` to compile-time values; raises :class:`Mistake` where it cannot."""
    return _guarded(FUNCTIONS[name], arguments, name, span)


def _power(base, exponent):
    if isinstance(base, int) and isinstance(exponent, int):
        if base.bit_length() * abs(exponent) > _LARGEST_BITS:
            raise OverflowError
    result = base ** exponent
    if isinstance(result, complex):
        raise ValueError('a negative number has no real power of this kind')
    return result


def _bounded(value, span: Span):
    if isinstance(value, int) and value.bit_length() > _LARGEST_BITS:
        raise mistake('G202', 'this number is too large', span, help=f'integers have at most {_LARGEST_BITS} bits')
    if isinstance(value, (str, list, tuple)) and len(value) > _LONGEST:
        raise mistake('G202', 'this is too long', span)
    return value


def _guarded(function: Callable, operands: tuple, symbol: str, span: Span) -> Any:
    try:
        return function(*operands)
    except ZeroDivisionError:
        raise mistake('G202', 'division by zero', span, reason='the right side is 0') from None
    except OverflowError:
        raise mistake('G202', 'this number is too large', span) from None
    except ValueError as error:
        raise mistake('G202', f'`{symbol}` has no value here', span, reason=str(error)) from None
    except TypeError:
        raise _unfit(symbol, operands, span) from None


def _unfit(symbol: str, operands: tuple, span: Span) -> Mistake:
    kinds = ' and '.join(kind(operand) for operand in operands)
    return mistake('G203', f'`{symbol}` does not go with {kinds}', span)


def kind(value: Any) -> str:
    """Names a compile-time value's kind in the words of the language."""
    if value is None:
        return '`none`'
    if isinstance(value, bool):
        return 'a truth value'
    return {int: 'an integer', float: 'a number', str: 'a string'}.get(type(value), 'a list')
