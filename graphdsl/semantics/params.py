"""Values of the params: their defaults, or what the caller sets."""
from __future__ import annotations

import numbers as abstract
from dataclasses import replace
from typing import Any, Mapping

from graphdsl.semantics import catalog, numbers
from graphdsl.semantics.absent import names_in
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import Broken, allowed, bound_twice
from graphdsl.semantics.unroll import Report
from graphdsl.diagnostics import Diagnostic, GraphError, Mistake, Source, Span, mistake
from graphdsl.syntax import nodes
from graphdsl.syntax.parse import parse


def evaluate(params: list[nodes.Param], overrides: Mapping[str, Any], resolver: Resolver,
             report: Report) -> dict[str, Any]:
    """Evaluates all params of a file.

    Args:
        params: The statements; a default may use params from earlier lines.
        overrides: Values by name. A string is read as in a graph file where the param is no string.
        resolver: Resolves the defaults; its scope learns the names.
        report: Called with each mistake.

    Returns:
        The values; :class:`Broken` for a param that is wrong.
    """
    values: dict[str, Any] = {}
    scope = resolver.scope
    later = {param.name.name: param.name.span for param in reversed(params)}
    within = replace(resolver, scope=replace(scope, numbers=values, later=later))
    for param in params:
        name = param.name.name
        try:
            if name in values:
                raise bound_twice(name, param.name.span, scope.values.span_of_number(name))
            scope.values.bind_number(allowed(param.name), param.name.span)
            default = within.constant(param.default, 'the default of a param')
            _check_choice('G213', f'the default of `{name}` is none of its choices', param, default, within)
            values[name] = _override(param, default, overrides[name], within) if name in overrides else default
        except Mistake as error:
            values.setdefault(name, Broken(error.diagnostic))
            report(_with_circle(error.diagnostic, name, params) if name in later else error.diagnostic)
        later.pop(name, None)
    for name in overrides:
        if name not in values:
            span = params[0].span if params else Span(0, 0)
            report(mistake('G211', f'there is no param `{name}` to set', span,
                           reason='the first param of this file' if params else '',
                           help=catalog.suggestion(name, values) or (
                               'there are ' + ', '.join(f'`{name}`' for name in values) if values
                               else 'this file has no params')).diagnostic)
    return values


def _with_circle(diagnostic: Diagnostic, name: str, params: list[nodes.Param]) -> Diagnostic:
    """Adds the circle to the mistake of a default that needs later params, if they need this one."""
    needs = {param.name.name: list(names_in(param.default)) for param in params}
    before: dict[str, str] = {}
    pending = [name]
    for current in pending:         # which grows
        for other in needs[current]:
            if other in needs and other not in before:
                before[other] = current
                pending.append(other)
    if diagnostic.code != 'G101' or name not in before:
        return diagnostic
    row = [name]
    while len(row) == 1 or row[-1] != name:
        row.append(before[row[-1]])
    return replace(diagnostic, notes=(f'the circle is {" -> ".join(f"`{one}`" for one in row)}',),
                   help='give one of them a value that needs none of the others')


def _override(param: nodes.Param, default: Any, value: Any, resolver: Resolver) -> Any:
    if isinstance(value, str) and not isinstance(default, str):
        value = _read(param, value, resolver)
    value = _as_plain(value)
    problem = f'`{param.name.name}` cannot be set to {numbers.shown(value)}'
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = _as_float(param, value)
    if isinstance(default, (list, tuple)) and isinstance(value, (list, tuple)):
        value = type(default)(value)
    if default is not None and type(value) is not type(default):
        raise mistake('G212', problem, param.span,
                      reason=f'its default is {numbers.kind(default)}, this is {numbers.kind(value)}')
    if not _is_plain(value):
        raise mistake('G212', problem, param.span,
                      reason='params are numbers, strings, truth values and lists of these')
    numbers.check_bounds(value, param.span, resolver.limits, finite=False)
    _check_choice('G212', problem, param, value, resolver)
    return value


def _read(param: nodes.Param, text: str, resolver: Resolver) -> Any:
    """Reads a value from the command line, written as in a graph file."""
    try:
        source = Source(f'param value = {text}')
        statement, = parse(source).statements
        if isinstance(statement, nodes.Param) and not statement.choices and statement.span.end == len(source.text):
            return resolver.within({}).constant(statement.default, 'a param')
    except (GraphError, Mistake, ValueError):
        pass
    raise mistake('G212', f'`{param.name.name}` cannot be set to {numbers.shown(text)}', param.span,
                  reason='this cannot be read, and the default of the param is no string',
                  help='write it as in a graph file: `4`, `1e-3`, `true`, `[1, 2]`')


def _as_float(param: nodes.Param, value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise numbers.too_large(param.span) from None


def _as_plain(value: Any) -> Any:
    """Turns a number of another library, such as NumPy's, into Python's own."""
    if isinstance(value, bool):
        return value
    for kind, plain in ((str, str), (abstract.Integral, int), (abstract.Real, float)):
        if isinstance(value, kind):
            return plain(value)
    return type(value)(map(_as_plain, value)) if type(value) in (list, tuple) else value


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _check_choice(code: str, problem: str, param: nodes.Param, value: Any, resolver: Resolver) -> None:
    if not param.choices:
        return
    choices = [resolver.constant(choice, 'a choice') for choice in param.choices]
    if not any(choice == value and isinstance(choice, bool) == isinstance(value, bool) for choice in choices):
        raise mistake(code, problem, param.span, reason='it is one of ' + ', '.join(map(numbers.shown, choices)))
