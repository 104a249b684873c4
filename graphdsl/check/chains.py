"""Builds the chains of models and blocks from their definitions."""
from __future__ import annotations

from typing import Any, Mapping, Optional

from graphdsl.check import catalog, flow
from graphdsl.check.graph import Assignment, ChainType, Key, Reference
from graphdsl.check.later import STATEMENTS, not_executed
from graphdsl.check.resolve import Parts, Resolver
from graphdsl.check.scope import Names, Scope
from graphdsl.check.unroll import Report, Turn, unroll
from graphdsl.diagnostics import Mistake, Span, mistake
from graphdsl.syntax import nodes


class ChainBuilder:
    """Builds chains; a block used twice with the same hyper-parameters is built once.

    Args:
        params: Values of the params, which are all that a block sees of the numbers around it.
        blocks: The blocks of the file by name.
        imported: Imported objects by name.
        report: Called with each mistake within a body.
    """

    def __init__(self, params: Mapping[str, Any], blocks: Mapping[str, nodes.Block], imported: Mapping[str, Any],
                 report: Report):
        self._params = params
        self._blocks = blocks
        self._imported = imported
        self._report = report
        self._built: dict[Any, ChainType] = {}
        self._building: list[str] = []

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
        if name in self._building:
            raise mistake('G312', f'the block `{name}` contains itself', span,
                          reason=' -> '.join([*self._building[self._building.index(name):], name]))
        numbers = {**self._params, **self._with_defaults(block, values)}
        key = (name, repr(sorted(numbers.items())))
        if key not in self._built:
            self._building.append(name)
            try:
                self._built[key] = self.build(name, block.definition, numbers, block.span)
            finally:
                self._building.pop()
        return self._built[key]

    def _with_defaults(self, block: nodes.Block, values: Mapping[str, Any]) -> dict[str, Any]:
        numbers: dict[str, Any] = {}
        for parameter in block.parameters:
            name = parameter.name.name
            if name in values:
                numbers[name] = values[name]
            else:
                resolver = self._resolver(Scope({**self._params, **numbers}, Names('value'), Names('layer')), {})
                numbers[name] = resolver.constant(parameter.default, f'the default of `{name}`')
        return numbers

    def build(self, name: str, definition, numbers: Mapping[str, Any], span: Span) -> ChainType:
        """Builds the chain of a definition in either form.

        Args:
            name (str): Of the model family or block.
            definition: A :class:`nodes.Chain` or :class:`nodes.Body`.
            numbers: What it sees of params, loop variables and hyper-parameters.
            span: Of the whole statement.
        """
        scope = Scope(numbers, Names('value'), Names('layer'), self._blocks, self._imported, in_body=True)
        if isinstance(definition, nodes.Chain):
            return self._from_chain(name, definition, scope, span)
        return _BodyBuilder(self, name, definition, scope, self._report).build(span)

    def _resolver(self, scope: Scope, declared: Mapping[Key, str]) -> Resolver:
        return Resolver(scope, {}, self.block, Parts(declared))

    def _from_chain(self, name: str, chain: nodes.Chain, scope: Scope, span: Span) -> ChainType:
        resolver = self._resolver(scope, {})
        count = self._input_count(chain.stages[0], resolver)
        inputs = ('x',) if count == 1 else tuple(f'x_{i + 1}' for i in range(count))
        stages = resolver.stages(tuple(Reference(span, Key(i)) for i in inputs), chain.stages)
        results = resolver.result_count(stages[-1]) or 1
        outputs = ('y',) if results == 1 else tuple(f'y_{i + 1}' for i in range(results))
        assignment = Assignment(chain.span, tuple(Key(output) for output in outputs), stages)
        return ChainType(span, name, inputs, outputs, resolver.parts.all(), (assignment,))

    def _input_count(self, stage: nodes.Expression, resolver: Resolver) -> int:
        """Returns how many inputs the first stage of a chain takes."""
        function = stage.function if isinstance(stage, nodes.Call) else stage
        if not isinstance(function, nodes.Name):
            return 1
        name = function.name
        given = len(stage.arguments) if isinstance(stage, nodes.Call) else 0
        keywords = [k.name for k in stage.keywords] if isinstance(stage, nodes.Call) else []
        if name in self._blocks:
            call = stage if isinstance(stage, nodes.Call) else None
            return len(resolver.block_chain(self._blocks[name], call, stage.span).inputs)
        link = self._imported.get(name) or catalog.members('links').get(name)
        if hasattr(link, 'forward'):
            return catalog.required_inputs(link.forward, given=('self',))
        if name in catalog.members('functions'):
            return max(catalog.required_inputs(catalog.members('functions')[name], keywords) - given, 1)
        return 1


class _BodyBuilder:
    """Builds one chain from a body in braces."""

    def __init__(self, chains: ChainBuilder, name: str, body: nodes.Body, scope: Scope, report: Report):
        self.name = name
        self.body = body
        self.values = scope.values
        self.layers = scope.models
        self.declared: dict[Key, str] = {}
        self.report = report
        self.resolver = Resolver(scope, {}, chains.block, Parts(self.declared))

    def build(self, span: Span) -> ChainType:
        for name in self.body.inputs:
            self._try(lambda: self.values.bind(Key(self.resolver.bindable(name)), name.span))
        turns = unroll(self.body.braces, self.resolver, self.report)
        for turn in turns:
            self._try(lambda: self._declare(turn))
        assignments = [self._try(lambda: self._assignment(turn)) for turn in turns]
        ordered = self._try(lambda: flow.in_order([a for a in assignments if a is not None])) or ()
        for name in self.body.outputs:
            self._try(lambda: self._check_output(name))
        return ChainType(span, self.name, tuple(name.name for name in self.body.inputs),
                         tuple(name.name for name in self.body.outputs), self.resolver.parts.all(), ordered)

    def _try(self, action):
        try:
            return action()
        except Mistake as error:
            self.report(error.diagnostic)
            return None

    def _declare(self, turn: Turn) -> None:
        statement, resolver = turn.statement, self.resolver.within(turn.numbers)
        if isinstance(statement, nodes.Layer):
            key = resolver.key(statement.target)
            self.layers.bind(key, statement.target.span)
            self.declared[key] = '_'.join([key.base, *map(str, key.index)])
        elif isinstance(statement, (nodes.Edge, nodes.Value)):
            for result in statement.results:
                for key in resolver.keys(result):
                    if key.base != '_':
                        self.values.bind(key, result.span)
        elif type(statement) in STATEMENTS:
            raise not_executed(STATEMENTS[type(statement)], statement.span)
        else:
            raise mistake('G313', 'this cannot stand in the body of a model', statement.span,
                          help='a body holds layers, edges and values')

    def _assignment(self, turn: Turn) -> Optional[Assignment]:
        statement, resolver = turn.statement, self.resolver.within(turn.numbers)
        if isinstance(statement, nodes.Layer):
            key = resolver.key(statement.target)
            resolver.parts.contents[self.declared[key]] = resolver.content(statement.link)
        if isinstance(statement, (nodes.Edge, nodes.Value)):
            return resolver.assignment(statement)
        return None

    def _check_output(self, name: nodes.Name) -> None:
        if Key(name.name) not in self.values.spans:
            raise mistake('G311', f'the output `{name.name}` is bound nowhere in this body', name.span,
                          help=catalog.suggestion(name.name, self.values.bases())
                          or f'end an edge of the body with `-> {name.name}`')
