"""Refuses arithmetic on arrays of integers, which this version would not cast as the language says."""
from __future__ import annotations

from typing import Any, Iterable, Sequence

from graphdsl.semantics import data
from graphdsl.semantics.graph import (
    Apply, Arithmetic, Assignment, ChainType, Expression, Function, Input, Key, Model, ModelName, PartName,
    Previous, Reference, Sequence as Listing, Subscript)
from graphdsl.semantics.later import not_executed
from graphdsl.semantics.unroll import Report

# What these give is made of the elements of their first argument.
_REARRANGING = {'broadcast_to', 'concat', 'copy', 'diagonal', 'dstack', 'expand_dims', 'flatten', 'flip', 'fliplr',
                'flipud', 'get_item', 'hstack', 'identity', 'moveaxis', 'pad', 'permutate', 'repeat', 'reshape',
                'rollaxis', 'separate', 'split_axis', 'squeeze', 'stack', 'swapaxes', 'tile', 'transpose',
                'vstack'}
_COUNTING = {'argmax', 'argmin'}


def refuse_arithmetic(assignments: Sequence[Assignment], inputs: Iterable[Input], models: Iterable[Model],
                      report: Report) -> None:
    """Reports arithmetic on arrays of integers or truth values, within models too.

    Args:
        assignments: In the order of computation.
        inputs: Of the graph; their dtypes are where integers come from.
        models: Of the graph.
        report: Called with each mistake.
    """
    integers = {Key(i.name): True for i in inputs if i.dtype and data.is_integer(i.dtype)}
    _Walk({model.key: model.chain for model in models}, report).over(assignments, integers, {})


class _Walk:
    """Follows integers through assignments and the chains that they call."""

    def __init__(self, models, report: Report):
        self.models = models
        self.report = report
        self.called: dict[Any, tuple[bool, ...]] = {}

    def over(self, assignments: Sequence[Assignment], integers: dict[Key, bool], parts: dict[str, Any]) -> None:
        """Adds which results are integers to those that are known."""
        for assignment in assignments:
            flags: tuple[bool, ...] = (False,)
            for stage in assignment.stages:
                flags = self._flags(stage, integers, parts, flags)
            for i, key in enumerate(assignment.results):
                integers[key] = flags[min(i, len(flags) - 1)]

    def _flags(self, node: Expression, integers, parts, previous: tuple[bool, ...]) -> tuple[bool, ...]:
        """Says of each result of an expression whether it is made of integers; one flag may stand for all."""
        def of(inner: Expression) -> tuple[bool, ...]:
            return self._flags(inner, integers, parts, previous)

        if isinstance(node, Reference):
            return (integers.get(node.key, False),)
        if isinstance(node, Previous):
            return previous
        if isinstance(node, Subscript):
            return of(node.base)
        if isinstance(node, Listing):
            return (any([of(item)[0] for item in node.items]),)
        if isinstance(node, Arithmetic):
            for operand in node.operands:
                if of(operand)[0]:
                    self.report(not_executed('arithmetic on arrays of integers', operand.span).diagnostic)
            return (False,)
        if isinstance(node, Apply):
            arguments = tuple(flag for argument in node.arguments for flag in of(argument))
            for _, value in node.keywords:
                of(value)
            return self._call(node, arguments, parts)
        return (False,)

    def _call(self, node: Apply, arguments: tuple[bool, ...], parts) -> tuple[bool, ...]:
        callee = node.callee
        if isinstance(callee, Function) and callee.name == 'add' and any(arguments):
            self.report(not_executed('arithmetic on arrays of integers', node.span).diagnostic)
            return (False,)
        if isinstance(callee, Function):
            return (callee.name in _COUNTING or (callee.name in _REARRANGING and any(arguments[:1])),)
        if isinstance(callee, ModelName):
            callee = self.models.get(callee.key)
        elif isinstance(callee, PartName):
            callee = parts.get(callee.name)
        if not isinstance(callee, ChainType):
            return (False,)
        key = (id(callee), arguments)
        if key not in self.called:
            inner = dict(zip(map(Key, callee.inputs), arguments))
            self.over(callee.assignments, inner, {part.name: part.content for part in callee.parts})
            self.called[key] = tuple(inner.get(Key(output), False) for output in callee.outputs)
        return self.called[key]
