"""Losses, metrics and outputs: which values they name."""
from __future__ import annotations

from typing import Any, Callable, Collection, Mapping, Sequence

from graphdsl.semantics.computation import Key
from graphdsl.semantics.graph import Loss, Metric
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import Names, allowed
from graphdsl.semantics.suggestions import unknown
from graphdsl.diagnostics import Diagnostic, Mistake, Place, Span, mistake
from graphdsl.syntax import nodes

Statements = Sequence[tuple[Any, Resolver]]


class Reports:
    """Finds the values that statements name.

    Args:
        values: All values of the graph.
        report: Called with each mistake.
    """

    def __init__(self, values: Names, report: Callable[[Diagnostic], None]):
        self._values = values
        self._report = report

    def losses(self, statements: Statements, inputs: Collection[Key]) -> tuple[Loss, ...]:
        """Returns the losses of a file, each with the condition under which there is one."""
        found = []
        for key, (span, statement, resolver) in self._scalars(statements, inputs).items():
            try:
                condition = None if statement.condition is None else resolver.number(statement.condition, 'a condition')
            except Mistake as error:
                for diagnostic in error.all():
                    self._report(diagnostic)
                condition = None
            if key in self._values.numbers:
                self._report(Diagnostic('G218', f'the loss `{key}` is a number', span,
                                        reason='nothing that it is made of depends on a model',
                                        help='make it a `metric`'))
            found.append(Loss(span, key, condition))
        return tuple(found)

    def metrics(self, statements: Statements, inputs: Collection[Key], losses: Mapping[Key, Span]
                ) -> tuple[Metric, ...]:
        """Returns the metrics of a file."""
        found = []
        for key, (span, statement, _) in self._scalars(statements, inputs).items():
            if key in losses:
                self._warn_of_repeated(key, span, losses[key])
            else:
                found.append(Metric(span, key, statement.falling))
        return tuple(found)

    def _scalars(self, statements: Statements, inputs: Collection[Key]) -> dict[Key, tuple[Span, Any, Resolver]]:
        found = self.listed(statements)
        for key, (span, _, _) in found.items():
            if key in inputs:
                self._report(Diagnostic('G126', f'`{key}` is an input, and no scalar', span,
                                        reason='it has a value for every example',
                                        help='compute a scalar from it, such as a `mean`'))
        return found

    def listed(self, statements: Statements) -> dict[Key, tuple[Span, Any, Resolver]]:
        """Returns what statements name: where, and in which statement."""
        found: dict[Key, tuple[Span, Any, Resolver]] = {}
        for statement, resolver in statements:
            for target in statement.targets:
                try:
                    keys = self._named(target, statement, resolver)
                except Mistake as error:
                    for diagnostic in error.all():
                        self._report(diagnostic)
                    continue
                for key in keys:
                    if key in found:
                        self._warn_of_repeated(key, target.span, found[key][0])
                    found.setdefault(key, (target.span, statement, resolver))
        return found

    def _warn_of_repeated(self, key: Key, span: Span, first: Span) -> None:
        self._report(Diagnostic('G153', f'`{key}` is reported already', span, severity='warning',
                                reason='named again here', places=(Place(first, 'named first here'),),
                                help='remove one of the two'))

    def _named(self, target: nodes.Target, statement: Any, resolver: Resolver) -> list[Key]:
        """Returns the values that a statement names: the one it binds, or those it lists."""
        if statement.expression is not None:
            return [key] if (key := resolver.key(target)) in self._values.spans else []
        base = target if isinstance(target, nodes.Name) else target.base
        if base.name not in self._values:
            if base.name in resolver.scope.numbers:
                raise mistake('G107', f'`{base.name}` is a number, not a value of the run', target.span,
                              reason='it is known while compiling', help='give a value a name: `metric NAME = ...`')
            raise mistake('G101', f'there is no value `{allowed(base)}`', base.span, **unknown(
                base.name, base.span, self._values.bases(), 'give it an expression: `= ...`'))
        found = resolver.select(self._values, target, base.name)
        return [found] if isinstance(found, Key) else found
