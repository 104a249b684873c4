"""Values of the params: their defaults, or what the caller sets."""
from __future__ import annotations

from typing import Any, Mapping

from graphdsl.check import catalog, numbers
from graphdsl.check.resolve import Resolver
from graphdsl.check.unroll import Report
from graphdsl.diagnostics import Mistake, Place, Span, mistake
from graphdsl.syntax import nodes


def evaluate(params: list[nodes.Param], overrides: Mapping[str, Any], resolver: Resolver,
             report: Report) -> dict[str, Any]:
    """Evaluates all params of a file.

    Args:
        params: The statements; a default may use params from earlier lines.
        overrides: Values by name. A string is read as a literal of the language where the param is no string.
        resolver: Resolves the defaults.
        report: Called with each mistake.
    """
    values: dict[str, Any] = {}
    spans: dict[str, Span] = {}
    for param in params:
        name = param.name.name
        if name in spans:
            report(mistake('G102', f'`{name}` is bound twice', param.name.span, reason='bound again here',
                           places=(Place(spans[name], 'bound first here'),)).diagnostic)
            continue
        spans[name] = param.name.span
        within = resolver.within(dict(values))
        try:
            within.bindable(param.name)
            default = within.constant(param.default, 'the default of a param')
            values[name] = _override(param, default, overrides[name]) if name in overrides else default
            _check_choice(param, values[name], within)
        except Mistake as error:
            values.setdefault(name, overrides.get(name))
            report(error.diagnostic)
    for name in overrides:
        if name not in spans:
            span = params[0].span if params else Span(0, 0)
            report(mistake('G211', f'there is no param `{name}` to set', span,
                           reason='the first param of this file' if params else 'this file has no params',
                           help=catalog.suggestion(name, spans)).diagnostic)
    return values


def _override(param: nodes.Param, default: Any, value: Any) -> Any:
    if isinstance(value, str) and not isinstance(default, str):
        value = _read(param, value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if default is not None and type(value) is not type(default):
        raise mistake('G212', f'`{param.name.name}` cannot be set to {value!r}', param.span,
                      reason=f'its default is {numbers.kind(default)}, this is {numbers.kind(value)}')
    return value


def _read(param: nodes.Param, text: str) -> Any:
    """Reads a value from the command line, written as in a graph file."""
    from ast import literal_eval
    constants = {'true': True, 'false': False, 'none': None}
    try:
        return constants[text] if text in constants else literal_eval(text)
    except (ValueError, SyntaxError):
        raise mistake('G212', f'`{param.name.name}` cannot be set to `{text}`', param.span,
                      reason='its default is no string') from None


def _check_choice(param: nodes.Param, value: Any, resolver: Resolver) -> None:
    if not param.choices:
        return
    choices = [resolver.constant(choice, 'a choice') for choice in param.choices]
    if value not in choices:
        raise mistake('G213', f'`{param.name.name}` cannot be {value!r}', param.span,
                      reason='it is one of ' + ', '.join(map(repr, choices)))
