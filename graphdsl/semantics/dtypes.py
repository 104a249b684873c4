"""Finds where integers, or numbers, meet floats: Chainer would refuse them, or NumPy change the dtype.

Every expression is of a kind; where kinds mix, the expression is marked, and cast when it runs.
"""
from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterable, Sequence as Items

from graphdsl.semantics import catalog
from graphdsl.semantics.computation import (
    Apply, Arithmetic, Assignment, Builtin, ChainType, Comparison, Conditional, Construct, Expression, Function,
    Imported, Key, Literal, ModelName, NumberFunction, Part, Previous, Reference, RunningNumber, Sequence,
    SliceItem, Subscript, Weight, children, is_number)
from graphdsl.semantics.graph import Input, Model, Noise
from graphdsl.semantics.optimizers import part_of
from graphdsl.semantics.types import is_integer

FLOAT, INTEGER, UNKNOWN = 'float', 'integer', 'unknown'     # arrays; truth values count as integers
BARE = 'bare integer'                                       # NumPy's own arithmetic serves; Chainer's is of floats
NUMBER, WHOLE = 'number', 'whole number'                    # Python numbers

# What these give is made of the elements of their first argument.
_REARRANGING = {'broadcast_to', 'concat', 'copy', 'diagonal', 'dstack', 'expand_dims', 'flatten', 'flip', 'fliplr',
                'flipud', 'get_item', 'hstack', 'identity', 'moveaxis', 'pad', 'permutate', 'repeat', 'reshape',
                'rollaxis', 'separate', 'split_axis', 'squeeze', 'stack', 'swapaxes', 'tile', 'transpose', 'vstack'}
_COUNTING = {'argmax', 'argmin'}
_ELEMENTWISE = {'add', 'where', 'maximum', 'minimum'}
_COMPARING = {'absolute_error', 'huber_loss', 'mean_absolute_error', 'mean_squared_error', 'squared_error'}
_AVERAGING = {'average', 'mean', 'sum'}

Kinds = tuple[str, ...]


def with_casts(assignments: Items[Assignment], inputs: Iterable[Input], noises: Iterable[Noise],
               models: Items[Model]) -> tuple[tuple[Assignment, ...], tuple[Model, ...]]:
    """Marks what has to be cast, in a graph and in its models.

    Args:
        assignments: In the order of computation.
        inputs: Of the graph; their dtypes are where integers come from.
        noises: Likewise.
        models: Of the graph.
    """
    known = {Key(i.name): BARE if is_integer(i.dtype) else FLOAT for i in inputs if i.dtype}
    known.update({n.key: NUMBER if n.dtype is None else BARE if is_integer(n.dtype) else FLOAT for n in noises})
    typed = _Typed(known, {model.key: model.chain for model in models})
    marked = typed.settle(assignments)
    return marked, tuple(replace(model, chain=typed.content(model.key)) for model in models)


class _Typed:
    """The kinds of the values of a graph, or of a chain, and what is called in it with arguments of which kinds.

    Args:
        known: Kinds that do not follow from assignments.
        contents: Models by key, or parts by name.
        chains: Chains that are marked already, with the kinds of their results.
    """

    def __init__(self, known: dict[Key, str], contents: dict[Any, Any], chains: Any = None):
        self._known = known
        self._contents = contents
        self._chains: dict[Any, tuple[ChainType, Kinds]] = {} if chains is None else chains
        self._called: dict[Any, Kinds] = {}
        self._kinds: dict[Key, str] = {}
        self._is_settled = False

    def settle(self, assignments: Items[Assignment]) -> tuple[Assignment, ...]:
        """Marks assignments, once the kinds of all calls of each model are known."""
        marked: tuple[Assignment, ...] = ()
        while not self._is_settled:
            self._is_settled = True
            self._kinds = dict(self._known)
            marked = tuple(map(self._assignment, assignments))
        return marked

    def kind(self, key: Key) -> str:
        return self._kinds.get(key, UNKNOWN)

    def content(self, name: Any) -> Any:
        """Returns a model or part, marked for the kinds that it is called with."""
        content = self._contents[name]
        if not isinstance(content, ChainType):
            return content
        return self._chain(content, self._called.get(name, (FLOAT,) * len(content.inputs)))[0]

    def _chain(self, chain: ChainType, kinds: Kinds) -> tuple[ChainType, Kinds]:
        key = (id(chain), kinds)
        if key not in self._chains:
            known = dict(zip(map(Key, chain.inputs), kinds))
            known.update({part.content.key: FLOAT for part in chain.parts if isinstance(part.content, Weight)})
            inner = _Typed(known, {part.name: part.content for part in chain.parts}, self._chains)
            marked = inner.settle(chain.assignments)
            parts = tuple(Part(part.name, inner.content(part.name), part.is_frozen) for part in chain.parts)
            self._chains[key] = (replace(chain, parts=parts, assignments=marked),
                                 tuple(inner.kind(Key(output)) for output in chain.outputs))
        return self._chains[key]

    def _assignment(self, assignment: Assignment) -> Assignment:
        stages, kinds = [], (UNKNOWN,)
        for stage in assignment.stages:
            marked, kinds = self._mark(stage, kinds)
            stages.append(marked)
        for i, key in enumerate(assignment.results):
            self._kinds[key] = kinds[min(i, len(kinds) - 1)]
        return assignment if _are_same(stages, assignment.stages) else replace(assignment, stages=tuple(stages))

    # Expressions: each comes back marked, with the kinds of its results; one kind may stand for all.

    def _mark(self, node: Expression, previous: Kinds) -> tuple[Expression, Kinds]:
        if isinstance(node, Literal):
            return node, (WHOLE if isinstance(node.value, int) else NUMBER,)
        if isinstance(node, Reference):
            return node, (NUMBER if node.is_number else self.kind(node.key),)
        if isinstance(node, Previous):
            return node, previous
        if isinstance(node, RunningNumber):
            return node, (NUMBER if node.name == 'progress' else WHOLE,)
        if isinstance(node, Construct):
            return node, (UNKNOWN,)
        if isinstance(node, Apply):
            return self._apply(node, previous)
        marked = [self._mark(child, previous) for child in children(node)]
        kinds = [kind[0] for _, kind in marked]
        node = _with_children(node, tuple(child for child, _ in marked))
        if isinstance(node, Arithmetic):
            return self._arithmetic(node, kinds)
        return node, (self._kind_of(node, kinds),)

    def _kind_of(self, node: Expression, kinds: list[str]) -> str:
        if isinstance(node, Subscript):
            return kinds[0]
        if isinstance(node, Comparison):
            return WHOLE if is_number(node) else BARE
        if isinstance(node, Conditional):
            return _join(kinds[0], kinds[2])
        if isinstance(node, Sequence):
            return _joined(kinds)
        return NUMBER

    def _arithmetic(self, node: Arithmetic, kinds: list[str]) -> tuple[Expression, Kinds]:
        arrays = [kind for kind in kinds if kind not in (NUMBER, WHOLE)]
        if not arrays:
            return node, (WHOLE if NUMBER not in kinds and node.operator not in ('/', '**') else NUMBER,)
        if set(arrays) == {FLOAT} or len(kinds) == 1:
            return node, (arrays[0],)
        if set(arrays) <= {INTEGER, BARE} and NUMBER not in kinds and node.operator != '/':
            return node if set(arrays) == {BARE} else replace(node, is_mixed=True), (BARE,)
        is_float = FLOAT in kinds or NUMBER in kinds or node.operator == '/'
        return replace(node, is_mixed=True), (FLOAT if is_float else UNKNOWN,)

    def _apply(self, node: Apply, previous: Kinds) -> tuple[Expression, Kinds]:
        marked = [self._mark(argument, previous) for argument in node.arguments]
        values = [self._mark(value, previous)[0] for _, value in node.keywords]
        kinds = tuple(kind for argument, found in marked for kind in _spread(argument, found))
        if not _are_same([*(argument for argument, _ in marked), *values], children(node)):
            keywords = tuple((name, value) for (name, _), value in zip(node.keywords, values))
            node = replace(node, arguments=tuple(argument for argument, _ in marked), keywords=keywords)
        callee = node.callee
        if isinstance(callee, Function):
            return self._function(node, kinds)
        if isinstance(callee, NumberFunction):
            is_whole = callee.name == 'floor' or (callee.name in ('abs', 'max', 'min', 'sum') and set(kinds) == {WHOLE})
            return node, (WHOLE if is_whole else NUMBER,)
        if isinstance(callee, Builtin):
            return node, (_builtin_kind(node, kinds),)
        if isinstance(callee, ChainType):
            chain, results = self._chain(callee, kinds)
            return replace(node, callee=chain), results
        if isinstance(callee, Imported):
            return node, (UNKNOWN,)
        return node, self._called_kinds(callee, kinds)

    def _called_kinds(self, callee: Any, kinds: Kinds) -> Kinds:
        """Notes what a model or part is called with; returns the kinds of its results."""
        name = callee.key if isinstance(callee, ModelName) else callee.name
        content = self._contents.get(name)
        if callee.path:
            content = part_of(content, callee.path)
            return self._chain(content, kinds)[1] if isinstance(content, ChainType) else _kinds_of_link(content)
        if not isinstance(content, ChainType):
            return _kinds_of_link(content)
        before = self._called.get(name, kinds)
        self._called[name] = tuple(map(_join, before, kinds)) if len(before) == len(kinds) else before
        # What took the result of an earlier call has to be marked anew.
        self._is_settled = self._is_settled and self._called[name] == before
        return self._chain(content, self._called[name])[1]

    def _function(self, node: Apply, kinds: Kinds) -> tuple[Expression, Kinds]:
        name = node.callee.name
        if name in _COUNTING:
            return node, (INTEGER,)
        if name in _REARRANGING:
            if kinds[:1] == (UNKNOWN,) and isinstance(node.arguments[0], Sequence):
                return replace(node, callee=replace(node.callee, meets=(0,))), (FLOAT,)
            return node, (INTEGER if kinds[:1] == (BARE,) else kinds[0] if kinds else UNKNOWN,)
        if name == 'cast':
            dtypes = [*node.arguments[1:], *(value for _, value in node.keywords)]
            is_float = not any(isinstance(d, Literal) and is_integer(str(d.value)) for d in dtypes)
            return node, (FLOAT if is_float else INTEGER,)
        positions = tuple(i for i in range(len(node.arguments)) if name == 'add'
                          or catalog.parameter_of(name, i) == 'array') if len(kinds) == len(node.arguments) else ()
        met = {kinds[i] for i in positions}
        is_mixed = bool(met & {NUMBER, WHOLE}) or (name in _ELEMENTWISE | _COMPARING and len(met) > 1) \
            or (name in _AVERAGING and met <= {INTEGER, BARE}) or (name == 'add' and met != {FLOAT})
        if is_mixed:
            node = replace(node, callee=replace(node.callee, meets=positions))
        if name in _ELEMENTWISE:
            return node, (INTEGER if met <= {INTEGER, BARE, WHOLE} else UNKNOWN if met == {UNKNOWN} else FLOAT,)
        return node, (FLOAT,)


def _kinds_of_link(content: Any) -> Kinds:
    return (FLOAT if isinstance(content, Construct) and content.module else UNKNOWN,)


def _builtin_kind(node: Apply, kinds: Kinds) -> str:
    name = node.callee.name
    if name in ('ones_like', 'zeros_like') and len(node.arguments) > 1:
        return BARE if is_integer(node.arguments[1].value) else FLOAT
    return {'grad': FLOAT, 'one_hot': FLOAT, 'arange': BARE, 'shape': WHOLE}.get(
        name, BARE if kinds[0] == INTEGER else kinds[0])


def _spread(argument: Expression, kinds: Kinds) -> Kinds:
    """Returns the kinds of what an argument stands for: results of the stage before may be several."""
    if not isinstance(argument, Previous) or not argument.several or argument.count is None:
        return kinds[:1]
    return kinds if len(kinds) == argument.count else (kinds[0],) * argument.count


def _are_same(some: Iterable[Expression], others: Iterable[Expression]) -> bool:
    """Says whether expressions, as many as others, are the very same objects."""
    return all(a is b for a, b in zip(some, others))


def _with_children(node: Expression, new: tuple[Expression, ...]) -> Expression:
    """Returns an expression with other expressions directly within it."""
    if _are_same(new, children(node)):
        return node
    if isinstance(node, (Arithmetic, Comparison)):
        return replace(node, operands=new)
    if isinstance(node, Conditional):
        return replace(node, value=new[0], condition=new[1], otherwise=new[2])
    if isinstance(node, Sequence):
        return replace(node, items=new)
    if isinstance(node, Subscript):
        return replace(node, base=new[0], items=new[1:])
    if isinstance(node, SliceItem):
        rest = iter(new)
        return replace(node, **{end: getattr(node, end) and next(rest) for end in ('start', 'stop', 'step')})
    return replace(node, value=new[0])


def _join(a: str, b: str) -> str:
    if a == b:
        return a
    if {a, b} == {INTEGER, BARE}:
        return INTEGER
    return NUMBER if {a, b} == {NUMBER, WHOLE} else UNKNOWN


def _joined(kinds: Items[str]) -> str:
    found = kinds[0] if kinds else UNKNOWN
    for kind in kinds:
        found = _join(found, kind)
    return found
