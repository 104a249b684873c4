"""Writes the classes of models and blocks, one for each shape that occurs."""
from __future__ import annotations

import keyword
from dataclasses import replace
from typing import Mapping, NamedTuple

from graphdsl.semantics.computation import (
    Apply, Assignment, ChainType, Construct, Key, Literal, Part, PartName, Reference, Weight, walk)
from graphdsl.semantics.graph import Graph
from graphdsl.emit.expressions import Expressions, literal, write_assignment, write_families, write_return
from graphdsl.emit.names import FUNCTION_NAMES, MODULE_NAMES, Identifiers, class_name, imported_name
from graphdsl.emit.writer import Writer


class Body(NamedTuple):
    """What is computed in one Python scope: a method, a function, or the graph.

    Attributes:
        expressions: Prints it, with the names of the scope.
        inputs: What is given.
        weights: Parts that are arrays.
        assignments: In the order of computation.
        outputs: What comes out.
    """

    expressions: Expressions
    inputs: tuple[Key, ...]
    weights: tuple[Part, ...]
    assignments: tuple[Assignment, ...]
    outputs: tuple[Key, ...]


class Chains:
    """The classes and functions of a module: chains of equal shape share one.

    Args:
        writer: Where they are written.
        graph: The graph, whose imports have names that classes must not have.
    """

    def __init__(self, writer: Writer, graph: Graph):
        self._writer = writer
        self._graph = graph
        self._names: dict[tuple[ChainType, bool], str] = {}
        self._numbers: dict[str, int] = {}       # the latest that a name was given
        self._taken = {*MODULE_NAMES, *FUNCTION_NAMES, *(imported_name(name) for name, _ in graph.imports)}

    @property
    def written(self) -> Mapping[tuple[ChainType, bool], str]:
        """The names of what is written, by chain and whether it is a class."""
        return self._names

    def identifiers(self) -> Identifiers:
        """Returns identifiers for a function that may call all that is written so far."""
        return Identifiers(self._taken)

    def name(self, chain: ChainType, is_model: bool = False) -> str:
        """Returns the name of a chain's class, or of its function if it has no parts; it must be written."""
        return self._names[chain, is_model or bool(chain.parts)]

    def write_all(self) -> None:
        """Writes all chains of the graph."""
        for model in self._graph.models:
            self.write(model.chain, is_model=True)
        self.write_functions(self._graph.assignments)

    def write(self, chain: ChainType, is_model: bool = False) -> None:
        """Writes a chain after those it is made of, unless one of the same shape is there already.

        Args:
            chain: The chain.
            is_model: Whether it needs a class even without parts.
        """
        is_class = is_model or bool(chain.parts)
        if (chain, is_class) in self._names:
            return
        for part in chain.parts:
            if isinstance(part.content, ChainType):
                self.write(part.content)
        self.write_functions(chain.assignments)
        name = self._free(class_name(chain.name) if is_class else chain.name)
        self._names[chain, is_class] = name
        self._writer.lines('', '')
        if is_class:
            self._write_class(chain, name)
        else:
            self._write_forward(chain, name, ())

    def body(self, chain: ChainType) -> Body:
        """Returns what a chain computes."""
        frozen = {part.name: 'runtime.evaluating({})' for part in chain.parts if part.is_frozen}
        weights = tuple(part for part in chain.parts if isinstance(part.content, Weight))
        return Body(Expressions(self.identifiers(), self.name, frozen), tuple(map(Key, chain.inputs)), weights,
                    chain.assignments, tuple(map(Key, chain.outputs)))

    def graph_body(self) -> Body:
        """Returns what the graph computes without training; it is written by parts."""
        graph = self._graph
        frozen = {model.key: 'runtime.evaluating({})' for model in graph.models if model.is_frozen}
        expressions = Expressions(self.identifiers(), self.name, frozen, is_training=False)
        return Body(expressions, (), (), graph.assignments, ())

    def write_functions(self, assignments) -> None:
        """Writes the blocks without links that some assignments call."""
        for function in _functions(assignments):
            self.write(function)

    def _free(self, name: str) -> str:
        numbered = name
        number = self._numbers.get(name, 1)
        while numbered in self._taken or keyword.iskeyword(numbered):
            number += 1
            numbered = f'{name}{number}'
        self._taken.add(numbered)
        self._numbers[name] = number
        return numbered

    def _write_class(self, chain: ChainType, name: str) -> None:
        writer = self._writer
        with writer.block(f'class {name}(chainer.Chain):', chain.span):
            writer.line()
            if chain.parts:
                self._write_init(chain)
                writer.line()
            self._write_forward(chain, 'forward', ('self',))

    def _write_init(self, chain: ChainType) -> None:
        writer = self._writer
        expressions = Expressions(self.identifiers(), self.name)
        with writer.block('def __init__(self):'):
            writer.line('super().__init__()')
            with writer.block('with self.init_scope():'):
                for part in chain.parts:
                    if isinstance(part.content, Construct):
                        writer.line(f'self.{part.name} = {expressions.text(part.content)}', part.content.span)
                    elif isinstance(part.content, Weight):
                        writer.line(f'self.{part.name} = {_parameter(part.content, expressions)}', part.content.span)
                    else:
                        writer.line(f'self.{part.name} = {self.name(part.content)}()')

    def _write_forward(self, chain: ChainType, name: str, first: tuple[str, ...]) -> None:
        writer, body = self._writer, self.body(chain)
        names = body.expressions.names
        inputs = list(map(names.value, body.inputs))
        with writer.block(f'def {name}({", ".join([*first, *inputs])}):'):
            write_families(writer, names, [*(part.content.key for part in body.weights),
                                           *(key for a in chain.assignments for key in a.results)])
            for part in body.weights:
                writer.line(f'{names.value(part.content.key)} = self.{part.name}')
            for assignment in chain.assignments:
                write_assignment(writer, body.expressions, assignment)
            write_return(writer, body.expressions, body.outputs)


def _parameter(weight: Weight, expressions: Expressions) -> str:
    """Returns the parameter of a weight; its initializer has the weight's dtype."""
    initializer = weight.initializer
    if all(name != 'dtype' for name, _ in initializer.keywords):
        dtype = Literal(weight.span, weight.dtype)
        initializer = replace(initializer, keywords=(*initializer.keywords, ('dtype', dtype)))
    return f'chainer.Parameter({expressions.text(initializer)}, {literal(weight.shape)})'


def _functions(assignments) -> list[ChainType]:
    """Returns the chains without parts that are called as functions."""
    return list(dict.fromkeys(callee for assignment in assignments for callee in assignment.callees
                              if isinstance(callee, ChainType)))


def begins_with_linear(chain: ChainType) -> bool:
    """Says whether all that a chain does with its only input is to give it to a linear layer."""
    if len(chain.inputs) != 1:
        return False
    nodes = list(walk(*(stage for assignment in chain.assignments for stage in assignment.stages)))
    linear = {part.name for part in chain.parts if part.is_linear}
    calls = [node for node in nodes if isinstance(node, Apply) and isinstance(node.callee, PartName)
             and not node.callee.path and node.callee.name in linear and not node.keywords]
    reading = [node for node in nodes if isinstance(node, Reference) and node.key == Key(chain.inputs[0])]
    return len(reading) == 1 and any(node.arguments == tuple(reading) for node in calls)
