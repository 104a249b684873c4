"""The shapes of a whole graph, and all that is wrong with them."""
from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping, Optional

import chainer
import numpy

from graphdsl.diagnostics import Diagnostic, GraphError, Source, in_order
from graphdsl.driver import Compilation
from graphdsl.emit.chains import Chains
from graphdsl.emit.module import binding_spans
from graphdsl.emit.writer import Writer
from graphdsl.limits import Limits
from graphdsl.loading import load
from graphdsl.runtime import stateful
from graphdsl.runtime.seeds import generators_of_its_own
from graphdsl.runtime.sizes import checked_sizes
from graphdsl.runtime.trial import not_scalar, numbers_at_first, repeated, zeros
from graphdsl.semantics.computation import Builtin
from graphdsl.semantics.graph import Graph
from graphdsl.shapes.cheap import shapes_alone
from graphdsl.shapes.report import Reporter
from graphdsl.shapes.trace import Finding, Place, Trace
from graphdsl.shapes.types import FEW, LONG, MORE, SHORT, Type, symbolic

Models = Mapping[str, chainer.Link]


@dataclass(frozen=True)
class Examination:
    """What running a graph on zeros has shown.

    Attributes:
        diagnostics: Errors and warnings, in order.
        types: What each stage gives, by place, axes of the batch named; empty where nobody asked.
        sizes: Elements of the parameters of each link, by the names of the model and of the parts on the way to it;
            likewise.
        cause: The first exception, if there was one.
    """

    diagnostics: tuple[Diagnostic, ...]
    types: Mapping[Place, Type]
    sizes: Mapping[tuple[str, ...], int]
    cause: Optional[Exception] = None


class Examiner:
    """Runs graphs line by line on zeros.

    Args:
        graph: The graph.
        source: Its file.
        module: Names and values of its module.
        limits: How large the arrays may be.
    """

    def __init__(self, graph: Graph, source: Source, module: dict[str, Any], limits: Limits):
        self._limits = limits
        self.graph = graph
        self.source = source
        self.module = module
        self._chains = Chains(Writer(source), graph)
        self._chains.write_all()
        self._spans = {str(key): span for key, span in binding_spans(graph).items()}
        self._takes_gradients = any(callee == Builtin('grad') for body in (graph.assignments, *(
            chain.assignments for chain, _ in self._chains.written)) for one in body for callee in one.callees)

    def examine(self, models: Models, wants_types: bool = False) -> Examination:
        """Runs everything once, and once more where a message or the caller wants to know the axes of the batch.

        Args:
            models: Of the module, by name, to be thrown away. All of their links are called.
            wants_types: Whether the caller does.
        """
        few = self._run(models, FEW)
        found = [*self._not_scalar(few), *repeated(self._values(few, self.module['LOSSES']), self._spans)]
        if not (few.findings or wants_types):
            return Examination(in_order(found), {}, {})
        more = self._run(models, MORE)
        is_ragged = any(None in i.shape for i in self.graph.inputs)
        longer = self._run(models, FEW, LONG) if is_ragged else None
        reporter = Reporter(self.graph, self.source)
        for one in few.findings:
            other = _same(one, more)
            if one.error is not None or other is not None:     # two parameters may have such shapes by chance
                found.append(reporter.diagnostic(one, other, _same(one, longer)))
        cause = next((one.error for one in few.findings if one.error is not None), None)
        types = {place: symbolic(kind, more.types.get(place), longer and longer.types.get(place))
                 for place, kind in few.types.items()}
        return Examination(in_order(found), types, dict(_sizes(models)), cause)

    def _run(self, models: Models, rows: int, length: int = SHORT) -> Trace:
        for model in models.values():
            stateful.reset(model)
        given = {**zeros(self.module, rows, length), **numbers_at_first(self.module)}
        with chainer.force_backprop_mode() if self._takes_gradients else chainer.no_backprop_mode():
            return Trace(self.graph, self._chains, self.module, models, given, self._limits).run()

    def _not_scalar(self, few: Trace) -> Iterator[Diagnostic]:
        names = [str(one.key) for one in (*self.graph.losses, *self.graph.metrics)]
        return not_scalar(self._values(few, names), self._spans)

    def _values(self, trace: Trace, names: Iterable[str]) -> dict[str, Any]:
        found = {str(key): value for key, value in trace.values.items()}
        return {name: found[name] for name in names if name in found}


def _same(finding: Finding, trace: Optional[Trace]) -> Optional[Finding]:
    """Returns what another run has found at the place of a finding."""
    return next((one for one in trace.findings if (one.node.span, one.callers) == (finding.node.span, finding.callers)),
                None) if trace is not None else None


def examine(compilation: Compilation, wants_types: bool = False) -> Examination:
    """Runs a graph on zeros, with zeros for parameters; nothing is left of it, in random generators or elsewhere.

    Args:
        compilation: What the phases made of its file.
        wants_types: Whether the caller asks for the types of all stages.

    Returns:
        What is odd or wrong, and the types; where a model cannot be made, only this.
    """
    module, origin = load(compilation)
    try:
        with origin.errors(), without_trace(), shapes_alone(), checked_sizes(compilation.limits):
            models = dict(module['make_models']())
            examiner = Examiner(compilation.graph, compilation.source, module, compilation.limits)
            return examiner.examine(models, wants_types)
    except GraphError as error:
        return Examination(error.diagnostics, {}, {})


def _sizes(models: Models) -> Iterator[tuple[tuple[str, ...], int]]:
    for name, model in models.items():
        for path, link in model.namedlinks():
            sizes = [parameter.size for parameter in link.params() if parameter.is_initialized]
            if sizes:
                yield (name, *path.split('/')[1:]) if path != '/' else (name,), sum(sizes)


@contextlib.contextmanager
def without_trace() -> Iterator[None]:
    """A mode that leaves no trace in random generators and running statistics, and does not warn of numbers."""
    with generators_of_its_own(), chainer.using_config('train', False), numpy.errstate(all='ignore'):
        yield
