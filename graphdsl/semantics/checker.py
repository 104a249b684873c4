"""Checks a syntax tree and turns it into the checked graph."""
from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Iterable, Mapping, Optional, Union

from graphdsl.semantics import (
    changes, data, dtypes, edges, flow, imports, mentions, ownership, params, reports, settings, steps)
from graphdsl.semantics.chains import ChainBuilder, nothing_uses
from graphdsl.semantics.doubt import Doubts
from graphdsl.semantics.computation import Assignment, ChainType, Key, Reference, walk
from graphdsl.semantics.graph import (
    Graph, Input, Loss, Metric, Model, Next, Noise, Schedule, State, Step, Stream, Train, Unit)
from graphdsl.semantics.imports import Allowed
from graphdsl.semantics.minimized import Minimized
from graphdsl.semantics.models import Models
from graphdsl.semantics.noise import check_noise
from graphdsl.semantics.numeric import number_values
from graphdsl.semantics.optimizers import declare
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.runs import check_runs
from graphdsl.semantics.scope import Names, Scope, allowed, bound_twice, refuse_mode
from graphdsl.semantics.unroll import expected, unroll
from graphdsl.semantics.work import TooMuch, Work
from graphdsl.diagnostics import Diagnostic, Mistake, Place, Span, in_order
from graphdsl.limits import Limits
from graphdsl.syntax import nodes


def check(tree: nodes.Braces, overrides: Mapping[str, Any] = (), permitted: Allowed = Allowed({}),
          limits: Limits = Limits(), doubts: Optional[Doubts] = None
          ) -> tuple[Optional[Graph], tuple[Diagnostic, ...], dict[str, Any]]:
    """Checks a whole file.

    Args:
        tree: The file's statements.
        overrides: Values of params by name.
        permitted: What the file may import.
        limits: What it may come to.
        doubts: What statements with syntax errors leave in doubt, if the tree lacks such. There is no graph then, and
            what needs all of it is not looked for.

    Returns:
        The checked graph, or None if there are errors; all diagnostics, warnings included, in order; and what was
        imported, by name.
    """
    checker = _Checker(tree, dict(overrides), permitted, Work(limits), doubts)
    graph = None
    try:
        graph = checker.run()
    except TooMuch as error:
        checker.report(error.diagnostic)
    diagnostics = [d for d in checker.diagnostics if doubts is None or not doubts.cover(d)]
    return (None if checker.failed else graph), in_order(diagnostics), checker.imported


def check_params(tree: nodes.Braces, overrides: Mapping[str, Any] = (), limits: Limits = Limits()
                 ) -> tuple[dict[str, Any], tuple[Diagnostic, ...]]:
    """Checks the params of a file, and nothing else of it.

    Returns:
        Their values by name, and what is wrong with them.
    """
    checker = _Checker(tree, dict(overrides), Allowed({}), Work(limits), None)
    return checker.attempt(checker.params_alone) or {}, in_order(checker.diagnostics)


class _Checker:
    """One run over a file. Each method checks one kind of statement in all its turns."""

    def __init__(self, tree: nodes.Braces, overrides: Mapping[str, Any], permitted: Allowed, work: Work,
                 doubts: Optional[Doubts]):
        self.tree = tree
        self.overrides = overrides
        self.permitted = permitted
        self.work = work
        self.diagnostics: list[Diagnostic] = []
        self.failed = doubts is not None
        self.statements: list[tuple[Any, Resolver]] = []
        self.values = Names('value', expected=expected(tree, 'value'),
                            doubtful=doubts.names if doubts is not None else ())
        self.models = Names('model', expected=expected(tree, 'model'))
        self.optimizers = Names('optimizer')
        self.steps = Names('step')
        self.chains: dict[Key, ChainType] = {}
        self.blocks: dict[str, nodes.Block] = {}
        self.imported: dict[str, Any] = {}
        self.imports: list[tuple[str, str]] = []
        self.callables: dict[str, Span] = {}
        self.frozen: Mapping[Unit, Span] = {}

    def report(self, diagnostic: Diagnostic) -> None:
        self.diagnostics.append(diagnostic)
        self.failed = self.failed or diagnostic.severity == 'error'

    def attempt(self, action: Callable, *arguments) -> Any:
        """Calls an action; returns None where it ends in a mistake, which is reported."""
        try:
            return action(*arguments)
        except Mistake as error:
            for diagnostic in error.all():
                self.report(diagnostic)
        except RecursionError:      # the caller of the compiler may have left little room
            span = next((argument.span for argument in arguments if hasattr(argument, 'span')), Span(0, 0))
            self.report(Diagnostic('G009', 'this is nested too deeply', span, help='give a part of it a name'))
        return None

    def run(self) -> Optional[Graph]:
        """Returns the graph, None if there are errors."""
        self._import()
        self._gather_blocks()
        values = self._params()
        scope = Scope(values, self.values, self.models, self.blocks, self.imported, self.callables, work=self.work)
        self.builder = ChainBuilder(scope, self.report)
        self.resolver = self._resolver(scope)
        for block in self.blocks.values():
            self.attempt(self.builder.check_parameters, block)
        turns = self.attempt(unroll, self.tree, self.resolver, self.report)
        if turns is None:
            return None
        self.statements = [(turn.statement, self.resolver.within(turn.numbers)) for turn in turns]
        self._refuse_unknown()

        streams = self._streams()
        inputs = self._inputs(streams)
        self._declare_values()
        noises = self._each(nodes.Noise, lambda s, resolver: check_noise(s, streams, resolver))
        states = self._each(nodes.State, changes.check_state)
        self.attempt(data.check_examples, inputs, noises, self.work.limits)
        self._find_numbers(noises, states)
        models = self._models()
        assignments = self._assignments(inputs)
        self.attempt(self.builder.check_calls, models, assignments)
        losses, metrics, outputs = self._reports(inputs)
        train = self._train(losses, metrics, streams)
        owners = self._owners(losses, models, assignments, {
            **dict.fromkeys(outputs, 'output'), **{metric.key: 'metric' for metric in metrics}})
        in_steps = self._steps(owners)
        nexts, schedules = self._changes(states, owners)
        self._check_unused_blocks()
        if self.failed:
            return None
        graph = Graph(tuple(values.items()), tuple(self.imports), tuple(streams.values()), tuple(inputs), noises,
                      states, models, assignments, losses, metrics, outputs, owners.optimizers(), in_steps, nexts,
                      schedules, train)
        for diagnostic in check_runs(graph):
            self.report(diagnostic)
        self._warn_of_unused(graph, owners)
        marked, typed = dtypes.with_casts(assignments, inputs, noises, models)
        return replace(graph, assignments=marked, models=typed)

    def _resolver(self, scope: Scope) -> Resolver:
        return Resolver(scope, self.chains, self.builder.block)

    def _all(self, *types: type) -> list[tuple[Any, Resolver]]:
        """Returns the statements of some types, each with the resolver of its turn."""
        return [one for one in self.statements if isinstance(one[0], types)]

    def _each(self, kind: type, action: Callable) -> tuple[Any, ...]:
        """Returns what comes of each statement of a type, mistakes left out."""
        found = [self.attempt(action, statement, resolver) for statement, resolver in self._all(kind)]
        return tuple(one for one in found if one is not None)

    # What comes before loops are unrolled

    def _bind_callable(self, name: nodes.Name) -> None:
        refuse_mode(name.name, name.span)
        first = self.callables.setdefault(allowed(name), name.span)
        if first is not name.span:
            raise bound_twice(name.name, name.span, first)

    def _import(self) -> None:
        for statement in self.tree.statements:
            if isinstance(statement, nodes.Import):
                is_module = self.attempt(imports.check_module, statement)
                for name in statement.names:
                    self.attempt(self._import_name, name, statement, is_module)

    def _import_name(self, name: nodes.Name, statement: nodes.Import, is_module: Optional[bool]) -> None:
        self._bind_callable(name)
        self.imported[name.name] = None
        self.imports.append((name.name, statement.module.value))
        if is_module:
            self.imported[name.name] = imports.resolve(name, statement, self.permitted)

    def _gather_blocks(self) -> None:
        for statement in self.tree.statements:
            if isinstance(statement, nodes.Block):
                self.attempt(self._bind_callable, statement.name)
                self.blocks.setdefault(statement.name.name, statement)

    def params_alone(self) -> dict[str, Any]:
        """Returns the values of the params, where nothing else is looked at."""
        self._gather_blocks()
        return self._params()

    def _params(self) -> dict[str, Any]:
        statements = [s for s in self.tree.statements if isinstance(s, nodes.Param)]
        scope = Scope({}, self.values, self.models, self.blocks, self.imported, self.callables, work=self.work)
        self.builder = ChainBuilder(scope, self.report)
        return params.evaluate(statements, self.overrides, self._resolver(scope), self.report)

    def _refuse_unknown(self) -> None:
        top = {id(statement) for statement in self.tree.statements}
        for statement, _ in self.statements:
            if isinstance(statement, (nodes.Layer, nodes.Weight)):
                what = 'layer' if isinstance(statement, nodes.Layer) else 'weight'
                self.report(Diagnostic('G313', f'a {what} stands in the body of a model', statement.span,
                                       reason='this is outside of one',
                                       help='write `model` here' if what == 'layer' else 'put it into a `model`'))
            elif isinstance(statement, (nodes.Param, nodes.Import, nodes.Block)) and id(statement) not in top:
                self.report(Diagnostic('G122', 'this cannot stand within `for` or `if`', statement.span,
                                       reason='it is read before these are unrolled',
                                       help='put it on the top level of the file'))

    # Data

    def _streams(self) -> dict[str, Stream]:
        streams: dict[str, Stream] = {}
        for statement, resolver in self._all(nodes.Data):
            name = statement.name.name
            if name in streams:
                self.report(bound_twice(name, statement.name.span, streams[name].span).diagnostic)
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
        models = Models(self.chains, self.report)
        for statement, resolver in self._all(nodes.Model, nodes.ModelLike, nodes.ModelFollows):
            key = self.attempt(self._bind_model, statement.target, resolver)
            if key is None:
                continue
            if not isinstance(statement, nodes.Model):
                models.copy(key, statement, resolver)
                continue
            chain = self.attempt(self.builder.build, key.base, statement.definition, resolver.scope.numbers,
                                 statement.span)
            if chain is not None:
                self.attempt(models.define, key, statement, chain, resolver)
        self.frozen = models.frozen
        return models.settle(self._all(nodes.Frozen))

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
        self.values.settle()

    def _find_numbers(self, noises: Iterable[Noise], states: Iterable[State]) -> None:
        bound = []
        for statement, resolver in self._all(nodes.Value, nodes.Loss, nodes.Metric, nodes.Output):
            targets = statement.results if isinstance(statement, nodes.Value) else statement.targets
            if statement.expression is not None and len(targets) == 1:
                try:
                    bound.append((resolver.key(targets[0]), statement.expression, resolver))
                except Mistake:     # reported already
                    pass
        known = [noise.key for noise in noises if noise.dtype is None] + [state.key for state in states]
        self.values.numbers.update(number_values(bound, known))

    def _assignments(self, inputs: Iterable[Input]) -> tuple[Assignment, ...]:
        found: list[Assignment] = []
        bound: set[Key] = {Key(i.name) for i in inputs if i.name != '_'}
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

    def _named_expression(self, statement: Union[nodes.Loss, nodes.Metric, nodes.Output], resolver: Resolver
                          ) -> Assignment:
        results = tuple(resolver.key(target) for target in statement.targets)
        names = Span(statement.targets[0].span.start, statement.targets[-1].span.end)
        return edges.assigned(statement.span, results, statement.expression, resolver, names)

    def _reports(self, inputs: Iterable[Input]
                 ) -> tuple[tuple[Loss, ...], tuple[Metric, ...], tuple[Key, ...]]:
        found = reports.Reports(self.values, self.report)
        inputs = {Key(i.name) for i in inputs}
        losses = found.losses(self._all(nodes.Loss), inputs)
        metrics = found.metrics(self._all(nodes.Metric), inputs, {loss.key: loss.span for loss in losses})
        return losses, metrics, tuple(found.listed(self._all(nodes.Output)))

    # Training

    def _train(self, losses: Iterable[Loss], metrics: Iterable[Metric], streams: Mapping[str, Stream]) -> Train:
        statements = self._all(nodes.Train)
        for statement, _ in statements[1:]:
            self.report(Diagnostic('G602', 'there are two `train` blocks', statement.span, reason='the second',
                                   places=(Place(statements[0][0].span, 'the first'),),
                                   help='put all settings of the run into one'))
        if not statements:
            return Train()
        directions = {**{loss.key: True for loss in losses}, **{metric.key: metric.falling for metric in metrics}}
        train, resolver = statements[0]
        arguments = (train, resolver, directions, streams.values(), self.report)
        return self.attempt(settings.check_train, *arguments) or Train()

    def _owners(self, losses: tuple[Loss, ...], models: tuple[Model, ...], assignments: tuple[Assignment, ...],
                kinds: Mapping[Key, str]) -> ownership.Ownership:
        statements = self._all(nodes.Optimizer)
        keys = {loss.key: loss for loss in losses}
        declared = [self.attempt(declare, statement, resolver, self.optimizers, self.chains, keys, self.report)
                    for statement, resolver in statements]
        owners = ownership.Ownership([d for d in declared if d is not None], losses, models, assignments, kinds,
                                     self.frozen)
        for diagnostic in owners.duplicates():
            self.report(diagnostic)
        if not self.failed and not statements:
            first = next(iter(self.models.spans.values()), Span(0, 0))
            trained = dict.fromkeys(f'{k.base}[{", ".join("*" * len(k.index))}]' if k.index else k.base
                                    for k in owners.models)
            self.report(Diagnostic('G410', 'this file has no optimizer, and nothing would be trained', first,
                                   help=f'add one, such as `optimizer Adam() owns {", ".join(trained)}`'
                                   if 0 < len(trained) < 6 else 'add one: `optimizer Adam() owns MODEL, ...`'))
        if not self.failed:
            for diagnostic in Minimized(owners).problems():
                self.report(diagnostic)
        return owners

    def _steps(self, owners: ownership.Ownership) -> tuple[Step, ...]:
        for statement, resolver in self._all(nodes.Step):
            self.attempt(lambda: self.steps.bind(resolver.key(statement.target), statement.target.span))
        terms = {one.name: (one.span, own) for one, own in owners.terms()} if not self.failed else {}
        updates = steps.Updates(self.optimizers, owners.unnamed, terms, owners.losses, self.report)
        found = self._each(nodes.Step, lambda s, resolver: steps.check_step(s, resolver, updates))
        for diagnostic in updates.problems(found) if not self.failed else ():
            self.report(diagnostic)
        return found

    def _changes(self, states: Iterable[State], owners: ownership.Ownership
                 ) -> tuple[tuple[Next, ...], tuple[Schedule, ...]]:
        known = {state.key: state for state in states}
        nexts: dict[Key, Next] = {}
        for statement, resolver in self._all(nodes.Next):
            found = self.attempt(changes.check_next, statement, resolver, known, self.steps, nexts)
            if found is not None:
                nexts[found.key] = found
        # The first of a name, where there are two by mistake.
        declared = {one.name: one for one in reversed(owners.declared)}
        schedules: dict[tuple[str, str], Schedule] = {}
        for statement, resolver in self._all(nodes.Schedule):
            found = self.attempt(changes.check_schedule, statement, resolver, self.optimizers, declared,
                                 owners.unnamed, schedules)
            if found is not None:
                schedules[found.optimizer, found.hyperparameter] = found
        return tuple(nexts.values()), tuple(schedules.values())

    # The whole graph

    def _warn_of_unused(self, graph: Graph, owners: ownership.Ownership) -> None:
        used = {key for assignment in graph.assignments for key in assignment.operands}
        used |= {*(loss.key for loss in graph.losses), *(metric.key for metric in graph.metrics), *graph.outputs}
        used |= {state.key for state in graph.states}       # a state is reported
        used |= {node.key for expression in graph.numbers() for node in walk(expression) if isinstance(node, Reference)}
        for key, span in self.values.spans.items():
            if key not in used:
                self.report(nothing_uses(key, span))
        moved = {change.key for change in graph.nexts}
        for state in graph.states:
            if state.key not in moved:
                self.report(changes.never_moves(state.key, self.values.spans[state.key]))
        found = list(mentions.mentions(self.tree))
        streams = {one.stream for one in (*graph.inputs, *graph.noises)}
        for diagnostic in (*mentions.unused(self.tree, found, streams),
                           *mentions.hiding(found, {key.base: span for key, span in self.models.spans.items()})):
            self.report(diagnostic)
        followed = {model.original for model in graph.models}
        for key, span in self.models.spans.items():
            if key not in owners.called and key not in followed:
                self.report(Diagnostic('G152', f'nothing calls the model `{key}`', span, severity='warning',
                                       reason='it computes nothing', help='call it, or remove it'))

    def _check_unused_blocks(self) -> None:
        """Warns of blocks that nothing uses, and checks those of them that could be used as they stand."""
        unused: dict[str, nodes.Block] = {}
        for name, block in self.blocks.items():
            if name not in self.builder.used:
                unused[name] = block
                if all(parameter.default is not None for parameter in block.parameters):
                    self.attempt(self.builder.block, block, {}, block.name.span)
        for name, block in unused.items() if not self.failed else ():
            self.report(Diagnostic('G152', f'nothing uses the block `{name}`', block.name.span, severity='warning',
                                   reason='no model has it as a part', help='use it, or remove it'))
