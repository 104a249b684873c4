"""Checks a syntax tree and turns it into the checked graph."""
from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from graphdsl.check import data, flow, ownership, params, settings
from graphdsl.check.catalog import suggestion
from graphdsl.check.chains import ChainBuilder
from graphdsl.check.graph import (
    Assignment, ChainType, Graph, Input, Key, Metric, Model, Stream, Train, operands)
from graphdsl.check.later import STATEMENTS, not_executed
from graphdsl.check.resolve import Resolver
from graphdsl.check.scope import Names, Scope
from graphdsl.check.unroll import Turn, unroll
from graphdsl.diagnostics import Diagnostic, Mistake, Place, Span, in_order, mistake
from graphdsl.syntax import nodes


def check(tree: nodes.Braces, overrides: Mapping[str, Any] = (), bind: Mapping[str, Any] = ()
          ) -> tuple[Optional[Graph], tuple[Diagnostic, ...]]:
    """Checks a whole file.

    Args:
        tree: The file's statements.
        overrides: Values of params by name.
        bind: Objects that the file's imports stand for, by name.

    Returns:
        The checked graph, or None if there are errors; and all diagnostics, warnings included, in order.
    """
    checker = _Checker(tree, dict(overrides), dict(bind))
    graph = checker.run()
    return (None if checker.failed else graph), in_order(checker.diagnostics)


class _Checker:
    """One run over a file. Each method checks one kind of statement in all its turns."""

    def __init__(self, tree: nodes.Braces, overrides: Mapping[str, Any], bind: Mapping[str, Any]):
        self.tree = tree
        self.overrides = overrides
        self.bind = bind
        self.diagnostics: list[Diagnostic] = []
        self.turns: list[Turn] = []
        self.values = Names('value')
        self.models = Names('model')
        self.chains: dict[Key, ChainType] = {}
        self.blocks: dict[str, nodes.Block] = {}
        self.imported: dict[str, Any] = {}
        self.imports: list[tuple[str, str]] = []

    @property
    def failed(self) -> bool:
        return any(d.severity == 'error' for d in self.diagnostics)

    def report(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)

    def attempt(self, action: Callable, *arguments) -> Any:
        """Calls an action; returns None where it ends in a mistake, which is reported."""
        try:
            return action(*arguments)
        except Mistake as error:
            self.report(error.diagnostic)
            return None

    def run(self) -> Graph:
        self._import()
        self._gather_blocks()
        self.scope = Scope({}, self.values, self.models, self.blocks, self.imported)
        values = self._params()
        self.builder = ChainBuilder(values, self.blocks, self.imported, self.report)
        self.resolver = self._resolver(self.scope.with_numbers(values))
        self.turns = unroll(self.tree, self.resolver, self.report)
        self._refuse_unknown()

        streams = self._streams()
        inputs = self._inputs(streams)
        integers = frozenset(i.name for i in inputs if i.dtype and data.is_integer(i.dtype))
        models = self._models()
        self._declare_values()
        self.scope = Scope(values, self.values, self.models, self.blocks, self.imported, integers)
        self.resolver = self._resolver(self.scope)
        assignments = self._assignments()
        losses = self._keys(nodes.Loss)
        metrics = self._metrics()
        outputs = self._keys(nodes.Output)
        train = self._train(losses, metrics)
        optimizers = self._optimizers(losses, assignments)
        self._warn_of_unused(assignments, [*losses, *(m.key for m in metrics), *outputs], inputs, models)
        return Graph(tuple(values.items()), tuple(self.imports), tuple(streams.values()), tuple(inputs), models,
                     assignments, tuple(losses), metrics, tuple(outputs), optimizers, train)

    def _resolver(self, scope: Scope) -> Resolver:
        return Resolver(scope, self.chains, lambda *arguments: self.builder.block(*arguments))

    def _all(self, *types: type) -> list[tuple[Any, Resolver]]:
        """Returns the statements of some types, each with the resolver of its turn."""
        return [(turn.statement, self.resolver.within(turn.numbers)) for turn in self.turns
                if isinstance(turn.statement, types)]

    # What comes before loops are unrolled

    def _import(self) -> None:
        for statement in self.tree.statements:
            if isinstance(statement, nodes.Import):
                for name in statement.names:
                    self.imported[name.name] = self.bind.get(name.name)
                    self.imports.append((name.name, statement.module.value))
                    if name.name not in self.bind:
                        self.report(Diagnostic(
                            'G121', f'`{name.name}` is imported, and nothing is bound to it', statement.span,
                            help=f'pass it from Python: `graphdsl.compile(..., bind={{"{name.name}": ...}})`'))

    def _gather_blocks(self) -> None:
        for statement in self.tree.statements:
            if isinstance(statement, nodes.Block):
                name = statement.name.name
                if name in self.blocks:
                    self.report(Diagnostic('G102', f'`{name}` is bound twice', statement.name.span,
                                           reason='bound again here',
                                           places=(Place(self.blocks[name].name.span, 'bound first here'),)))
                self.blocks.setdefault(name, statement)

    def _params(self) -> dict[str, Any]:
        statements = [s for s in self.tree.statements if isinstance(s, nodes.Param)]
        self.builder = ChainBuilder({}, self.blocks, self.imported, self.report)
        return params.evaluate(statements, self.overrides, self._resolver(self.scope), self.report)

    def _refuse_unknown(self) -> None:
        top = {id(statement) for statement in self.tree.statements}
        for turn in self.turns:
            statement = turn.statement
            if type(statement) in STATEMENTS:
                self.report(not_executed(STATEMENTS[type(statement)], statement.span).diagnostic)
            elif isinstance(statement, nodes.Layer):
                self.report(Diagnostic('G313', 'a layer stands in the body of a model', statement.span,
                                       help='write `model` here'))
            elif isinstance(statement, (nodes.Param, nodes.Import, nodes.Block)) and id(statement) not in top:
                self.report(Diagnostic('G122', 'this cannot stand within `for` or `if`', statement.span,
                                       help='put it on the top level of the file'))

    # Data

    def _streams(self) -> dict[str, Stream]:
        streams: dict[str, Stream] = {}
        for statement, resolver in self._all(nodes.Data):
            name = statement.name.name
            if streams:
                first = next(iter(streams.values()))
                self.report(mistake('G102', f'two data blocks are called `{name}`', statement.span).diagnostic
                            if name in streams else not_executed('a second data block', statement.span).diagnostic)
                streams.setdefault(name, first)
                continue
            stream = self.attempt(data.check_stream, statement, resolver, self.report)
            streams[name] = stream or Stream(statement.span, name, (), None)
        return streams

    def _inputs(self, streams: Mapping[str, Stream]) -> list[Input]:
        inputs = []
        for statement, resolver in self._all(nodes.Input):
            for column in statement.columns:
                checked = self.attempt(data.check_column, column, statement, streams, resolver)
                if column.name.name != '_':
                    self.attempt(self.values.bind, Key(column.name.name), column.name.span)
                if checked is not None:
                    inputs.append(checked)
        return inputs

    # Models and values

    def _models(self) -> tuple[Model, ...]:
        models = []
        for statement, resolver in self._all(nodes.Model):
            key = self.attempt(resolver.key, statement.target)
            if key is None:
                continue
            self.attempt(self.models.bind, key, statement.target.span)
            if statement.frozen or statement.load:
                self.report(not_executed('`frozen`' if statement.frozen else '`load`', statement.span).diagnostic)
            chain = self.attempt(self.builder.build, key.base, statement.definition, resolver.scope.numbers,
                                 statement.span)
            if chain is not None:
                self.chains[key] = chain
                models.append(Model(statement.target.span, key, chain))
        return tuple(models)

    def _declare_values(self) -> None:
        for statement, resolver in self._all(nodes.Edge, nodes.Value):
            for result in statement.results:
                for key in self.attempt(resolver.keys, result) or ():
                    if key.base != '_':
                        self.attempt(self.values.bind, key, result.span)
        for statement, resolver in self._all(nodes.Loss, nodes.Metric, nodes.Output):
            for target in statement.targets if statement.expression is not None else ():
                key = self.attempt(resolver.key, target)
                if key is not None:
                    self.attempt(self.values.bind, key, target.span)

    def _assignments(self) -> tuple[Assignment, ...]:
        found = []
        for statement, resolver in self._all(nodes.Edge, nodes.Value, nodes.Loss, nodes.Metric, nodes.Output):
            if isinstance(statement, (nodes.Edge, nodes.Value)):
                found.append(self.attempt(resolver.assignment, statement))
            elif statement.expression is not None:
                found.append(self.attempt(self._named_expression, statement, resolver))
        return self.attempt(flow.in_order, [a for a in found if a is not None]) or ()

    def _named_expression(self, statement, resolver: Resolver) -> Assignment:
        if len(statement.targets) != 1:
            raise mistake('G303', 'one expression has one name', statement.span)
        if isinstance(statement, nodes.Loss) and statement.condition is not None:
            raise not_executed('`loss ... when`', statement.condition.span)
        return Assignment(statement.span, (resolver.key(statement.targets[0]),),
                          (resolver.expression(statement.expression),))

    def _keys(self, kind: type) -> dict[Key, Span]:
        """Returns what the losses or outputs of the file name, and where."""
        found: dict[Key, Span] = {}
        for statement, resolver in self._all(kind):
            for target in statement.targets:
                key = self.attempt(self._existing, target, resolver)
                if key is not None:
                    found.setdefault(key, target.span)
        return found

    def _existing(self, target: nodes.Target, resolver: Resolver) -> Key:
        key = resolver.key(target)
        if key not in self.values.spans:
            raise mistake('G101', f'there is no value `{key}`', target.span,
                          help=suggestion(key.base, self.values.bases()) or 'give it an expression: `= ...`')
        return key

    def _metrics(self) -> tuple[Metric, ...]:
        found = []
        for statement, resolver in self._all(nodes.Metric):
            for target in statement.targets:
                key = self.attempt(self._existing, target, resolver)
                if key is not None:
                    found.append(Metric(target.span, key, statement.falling))
        return tuple(found)

    # Training

    def _train(self, losses: Mapping[Key, Span], metrics: tuple[Metric, ...]) -> Train:
        statements = self._all(nodes.Train)
        for statement, _ in statements[1:]:
            self.report(Diagnostic('G602', 'there are two `train` blocks', statement.span, reason='the second',
                                   places=(Place(statements[0][0].span, 'the first'),)))
        if not statements:
            return Train()
        directions = {**dict.fromkeys(losses, True), **{metric.key: metric.falling for metric in metrics}}
        return settings.check_train(*statements[0], directions.__getitem__, self.report)

    def _optimizers(self, losses: Mapping[Key, Span], assignments: tuple[Assignment, ...]):
        declared = [self.attempt(ownership.declare, statement, resolver, self.report)
                    for statement, resolver in self._all(nodes.Optimizer)]
        owners = ownership.Ownership([d for d in declared if d is not None], losses, self.chains, self.models.spans,
                                     assignments)
        self.diagnostics.extend(owners.duplicates())
        if not self.failed:
            self.diagnostics.extend(owners.problems())
        return owners.optimizers()

    def _warn_of_unused(self, assignments, wanted: list[Key], inputs: list[Input], models: tuple[Model, ...]) -> None:
        if self.failed:
            return
        used = {key for assignment in assignments for key in operands(assignment)} | set(wanted)
        for key, span in self.values.spans.items():
            if key not in used:
                self.report(Diagnostic('G151', f'nothing uses `{key}`', span, severity='warning',
                                       help='remove it, or write `_` for a result or column that is not wanted'))
        called = ownership.Ownership((), losses={}, chains=self.chains, model_spans=self.models.spans,
                                     assignments=assignments).called
        for model in models:
            if model.key not in called:
                self.report(Diagnostic('G152', f'no edge uses the model `{model.key}`', model.span,
                                       severity='warning'))
