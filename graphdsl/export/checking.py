"""Compares an ONNX model with Chainer."""
from __future__ import annotations

import numpy
import onnxruntime

from graphdsl.export.model import Exporter
from graphdsl.export.traces import Tracer

#: Numbers of examples that models are compared with.
COUNTS = (1, 3, 16)


def greatest_difference(model: bytes, tracer: Tracer, exporter: Exporter) -> tuple[float, str]:
    """Compares the outputs of an ONNX model with Chainer's, on random inputs.

    Args:
        model: The model.
        tracer: Runs functions with Chainer.
        exporter: Knows the functions.

    Returns:
        The greatest difference and the output that has it; in outputs with numbers above 1, as a share of the
        greatest. Integers that differ differ by infinity.
    """
    session = _session(model)
    names = {port.name for port in session.get_inputs()}
    found = [(0.0, exporter.parts[0].outputs[0])]
    for i in range(len(COUNTS)):
        given, wanted = {}, {}
        for part in exporter.parts:
            count = COUNTS[(i + exporter.group(part)) % len(COUNTS)]
            lengths = {axis: count + j for j, axis in enumerate(tracer.axes)}
            trace = tracer.run(part.function, lengths, 100 + i, part.drawn_before)
            given.update(trace.given)
            wanted.update({name: trace.values[name] for name in part.outputs})
        computed = session.run(list(wanted), {name: array for name, array in given.items() if name in names})
        found += [(difference(theirs, ours), name) for (name, ours), theirs in zip(wanted.items(), computed)]
    return max(found)


def _session(model: bytes) -> onnxruntime.InferenceSession:
    """Lets onnxruntime read a model, and say nothing of its own."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])


def difference(a: numpy.ndarray, b: numpy.ndarray) -> float:
    """Returns how far two arrays are apart; see :func:`greatest_difference`."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return float('inf')
    if a.dtype.kind != 'f' or not a.size:
        return 0.0 if (a == b).all() else float('inf')
    finite = numpy.isfinite(b)
    if not (numpy.isfinite(a) == finite).all() or not numpy.array_equal(a[~finite], b[~finite], equal_nan=True):
        return float('inf')
    a, b = a[finite].astype(float), b[finite].astype(float)
    return float(abs(a - b).max(initial=0) / max(1.0, abs(b).max(initial=0)))
