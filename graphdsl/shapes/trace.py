"""Runs a graph line by line on zeros, in the bodies of its models too, and goes on where a line fails.

The lines are those of the generated module, one compiled at a time. What depends on a line that failed is left out.
"""
from __future__ import annotations

import contextlib
import math
from types import CodeType
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Sequence

import chainer

from graphdsl.diagnostics import Span
from graphdsl.limits import Limits
from graphdsl.runtime.sizes import LimitError
from graphdsl.emit.chains import Body, Chains
from graphdsl.emit.expressions import assignment_lines
from graphdsl.plan.history import points
from graphdsl.runtime.functions import point
from graphdsl.semantics.computation import (
    Apply, Arithmetic, Assignment, ChainType, Comparison, Expression, Key, PartName, Previous, Reference, Scalar,
    Sequence as Items, Subscript, children)
from graphdsl.semantics.graph import Graph
from graphdsl.shapes.origins import Origin, named_by_caller, origin_of
from graphdsl.shapes.types import Type, type_of

_NOTHING = Key('_')
_THAT_FAIL = (Apply, Arithmetic, Comparison, Scalar, Subscript)


class Place(NamedTuple):
    """A stage of an assignment: of the graph, or of a model or block by the names on the way to it."""

    path: tuple[str, ...]
    assignment: int
    stage: int


class Operand(NamedTuple):
    """What an expression is given.

    Attributes:
        node: Its own expression; of what a model without named arguments gets, that of the caller.
        value: What it is: a type for an array, else the value.
        origin: Where it comes from.
        before: The stage that gave it, where it has no name.
        declared: The input or noise that it is, if it is one.
    """

    node: Expression
    value: Any
    origin: Origin
    before: Optional[Expression]
    declared: Optional[Key]


class Finding(NamedTuple):
    """Something that is wrong, or odd, with the shapes of a graph.

    Attributes:
        node: The smallest expression that is wrong.
        callers: The stages that lead to it, outermost first.
        operands: What arrives.
        options: Arguments by keyword.
        link: What it calls, if it is a link.
        error: What it ends in; None if it only is odd that a column meets a row.
        results: How many values there are, where there are as few or many ``names``.
        names: How many names stand for the results.
    """

    node: Expression
    callers: tuple[Span, ...]
    operands: tuple[Operand, ...]
    options: Mapping[str, Any]
    link: Optional[chainer.Link]
    error: Optional[Exception]
    results: Optional[int] = None
    names: int = 1


class Unknown(Exception):
    """Ends the call of a model whose results are not known, as something in it failed."""


class Frame:
    """A scope that is running.

    Args:
        body: What it computes.
        chain: Where its parts come from; None for the graph.
        path: Names on the way to it.
        variables: Values by identifier.
    """

    def __init__(self, body: Body, chain: Optional[ChainType], path: tuple[str, ...], variables: dict[str, Any]):
        self.body = body
        self.chain = chain
        self.path = path
        self.variables = variables
        self.unknown: set[Key] = set()
        self.assignment = 0
        self.stage = 0

    def bind(self, key: Key, value: Any) -> None:
        bind(self.variables, self.body.expressions.names.get('value', key.base), key, value)

    def value(self, key: Key) -> Any:
        found = self.variables['_' if key.base == '_' else self.body.expressions.names.get('value', key.base)]
        return found[_member(key)] if key.index else found

    @property
    def running(self) -> Assignment:
        return self.body.assignments[self.assignment]

    @property
    def node(self) -> Expression:
        """The stage that is running."""
        return self.running.stages[self.stage]


def bind(variables: dict[str, Any], identifier: str, key: Key, value: Any) -> None:
    """Binds a name, or a member of a family in its dictionary."""
    if key.index:
        variables.setdefault(identifier, {})[_member(key)] = value
    else:
        variables[identifier] = value


def _member(key: Key) -> Any:
    return key.index[0] if len(key.index) == 1 else key.index


class Trace(chainer.FunctionHook):
    """One run of a graph.

    Args:
        graph: The graph.
        chains: Its chains, all written.
        module: Names and values of its module.
        models: Of this module, by name. Parameters without a shape get one.
        given: Inputs, noise, states and counters by name, with ``batch_size`` rows.
        limits: How large arrays may be.

    Attributes:
        types (dict): What each stage gave, by place; the last stage of an assignment, a tuple for all its names.
        values (dict): Values of the graph by key.
        findings (list of Finding): In the order in which they were found.
    """

    name = 'graphdsl trace'

    def __init__(self, graph: Graph, chains: Chains, module: Mapping[str, Any], models: Mapping[str, chainer.Link],
                 given: Mapping[str, Any], limits: Limits):
        super().__init__()
        self._limits = limits
        self.types: dict[Place, Type] = {}
        self.findings: list[Finding] = []
        self._graph = graph
        self._chains = chains
        self._module = module
        self._rows = given['batch_size']
        self._codes: dict[str, CodeType] = {}
        self._bodies: dict[int, Body] = {}
        self._models = models
        self._links: dict[int, tuple[str, ChainType]] = {}
        self._seen: set[tuple[Span, ...]] = set()
        self._meets = False
        self._points = set(points(graph.assignments))
        top = Frame(chains.graph_body(), None, (), {})
        self._frames = [top]
        self._declared = {*(Key(i.name) for i in graph.inputs if i.name != '_'), *(n.key for n in graph.noises)}
        for key in (*self._declared, *(state.key for state in graph.states)):
            value = given[str(key)]
            top.bind(key, _as_point(value) if key in self._points else value)
        for number in ('batch_size', 'iteration', 'epoch', 'progress'):
            top.variables[number] = given[number]
        for model in graph.models:
            link = models[str(model.key)]
            bind(top.variables, top.body.expressions.names.get('model', model.key.base), model.key, link)
            self._links[id(link)] = str(model.key), model.chain

    @property
    def values(self) -> dict[Key, Any]:
        top = self._frames[0]
        return {key: top.value(key) for assignment in self._graph.assignments for key in assignment.results
                if key.base != '_' and key not in top.unknown}

    def run(self) -> Trace:
        """Runs everything once."""
        with self, self._traced():
            self._run(self._frames[0])
        return self

    def forward_preprocess(self, function, in_data) -> None:
        """Notes that a column meets a row: their sum has a value for every pair of examples.

        Raises:
            LimitError: If an array is too large to be computed with.
        """
        shapes = {array.shape for array in in_data if array is not None}
        most = max(map(math.prod, shapes), default=0)
        if most > self._limits.examples:      # of parameters there may be more
            weights = {id(p.array) for model in self._models.values() for p in model.params() if p.is_initialized}
            if any(array is not None and array.size == most and id(array) not in weights for array in in_data):
                raise LimitError('G719', f'this computes with {most:,} elements for {len(in_data[0])} examples',
                                 self._limits.advice('examples', most))
        self._meets = self._meets or shapes == {(self._rows, 1), (self._rows,)}

    @contextlib.contextmanager
    def _traced(self) -> Iterator[None]:
        """Lets the models and functions of the module be run line by line."""
        written = self._chains.written.items()
        before = {name: self._module[name].forward if is_class else self._module[name]
                  for (_, is_class), name in written}
        try:
            for (chain, is_class), name in written:
                if is_class:
                    self._module[name].forward = self._method(before[name])
                else:
                    self._module[name] = self._function(chain)
            yield
        finally:
            for (_, is_class), name in written:
                if is_class:
                    self._module[name].forward = before[name]
                else:
                    self._module[name] = before[name]

    def _method(self, original):
        def forward(link, *arguments):
            if id(link) not in self._links:
                return original(link, *arguments)
            return self._call(*self._links[id(link)], link, arguments)
        return forward

    def _function(self, chain: ChainType):
        return lambda *arguments: self._call(chain.name, chain, None, arguments)

    def _call(self, name: str, chain: ChainType, link: Optional[chainer.Link], arguments: Sequence[Any]) -> Any:
        if id(chain) not in self._bodies:
            self._bodies[id(chain)] = self._chains.body(chain)
        body = self._bodies[id(chain)]
        frame = Frame(body, chain, (*self._frames[-1].path, name), {'self': link})
        for part in chain.parts:
            if isinstance(part.content, ChainType):
                self._links[id(getattr(link, part.name))] = part.name, part.content
        for key, value in zip(body.inputs, arguments):
            frame.bind(key, value)
        for part in body.weights:
            frame.bind(part.content.key, getattr(link, part.name))
        self._frames.append(frame)
        try:
            self._run(frame)
        finally:
            self._frames.pop()
        if not frame.unknown.isdisjoint(body.outputs):
            raise Unknown
        outputs = tuple(map(frame.value, body.outputs))
        return outputs if len(outputs) > 1 else outputs[0]

    def _run(self, frame: Frame) -> None:
        names = frame.body.expressions.names
        for key in (key for assignment in frame.body.assignments for key in assignment.results if key.index):
            frame.variables.setdefault(names.get('value', key.base), {})
        for number, assignment in enumerate(frame.body.assignments):
            frame.assignment = number
            if not (frame.unknown.isdisjoint(assignment.operands) and self._assign(frame, assignment)):
                frame.unknown.update(assignment.results)

    def _assign(self, frame: Frame, assignment: Assignment) -> bool:
        """Runs an assignment; says whether its results are known."""
        for number, line in enumerate(assignment_lines(frame.body.expressions, assignment)):
            frame.stage = number
            self._meets = False
            try:
                exec(self._code(line, 'exec'), self._module, frame.variables)
            except Unknown:
                return False
            except ArithmeticError:     # what zeros lead to, such as one divided by a loss
                return False
            except (Exception, SystemExit) as error:
                if not (isinstance(error, ValueError) and 'math domain' in str(error)):
                    self._find(frame, error)
                return False
            if self._meets:
                self._find(frame, None)
            if number < len(assignment.stages) - 1:
                gave = type_of(frame.value(next((key for key in assignment.results if key.base != '_'), _NOTHING)))
            else:
                gave = tuple(type_of(frame.value(key)) for key in assignment.results)
            self.types.setdefault(Place(frame.path, frame.assignment, number), gave)
        if frame.chain is None:
            for key in self._points.intersection(assignment.results):
                frame.bind(key, _as_point(frame.value(key)))
        return True

    def _code(self, text: str, mode: str) -> CodeType:
        if text not in self._codes:
            self._codes[text] = compile(text, '<graphdsl trace>', mode)
        return self._codes[text]

    # What is wrong: found by running the parts of a stage, smallest first

    def _find(self, frame: Frame, error: Optional[Exception]) -> None:
        spans = (frame.node.span, *(caller.node.span for caller in self._frames[:-1]))
        if spans in self._seen:
            return
        self._seen.add(spans)
        found = self._smallest(frame, frame.node, error is None)
        self._meets = False
        node, why = found or (frame.node, error)
        results = None
        if found is None and error is not None and frame.stage == len(frame.running.stages) - 1:
            results = self._number_of_results(frame)
        callers = tuple(caller.node.span for caller in self._frames[:-1])
        self.findings.append(Finding(node, callers, tuple(self._operands(frame, node)), self._options(frame, node),
                                     _link(frame, node), why, results, len(frame.running.results)))

    def _smallest(self, frame: Frame, node: Expression, odd: bool) -> Optional[tuple[Expression, Optional[Exception]]]:
        for child in children(node):
            found = self._smallest(frame, child, odd)
            if found is not None:
                return found
        if not isinstance(node, _THAT_FAIL):
            return None
        self._meets = False
        try:
            self._evaluate(frame, [node])
        except (Exception, SystemExit) as error:
            return None if odd or isinstance(error, Unknown) else (node, error)
        return (node, None) if odd and self._meets else None

    def _evaluate(self, frame: Frame, expressions: Sequence[Expression]) -> list[Any]:
        """Returns the values of expressions; what the stage before gave may be several."""
        printer = frame.body.expressions
        printer.begin(frame.running)
        key = next((key for key in frame.running.results if key.base != '_'), _NOTHING)
        first = '_' if key is _NOTHING else printer.names.value(key)
        text = ', '.join(printer.text(node, first) for node in expressions)
        return eval(self._code(f'[{text}]', 'eval'), self._module, frame.variables)

    def _number_of_results(self, frame: Frame) -> Optional[int]:
        value = self._evaluate(frame, [frame.node])[0]
        return len(value) if isinstance(value, (tuple, list)) else None

    def _operands(self, frame: Frame, node: Expression) -> Iterator[Operand]:
        if isinstance(node, Apply):
            given = node.arguments
        elif isinstance(node, Subscript):
            given = (node.base,)
        else:
            given = children(node)
        flat = [item for argument in given for item in (
            argument.items if isinstance(argument, Items) and argument.kind == 'list' else (argument,))]
        for item in flat:
            owners, named = named_by_caller(self._frames, item)
            before = owners[-1].running.stages[owners[-1].stage - 1] if isinstance(named, Previous) else None
            is_declared = len(owners) == 1 and isinstance(named, Reference) and named.key in self._declared
            declared = named.key if is_declared else None
            origin = origin_of(owners, named)
            for value in self._evaluate(frame, [item]):
                yield Operand(named, type_of(value) if _has_arrays(value) else value, origin, before, declared)

    def _options(self, frame: Frame, node: Expression) -> dict[str, Any]:
        if not isinstance(node, Apply):
            return {}
        return {name: self._evaluate(frame, [value])[0] for name, value in node.keywords}


def _has_arrays(value: Any) -> bool:
    return any(map(_has_arrays, value)) if isinstance(value, (tuple, list)) else type_of(value) is not None


def _link(frame: Frame, node: Expression) -> Optional[chainer.Link]:
    """Returns the link that an expression calls, if it is one of Python's."""
    if not (isinstance(node, Apply) and isinstance(node.callee, PartName)):
        return None
    found = frame.variables['self']
    for name in (node.callee.name, *node.callee.path):
        found = getattr(found, name, None)
    return found if isinstance(found, chainer.Link) else None


def _as_point(value: Any) -> Any:
    """Makes a value a point of differentiation; of what is none, `grad` says so where it stands."""
    try:
        return point(value)
    except TypeError:
        return value
