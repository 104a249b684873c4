"""The export of a program to an ONNX file."""
from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Iterable, Sequence, Union

import numpy

from graphdsl.diagnostics import GraphError
from graphdsl.files import replace_by
from graphdsl.runtime.program import Program


class ExportError(Exception):
    """Raised for what prevents an export and has no place in the graph file."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        inputs, outputs: Name, dtype and shape of each, such as ``'x float32[batch, 1, 8, 8]'``.
        difference (float): The greatest difference between onnxruntime and Chainer.
        counts: The numbers of examples that they were compared with.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float
    counts: tuple[int, ...]


def export(program: Program, path: Union[str, os.PathLike], outputs: Iterable[str] = (), tolerance: float = 1e-5
           ) -> Exported:
    """Writes the part of a graph that computes its outputs to an ONNX file.

    Args:
        program: The graph.
        path: The file, written whole or not at all.
        outputs: Names of the outputs, or families of them, that are wanted; all if there are none.
        tolerance: The greatest difference between onnxruntime and Chainer; in outputs with numbers above 1, as a
            share of the greatest.

    Returns:
        What was written.

    Raises:
        GraphError: If a function cannot be exported.
        ExportError: If a package is missing, there is no such output, or the difference is greater.
        OSError: If the file cannot be written.
    """
    check_packages()
    import onnx
    from graphdsl.export.checking import COUNTS, greatest_difference
    from graphdsl.export.model import Exporter
    from graphdsl.export.traces import Tracer

    if any(model.device.xp is not numpy for model in program.models.values()):
        raise ExportError("models are exported from main memory: call `to_device('@numpy')` of each")
    wanted, tracer = list(outputs), Tracer(program)
    exporter = Exporter(tracer)
    for function in program.predictions.values():
        exporter.add(function, lambda name: not wanted or name in wanted or name.partition('[')[0] in wanted)
    _check_names(program, exporter.names, wanted)
    model = exporter.model()
    try:
        onnx.checker.check_model(model, full_check=True)
        content = model.SerializeToString()
        difference, where = greatest_difference(content, tracer, exporter)
    except GraphError:
        raise
    except Exception as error:      # ONNX and onnxruntime have many kinds of them
        raise ExportError(f'the model cannot be run: {str(error).strip().splitlines()[0]}. Nothing was written'
                          ) from error
    if not difference <= tolerance:
        raise ExportError(f'onnxruntime computes another `{where}` than Chainer: the difference is {difference:.2g}, '
                          f'and the tolerance {tolerance:g}. Nothing was written')
    replace_by(path, content)
    return Exported(tuple(map(str, exporter.inputs)), tuple(map(str, exporter.outputs)), difference, COUNTS)


def check_packages() -> None:
    """Checks that the packages are there which an export needs."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ExportError(f"an export needs {error.name}: pip install 'graphdsl[export]'") from None


def _check_names(program: Program, names: Sequence[str], wanted: Sequence[str]) -> None:
    """Checks that there are outputs, and those that are wanted."""
    if not names:
        raise ExportError(f'{program.name} has no outputs: write `output NAME = ...` for what is to be exported')
    known = {*names, *(name.partition('[')[0] for name in names)}
    missing = next((name for name in wanted if name not in known), None)
    if missing is not None:
        raise ExportError(f'there is no output `{missing}`; there are ' + ', '.join(f'`{name}`' for name in names))
