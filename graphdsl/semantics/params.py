"""Values of the params: their defaults, or what the caller sets."""
from __future__ import annotations

import functools
import numbers as abstract
from dataclasses import replace
from typing import Any, Iterator, Mapping, Optional

from graphdsl.semantics import numbers
from graphdsl.semantics.mentions import names_in
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import Broken, allowed, bound_twice
from graphdsl.semantics.suggestions import is_certain, listed, meant
from graphdsl.semantics.unroll import Report
from graphdsl.semantics.wording import circle_of
from graphdsl.diagnostics import Diagnostic, Edit, GraphError, Mistake, Place, Source, Span, mistake
from graphdsl.syntax import nodes
from graphdsl.syntax.parse import parse

#: A large file may have as many mistakes as params; the first ones are explained.
_MOST_STEPS = 50_000


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
    circles = _Circles(params)
    for param in params:
        name = param.name.name
        try:
            if name in values:
                raise bound_twice(name, param.name.span, scope.values.span_of_number(name))
            scope.values.bind_number(allowed(param.name), param.name.span)
            default = within.constant(param.default, 'the default of a param')
            _check_choice('G213', f'the default of `{name}` is none of its choices', param, default, within,
                          param.default.span)
            values[name] = _override(param, default, overrides[name], within) if name in overrides else default
        except Mistake as error:
            values.setdefault(name, Broken(error.diagnostic))
            for diagnostic in error.all():
                report(circles.added(diagnostic, name) if name in later else diagnostic)
        later.pop(name, None)
    for diagnostic in _no_params([name for name in overrides if name not in values], params):
        report(diagnostic)
    return values


def _no_params(names: list[str], params: list[nodes.Param]) -> Iterator[Diagnostic]:
    """Yields a diagnostic for each param that may be meant by what there is not, and one for all else."""
    known = {param.name.name: param.name.span for param in params}
    others = {name: meant(name, known) for name in names}
    for found in dict.fromkeys(others.values()):
        these = [f'`{name}`' for name in names if others[name] == found]
        message = f'there is no param {these[0]} to set' if len(these) == 1 else \
            f'there are no params {", ".join(these)} to set'
        if found:
            yield Diagnostic('G211', message, known[found], reason='this one?', help=f'did you mean `{found}`?')
        else:
            span = Span(params[0].span.start, params[0].name.span.end) if params else Span(0, 0)
            yield Diagnostic('G211', message, span, reason='the first param of this file' if params else '',
                             help=listed(known, 'this file has no params', 'param'))


class _Circles:
    """Finds circles of params that need each other. Only a mistake asks for them.

    Args:
        params: All params.
    """

    def __init__(self, params: list[nodes.Param]):
        self._params = params
        self._room = _MOST_STEPS

    @functools.cached_property
    def _needs(self) -> dict[str, list[str]]:
        return {param.name.name: list(names_in(param.default)) for param in self._params}

    def added(self, diagnostic: Diagnostic, name: str) -> Diagnostic:
        """Adds the circle to the mistake of a default that needs later params, if they need this one."""
        if diagnostic.code != 'G101':
            return diagnostic
        before: dict[str, str] = {}
        pending = [name]
        for current in pending:         # which grows
            self._room -= 1
            if self._room < 0:
                return diagnostic
            for other in self._needs[current]:
                if other in self._needs and other not in before:
                    before[other] = current
                    pending.append(other)
        if name not in before:
            return diagnostic
        row = [name]
        while before[row[-1]] != name:
            row.append(before[row[-1]])
        return replace(diagnostic, notes=(circle_of(row),),
                       help='give one of them a value that needs none of the others')


def _override(param: nodes.Param, default: Any, value: Any, resolver: Resolver) -> Any:
    if isinstance(value, str) and not isinstance(default, str):
        value = _read(param, value, resolver)
    value = _as_plain(value)
    problem = f'`{param.name.name}` cannot be set to {numbers.shown(value)}'
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = numbers.as_float(value, param.span)
    if isinstance(default, (list, tuple)) and isinstance(value, (list, tuple)):
        value = type(default)(value)
    if default is not None and type(value) is not type(default):
        raise mistake('G212', problem, param.default.span,
                      reason=f'its default is {numbers.kind(default)}, this is {numbers.kind(value)}',
                      help=f'set it to {numbers.kind(default)}, such as {numbers.shown(default)}')
    if not _is_plain(value):
        raise mistake('G212', problem, param.name.span, help='set it to one of these',
                      reason='params are numbers, strings, truth values and lists of these')
    numbers.check_bounds(value, param.name.span, resolver.limits, finite=False)
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
    raise mistake('G212', f'`{param.name.name}` cannot be set to {numbers.shown(text)}', param.default.span,
                  reason='the default is no string, and what is set cannot be read',
                  help='write it as in a graph file: `4`, `1e-3`, `true`, `[1, 2]`')


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


def _check_choice(code: str, problem: str, param: nodes.Param, value: Any, resolver: Resolver,
                  span: Optional[Span] = None) -> None:
    """Refuses a value that is none of the choices of a param.

    Args:
        code (str): Of the mistake.
        problem (str): Its message.
        param: The param.
        value: The value.
        resolver: Resolves the choices.
        span: Where the value stands, if that is in the file.
    """
    if not param.choices:
        return
    choices = [resolver.constant(choice, 'a choice') for choice in param.choices]
    if any(choice == value and isinstance(choice, bool) == isinstance(value, bool) for choice in choices):
        return
    of = Span(param.choices[0].span.start, param.choices[-1].span.end)
    known = [choice for choice in choices if isinstance(choice, str)]
    found = meant(value, known, names={}) if isinstance(value, str) else ''
    help = f'did you mean {numbers.shown(found)}?' if found else \
        'it is one of ' + ', '.join(map(numbers.shown, choices))
    if span is None:
        raise mistake(code, problem, of, reason='none of these', help=help)
    edits = (Edit(span, numbers.shown(found)),) if found and is_certain(value, found, known) else ()
    raise mistake(code, problem, span, reason='none of its choices', help=help, edits=edits,
                  places=(Place(of, 'its choices'),))
