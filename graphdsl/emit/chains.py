"""Writes the classes of models and blocks, one for each shape that occurs."""
from __future__ import annotations

from typing import Iterable

from graphdsl.check.graph import (
    Apply, ChainType, Construct, Key, walk)
from graphdsl.emit.expressions import Expressions, write_assignment, write_families, write_return
from graphdsl.emit.names import MODULE_NAMES, Identifiers, class_name
from graphdsl.emit.writer import Writer


class Chains:
    """The classes and functions of a module: chains of equal shape share one.

    Args:
        writer: Where they are written.
        taken: Names of the module that classes must not have, such as those it imports.
    """

    def __init__(self, writer: Writer, taken: Iterable[str]):
        self._writer = writer
        self._names: dict[ChainType, str] = {}
        self._taken = {*MODULE_NAMES, *taken}

    def name(self, chain: ChainType) -> str:
        """Returns the name of a chain's class, or of its function if it has no parts; it must be written."""
        return self._names[chain]

    def write(self, chain: ChainType) -> None:
        """Writes a chain after those it is made of, unless one of the same shape is there already."""
        if chain in self._names:
            return
        for part in chain.parts:
            if isinstance(part.content, ChainType):
                self.write(part.content)
        for function in _functions(chain.assignments):
            self.write(function)
        self._names[chain] = self._free(class_name(chain.name) if chain.parts else chain.name)
        self._writer.lines('', '')
        if chain.parts:
            self._write_class(chain)
        else:
            self._write_forward(chain, self._names[chain], Identifiers(), ())

    def write_functions(self, assignments) -> None:
        """Writes the blocks without links that some assignments call."""
        for function in _functions(assignments):
            self.write(function)

    def _free(self, name: str) -> str:
        numbered = name
        number = 1
        while numbered in self._taken:
            number += 1
            numbered = f'{name}{number}'
        self._taken.add(numbered)
        return numbered

    def _write_class(self, chain: ChainType) -> None:
        writer = self._writer
        with writer.block(f'class {self._names[chain]}(chainer.Chain):', chain.span):
            writer.line()
            with writer.block('def __init__(self):'):
                writer.line('super().__init__()')
                with writer.block('with self.init_scope():'):
                    expressions = Expressions(Identifiers(), self.name)
                    for part in chain.parts:
                        content = part.content
                        made = expressions.text(content) if isinstance(content, Construct) else f'{self.name(content)}()'
                        writer.line(f'self.{part.name} = {made}', content.span if isinstance(content, Construct) else None)
            writer.line()
            self._write_forward(chain, 'forward', Identifiers(), ('self',))

    def _write_forward(self, chain: ChainType, name: str, names: Identifiers, first: tuple[str, ...]) -> None:
        writer, expressions = self._writer, Expressions(names, self.name)
        inputs = [names.value(Key(i)) for i in chain.inputs]
        with writer.block(f'def {name}({", ".join([*first, *inputs])}):'):
            write_families(writer, names, chain.assignments)
            for assignment in chain.assignments:
                write_assignment(writer, expressions, assignment)
            write_return(writer, expressions, tuple(Key(output) for output in chain.outputs))


def _functions(assignments) -> list[ChainType]:
    """Returns the chains without parts that are called as functions."""
    nodes = walk(*(stage for assignment in assignments for stage in assignment.stages))
    calls = (node.callee for node in nodes if isinstance(node, Apply))
    return list(dict.fromkeys(callee for callee in calls if isinstance(callee, ChainType)))
