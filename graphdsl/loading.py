"""Loads generated modules: their text becomes functions and classes."""
from __future__ import annotations

import itertools
import linecache
from typing import Any

from graphdsl.driver import Compilation
from graphdsl.emit.module import binding_spans
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
    exec(compile(text, filename, 'exec'), module)
    return module, Origin(filename, compilation.source, compilation.module.spans,
                          {str(key): span for key, span in binding_spans(graph).items()},
                          {str(model.key): model.span for model in graph.models})
