"""Builds the chains of models and blocks from their definitions."""
from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Optional, Union

from graphdsl.semantics import catalog, edges, flow
from graphdsl.semantics.absent import hiding
from graphdsl.semantics.computation import (
    Apply, Assignment, ChainType, Construct, Expression, Key, ModelName, PartName, Reference, children)
from graphdsl.semantics.graph import Model
from graphdsl.semantics.parts import Parts
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import Names, Scope, allowed, bound_twice
from graphdsl.semantics.suggestions import unknown
from graphdsl.semantics.unroll import Report, Turn, expected, unroll
from graphdsl.semantics.wording import circle_of
from graphdsl.diagnostics import Diagnostic, Mistake, Place, Span, mistake
from graphdsl.limits import Limits
from graphdsl.syntax import nodes

_MOST_PLACES = 6


class ChainBuilder:
    """Builds chains; a block used twice with the same hyper-parameters is built once.

    Args:
        scope: The file's blocks, imports and models, and its params, which are all that a block sees of the
            numbers around it.
        report: Called with each mistake within a body.

    Attributes:
        used: Names of the blocks that were built.
    """

    def __init__(self, scope: Scope, report: Report):
        self._scope = scope
        self._report = report
        self._built: dict[Any, ChainType] = {}
        self._measures: dict[int, tuple[int, int]] = {}
        # The blocks that are being built, each within the one before it, and where it is used there.
        self._building: list[tuple[str, Span]] = []
        self.used: set[str] = set()
        self._limits = scope.work.limits

    def block(self, block: nodes.Block, values: Mapping[str, Any], span: Span) -> ChainType:
        """Builds a block for some hyper-parameters.

        Args:
            block: Its statement.
            values: Hyper-parameters by name; the others have their defaults.
            span: Of the use, for messages.

        Raises:
            Mistake: If the block contains itself, or something in its chain is wrong.
        """
        name = block.name.name
        self.used.add(name)
        if any(name == outer for outer, _ in self._building):
            raise self._circle(name, span)
        if len(self._building) == self._limits.blocks:
            raise mistake('G031', 'too many blocks are in each other here', span,
                          reason=f'more than {self._limits.blocks:,}', help=self._limits.advice('blocks'))
        own = self._with_defaults(block, values)
        numbers = {**self._scope.numbers, **own}
        key = (name, repr(sorted(own.items())))
        if key not in self._built:
            self._building.append((name, span))
            try:
                self._built[key] = self.build(name, block.definition, numbers, block.span)
            finally:
                self._building.pop()
        return self._built[key]

    def _circle(self, name: str, span: Span) -> Mistake:
        """Makes the mistake of a block that is used while it is built."""
        names = [outer for outer, _ in self._building]
        around = self._building[names.index(name):]
        places = tuple(Place(use, f'`{inner}` is used within `{outer}`')
                       for (outer, _), (inner, use) in zip(around, around[1:]))
        return mistake('G312', f'the block `{name}` contains itself', span,
                       reason=f'used within `{around[-1][0]}`', places=places[:_MOST_PLACES],
                       notes=((circle_of([outer for outer, _ in around]),) if places else ()) + hiding(name),
                       help='such a block never ends; a `for` in a body repeats a part')

    def _with_defaults(self, block: nodes.Block, values: Mapping[str, Any]) -> dict[str, Any]:
        numbers: dict[str, Any] = {}
        for parameter in block.parameters:
            name = parameter.name.name
            if name in values:
                numbers[name] = values[name]
            else:
                scope = self._body_scope({**self._scope.numbers, **numbers}, block.span)
                numbers[name] = self._resolver(scope).constant(parameter.default, f'the default of `{name}`')
        return numbers

    def check_parameters(self, block: nodes.Block) -> None:
        """Checks the names of a block's hyper-parameters.

        Raises:
            Mistake: If one is bound twice.
        """
        names = Names('value', {name: self._span_of(name, block.span) for name in self._scope.numbers})
        for parameter in block.parameters:
            names.bind(Key(allowed(parameter.name)), parameter.name.span)

    def build(self, name: str, definition: Union[nodes.Chain, nodes.Body], numbers: Mapping[str, Any], span: Span
              ) -> ChainType:
        """Builds the chain of a definition in either form.

        Args:
            name (str): Of the model family or block.
            definition: Stages in a row, or a body in braces.
            numbers: What it sees of params, loop variables and hyper-parameters.
            span: Of the whole statement.

        Raises:
            Mistake: If something in a chain is wrong; mistakes in a body are reported.
        """
        chain = self._from_chain(name, definition, numbers, span) if isinstance(definition, nodes.Chain) else \
            _BodyBuilder(self._resolver(self._body_scope(numbers, span, definition)), name, definition,
                         self._report).build(span)
        calls, depth = self._measured(chain)
        if calls > self._limits.calls:
            raise too_many_calls(f'`{name}` has', calls, span, self._limits)
        if depth > self._limits.depth:
            raise mistake('G009', f'`{name}` is nested too deeply', span,
                          reason=f'{depth:,} levels, with those of the blocks in it',
                          help=self._limits.advice('depth', depth))
        return chain

    def check_calls(self, models: Iterable[Model], assignments: Iterable[Assignment]) -> None:
        """Counts the calls of a whole graph, and those within its models, which are made whether called or not.

        Raises:
            Mistake: If they are too many.
        """
        total = 0
        chains = {model.key: model.chain for model in models}
        for chain in chains.values():
            total += self._measured(chain)[0]
        for assignment in assignments:
            for stage in assignment.stages:
                total += self._measured_expression(stage, chains)[0]
                if total > self._limits.calls:
                    raise too_many_calls('the graph has', total, assignment.span, self._limits)

    def _measured(self, chain: ChainType) -> tuple[int, int]:
        """Returns how many calls a chain makes, and how deeply they are nested, those of blocks included."""
        if id(chain) not in self._measures:
            parts = {part.name: part.content for part in chain.parts}
            calls, depth = 1, 1
            for assignment in chain.assignments:
                for stage in assignment.stages:
                    stage_calls, stage_depth = self._measured_expression(stage, parts)
                    calls, depth = calls + stage_calls, max(depth, stage_depth + 1)
            self._measures[id(chain)] = calls, depth
        return self._measures[id(chain)]

    def _measured_expression(self, node: Expression, parts: Mapping[Any, Any]) -> tuple[int, int]:
        calls, depth = 0, 0
        for child in children(node):
            child_calls, child_depth = self._measured_expression(child, parts)
            calls, depth = calls + child_calls, max(depth, child_depth)
        if isinstance(node, Apply):
            callee = node.callee
            if isinstance(callee, (PartName, ModelName)):
                callee = parts.get(callee.name if isinstance(callee, PartName) else callee.key)
            inner_calls, inner_depth = self._measured(callee) if isinstance(callee, ChainType) else (1, 0)
            calls, depth = calls + inner_calls, max(depth, inner_depth)
        return calls, depth + 1

    def _body_scope(self, numbers: Mapping[str, Any], span: Span, body: Optional[nodes.Body] = None) -> Scope:
        spans = {name: self._span_of(name, span) for name in numbers}
        values = expected(body.braces, 'value') if body is not None else ()
        names = Names('value', spans, values, self._scope.values.doubtful)
        return Scope(numbers, names, Names('layer'), self._scope.blocks, self._scope.imported, self._scope.declared,
                     self._scope.models.expected, in_body=True, work=self._scope.work)

    def _span_of(self, number: str, otherwise: Span) -> Span:
        """Returns where a param, a loop variable or a hyper-parameter of the block being built is bound."""
        parameters = self._scope.blocks[self._building[-1][0]].parameters if self._building else ()
        for parameter in parameters:
            if parameter.name.name == number:
                return parameter.name.span
        return self._scope.values.span_of_number(number) or otherwise

    def _resolver(self, scope: Scope) -> Resolver:
        return Resolver(scope, {}, self.block, Parts())

    def _from_chain(self, name: str, chain: nodes.Chain, numbers: Mapping[str, Any], span: Span) -> ChainType:
        resolver = self._resolver(self._body_scope(numbers, span))
        count = self._input_count(chain.stages[0], resolver)
        inputs = ('x',) if count == 1 else tuple(f'x_{i + 1}' for i in range(count))
        row = edges.stages(tuple(Reference(span, Key(i)) for i in inputs), chain.stages, resolver)
        results = resolver.result_count(row[-1])
        if results is None:
            if resolver.gives_several(row[-1]):
                raise mistake('G303', 'only the run can tell how many results this gives', row[-1].span,
                              help='write a body: `model m(x) -> a, b { ... }`')
            results = 1
        outputs = ('y',) if results == 1 else tuple(f'y_{i + 1}' for i in range(results))
        assignment = Assignment(chain.span, tuple(Key(output) for output in outputs), row)
        return ChainType(span, name, inputs, outputs, resolver.parts.all(), (assignment,))

    def _input_count(self, stage: nodes.Expression, resolver: Resolver) -> int:
        """Returns how many inputs the first stage of a chain takes."""
        call = stage if isinstance(stage, nodes.Call) else None
        function = call.function if call is not None else stage
        if not isinstance(function, nodes.Name):
            return 1
        name, scope = function.name, self._scope
        given = len(call.arguments) if call is not None else 0
        keywords = [k.name for k in call.keywords] if call is not None else []
        if name in scope.blocks:
            block = scope.blocks[name]
            chain = resolver.block_chain(block, call if block.parameters else None, stage.span)
            return max(len(chain.inputs) - (0 if block.parameters else given + len(keywords)), 1)
        thing = scope.imported.get(name) or catalog.members('links').get(name)
        if hasattr(thing, 'forward'):
            return catalog.missing_arguments(thing.forward, 1, ())
        thing = thing or catalog.members('functions').get(name)
        return catalog.missing_arguments(thing, given, keywords) if thing is not None else 1


class _BodyBuilder:
    """Builds one chain from a body in braces."""

    def __init__(self, resolver: Resolver, name: str, body: nodes.Body, report: Report):
        self.name = name
        self.body = body
        self.values = resolver.scope.values
        self.layers = resolver.scope.models
        self.parts = resolver.parts
        self.report = report
        self.resolver = resolver
        self.failed = False

    def build(self, span: Span) -> ChainType:
        for name in self.body.inputs:
            self._try(lambda: self.values.bind(Key(allowed(name)), name.span))
        turns = unroll(self.body.braces, self.resolver, self.report)
        declared = [self._try(lambda: self._declare(turn)) for turn in turns]
        self.values.settle()
        for turn in turns:
            self._try(lambda: self._make_layer(turn))
        made = [self._try(lambda: self._assignment(turn)) for turn in turns]
        assignments = [a for a, is_declared in zip(made, declared) if a is not None and is_declared]
        ordered = self._try(lambda: flow.in_order(assignments)) or ()
        seen: dict[str, Span] = {}
        for name in self.body.outputs:
            self._try(lambda: self._check_output(name, seen))
        if not self.failed:
            self._check_used(assignments)
        return ChainType(span, self.name, tuple(name.name for name in self.body.inputs),
                         tuple(name.name for name in self.body.outputs), self.parts.all(), ordered)

    def _try(self, action: Callable[[], Any]) -> Any:
        """Returns what an action gives, None where it ends in a mistake, which is reported."""
        try:
            return action()
        except Mistake as error:
            for diagnostic in error.all():
                self.report(diagnostic)
            self.failed = True
            return None

    def _declare(self, turn: Turn) -> bool:
        """Binds the names of a statement; True unless there is a mistake."""
        statement, resolver = turn.statement, self.resolver.within(turn.numbers)
        if isinstance(statement, nodes.Layer):
            key = resolver.key(statement.target)
            if key.base in self.resolver.scope.declared:
                raise bound_twice(key.base, statement.target.span, self.resolver.scope.declared[key.base])
            self.layers.bind(key, statement.target.span)
            self.parts.declare(key)
        elif isinstance(statement, (nodes.Edge, nodes.Value)):
            for result in statement.results:
                for key in resolver.keys(result):
                    if key.base != '_':
                        self.values.bind(key, result.span)
        elif isinstance(statement, nodes.Weight):
            key = resolver.key(statement.target)
            self.values.bind(key, statement.target.span)
            self.parts.declare(key)
        else:
            raise mistake('G313', 'this cannot stand in the body of a model', statement.span, reason='outside it can',
                          help='a body holds layers, weights, edges and values')
        return True

    def _make_layer(self, turn: Turn) -> None:
        if isinstance(turn.statement, nodes.Layer):
            resolver = self.resolver.within(turn.numbers)
            name = self.parts.declared.get(resolver.key(turn.statement.target))
            if name is not None:
                self.parts.layers[name] = resolver.content(turn.statement.link)
        elif isinstance(turn.statement, nodes.Weight):
            resolver = self.resolver.within(turn.numbers)
            key = resolver.key(turn.statement.target)
            if key in self.parts.declared:
                self.parts.layers[self.parts.declared[key]] = resolver.weight(turn.statement, key)

    def _assignment(self, turn: Turn) -> Optional[Assignment]:
        statement, resolver = turn.statement, self.resolver.within(turn.numbers)
        if isinstance(statement, (nodes.Layer, nodes.Weight)):
            self.parts.add_layer(self.parts.declared.get(resolver.key(statement.target), ''))
        if isinstance(statement, (nodes.Edge, nodes.Value)):
            return edges.assignment(statement, resolver)
        return None

    def _check_output(self, name: nodes.Name, seen: dict[str, Span]) -> None:
        first = seen.setdefault(name.name, name.span)
        if first is not name.span:
            raise mistake('G102', f'the output `{name.name}` is there twice', name.span, reason='again here',
                          places=(Place(first, 'first here'),), help='every output has a name of its own')
        if Key(name.name) not in self.values.spans:
            raise mistake('G311', f'the output `{name.name}` is bound nowhere in this body', name.span,
                          reason='what is it?',
                          **unknown(name.name, name.span, self.values.bases(),
                                    f'end an edge of the body with `-> {name.name}`'))

    def _check_used(self, assignments: list[Assignment]) -> None:
        """Warns of values that nothing uses, and refuses layers whose parameters nothing would train."""
        used = {key for assignment in assignments for key in assignment.operands}
        used |= {Key(name.name) for name in self.body.outputs}
        inputs = {name.name for name in self.body.inputs}
        for key, span in self.values.spans.items():
            if key not in used:
                self.report(nothing_uses(key, span, 'remove it' if key.base in inputs else ''))
        called = {callee.name for a in assignments for callee in a.callees if isinstance(callee, PartName)}
        for key, name in self.parts.declared.items():
            if name not in called and isinstance(self.parts.layers.get(name), (Construct, ChainType)):
                self.report(Diagnostic('G314', f'nothing calls the layer `{key}`', self.layers.spans[key],
                                       reason='its parameters would never be trained',
                                       help='call it, or remove it'))


def too_many_calls(what: str, calls: int, span: Span, limits: Limits) -> Mistake:
    """Makes the mistake of more calls than the compiler tries out."""
    return mistake('G033', f'{what} more than {limits.calls:,} calls', span,
                   reason=f'{calls:,} up to here, with those of the blocks in it', help=limits.advice('calls', calls))


def nothing_uses(key: Key, span: Span, help: str = '') -> Diagnostic:
    """Makes the warning for a value that nothing uses."""
    return Diagnostic('G151', f'nothing uses `{key}`', span, severity='warning',
                      help=help or 'remove it, or write `_` for a result or column that is not wanted')
