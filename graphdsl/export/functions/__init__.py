"""How each function is written in ONNX: ``CONVERTERS``, by the name of its class.

A converter takes the call and the writer, adds nodes, and returns the name of the result, or a list of names.
"""
from __future__ import annotations

from graphdsl.export.functions import activation, arrays, connection, indexing, math, normalization, numpys, pooling

CONVERTERS = {**activation.CONVERTERS, **arrays.CONVERTERS, **connection.CONVERTERS, **indexing.CONVERTERS,
              **math.CONVERTERS, **normalization.CONVERTERS, **numpys.CONVERTERS, **pooling.CONVERTERS}
