"""The language's own functions: what each takes."""
from __future__ import annotations

from typing import Any, Optional

from graphdsl.semantics import calls, numbers
from graphdsl.semantics.computation import Apply, Builtin, Expression, Literal, Reference, Sequence, is_number
from graphdsl.semantics.scope import Scope
from graphdsl.semantics.suggestions import listed, meant
from graphdsl.diagnostics import Mistake, Span, mistake
from graphdsl.syntax import nodes

# The parameters of each, and how many of them are needed.
SIGNATURES: dict[str, tuple[tuple[str, ...], int]] = {
    'detach': (('v',), 1),
    'grad': (('y', 'x'), 2),
    'reverse_gradient': (('v', 'scale'), 2),
    'history': (('v', 'size'), 1),
    'ones_like': (('v', 'dtype'), 1),
    'zeros_like': (('v', 'dtype'), 1),
    'one_hot': (('t', 'n'), 2),
    'arange': (('n',), 1),
    'shape': (('v', 'axis'), 2),
}

#: No gradient flows through these.
WITHOUT_GRADIENT = {'detach', 'history', 'ones_like', 'zeros_like', 'one_hot', 'arange', 'shape'}

_POOL_SIZE = 50
_DEFAULTS = {'size': str(_POOL_SIZE), 'dtype': 'none'}
_NUMBERS = {'scale', 'n'}
_COMPILE_TIME = {'size': (int, 'an integer, at least 1'), 'axis': (int, 'an integer'),
                 'dtype': (str, 'the name of a dtype')}
DTYPES = ('float16', 'float32', 'float64', 'int8', 'int16', 'int32', 'int64', 'uint8', 'bool')


def apply(name: str, span: Span, arguments: tuple[Expression, ...], keywords: tuple[tuple[str, Expression], ...],
          scope: Scope, call: Optional[nodes.Call] = None) -> Apply:
    """Makes the call of a built-in, its arguments in order.

    Args:
        name (str): One of :data:`SIGNATURES`.
        span: Of the call.
        arguments: Positional ones.
        keywords: The others.
        scope: Where it stands.
        call: The call as it stands in the file.

    Raises:
        Mistake: If the arguments don't fit.
    """
    if scope.in_body and name in ('grad', 'history'):
        raise mistake('G315', f'`{name}` does not stand in a body', span, reason='it is of the graph, not of a model',
                      help='use it where values flow, outside of models')
    given = _given(name, span, arguments, keywords, call)
    for parameter, value in given.items():
        _check(name, parameter, value)
    if name == 'grad':
        _check_point(given['x'])
    if name == 'history':
        given.setdefault('size', Literal(span, _POOL_SIZE))
    return Apply(span, Builtin(name), tuple(given.values()))


def _given(name: str, span: Span, arguments: tuple[Expression, ...], keywords: tuple[tuple[str, Expression], ...],
           call: Optional[nodes.Call]) -> dict[str, Expression]:
    parameters, least = SIGNATURES[name]
    optional = tuple((parameter, _DEFAULTS[parameter]) for parameter in parameters[least:])
    calls.fit(calls.Signature(name, parameters, parameters[:least], optional),
              calls.Given(span, len(arguments), [keyword for keyword, _ in keywords], call))
    given = {**dict(zip(parameters, arguments)), **dict(keywords)}
    return {p: given[p] for p in parameters if p in given}


def _check(name: str, parameter: str, value: Expression) -> None:
    if parameter in _COMPILE_TIME:
        kind, wanted = _COMPILE_TIME[parameter]
        if not isinstance(value, Literal) or type(value.value) is not kind or _is_out_of_range(parameter, value.value):
            raise mistake('G306', f'`{parameter}` of `{name}` must be {wanted}', value.span, reason=_what(value),
                          **_step(parameter, value))
    elif parameter in _NUMBERS:
        if not is_number(value):
            raise mistake('G214', f'`{parameter}` of `{name}` must be a number', value.span, reason='this is an array',
                          help='numbers are params, states, `iteration`, `progress`, and what follows from them')
        if parameter == 'n' and isinstance(value, Literal) and (type(value.value) is not int or value.value < 1):
            raise mistake('G204', f'`n` of `{name}` must be an integer, at least 1', value.span, reason=_what(value),
                          help='it counts what there is to choose from')
    elif is_number(value) or isinstance(value, (Literal, Sequence)):
        raise _no_array(name, value)


def _what(value: Expression) -> str:
    return f'this is {numbers.shown(value.value)}' if isinstance(value, Literal) else 'this is an array' \
        if not is_number(value) else 'this is only known while training'


def _step(parameter: str, value: Expression) -> dict[str, Any]:
    """Returns the next step where an argument must be known while compiling, and is not, or is no such thing."""
    if parameter != 'dtype' or not isinstance(value, Literal):
        return {'help': 'use integers, params and loop variables here'}
    listing = listed((f'"{dtype}"' for dtype in DTYPES), '')
    found = meant(str(value.value), DTYPES)
    return {'help': f'did you mean `"{found}"`?' if found else listing}


def _is_out_of_range(parameter: str, value: Any) -> bool:
    return (parameter == 'size' and value < 1) or (parameter == 'dtype' and value not in DTYPES)


def _no_array(name: str, value: Expression) -> Mistake:
    return mistake('G308', f'`{name}` works on arrays', value.span,
                   reason='this is a list' if isinstance(value, Sequence) else 'this is a number',
                   help='give it a value of the graph: an input, noise, or what follows from them')


def _check_point(x: Expression) -> None:
    if not isinstance(x, Reference):
        raise mistake('G215', '`grad` differentiates with respect to a value that has a name', x.span,
                      reason='this has none',
                      help='bind it first: `x_hat = ...`, then `grad(critic(x_hat), x_hat)`')
