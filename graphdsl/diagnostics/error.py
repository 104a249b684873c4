"""The exception that carries diagnostics to whoever asked for a graph."""
from __future__ import annotations

from typing import Iterable

from graphdsl.diagnostics.diagnostic import Diagnostic
from graphdsl.diagnostics.source import Source
from graphdsl.diagnostics.text import render


class GraphError(Exception):
    """Raised for a graph that cannot be compiled or run.

    Attributes:
        diagnostics: Tuple of :class:`Diagnostic`, in the order of the file.
        source: The :class:`Source` they point into.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], source: Source):
        self.diagnostics = tuple(diagnostics)
        self.source = source
        super().__init__(self.diagnostics, source)

    def __str__(self) -> str:
        return '\n\n'.join(render(d, self.source) for d in self.diagnostics)
