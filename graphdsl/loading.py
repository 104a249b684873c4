"""Loads generated modules: their text becomes functions and classes."""
from __future__ import annotations

import itertools
import linecache
from types import CodeType
from typing import Any

from graphdsl.diagnostics import Diagnostic, GraphError, Span
from graphdsl.driver import Compilation
from graphdsl.emit.module import binding_spans
from graphdsl.limits import with_room
from graphdsl.runtime.origin import Origin

_numbers = itertools.count(1)


def load(compilation: Compilation) -> tuple[dict[str, Any], Origin]:
    """Loads the module of a compilation.

    Returns:
        Its names and values, and where its lines come from.
    """
    text, graph = compilation.module.text, compilation.graph
    filename = f'<graphdsl {next(_numbers)}: {compilation.source.name}>'
    # Tracebacks and inspect find the generated lines here.
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    module = {'__name__': 'graphdsl_module', '__file__': filename, **compilation.imported}
    exec(_code(compilation, filename), module)
    return module, Origin(filename, compilation.source, compilation.module.spans,
                          {str(key): span for key, span in binding_spans(graph).items()},
                          {str(model.key): model.span for model in graph.models},
                          {optimizer.name: optimizer.span for optimizer in graph.optimizers})


def _code(compilation: Compilation, filename: str) -> CodeType:
    """Lets Python read the generated module."""
    try:
        return with_room(compilation.limits, compile, compilation.module.text, filename, 'exec')
    except (SyntaxError, RecursionError, MemoryError) as error:
        line = getattr(error, 'lineno', None)
        if line is not None and 'too many' not in str(error):
            raise
        span = compilation.module.spans.get(line, Span(0, 0))
        raise GraphError([Diagnostic('G040', 'Python cannot read what this compiles to', span,
                                     reason=error.msg if line is not None else 'it is nested too deeply',
                                     help='give a part of it a name')], compilation.source) from None
