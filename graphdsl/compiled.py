"""What Python code gets from the compiler."""
from __future__ import annotations

import copy
import os
from typing import Any, Iterable, Mapping, Optional, Union

import chainer

from graphdsl.diagnostics import Diagnostic, GraphError, Source
from graphdsl.driver import Compilation, read, translate
from graphdsl.limits import Limits, with_room
from graphdsl.loading import load
from graphdsl.plan.plan import Plan
from graphdsl.runtime.counting import Nodes, count_nodes
from graphdsl.runtime.program import Program
from graphdsl.runtime.seeds import generators_of_its_own
from graphdsl.training.snapshots import load_snapshot  # noqa: F401 (public, as `graphdsl.load_snapshot`)
from graphdsl.runtime.trial import try_iteration
from graphdsl.shapes.check import Examiner


class CompiledGraph(Program):
    """A compiled graph: its models and optimizers, ready to train.

    Args:
        compilation: What the phases made of the file.

    Attributes:
        plan (Plan): What an iteration computes, differentiates and updates.
        losses (tuple of str): Names of the losses, as they are reported.
        warnings (tuple of Diagnostic): What is odd about the file.

    See :class:`graphdsl.runtime.Program` for the other attributes.
    """

    def __init__(self, compilation: Compilation):
        self.plan: Plan = compilation.plan
        self._module, origin = load(compilation)
        self._regions = compilation.module.regions
        self._examiner = Examiner(compilation.graph, compilation.source, self._module, compilation.limits)
        super().__init__(self._module, origin, compilation.limits)
        self.text = compilation.source.text
        self.params = dict(compilation.graph.params)
        self.given = {name: self.params[name] for name in compilation.given}
        self.losses = tuple(str(loss.key) for loss in compilation.graph.losses)
        self.warnings = compilation.warnings + self.warnings

    def _try_out(self, module: Mapping[str, Any], models: Mapping[str, chainer.Link]) -> tuple[Diagnostic, ...]:
        found = self._examiner.examine(models)
        if any(diagnostic.severity == 'error' for diagnostic in found.diagnostics):
            raise GraphError(found.diagnostics, self.origin.source) from found.cause
        try_iteration(module, models, self.origin)
        return found.diagnostics

    def count_nodes(self) -> dict[tuple[str, Optional[int]], Nodes]:
        """Counts the function nodes that run in the first iteration, on zeros and copies of the models.

        Returns:
            Counts by step and backward pass: ``'critic', 0`` for the first pass of the step ``critic``, ``'critic',
            None`` for all else in it.
        """
        with self.origin.errors(), generators_of_its_own():
            return count_nodes(self._module, copy.deepcopy(self.models), self.origin.filename, self._regions)


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
    return with_room(limits, _compiled, Source(text), dict(params), dict(bind), None, allow_imports, no_passes, limits)


def compile_file(path: Union[str, os.PathLike], params: Mapping[str, Any] = (),
                 bind: Mapping[str, Any] = (), allow_imports: Iterable[str] = (), no_passes: Iterable[str] = (),
                 limits: Limits = Limits()) -> CompiledGraph:
    """Compiles a graph file; see :func:`graphdsl.compile`. Its paths are relative to its own folder."""
    folder = os.path.dirname(os.path.abspath(path))
    return with_room(limits, _compiled, read(path, limits), dict(params), dict(bind), folder, allow_imports, no_passes,
                     limits)


def _compiled(*arguments: Any) -> CompiledGraph:
    return CompiledGraph(translate(*arguments))
