"""The names that are visible at a place of the file."""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Collection, Iterable, Mapping, Optional, Union

from graphdsl.semantics import wording
from graphdsl.semantics.computation import Key
from graphdsl.semantics.suggestions import MANY
from graphdsl.semantics.work import Work
from graphdsl.diagnostics import Diagnostic, Mistake, Place, Span, mistake
from graphdsl.syntax import nodes


RUNNING_NUMBERS = ('batch_size', 'iteration', 'epoch', 'progress')

#: Run a model in another mode: `eval(m)`, `quiet(m)`.
MODES = ('eval', 'quiet')


@dataclass(frozen=True)
class Broken:
    """Stands for the value of a param that is wrong; who uses it has nothing new to report."""

    diagnostic: Diagnostic


def allowed(name: nodes.Name) -> str:
    """Returns a name that a statement binds.

    Raises:
        Mistake: If nothing can have this name.
    """
    if name.name.startswith('__'):
        raise mistake('G109', f'`{name.name}` cannot be a name', name.span, reason='it starts with two underscores',
                      help='these are Python\'s own; choose another name')
    if name.name == '_':
        raise mistake('G109', '`_` discards a result, and names nothing', name.span, reason='a name is wanted',
                      help='choose a name')
    return name.name


class Names:
    """The values, or the models, that a file binds: single ones and families.

    Args:
        kind (str): What they are, for messages: ``'value'``, ``'model'`` or ``'layer'``.
        numbers: Names that values cannot have, since they belong to numbers, and where each is bound.
        expected: Names that statements bind which are not unrolled yet.
        doubtful: Names that statements with syntax errors may bind.

    Attributes:
        spans: Where each is bound.
        numbers: Those that are numbers of the run, not arrays.
        loops: The loops around them.
    """

    def __init__(self, kind: str, numbers: Mapping[str, Span] = (), expected: Iterable[str] = (),
                 doubtful: Collection[str] = ()):
        self.kind = kind
        self.spans: dict[Key, Span] = {}
        self.numbers: set[Key] = set()
        self.expected = {*expected, *doubtful}
        self.doubtful = doubtful
        self.loops: dict[Span, nodes.For] = {}
        self._numbers = dict(numbers)
        self._members: dict[str, list[Key]] = {}
        self._sorted: dict[str, list[Key]] = {}

    def bind(self, key: Key, span: Span) -> None:
        """Binds a name, once.

        Raises:
            Mistake: If the name is bound already, or is a family here and a single name there.
        """
        self._refuse_running(key.base, span)
        if key in self.spans:
            raise bound_twice(str(key), span, self.spans[key])
        others = self._members.setdefault(key.base, [])
        if others and len(others[0].index) != len(key.index):
            raise mistake('G103', f'`{key.base}` is a family in one place and not in another', span,
                          reason=f'`{key}` here', places=(Place(self.spans[others[0]], f'`{others[0]}` here'),),
                          help='a name is a family, with as many indices everywhere, or a single name')
        others.append(key)
        self._sorted.pop(key.base, None)
        self.spans[key] = span
        if key.base in self._numbers:
            raise bound_twice(key.base, span, self._numbers[key.base])

    def settle(self) -> None:
        """Notes that all statements are unrolled: of the names that are not bound only doubtful ones are expected."""
        self.expected = set(self.doubtful)

    def bind_number(self, name: str, span: Span) -> None:
        """Notes that a name belongs to a param or a loop variable, which may be bound anew in another loop.

        Raises:
            Mistake: If a value has this name.
        """
        self._refuse_running(name, span)
        if self._members.get(name):
            raise bound_twice(name, span, self.spans[self._members[name][0]])
        self._numbers.setdefault(name, span)

    def _refuse_running(self, name: str, span: Span) -> None:
        if self.kind == 'value' and name in RUNNING_NUMBERS:
            raise mistake('G109', f'`{name}` has a meaning of its own', span,
                          reason='a number of the running step', help='choose another name')
        if self.kind in ('model', 'layer'):
            refuse_mode(name, span)

    def span_of_number(self, name: str) -> Optional[Span]:
        """Returns where a param or loop variable is bound."""
        return self._numbers.get(name)

    def bind_empty(self, base: str) -> None:
        """Makes a family that has no members as long as none is bound: its loop has no turns."""
        self._members.setdefault(base, [])

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, base: str) -> bool:
        return base in self._members

    def is_family(self, base: str) -> bool:
        return base in self._members and (not self._members[base] or self._members[base][0].index != ())

    def members(self, base: str) -> list[Key]:
        """Returns the members of a family in the order of their indices."""
        if base not in self._sorted:
            self._sorted[base] = sorted(self._members[base])
        return self._sorted[base]

    def bases(self) -> dict[str, Optional[Span]]:
        """Returns all names, those of families without indices, with the place where each is first bound."""
        return {base: self.spans[keys[0]] if keys else None for base, keys in self._members.items()}

    def select(self, node: nodes.Expression, base: str, indices: Optional[tuple[Any, ...]]
               ) -> Union[Key, list[Key]]:
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
        members = self.members(base)
        if indices is None:
            if self.is_family(base):
                example = members[0] if members else f'{base}[0]'
                raise mistake('G104', f'`{base}` is a family', node.span, reason=_there_are(members),
                              help=f'write `{example}` for one, `{base}[*]` for the list of all')
            return members[0]
        if not self.is_family(base):
            raise mistake('G105', f'`{base}` is no family', node.span,
                          reason='it is a single one, without brackets',
                          places=(Place(self.spans[members[0]], 'bound here'),),
                          help=f'write `{base}` without brackets, or bind `{base}[...]`')
        if all(isinstance(index, int) for index in indices):
            key = Key(base, indices)
            if key not in self.spans:
                raise self._absent(node, key, members)
            return key
        if not members:
            return []
        if len(indices) != len(members[0].index):
            count = len(members[0].index)
            raise mistake('G105', f'`{base}` has {count} {"index" if count == 1 else "indices"}', node.span,
                          reason=_there_are(members), places=(Place(self.spans[members[0]], 'bound here'),),
                          help='give as many indices as it is bound with')
        return self._selection(node, members, indices)

    def _selection(self, node: nodes.Expression, members: list[Key], indices: tuple[Any, ...]) -> list[Key]:
        found, ranks = members, []
        for position, index in enumerate(indices):
            values = sorted({key.index[position] for key in found})
            if isinstance(index, int) and index not in values:
                raise self._absent(node, Key(members[0].base, indices), members)
            kept = values[index] if isinstance(index, slice) else values if index == '*' else [index]
            ranks.append({value: rank for rank, value in enumerate(kept)})
            found = [key for key in found if key.index[position] in ranks[-1]]
        return sorted(found, key=lambda key: [rank[i] for rank, i in zip(ranks, key.index)])

    def _absent(self, node: nodes.Expression, key: Key, members: list[Key]) -> Mistake:
        return mistake('G105', f'there is no `{key}`', node.span, reason=_there_are(members),
                       places=(Place(self.spans[members[0]], 'bound here'),) if members else (),
                       help='take one of these, or bind this one too')


def refuse_mode(name: str, span: Span) -> None:
    """Refuses to call something by a name that nothing could call it by."""
    if name in MODES:
        raise mistake('G109', f'`{name}` has a meaning of its own', span,
                      reason=f'`{name}(m)` runs a model in another mode', help='choose another name')


def bound_twice(name: str, span: Span, first: Optional[Span]) -> Mistake:
    """Makes the mistake of a name that is bound twice.

    Args:
        name: The name.
        span: Where it is bound.
        first: Where else it is bound, if that is in the file.
    """
    if first == span:
        return mistake('G102', f'`{name}` is bound anew in each turn of a loop', span,
                       reason='every name is bound once',
                       help=f'make it a family, such as `{name.split("[")[0]}[i]`, or put it outside of the loop')
    if first is not None and span.start < first.start:
        span, first = first, span
    return mistake('G102', f'`{name}` is bound twice', span, reason='bound again here',
                   places=(Place(first, 'bound first here'),) if first is not None else (),
                   help='every name is bound once; give one of the two another name')


def _there_are(keys: list[Key]) -> str:
    if not keys:
        return 'it has no members: its loop has no turns'
    return f'there {"is" if len(keys) == 1 else "are"} {wording.members(keys)}'


@dataclass(frozen=True)
class Scope:
    """What an expression may name.

    Attributes:
        numbers: Params, loop variables and hyper-parameters, with their values.
        values: Values of the graph, or of the body in which the expression stands.
        models: Models of the graph, or layers of the body.
        blocks: Blocks of the graph by name.
        imported: Imported objects by name; None for one that nothing was bound to.
        declared: Where blocks and imports are declared.
        outer: Models that a body cannot call, since it stands within one.
        later: Params of later lines, which the default of a param cannot use, and where they are.
        in_body: Whether this is the body of a model or block.
        reported: Names of reports that can be read, such as ``validation/kl``.
        reads_scalars: Whether numbers are wanted, and a scalar array is read as its number.
        work: What the file has come to so far.
    """

    numbers: Mapping[str, Any]
    values: Names
    models: Names
    blocks: Mapping[str, nodes.Block] = field(default_factory=dict)
    imported: Mapping[str, Any] = field(default_factory=dict)
    declared: Mapping[str, Span] = field(default_factory=dict)
    outer: Collection[str] = ()
    later: Mapping[str, Span] = field(default_factory=dict)
    in_body: bool = False
    reported: Collection[str] = ()
    reads_scalars: bool = False
    work: Work = field(default_factory=Work)

    def with_numbers(self, numbers: Mapping[str, Any]) -> Scope:
        return replace(self, numbers=numbers)

    def has_value(self, name: str) -> bool:
        """Says whether a value or number has this name here, or may have it when all statements are unrolled."""
        return name in self.numbers or name in self.values or name in self.values.expected

    def value_names(self) -> dict[str, Optional[Span]]:
        """Returns the names that values have here, with the place where each is bound; nothing if there are many."""
        if len(self.numbers) + len(self.values) > MANY:
            return {}
        numbers = {name: self.values.span_of_number(name) for name in self.numbers}
        return {**numbers, **dict.fromkeys(sorted(self.values.expected)), **self.values.bases()}

    def callable_names(self) -> dict[str, Optional[Span]]:
        """Returns the names of what can be called here, but for what is Chainer's, with the place of each; or nothing.

        A file with very many names may have as many mistakes.
        """
        if len(self.declared) + len(self.models) > MANY:
            return {}
        return {**self.declared, **self.models.bases()}
