"""What Python code gets from the compiler."""
from __future__ import annotations

import copy
import os
from typing import Any, Iterable, Mapping, Optional, Union

import chainer
import numpy

from graphdsl.diagnostics import Diagnostic, GraphError, Source
from graphdsl.driver import Compilation, read, translate
from graphdsl.export import Exported, export
from graphdsl.limits import Limits, with_room
from graphdsl.loading import load
from graphdsl.plan.plan import Plan
from graphdsl.runtime.counting import Nodes, count_nodes
from graphdsl.runtime.data import DataError  # noqa: F401 (public, as `graphdsl.DataError`)
from graphdsl.runtime.program import Program
from graphdsl.runtime.seeds import generators_of_its_own
from graphdsl.training.snapshots import load_snapshot  # noqa: F401 (public, as `graphdsl.load_snapshot`)
from graphdsl.runtime.trial import try_iteration
from graphdsl.shapes.check import Examiner
from graphdsl.tools.draw import Drawing, draw


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
        self._compilation = compilation
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

    def predict(self, data: Any = None, entry: Optional[str] = None, batch: Optional[int] = None,
                seed: Optional[int] = None, rows: Optional[int] = None) -> dict[str, numpy.ndarray]:
        """Computes the outputs with ``train=False``, minibatch by minibatch, without keeping anything of it.

        Args:
            data: Arrays by input name, whose first axis counts the rows; one array, if the outputs need a single
                input. Outputs whose inputs are not there are left out. Noise may be given, too.
            entry: An entry of the file's data blocks to read instead, such as ``'test'``.
            batch: Rows of a minibatch. By default, as in training; one, where a model has a state that goes on from
                one call to the next: rows are then successive steps.
            seed: Of the noise, which is the same every time; None takes the file's.
            rows: Of outputs that are made of noise alone; None takes as many as a minibatch has.

        Returns:
            Arrays in main memory by the names of the outputs. An output whose first axis does not grow with the
            minibatch is the mean over minibatches.

        Raises:
            DataError: If no output can be computed, or the rows do not fit together.
            GraphError: If the data do not fit the inputs, or something goes wrong at a line of the graph.
        """
        from graphdsl.using.predict import predict
        return dict(predict(self, self._data(data, entry), (), batch, seed, rows).values)

    def evaluate(self, data: Optional[Mapping[str, Any]] = None, entry: str = 'test', batch: Optional[int] = None,
                 seed: Optional[int] = None) -> dict[str, float]:
        """Computes losses and metrics, averaged over the examples as a run reports them.

        Args:
            data: Arrays by input name, whose first axis counts the rows. What needs inputs that are not there is
                left out.
            entry: The entry of the file's data blocks that is read where no data is given.
            batch: Rows of a minibatch. By default, as in training.
            seed: Of the noise, which is the same every time; None takes the file's.

        Returns:
            Averages by the names of losses and metrics.

        Raises:
            DataError: If no loss or metric can be computed, or the rows do not fit together.
            GraphError: If the data do not fit the inputs, or something goes wrong at a line of the graph.
        """
        from graphdsl.using.evaluate import evaluate
        return dict(evaluate(self, self._data(data, entry if data is None else None), batch, seed).values)

    @property
    def entries(self) -> tuple[str, ...]:
        """Names of the entries of the data blocks."""
        return tuple(dict.fromkeys(dataset.name for stream in self.plan.graph.streams for dataset in stream.datasets))

    def _data(self, data: Any, entry: Optional[str]) -> Any:
        from graphdsl.using.data import Arrays, Entry, by_name
        if entry is not None:
            return Entry.of(self, entry)
        return Arrays.of(self, by_name(self, {} if data is None else data))

    def count_nodes(self) -> dict[tuple[str, Optional[int]], Nodes]:
        """Counts the function nodes that run in the first iteration, on zeros and copies of the models.

        Returns:
            Counts by step and backward pass: ``'critic', 0`` for the first pass of the step ``critic``, ``'critic',
            None`` for all else in it.
        """
        with self.origin.errors(), generators_of_its_own():
            return count_nodes(self._module, copy.deepcopy(self.models), self.origin.filename, self._regions)

    def draw(self, step: Optional[str] = None) -> Drawing:
        """Draws the graph: data on the left, losses on the right, a box per model in the colour of its optimizer.

        Args:
            step (str): The step to show: what it runs, and where gradients flow. None for the whole iteration.

        Returns:
            A picture that notebooks show as it is: ``graph.draw().save('graph.svg')``, or its ``svg`` as a string.

        Raises:
            ValueError: If there is no such step.
        """
        return draw(self._compilation, step)

    def _repr_svg_(self) -> Optional[str]:
        try:
            return self.draw()._repr_svg_()
        except Exception:       # a notebook then shows the text
            return None

    def export(self, path: Union[str, os.PathLike], outputs: Iterable[str] = (), tolerance: float = 1e-5) -> Exported:
        """Writes the part of the graph that computes its outputs to an ONNX file.

        Args:
            path: The file, written whole or not at all.
            outputs: Names of the outputs, or families of them, that are wanted; all if there are none.
            tolerance: How far onnxruntime's outputs may be from Chainer's; of outputs with numbers above 1, as a share
                of the greatest.

        Returns:
            The names, dtypes and shapes of inputs and outputs, and the greatest difference that was found.

        Raises:
            GraphError: If a function cannot be exported.
            ExportError: If a package is missing, there is no such output, or the difference is greater.
            OSError: If the file cannot be written.
        """
        return export(self, path, outputs, tolerance)


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
