"""What Python code gets from the compiler."""
from __future__ import annotations

import copy
import itertools
import linecache
import os
from types import CodeType
from typing import Any, Iterable, Mapping, Optional, Union

from graphdsl.diagnostics import Diagnostic, GraphError, Source, Span
from graphdsl.driver import Compilation, read, translate
from graphdsl.emit.module import binding_spans
from graphdsl.limits import Limits, with_room
from graphdsl.plan.plan import Plan
from graphdsl.runtime.counting import Nodes, count_nodes
from graphdsl.runtime.origin import Origin
from graphdsl.runtime.program import Program
from graphdsl.runtime.seeds import generators_of_its_own
from graphdsl.runtime.snapshots import load_snapshot  # noqa: F401 (public, as `graphdsl.load_snapshot`)

_numbers = itertools.count(1)


class CompiledGraph(Program):
    """A compiled graph: its models and optimizers, ready to train.

    Args:
        compilation: What the phases made of the file.

    Attributes:
        source (str): Text of the generated Python module.
        plan (Plan): What an iteration computes, differentiates and updates.
        losses (tuple of str): Names of the losses, as they are reported.
        warnings (tuple of Diagnostic): What is odd about the file.

    See :class:`graphdsl.runtime.Program` for the other attributes.
    """

    def __init__(self, compilation: Compilation):
        self.source: str = compilation.module.text
        self.plan: Plan = compilation.plan
        filename = f'<graphdsl {next(_numbers)}: {compilation.source.name}>'
        # Tracebacks and inspect find the generated lines here.
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(True), filename)
        namespace = {'__name__': 'graphdsl_module', '__file__': filename, **compilation.imported}
        exec(_code(compilation, filename), namespace)
        self._module = namespace
        self._regions = compilation.module.regions
        graph = compilation.graph
        origin = Origin(filename, compilation.source, compilation.module.spans,
                        {str(key): span for key, span in binding_spans(graph).items()},
                        {str(model.key): model.span for model in graph.models},
                        {optimizer.name: optimizer.span for optimizer in graph.optimizers})
        super().__init__(namespace, origin, compilation.limits)
        self.losses = tuple(str(loss.key) for loss in graph.losses)
        self.warnings = compilation.warnings + self.warnings

    def count_nodes(self) -> dict[tuple[str, Optional[int]], Nodes]:
        """Counts the function nodes that run in the first iteration, on zeros and copies of the models.

        Returns:
            Counts by step and backward pass: ``'critic', 0`` for the first pass of the step ``critic``, ``'critic',
            None`` for all else in it.
        """
        with self.origin.errors(), generators_of_its_own():
            return count_nodes(self._module, copy.deepcopy(self.models), self.origin.filename, self._regions)


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


def compile_text(text: str, params: Mapping[str, Any] = (), bind: Mapping[str, Any] = (),
                 allow_imports: Iterable[str] = (), no_passes: Iterable[str] = (), limits: Limits = Limits()
                 ) -> CompiledGraph:
    """Compiles a graph from a string.

    Args:
        text: The graph.
        params: Values of params, in place of their defaults.
        bind: What the names of `import` statements stand for: links, functions, datasets of your own.
        allow_imports: Modules that `import` statements may import.
        no_passes: Optimisations to leave out: ``'joint'``, ``'routing'``, ``'reuse'``, ``'cut'``, ``'stacking'``.
        limits: What the graph may come to; a larger :class:`graphdsl.Limits` lets larger graphs pass.

    Returns:
        Models that are initialised, from NumPy's global random generator, and optimizers that are set up.

    Raises:
        GraphError: If there is anything wrong with it; `str` of the exception shows where.
    """
    return CompiledGraph(translate(Source(text), dict(params), dict(bind), allow_imports=allow_imports,
                                   no_passes=no_passes, limits=limits))


def compile_file(path: Union[str, os.PathLike], params: Mapping[str, Any] = (),
                 bind: Mapping[str, Any] = (), allow_imports: Iterable[str] = (), no_passes: Iterable[str] = (),
                 limits: Limits = Limits()) -> CompiledGraph:
    """Compiles a graph file; see :func:`graphdsl.compile`. Its paths are relative to its own folder."""
    folder = os.path.dirname(os.path.abspath(path))
    return CompiledGraph(translate(read(path, limits), dict(params), dict(bind), folder, allow_imports, no_passes,
                                   limits))
