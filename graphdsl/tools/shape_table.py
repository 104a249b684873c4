"""The shapes of a graph as a table: of every value, of every stage of the models, with their parameters."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Optional

from graphdsl.diagnostics import Source
from graphdsl.driver import Compilation
from graphdsl.semantics.computation import Apply, Assignment, ChainType, Expression, PartName
from graphdsl.shapes.check import Examination
from graphdsl.shapes.trace import Place
from graphdsl.shapes.types import ArrayType, Type
from graphdsl.tools.families import base_of, folded

_WIDTH = 110
_LONGEST_TEXT = 40


@dataclass(frozen=True)
class Row:
    """A statement, or a stage within one.

    Attributes:
        line (int): Where it stands.
        kind (str): ``'input'``, ``'noise'``, ``'model'``, ``'value'``, ``'loss'``, ``'metric'``, ``'output'`` or
            ``'stage'``.
        names: What it binds, or the text of a stage.
        types: What these are; empty for a model, None for what is not known or no array.
        parameters: How many elements the parameters of a model or link have, if it has any.
        stages: What it is made of, if that is more than one stage.
    """

    line: int
    kind: str
    names: tuple[str, ...]
    types: tuple[Type, ...] = ()
    parameters: Optional[int] = None
    stages: tuple[Row, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Returns the row as plain data."""
        return {'line': self.line, 'kind': self.kind, 'names': list(self.names),
                'types': [_as_data(kind) for kind in self.types], 'parameters': self.parameters,
                'stages': [stage.as_dict() for stage in self.stages]}


def _as_data(kind: Type) -> Any:
    if isinstance(kind, ArrayType):
        return {'dtype': kind.dtype, 'shape': list(kind.shape)}
    return None if kind is None else [_as_data(one) for one in kind]


class _Rows:
    """Makes the rows of a graph."""

    def __init__(self, compilation: Compilation, found: Examination):
        self._graph = compilation.graph
        self._source: Source = compilation.source
        self._types = found.types
        self._sizes: Mapping[tuple[str, ...], int] = found.sizes

    def all(self) -> list[Row]:
        """Returns the rows in the order of the file."""
        graph = self._graph
        kinds = {**{key: 'output' for key in graph.outputs}, **{metric.key: 'metric' for metric in graph.metrics},
                 **{loss.key: 'loss' for loss in graph.losses}}
        found: list[tuple[int, Row]] = []
        for kind, declared in (('input', graph.inputs), ('noise', graph.noises)):
            found += [(one.span.start, Row(self._line(one), kind, (name,), (_declared(one),)))
                      for one in declared for name in [one.name if kind == 'input' else str(one.key)] if name != '_']
        for model in graph.models:
            path = (str(model.key),)
            found.append((model.span.start, Row(self._line(model), 'model', path, (), self._sizes.get(path),
                                                tuple(self._body(model.chain, path)))))
        for number, assignment in enumerate(graph.assignments):
            if not assignment.is_number:
                kind = kinds.get(assignment.results[0], 'value')
                found.append((assignment.span.start, self._assignment(assignment, number, kind)))
        return [row for _, row in sorted(found, key=lambda one: one[0])]

    def _assignment(self, assignment: Assignment, number: int, kind: str) -> Row:
        types = self._types.get(Place((), number, len(assignment.stages) - 1), (None,) * len(assignment.results))
        stages = tuple(self._stages(assignment, number, None, ())) if len(assignment.stages) > 1 else ()
        return Row(self._line(assignment), kind, tuple(map(str, assignment.results)), tuple(types), None, stages)

    def _body(self, chain: ChainType, path: tuple[str, ...]) -> Iterator[Row]:
        for number, assignment in enumerate(chain.assignments):
            if not assignment.is_number:
                yield from self._stages(assignment, number, chain, path)

    def _stages(self, assignment: Assignment, number: int, chain: Optional[ChainType], path: tuple[str, ...]
                ) -> Iterator[Row]:
        for i, stage in enumerate(assignment.stages):
            kind = self._types.get(Place(path, number, i))
            is_last = i == len(assignment.stages) - 1
            types = tuple(kind) if is_last and isinstance(kind, tuple) and not isinstance(kind, ArrayType) else (kind,)
            inner, parameters = self._called(stage, chain, path)
            name = self._text(stage)
            if is_last and chain is not None and len(chain.assignments) > 1:
                name += f' -> {", ".join(map(str, assignment.results))}'
            yield Row(self._line(stage), 'stage', (name,), types, parameters, inner)

    def _called(self, stage: Expression, chain: Optional[ChainType], path: tuple[str, ...]
                ) -> tuple[tuple[Row, ...], Optional[int]]:
        """Returns what a block that a stage calls is made of, and the parameters of what it calls."""
        if not isinstance(stage, Apply) or chain is None:
            return (), None
        if isinstance(stage.callee, ChainType):
            return tuple(self._body(stage.callee, (*path, stage.callee.name))), None
        if not isinstance(stage.callee, PartName):
            return (), None
        name = stage.callee.name
        content = next(part.content for part in chain.parts if part.name == name)
        inner = (*path, name)
        is_block = isinstance(content, ChainType) and not stage.callee.path
        return tuple(self._body(content, inner)) if is_block else (), self._sizes.get(inner)

    def _line(self, one: Any) -> int:
        return self._source.position(one.span.start)[0]

    def _text(self, node: Expression) -> str:
        text = ' '.join(self._source[node.span].split())
        return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT - 3] + '...'


def rows(compilation: Compilation, found: Examination) -> list[Row]:
    """Returns the rows of the table.

    Args:
        compilation: What the phases made of a file.
        found: What its run on zeros has shown, types included.
    """
    return _Rows(compilation, found).all()


def as_data(compilation: Compilation, found: Examination) -> list[dict[str, Any]]:
    """Returns the rows as plain lists and dictionaries, for JSON: one for every statement, in the order of the file."""
    return [row.as_dict() for row in rows(compilation, found)]


def render(compilation: Compilation, found: Examination) -> str:
    """Writes the table, members of a family that are alike as one, as wide as the terminal if there is one."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption_justify='left',
                  caption='B is the number of examples in a minibatch.')
    table.add_column('line', justify='right', no_wrap=True)
    table.add_column('name', overflow='fold')
    table.add_column('type', overflow='fold')
    table.add_column('parameters', justify='right', no_wrap=True)
    for cells in _cells(rows(compilation, found)):
        table.add_row(*map(Text, cells))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    with console.capture() as capture:
        console.print(table)
    return '\n'.join(line.rstrip() for line in capture.get().splitlines()) + '\n'


def _cells(found: list[Row]) -> Iterator[tuple[str, str, str, str]]:
    for members in _families(found):
        first = members[0]
        names = (folded((row.names[i] for row in members), {}) for i in range(len(first.names)))
        kind = '' if first.kind == 'value' else f'{first.kind} '
        times = f'{len(members)} x ' if len(members) > 1 else ''
        name = kind + ', '.join(', '.join(one) for one in names)
        yield str(first.line), name, _types(first), _count(first.parameters, times)
        yield from _stage_cells(first.stages, 1)


def _stage_cells(stages: tuple[Row, ...], depth: int) -> Iterator[tuple[str, str, str, str]]:
    for stage in stages:
        yield '', '    ' * depth + stage.names[0], _types(stage), _count(stage.parameters, '')
        yield from _stage_cells(stage.stages, depth + 1)


def _families(found: list[Row]) -> list[list[Row]]:
    """Returns rows that differ in nothing but the members that they name together, each where the first stands."""
    groups: dict[Any, list[Row]] = {}
    for row in found:
        key = (row.line, row.kind, tuple(map(base_of, row.names)), row.types, row.parameters, row.stages)
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _types(row: Row) -> str:
    if row.kind == 'model':
        return ''
    return ', '.join('?' if kind is None else str(kind) if isinstance(kind, ArrayType) else
                     f'({", ".join(map(str, kind))})' for kind in row.types)


def _count(number: Optional[int], times: str) -> str:
    return '' if number is None else f'{times}{number:,}'


def _declared(one: Any) -> Type:
    shape = ('B', *('?' if n is None else n for n in one.shape))
    return None if one.dtype is None else ArrayType(one.dtype, shape)
