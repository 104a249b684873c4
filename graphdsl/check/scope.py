"""The names that are visible at a place of the file."""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Mapping, Optional, Union

from graphdsl.check.graph import Key
from graphdsl.diagnostics import Place, Span, mistake
from graphdsl.syntax import nodes


class Names:
    """The values, or the models, that a file binds: single ones and families.

    Args:
        kind (str): What they are, for messages: ``'value'`` or ``'model'``.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self.spans: dict[Key, Span] = {}
        self._members: dict[str, list[Key]] = {}

    def bind(self, key: Key, span: Span) -> None:
        """Binds a name, once.

        Raises:
            Mistake: If the name is bound already, or is a family here and a single name there.
        """
        if key in self.spans:
            raise mistake('G102', f'`{key}` is bound twice', span, reason='bound again here',
                          places=(Place(self.spans[key], 'bound first here'),),
                          help='every name is bound once; give one of the two another name')
        others = self._members.setdefault(key.base, [])
        if others and len(others[0].index) != len(key.index):
            raise mistake('G103', f'`{key.base}` is a family in one place and not in another', span,
                          reason=f'`{key}` here', places=(Place(self.spans[others[0]], f'`{others[0]}` here'),),
                          help='a name is a family, with as many indices everywhere, or a single name')
        others.append(key)
        self.spans[key] = span

    def __contains__(self, base: str) -> bool:
        return base in self._members

    def is_family(self, base: str) -> bool:
        return base in self._members and self._members[base][0].index != ()

    def members(self, base: str) -> list[Key]:
        """Returns the members of a family in the order of their indices."""
        return sorted(self._members[base])

    def bases(self) -> list[str]:
        return list(self._members)

    def select(self, node: nodes.Expression, base: str, indices: Optional[tuple[Any, ...]]) -> Union[Key, list[Key]]:
        """Finds what a name, or a family with the first bracket after it, stands for.

        Args:
            node: The expression, for messages.
            base: A name that is bound.
            indices: Integers, slices, or ``'*'``; None where there is no bracket.

        Returns:
            A key, or the list of keys that ``[*]`` or a slice selects.

        Raises:
            Mistake: If there is no such member.
        """
        first = self._members[base][0]
        if indices is None:
            if first.index:
                raise mistake('G104', f'`{base}` is a family', node.span,
                              reason=f'one of {_few(self.members(base))}, or all of them?',
                              help=f'write `{first}` for one, `{base}[*]` for the list of all')
            return first
        if any(not isinstance(index, int) for index in indices):
            return self._selection(node, base, indices)
        key = Key(base, indices)
        if key not in self.spans:
            raise mistake('G105', f'there is no `{key}`', node.span,
                          reason=f'there are {_few(self.members(base))}',
                          places=(Place(self.spans[first], 'bound here'),))
        return key

    def _selection(self, node, base, indices) -> list[Key]:
        members = self.members(base)
        if len(indices) != len(members[0].index):
            raise mistake('G105', f'`{base}` has {len(members[0].index)} indices', node.span,
                          reason=f'there are {_few(members)}')
        for position, index in enumerate(indices):
            values = sorted({key.index[position] for key in members})
            kept = values if index == '*' else values[index] if isinstance(index, slice) else [index]
            members = [key for key in members if key.index[position] in kept]
        return members


def _few(keys: list[Key]) -> str:
    names = [f'`{key}`' for key in keys]
    return ', '.join(names if len(names) <= 5 else names[:3] + ['...', names[-1]])


@dataclass(frozen=True)
class Scope:
    """What an expression may name.

    Attributes:
        numbers: Params, loop variables and hyper-parameters, with their values.
        values: Values of the graph, or of the body in which the expression stands.
        models: Models of the graph, or layers of the body.
        blocks: Blocks of the graph by name.
        imported: Imported objects by name; None for one that nothing was bound to.
        integers: Inputs of an integer or bool dtype, which take no part in arithmetic.
        in_body: Whether this is the body of a model or block.
    """

    numbers: Mapping[str, Any]
    values: Names
    models: Names
    blocks: Mapping[str, nodes.Block] = field(default_factory=dict)
    imported: Mapping[str, Any] = field(default_factory=dict)
    integers: frozenset[str] = frozenset()
    in_body: bool = False

    def with_numbers(self, numbers: Mapping[str, Any]) -> Scope:
        return replace(self, numbers=numbers)

    def value_names(self) -> list[str]:
        return [*self.numbers, *self.values.bases()]

    def callable_names(self) -> list[str]:
        return [*self.models.bases(), *self.blocks, *self.imported]
