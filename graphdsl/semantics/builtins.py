"""The language's own functions: what each takes."""
from __future__ import annotations

from typing import Any

from graphdsl.semantics.computation import Apply, Builtin, Expression, Literal, Reference, Sequence, is_number
from graphdsl.semantics.scope import Scope
from graphdsl.diagnostics import Mistake, Span, mistake

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

#: Run a model in another mode: `eval(m)`, `quiet(m)`.
MODES = ('eval', 'quiet')

#: No gradient flows through these.
WITHOUT_GRADIENT = {'detach', 'history', 'ones_like', 'zeros_like', 'one_hot', 'arange', 'shape'}

_POOL_SIZE = 50
_NUMBERS = {'scale', 'n'}
_COMPILE_TIME = {'size': (int, 'an integer, at least 1'), 'axis': (int, 'an integer'),
                 'dtype': (str, 'the name of a dtype')}
DTYPES = ('float16', 'float32', 'float64', 'int8', 'int16', 'int32', 'int64', 'uint8', 'bool')


def apply(name: str, span: Span, arguments: tuple[Expression, ...], keywords: tuple[tuple[str, Expression], ...],
          scope: Scope) -> Apply:
    """Makes the call of a built-in, its arguments in order.

    Args:
        name (str): One of :data:`SIGNATURES`.
        span: Of the call.
        arguments: Positional ones.
        keywords: The others.
        scope: Where it stands.

    Raises:
        Mistake: If the arguments don't fit.
    """
    if scope.in_body and name in ('grad', 'history'):
        raise mistake('G315', f'`{name}` does not stand in a body', span,
                      help='use it where values flow, outside of models')
    given = _given(name, span, arguments, keywords)
    for parameter, value in given.items():
        _check(name, parameter, value)
    if name == 'grad':
        _check_point(given['x'])
    if name == 'history':
        given.setdefault('size', Literal(span, _POOL_SIZE))
    return Apply(span, Builtin(name), tuple(given.values()))


def _given(name: str, span: Span, arguments: tuple[Expression, ...], keywords: tuple[tuple[str, Expression], ...]
           ) -> dict[str, Expression]:
    parameters, least = SIGNATURES[name]
    listing = f'its arguments are {", ".join(f"`{p}`" for p in parameters)}'
    if len(arguments) > len(parameters):
        raise mistake('G306', f'`{name}` takes at most {len(parameters)} arguments', span, help=listing)
    given = dict(zip(parameters, arguments))
    for keyword, value in keywords:
        if keyword in given:
            raise mistake('G306', f'`{name}` gets its argument `{keyword}` twice', value.span, help=listing)
        if keyword not in parameters:
            raise mistake('G306', f'`{name}` takes no argument `{keyword}`', value.span, help=listing)
        given[keyword] = value
    missing = next((p for p in parameters[:least] if p not in given), None)
    if missing is not None:
        raise mistake('G306', f'`{name}` needs a value for `{missing}`', span, help=listing)
    return {p: given[p] for p in parameters if p in given}


def _check(name: str, parameter: str, value: Expression) -> None:
    if parameter in _COMPILE_TIME:
        kind, wanted = _COMPILE_TIME[parameter]
        if not isinstance(value, Literal) or type(value.value) is not kind or _is_out_of_range(parameter, value.value):
            raise mistake('G306', f'`{parameter}` of `{name}` must be {wanted}', value.span,
                          help='there are ' + ', '.join(f'"{dtype}"' for dtype in DTYPES) if kind is str
                          else 'it must be known while compiling')
    elif parameter in _NUMBERS:
        if not is_number(value):
            raise mistake('G214', f'`{parameter}` of `{name}` must be a number', value.span, reason='this is an array',
                          help='numbers are params, states, `iteration`, `progress`, and what follows from them')
        if parameter == 'n' and isinstance(value, Literal) and (type(value.value) is not int or value.value < 1):
            raise mistake('G204', f'`n` of `{name}` must be an integer, at least 1', value.span)
    elif is_number(value) or isinstance(value, (Literal, Sequence)):
        raise _no_array(name, value)


def _is_out_of_range(parameter: str, value: Any) -> bool:
    return (parameter == 'size' and value < 1) or (parameter == 'dtype' and value not in DTYPES)


def _no_array(name: str, value: Expression) -> Mistake:
    return mistake('G308', f'`{name}` works on arrays', value.span,
                   reason='this is a list' if isinstance(value, Sequence) else 'this is a number')


def _check_point(x: Expression) -> None:
    if not isinstance(x, Reference):
        raise mistake('G215', '`grad` differentiates with respect to a value that has a name', x.span,
                      help='bind it first: `x_hat = ...`, then `grad(critic(x_hat), x_hat)`')
