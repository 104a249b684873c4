"""Resolves edges and values: stages in a row, and the names of what the last of them gives."""
from __future__ import annotations

from typing import Sequence as Items, Union

from graphdsl.semantics import catalog, numbers
from graphdsl.semantics.calls import counted
from graphdsl.semantics.expressions import is_known
from graphdsl.semantics.computation import Assignment, Expression, Key, Literal, Previous, Sequence
from graphdsl.semantics.resolve import Resolver
from graphdsl.diagnostics import Mistake, Place, Span, mistake
from graphdsl.syntax import nodes


def assignment(statement: Union[nodes.Edge, nodes.Value], resolver: Resolver) -> Assignment:
    """Resolves an edge, or a value with `=`."""
    results = tuple(key for result in statement.results for key in resolver.keys(result))
    if isinstance(statement, nodes.Value):
        return assigned(statement.span, results, statement.expression, resolver, _span_of(statement.results))
    _check_named(statement, resolver)
    source = statement.source
    if isinstance(source, nodes.Call):
        row: tuple[Expression, ...] = (resolver.expression(source),)
        inputs = _results_of(row[0], resolver)
    else:
        row = ()
        inputs = tuple(map(resolver.expression, source.items if isinstance(source, nodes.Tuple) else (source,)))
        if inputs and is_known(*inputs):
            raise mistake('G307', 'numbers do not flow along edges', source.span,
                          reason='this is known while compiling',
                          help='edges carry arrays; compute with numbers in expressions')
    row += stages(inputs, statement.stages, resolver)
    return _bound(statement.span, results, row, resolver, _span_of(statement.results))


def _span_of(results: Items[nodes.Node]) -> Span:
    return Span(results[0].span.start, results[-1].span.end)


def assigned(span: Span, results: tuple[Key, ...], node: nodes.Expression, resolver: Resolver, names: Span
             ) -> Assignment:
    """Resolves an expression that gets names.

    Args:
        span: Of the whole statement.
        results: The names.
        node: The expression.
        resolver: Of the statement's turn.
        names: Where the names stand.
    """
    expression = resolver.expression(node)
    if isinstance(expression, Sequence):
        raise mistake('G307', f'a {expression.kind} cannot have a name', expression.span,
                      reason='values are arrays and numbers',
                      help='write it where it is used; a list of numbers can be a `param`')
    if isinstance(expression, Literal) and (isinstance(expression.value, bool)
                                            or not isinstance(expression.value, (int, float))):
        raise mistake('G307', f'{numbers.kind(expression.value)} does not flow along edges', expression.span,
                      reason='values are arrays and numbers', help='make it a `param`')
    return _bound(span, results, (expression,), resolver, names)


def stages(inputs: tuple[Expression, ...], row: Items[nodes.Expression], resolver: Resolver
           ) -> tuple[Expression, ...]:
    """Resolves stages in a row.

    Args:
        inputs: Of the first stage.
        row: The stages.
        resolver: Of the statement's turn.
    """
    resolved: list[Expression] = []
    mistakes: list[Mistake] = []
    for node in row:
        try:
            resolved.append(resolver.stage(node, inputs))
            inputs = _results_of(resolved[-1], resolver)
        except Mistake as error:    # the stages after it may have mistakes of their own
            mistakes.append(error)
            inputs = (Previous(node.span, None),)
    if mistakes:
        raise Mistake(mistakes[0].diagnostic, [d for error in mistakes for d in error.all()][1:])
    return tuple(resolved)


def _results_of(stage: Expression, resolver: Resolver) -> tuple[Expression, ...]:
    """Returns what a stage hands to the next."""
    count = resolver.result_count(stage)
    return (Previous(stage.span, 1 if count is None and not resolver.gives_several(stage) else count),)


def _bound(span: Span, results: tuple[Key, ...], row: tuple[Expression, ...], resolver: Resolver, names: Span
           ) -> Assignment:
    """Checks that as many names are given as there are results."""
    count = resolver.result_count(row[-1])
    if not results or (count is not None and count != len(results)):
        gives = counted(count, 'result') if count is not None else 'results'
        there = f'there {"is" if len(results) == 1 else "are"} {counted(len(results), "name")} for {gives}'
        raise mistake('G303', there, names, reason='each result needs a name',
                      places=(Place(row[-1].span, f'gives {gives}'),),
                      help='`_` stands for a result that is not wanted')
    if len(results) == 1 and resolver.gives_several(row[-1]):
        raise mistake('G303', 'there is 1 name for several results', names, reason='each result needs a name',
                      places=(Place(row[-1].span, 'gives as many as only the run can tell'),),
                      help='`-> p[0..n]` binds n results as a family')
    return Assignment(span, results, row)


def _check_named(edge: nodes.Edge, resolver: Resolver) -> None:
    """An edge whose last name is a callable has no result: its writer forgot the name."""
    last = edge.results[-1]
    name = last.name if isinstance(last, nodes.Name) else last.base.name
    scope = resolver.scope
    if name in scope.models:
        what = f'a {scope.models.kind} of this file'
    elif name in scope.blocks:
        what = 'a block of this file'
    elif name in scope.imported:
        what = 'imported'
    elif isinstance(last, nodes.Name) and len(edge.results) == 1 and name in catalog.members('functions'):
        what = 'a function of Chainer'
    elif isinstance(last, nodes.Name) and len(edge.results) == 1 and name in catalog.members('links'):
        what = 'a link of Chainer'
    else:
        return
    bound = scope.callable_names().get(name)
    raise mistake('G302', 'did you forget the name of the result?', last.span, reason=f'`{name}` is {what}',
                  places=() if bound is None else (Place(bound, 'declared here'),),
                  help=f'end the edge with a new name: `-> {name} -> result`')
