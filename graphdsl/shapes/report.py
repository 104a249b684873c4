"""Diagnostics of what a trace has found, with the shapes that arrive and the inputs that they come from."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Optional, Union

from graphdsl.diagnostics import Diagnostic, Place, Source
from graphdsl.semantics.computation import (
    Apply, Arithmetic, Builtin, ChainType, Comparison, Expression, Function, Imported, Key, NumberFunction, Previous,
    Reference, Subscript)
from graphdsl.runtime.failures import WHOLE_WAY, frames_of, is_memory, raised_in, summary, their_frame
from graphdsl.runtime.sizes import LimitError
from graphdsl.runtime.trial import column_meets_row
from graphdsl.semantics.graph import Graph, Input, Noise
from graphdsl.shapes.mismatch import Arriving, Mismatch, explain
from graphdsl.shapes.trace import Finding, Operand
from graphdsl.shapes.types import ArrayType, Type, symbolic

_LONGEST_LABEL = 40


@dataclass(frozen=True)
class Reporter:
    """Writes diagnostics.

    Args:
        graph: The graph.
        source: Its file.
    """

    graph: Graph
    source: Source

    def diagnostic(self, found: Finding, more: Optional[Finding], longer: Optional[Finding] = None) -> Diagnostic:
        """Returns the diagnostic of a finding.

        Args:
            found: As a few rows showed it.
            more: As more rows did, if they showed it at all.
            longer: As longer axes of any length did, if they did.
        """
        given = [(operand, symbolic(operand.value, *others) if _is_type(operand.value) else operand.value)
                 for operand, *others in zip(found.operands, _values(found, more), _values(found, longer))]
        places = tuple(Place(span, 'called from here') for span in dict.fromkeys(found.callers)
                       if span != found.node.span)
        notes = tuple(dict.fromkeys(self._note(operand, kind) for operand, kind in given if _is_type(kind)))
        if found.error is None:
            return column_meets_row(found.node.span, places, notes)
        if isinstance(found.error, LimitError):
            return Diagnostic(found.error.code, found.error.message, found.node.span, places=places, notes=notes,
                              help=found.error.help)
        if is_memory(found.error):
            return Diagnostic('G735', 'there is not enough memory for this', found.node.span, places=places,
                              notes=notes, reason=summary(found.error), help='is one of the sizes too large?')
        frames = frames_of(found.error)
        theirs = their_frame(frames)
        if theirs is not None:
            return Diagnostic('G737', f'{type(found.error).__name__} while running code of your own', found.node.span,
                              reason=summary(found.error), places=places, notes=(raised_in(theirs, frames), *notes),
                              help=WHOLE_WAY)
        arrays = tuple(Arriving(self._label(operand), kind, operand.declared is not None)
                       for operand, kind in given if isinstance(kind, ArrayType))
        others = {i: kind for i, (_, kind) in enumerate(given) if not _is_type(kind)}
        names = None if found.results is None else (found.names, found.results)
        why = explain(Mismatch(_name(found), arrays, others, found.options, found.link, found.error, names))
        return Diagnostic(why.code, why.message, found.node.span, reason=why.reason, places=places, notes=notes,
                          help=why.help)

    def _note(self, operand: Operand, kind: Type) -> str:
        """Says what arrives and where it comes from."""
        what = ', '.join(map(str, kind)) if isinstance(kind, tuple) and not isinstance(kind, ArrayType) else str(kind)
        if operand.declared is not None:
            line = next(self._line(one) for one in self._declarations() if _key(one) == operand.declared)
            return f'{self._label(operand)} is {what}, declared in line {line}'
        inputs = [one for one in self._declarations() if _key(one) in operand.origin.inputs]
        text = f'{self._label(operand)} is {what}'
        if not inputs:
            return text
        text += ': it comes from ' + ' and '.join(
            f'`{_key(one)}` ({_declared_type(one)}, line {self._line(one)})' for one in inputs)
        models = [f'`{key}`' for key in operand.origin.through]
        return text + (f' through {", ".join(models)}' if models else '')

    def _declarations(self) -> tuple[Union[Input, Noise], ...]:
        return (*self.graph.inputs, *self.graph.noises)

    def _line(self, one: Union[Input, Noise]) -> int:
        return self.source.position(one.span.start)[0]

    def _label(self, operand: Operand) -> str:
        """Returns what the file calls an operand, or who gave it."""
        node = operand.node
        if isinstance(node, Previous):
            before = self._text(operand.before)
            return f'what `{before}` gives' if before else 'what the stage before gives'
        if isinstance(node, Reference):
            return f'`{node.key}`'
        text = self._text(node)
        return f'`{text}`' if text else 'what is computed here'

    def _text(self, node: Expression) -> str:
        text = self.source[node.span]
        return text if len(text) <= _LONGEST_LABEL and '\n' not in text else ''


def _values(found: Finding, again: Optional[Finding]) -> Iterator[Any]:
    """Yields what the operands of a finding were with more rows, None where that is not known."""
    others = () if again is None or len(again.operands) != len(found.operands) else again.operands
    yield from (other.value for other in others) if others else (None for _ in found.operands)


def _is_type(value: Any) -> bool:
    return isinstance(value, ArrayType) or (isinstance(value, tuple) and any(map(_is_type, value)))


def _key(one: Union[Input, Noise]) -> Key:
    return one.key if isinstance(one, Noise) else Key(one.name)


def _declared_type(one: Union[Input, Noise]) -> str:
    if one.dtype is None:
        return 'a number'
    shape = tuple('?' if n is None else n for n in one.shape)
    return str(ArrayType(one.dtype, shape))


def _name(found: Finding) -> str:
    """Returns the name of what is called, or the operator."""
    node = found.node
    if isinstance(node, Arithmetic):
        return node.operator
    if isinstance(node, Comparison):
        return node.operators[0]
    if isinstance(node, Subscript):
        return '[]'
    if isinstance(node, Apply):
        if found.link is not None:
            return type(found.link).__name__
        if isinstance(node.callee, (Builtin, ChainType, Function, Imported, NumberFunction)):
            return node.callee.name
        return str(getattr(node.callee, 'key', getattr(node.callee, 'name', '')))
    return 'this'
