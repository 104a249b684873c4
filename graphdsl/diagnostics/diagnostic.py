"""What is wrong with a graph file, as data."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable

from graphdsl.diagnostics.source import Span


@dataclass(frozen=True)
class Place:
    """Another place that a diagnostic points at, with a few words on its part in the story."""

    span: Span
    text: str


@dataclass(frozen=True)
class Edit:
    """A change of the text that is certain to be what its author meant.

    Attributes:
        span: What goes; empty where something is only put in.
        text: What comes in its place.
    """

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One mistake, or one warning.

    Attributes:
        code: Stable name of this kind of mistake, such as ``G301``; see :mod:`graphdsl.diagnostics.catalogue`.
        message: What is wrong, in one sentence.
        span: Where.
        reason: A few words beside the underline.
        places: Further places to look at.
        notes: Facts that explain it, a sentence each.
        help: The next step.
        edits: Changes that make this step, where it is certain.
        severity: ``'error'`` or ``'warning'``.
    """

    code: str
    message: str
    span: Span
    reason: str = ''
    places: tuple[Place, ...] = ()
    notes: tuple[str, ...] = ()
    help: str = ''
    edits: tuple[Edit, ...] = ()
    severity: str = 'error'


class Mistake(Exception):
    """Carries a diagnostic out of the construct that it ends; the phase collects it and goes on.

    Args:
        diagnostic: The mistake.
        others: Further mistakes in the same construct.
    """

    def __init__(self, diagnostic: Diagnostic, others: Iterable[Diagnostic] = ()):
        self.diagnostic = diagnostic
        self.others = tuple(others)
        super().__init__(diagnostic.message)

    def all(self) -> tuple[Diagnostic, ...]:
        return (self.diagnostic, *self.others)


def mistake(code: str, message: str, span: Span, **details) -> Mistake:
    """Makes the exception for a diagnostic; the arguments are those of :class:`Diagnostic`."""
    return Mistake(Diagnostic(code, message, span, **details))


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorts by position and drops repetitions, such as one mistake in each turn of a loop."""
    first = {}
    for diagnostic in diagnostics:
        first.setdefault((diagnostic.code, diagnostic.span), diagnostic)
    return tuple(sorted(first.values(), key=lambda d: (d.span.start, d.span.end, d.code)))
