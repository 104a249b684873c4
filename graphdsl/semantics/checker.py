"""Checks a syntax tree and turns it into the checked graph."""
from __future__ import annotations

import keyword
import re
from typing import Any, Callable, Iterable, Mapping, Optional

from graphdsl.semantics import catalog, data, edges, flow, integers, ownership, params, settings
from graphdsl.semantics.chains import ChainBuilder, nothing_uses
from graphdsl.semantics.graph import (
    Assignment, ChainType, Graph, Input, Key, Metric, Model, Stream, Train)
from graphdsl.semantics.later import STATEMENTS, not_executed
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import Names, Scope, allowed, bound_twice
from graphdsl.semantics.unroll import Turn, expected, unroll
from graphdsl.diagnostics import Diagnostic, Mistake, Place, Span, in_order, mistake
from graphdsl.syntax import nodes

_MODULE = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)*', re.ASCII)


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
        self.failed = False
        self.turns: list[Turn] = []
        self.values = Names('value', expected=expected(tree, 'value'))
        self.models = Names('model', expected=expected(tree, 'model'))
        self.chains: dict[Key, ChainType] = {}
        self.blocks: dict[str, nodes.Block] = {}
        self.imported: dict[str, Any] = {}
        self.imports: list[tuple[str, str]] = []
        self.callables: dict[str, Span] = {}
        self.inputs: set[Key] = set()

    def report(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)
        self.failed = self.failed or diagnostic.severity == 'error'

    def attempt(self, action: Callable, *arguments) -> Any:
        """Calls an action; returns None where it ends in a mistake, which is reported."""
        try:
            return action(*arguments)
        except Mistake as error:
            self.report(error.diagnostic)
        except RecursionError:      # the caller of the compiler may have left little room
            span = next((argument.span for argument in arguments if hasattr(argument, 'span')), Span(0, 0))
            self.report(Diagnostic('G009', 'this is nested too deeply', span, help='give a part of it a name'))
        return None

    def run(self) -> Optional[Graph]:
        """Returns what is meant to be the graph; it is one unless :attr:`failed`."""
        self._import()
        self._gather_blocks()
        values = self._params()
        scope = Scope(values, self.values, self.models, self.blocks, self.imported)
        self.builder = ChainBuilder(scope, self.report)
        self.resolver = self._resolver(scope)
        for block in self.blocks.values():
            self.attempt(self.builder.check_parameters, block)
        turns = self.attempt(unroll, self.tree, self.resolver, self.report)
        if turns is None:
            return None
        self.turns = turns
        self._refuse_unknown()

        streams = self._streams()
        inputs = self._inputs(streams)
        self.inputs = {Key(i.name) for i in inputs}
        models = self._models()
        self._declare_values()
        assignments = self._assignments()
        integers.refuse_arithmetic(assignments, inputs, models, self.report)
        losses = {key: span for key, (span, _) in self._reported(nodes.Loss).items()}
        metrics = self._metrics(losses)
        outputs = self._listed(nodes.Output)
        train = self._train(losses, metrics, streams)
        owners = self._owners(losses, assignments)
        self._check_unused_blocks()
        if not self.failed:
            self._check_draws(assignments, inputs, owners, train, streams)
            self._warn_of_unused(assignments, [*losses, *(m.key for m in metrics), *outputs], owners)
        return Graph(tuple(values.items()), tuple(self.imports), tuple(streams.values()), tuple(inputs), models,
                     assignments, tuple(losses), metrics, tuple(outputs), owners.optimizers(), train)

    def _resolver(self, scope: Scope) -> Resolver:
        return Resolver(scope, self.chains, self.builder.block)

    def _all(self, *types: type) -> list[tuple[Any, Resolver]]:
        """Returns the statements of some types, each with the resolver of its turn."""
        return [(turn.statement, self.resolver.within(turn.numbers)) for turn in self.turns
                if isinstance(turn.statement, types)]

    # What comes before loops are unrolled

    def _bind_callable(self, name: nodes.Name) -> None:
        first = self.callables.setdefault(allowed(name), name.span)
        if first is not name.span:
            raise bound_twice(name.name, name.span, first)

    def _import(self) -> None:
        for statement in self.tree.statements:
            if isinstance(statement, nodes.Import):
                if not _MODULE.fullmatch(statement.module.value):
                    self.report(Diagnostic('G123', f'{statement.module.value!r} is no name of a module',
                                           statement.module.span, help='such as "lab.nets"'))
                for name in statement.names:
                    self.attempt(self._import_name, name, statement)

    def _import_name(self, name: nodes.Name, statement: nodes.Import) -> None:
        self._bind_callable(name)
        self.imported[name.name] = self.bind.get(name.name)
        self.imports.append((name.name, statement.module.value))
        if keyword.iskeyword(name.name):
            raise mistake('G109', f'`{name.name}` cannot be imported', name.span,
                          reason='this word is reserved in Python')
        if name.name not in self.bind:
            raise mistake('G121', f'`{name.name}` is imported, and nothing is bound to it', name.span,
                          help=f'pass it from Python: `graphdsl.compile(..., bind={{"{name.name}": ...}})`')
        problem = catalog.import_problem(self.bind[name.name])
        if problem:
            raise mistake('G124', f'what is bound to `{name.name}` cannot be used', name.span, reason=problem)

    def _gather_blocks(self) -> None:
        for statement in self.tree.statements:
            if isinstance(statement, nodes.Block):
                self.attempt(self._bind_callable, statement.name)
                self.blocks.setdefault(statement.name.name, statement)

    def _params(self) -> dict[str, Any]:
        statements = [s for s in self.tree.statements if isinstance(s, nodes.Param)]
        scope = Scope({}, self.values, self.models, self.blocks, self.imported)
        self.builder = ChainBuilder(scope, self.report)
        return params.evaluate(statements, self.overrides, self._resolver(scope), self.report)

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
            if name in streams:
                self.report(bound_twice(name, statement.name.span, streams[name].span).diagnostic)
            elif streams:
                self.report(not_executed('a second data block', statement.span).diagnostic)
                streams[name] = next(iter(streams.values()))
            else:
                stream = self.attempt(data.check_stream, statement, resolver, self.report)
                streams[name] = stream or Stream(statement.name.span, name, (), None)
        return streams

    def _inputs(self, streams: Mapping[str, Stream]) -> list[Input]:
        inputs = []
        for statement, resolver in self._all(nodes.Input):
            for column in statement.columns:
                checked = self.attempt(data.check_column, column, statement, streams, resolver)
                if column.name.name != '_':
                    self.attempt(lambda: self.values.bind(Key(allowed(column.name)), column.name.span))
                if checked is not None:
                    inputs.append(checked)
        return inputs

    # Models and values

    def _models(self) -> tuple[Model, ...]:
        models = []
        for statement, resolver in self._all(nodes.ModelLike, nodes.ModelFollows, nodes.Model):
            key = self.attempt(self._bind_model, statement.target, resolver)
            if key is None or not isinstance(statement, nodes.Model):
                continue
            if statement.frozen or statement.load:
                self.report(not_executed('`frozen`' if statement.frozen else '`load`', statement.span).diagnostic)
            chain = self.attempt(self.builder.build, key.base, statement.definition, resolver.scope.numbers,
                                 statement.span)
            if chain is not None:
                self.chains[key] = chain
                models.append(Model(statement.target.span, key, chain))
        return tuple(models)

    def _bind_model(self, target: nodes.Target, resolver: Resolver) -> Key:
        key = resolver.key(target)
        self.models.bind(key, target.span)
        if key.base in self.callables:
            raise bound_twice(key.base, target.span, self.callables[key.base])
        return key

    def _declare_values(self) -> None:
        for statement, resolver in self._all(nodes.Noise, nodes.State):
            self.attempt(lambda: self.values.bind(resolver.key(statement.target), statement.target.span))
        for statement, resolver in self._all(nodes.Edge, nodes.Value):
            for result in statement.results:
                for key in self.attempt(resolver.keys, result) or ():
                    if key.base != '_':
                        self.attempt(self.values.bind, key, result.span)
        for statement, resolver in self._all(nodes.Loss, nodes.Metric, nodes.Output):
            for target in statement.targets if statement.expression is not None else ():
                self.attempt(lambda: self.values.bind(resolver.key(target), target.span))
        self.values.expected.clear()

    def _assignments(self) -> tuple[Assignment, ...]:
        found: list[Assignment] = []
        bound: set[Key] = set(self.inputs)
        for statement, resolver in self._all(nodes.Edge, nodes.Value, nodes.Loss, nodes.Metric, nodes.Output):
            if isinstance(statement, (nodes.Edge, nodes.Value)):
                assignment = self.attempt(edges.assignment, statement, resolver)
            elif statement.expression is not None:
                assignment = self.attempt(self._named_expression, statement, resolver)
            else:
                continue
            # A second value of a name is reported already.
            if assignment is not None and bound.isdisjoint(assignment.results):
                found.append(assignment)
                bound.update(key for key in assignment.results if key.base != '_')
        return self.attempt(flow.in_order, found) or ()

    def _named_expression(self, statement, resolver: Resolver) -> Assignment:
        if isinstance(statement, nodes.Loss) and statement.condition is not None:
            raise not_executed('`loss ... when`', statement.condition.span)
        results = tuple(resolver.key(target) for target in statement.targets)
        return edges.assigned(statement.span, results, statement.expression, resolver)

    def _reported(self, kind: type) -> dict[Key, tuple[Span, Any]]:
        """Returns what the losses or metrics of the file name: where, and in which statement."""
        found = self._listed(kind)
        for key, (span, _) in found.items():
            if key in self.inputs:
                self.report(Diagnostic('G126', f'`{key}` is an input, and no scalar', span,
                                       reason='it has a value for every example',
                                       help='compute a scalar from it, such as a `mean`'))
        return found

    def _listed(self, kind: type) -> dict[Key, tuple[Span, Any]]:
        """Returns what the losses, metrics or outputs of the file name: where, and in which statement."""
        found: dict[Key, tuple[Span, Any]] = {}
        for statement, resolver in self._all(kind):
            for target in statement.targets:
                for key in self.attempt(self._named, target, statement, resolver) or ():
                    if key in found:
                        self._warn_of_repeated(key, target.span, found[key][0])
                    found.setdefault(key, (target.span, statement))
        return found

    def _warn_of_repeated(self, key: Key, span: Span, first: Span) -> None:
        self.report(Diagnostic('G153', f'`{key}` is reported already', span, severity='warning',
                               places=(Place(first, 'named first here'),), help='remove one of the two'))

    def _named(self, target: nodes.Target, statement, resolver: Resolver) -> list[Key]:
        """Returns the values that a statement names: the one it binds, or those it lists."""
        if statement.expression is not None:
            return [key] if (key := resolver.key(target)) in self.values.spans else []
        base = target if isinstance(target, nodes.Name) else target.base
        if base.name not in self.values:
            if base.name in resolver.scope.numbers:
                raise mistake('G107', f'`{base.name}` is a number, not a value of the run', target.span)
            raise mistake('G101', f'there is no value `{allowed(base)}`', target.span,
                          help=catalog.suggestion(base.name, self.values.bases())
                          or 'give it an expression: `= ...`')
        indices = resolver.indices(target) if isinstance(target, nodes.Index) else None
        found = self.values.select(target, base.name, indices)
        return [found] if isinstance(found, Key) else found

    def _metrics(self, losses: Mapping[Key, Span]) -> tuple[Metric, ...]:
        found = []
        for key, (span, statement) in self._reported(nodes.Metric).items():
            if key in losses:
                self._warn_of_repeated(key, span, losses[key])
            else:
                found.append(Metric(span, key, statement.falling))
        return tuple(found)

    # Training

    def _train(self, losses: Iterable[Key], metrics: tuple[Metric, ...], streams: Mapping[str, Stream]) -> Train:
        statements = self._all(nodes.Train)
        for statement, _ in statements[1:]:
            self.report(Diagnostic('G602', 'there are two `train` blocks', statement.span, reason='the second',
                                   places=(Place(statements[0][0].span, 'the first'),)))
        if not statements:
            return Train()
        directions = {**dict.fromkeys(losses, True), **{metric.key: metric.falling for metric in metrics}}
        train, resolver = statements[0]
        arguments = (train, resolver, directions, streams.values(), self.report)
        return self.attempt(settings.check_train, *arguments) or Train()

    def _owners(self, losses: Mapping[Key, Span], assignments: tuple[Assignment, ...]) -> ownership.Ownership:
        statements = self._all(nodes.Optimizer)
        declared = [self.attempt(ownership.declare, statement, resolver, self.report)
                    for statement, resolver in statements]
        owners = ownership.Ownership([d for d in declared if d is not None], losses, self.chains,
                                     self.models.spans, assignments)
        for diagnostic in owners.duplicates():
            self.report(diagnostic)
        if not self.failed and not statements:
            first = next(iter(self.models.spans.values()), Span(0, 0))
            self.report(Diagnostic('G410', 'this file has no optimizer, and nothing would be trained', first,
                                   help='add one, such as `optimizer Adam() owns NAME_OF_A_MODEL`'))
        if not self.failed:
            for diagnostic in owners.problems():
                self.report(diagnostic)
        return owners

    # The whole graph

    def _check_draws(self, assignments, inputs: list[Input], owners: ownership.Ownership, train: Train,
                     streams: Mapping[str, Stream]) -> None:
        """Refuses a run that reads no input: it would never come to the end of an epoch."""
        for assignment in assignments:
            if assignment.needs_batch_size and all(i.name == '_' for i in inputs):
                self.report(Diagnostic('G125', '`batch_size` needs an input', assignment.span))
        minimized = [term.loss for _, terms in owners.terms() for term in terms]
        is_read = owners.reach.those_reached(minimized)
        counted_in_epochs = train.length is None or train.length.unit == 'epoch'
        if streams and counted_in_epochs and not any(is_read(Key(i.name)) for i in inputs):
            self.report(Diagnostic('G508', 'no loss reads the data', next(iter(streams.values())).span,
                                   reason='an epoch would never end',
                                   help='say `iterations` in `train`, or use an input'))

    def _warn_of_unused(self, assignments, wanted: list[Key], owners: ownership.Ownership) -> None:
        used = {key for assignment in assignments for key in assignment.operands} | set(wanted)
        for key, span in self.values.spans.items():
            if key not in used:
                self.report(nothing_uses(key, span))
        for key, span in self.models.spans.items():
            if key not in owners.called:
                self.report(Diagnostic('G152', f'nothing calls the model `{key}`', span, severity='warning'))

    def _check_unused_blocks(self) -> None:
        """Warns of blocks that nothing uses, and checks those of them that could be used as they stand."""
        unused: dict[str, nodes.Block] = {}
        for name, block in self.blocks.items():
            if name not in self.builder.used:
                unused[name] = block
                if all(parameter.default is not None for parameter in block.parameters):
                    self.attempt(self.builder.block, block, {}, block.name.span)
        for name, block in unused.items() if not self.failed else ():
            self.report(Diagnostic('G152', f'nothing uses the block `{name}`', block.name.span,
                                   severity='warning'))
