"""A declarative language for training networks made of several models, on Chainer.

    import graphdsl

    graph = graphdsl.compile_file('strips.graph')
    graph.trainer(out='result').run()

Nothing here imports Chainer before a graph is compiled.
"""
from __future__ import annotations

import importlib
from typing import Any, Iterable, Mapping

from graphdsl.diagnostics import Diagnostic, GraphError, Source
from graphdsl.limits import Limits

__version__ = '0.1.0'
__all__ = ['CompiledGraph', 'DataError', 'Diagnostic', 'GraphError', 'Limits', 'check', 'compile', 'compile_file',
           'load_snapshot']

_LAZY = {'compile': 'compile_text', 'compile_file': 'compile_file', 'CompiledGraph': 'CompiledGraph',
         'DataError': 'DataError', 'load_snapshot': 'load_snapshot'}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module('graphdsl.compiled'), _LAZY[name])


def check(text: str, params: Mapping[str, Any] = (), bind: Mapping[str, Any] = (),
          allow_imports: Iterable[str] = (), limits: Limits = Limits()) -> tuple[Diagnostic, ...]:
    """Checks a graph, and runs it once on zeros to learn the shapes of all values.

    No data is read, no weights are loaded, nothing is trained, and random generators stay as they are.

    Args:
        text: The graph.
        params: Values of params by name.
        bind: Objects that its imports stand for, by name.
        allow_imports: Modules that it may import.
        limits: What it may come to.

    Returns:
        All errors and warnings, in the order of the text.
    """
    from graphdsl.driver import check_all, translate
    try:
        return check_all(translate(Source(text), dict(params), dict(bind), allow_imports=allow_imports,
                                   limits=limits))
    except GraphError as error:
        return error.diagnostics
