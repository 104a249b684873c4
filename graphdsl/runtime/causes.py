"""Says in a few words why a function gives what is not finite."""
from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence

import numpy

from graphdsl.runtime.arising import Call, bad
from graphdsl.runtime.arrays import array

GROWN = ('have weights or values grown? Try a lower rate, or `hook GradientClipping(5)` in the optimizer; '
         '`skip nonfinite` there leaves such an update out')


class Cause(NamedTuple):
    """A reason, and the next step."""

    reason: str
    help: str


def cause(call: Call) -> Cause:
    """Returns why a call gave what is not finite."""
    if bad(call.inputs):
        return Cause('a value that arrives here is not finite', GROWN)
    name = type(call.function).__name__
    explain = (_GRADIENTS if call.is_gradient else _VALUES).get(name)
    # The operands, without the last whose rows may be fine.
    operands = [_host(x) for x in call.inputs if x is not None]
    constant = getattr(call.function, 'value', None)
    if constant is not None:
        constant = _host(constant)
        infinite = ~numpy.isfinite(constant.astype(operands[0].dtype)) if operands else ~numpy.isfinite(constant)
        if infinite.any():
            number = constant[infinite]
            too_large = f', which is too large for {operands[0].dtype}' if numpy.isfinite(number[0]) else ''
            return Cause(f'the number here is {_shown(number)}{too_large}', 'which state or scalar is it made of?')
    found = explain(operands, constant) if explain and operands else None
    return found or _overflow(operands, call)


def _host(value: Any) -> numpy.ndarray:
    value = array(value)
    return numpy.atleast_1d(numpy.asarray(value.get() if hasattr(value, 'get') else value))


def _shown(values: Any) -> str:
    return f'{float(numpy.ravel(values)[0]):.4g}'


def _log(operands: Sequence[numpy.ndarray], _: Any) -> Optional[Cause]:
    least = operands[0].min()
    if least < 0:
        return Cause(f'log of {_shown(least)}', 'log takes positive numbers: is a `softmax`, `sigmoid` or `exp` '
                     'missing before it?')
    if least == 0:
        return Cause('log of 0', 'keep what it takes away from 0, such as `log(x + 1e-8)`; `log_softmax` and '
                     '`softplus` need no such help')
    return None


def _log_1p(operands: Sequence[numpy.ndarray], _: Any) -> Optional[Cause]:
    least = operands[0].min()
    return Cause(f'log1p of {_shown(least)}', 'log1p takes numbers above -1') if least <= -1 else None


def _sqrt(operands: Sequence[numpy.ndarray], _: Any) -> Optional[Cause]:
    least = operands[0].min()
    return Cause(f'square root of {_shown(least)}', 'keep what it takes at 0 or above, such as `sqrt(relu(x) + 1e-8)`'
                 ) if least < 0 else None


def _exponential(name: str) -> Callable:
    def explain(operands: Sequence[numpy.ndarray], _: Any) -> Optional[Cause]:
        largest = operands[0].ravel()[abs(operands[0]).argmax()]
        return Cause(f'{name} of {_shown(largest)}, which is too large for {operands[0].dtype}',
                     f'bound what it takes, such as `{name}(clip(x, -20.0, 20.0))`, or lower the rate')
    return explain


def _division(operands: Sequence[numpy.ndarray], constant: Any) -> Optional[Cause]:
    divisor = operands[-1] if constant is None else operands[0]
    if (divisor == 0).any():
        return Cause('division by 0', 'keep the divisor away from 0, such as `a / (b + 1e-8)`')
    return None


def _power(operands: Sequence[numpy.ndarray], exponent: Any) -> Optional[Cause]:
    base = operands[0]
    exponents = numpy.broadcast_to(operands[1] if exponent is None else exponent, base.shape) \
        if exponent is None or exponent.size == 1 else exponent
    for wrong, advice in (((base == 0) & (exponents < 0), 'keep the base away from 0, such as `(x + 1e-8) ** p`'),
                          ((base < 0) & (exponents != numpy.floor(exponents)),
                           'a power that is no whole number takes a base of 0 or above')):
        if wrong.any():
            return Cause(f'{_shown(base[wrong])} to the power of {_shown(exponents[wrong])}', advice)
    return None


def _arc(name: str) -> Callable:
    def explain(operands: Sequence[numpy.ndarray], _: Any) -> Optional[Cause]:
        x = operands[0]
        outside = abs(x) > 1
        return Cause(f'{name} of {_shown(x[outside])}', f'{name} takes numbers from -1 to 1: `clip(x, -1.0, 1.0)`'
                     ) if outside.any() else None
    return explain


def _at_zero(name: str, advice: str) -> Callable:
    def explain(operands: Sequence[numpy.ndarray], _: Any) -> Optional[Cause]:
        return Cause(f'{name} at 0 has an infinite gradient', advice) if (operands[0] == 0).any() else None
    return explain


def _power_gradient(operands: Sequence[numpy.ndarray], exponent: Any) -> Optional[Cause]:
    small = exponent is not None and exponent.size == 1 and 0 < float(exponent.ravel()[0]) < 1
    if small and (operands[0] == 0).any():
        return Cause(f'the power of {_shown(exponent)} at 0 has an infinite gradient',
                     'keep the base away from 0, such as `(x + 1e-8) ** p`')
    return None


def _arc_gradient(name: str) -> Callable:
    def explain(operands: Sequence[numpy.ndarray], _: Any) -> Optional[Cause]:
        return Cause(f'{name} at -1 or 1 has an infinite gradient', 'keep what it takes between them, such as '
                     '`clip(x, -0.999, 0.999)`') if (abs(operands[0]) == 1).any() else None
    return explain


def _overflow(operands: Sequence[numpy.ndarray], call: Call) -> Cause:
    floats = [x for x in operands if x.dtype.kind == 'f' and x.size]
    if not floats:
        return Cause('the result is not finite', GROWN)
    largest = max(float(abs(x).max()) for x in floats)
    what = 'its gradient is too large' if call.is_gradient else 'the result is too large'
    return Cause(f'{what} for {floats[0].dtype}: values up to {largest:.3g} arrive here', GROWN)


_VALUES: Mapping[str, Callable] = {
    'Log': _log, 'Log2': _log, 'Log10': _log, 'Log1p': _log_1p, 'Sqrt': _sqrt, 'Exp': _exponential('exp'),
    'Expm1': _exponential('expm1'), 'Sinh': _exponential('sinh'), 'Cosh': _exponential('cosh'), 'Div': _division,
    'DivFromConstant': _division, 'PowVarConst': _power, 'PowVarVar': _power, 'Arccos': _arc('arccos'),
    'Arcsin': _arc('arcsin')}
_GRADIENTS: Mapping[str, Callable] = {
    'Sqrt': _at_zero('square root', 'keep what it takes away from 0, such as `sqrt(x + 1e-8)`'),
    'Log': _log, 'Div': _division, 'DivFromConstant': _division, 'PowVarConst': _power_gradient,
    'Arccos': _arc_gradient('arccos'), 'Arcsin': _arc_gradient('arcsin')}
