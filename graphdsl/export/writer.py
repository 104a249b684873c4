"""Writes ONNX graphs."""
from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence, Union

import numpy
import onnx
from onnx import helper, numpy_helper

from graphdsl.export.calls import Refusal
from graphdsl.export.sizes import UNKNOWN, Size

#: Of ONNX's operators; onnxruntime reads it since version 1.13.
OPSET = 17
_IR_VERSION = 8


class Writer:
    """Nodes and constants of an ONNX graph that grows."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._lengths: dict[str, str] = {}
        self._axes: dict[str, tuple[str, int]] = {}
        self._names: dict[str, int] = {}

    def op(self, kind: str, inputs: Iterable[str], outputs: int = 1, **attributes: Any) -> Any:
        """Adds a node.

        Args:
            kind: The operator.
            inputs: Names of its inputs.
            outputs: How many results it has.
            attributes: Of the operator; those that are None are left out.

        Returns:
            The name of the result, or a list of names if there is not one.
        """
        names = [self.unique(kind) for _ in range(outputs)]
        attributes = {name: value for name, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def unique(self, base: str) -> str:
        """Makes a name that nothing else has: names of graphs have no dot."""
        self._names[base] = self._names.get(base, 0) + 1
        return f'{base}.{self._names[base]}'

    def constant(self, values: Any, dtype: Any = None) -> str:
        """Adds a constant that no model owns."""
        return self.named(self.unique('constant'), numpy.asarray(values, dtype))

    def integers(self, values: Iterable[int]) -> str:
        """Adds a list of integers, as shapes and axes are written."""
        return self.constant(list(values), numpy.int64)

    def named(self, name: str, array: numpy.ndarray) -> str:
        """Adds a constant under a name, once."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(numpy.ascontiguousarray(array).reshape(array.shape), name)
        return name

    def free_axes(self, axes: Mapping[str, tuple[str, int]]) -> None:
        """Says where the lengths of free axes are read, from now on: from which axis of which input."""
        self._axes = dict(axes)

    def list_of(self, sizes: Sequence[Size]) -> str:
        """Adds a list of lengths, which may depend on free axes."""
        result = self.integers(size.base for size in sizes)
        if UNKNOWN in sizes:
            raise Refusal('lengths depend on the number of examples in a way that is not linear')
        for axis in dict.fromkeys(axis for size in sizes for axis, _ in size.growth):
            steps = self.integers(dict(size.growth).get(axis, 0) for size in sizes)
            result = self.op('Add', [result, self.op('Mul', [steps, self._length(axis)])])
        return result

    def _length(self, axis: str) -> str:
        name, place = self._axes[axis]
        key = f'{name}:{place}'
        if key not in self._lengths:
            self._lengths[key] = self.op('Gather', [self.op('Shape', [name]), self.integers([place])], axis=0)
        return self._lengths[key]

    def reshape(self, x: str, shape: Sequence[Size]) -> str:
        """Adds a reshape; one axis that grows is left to ONNX."""
        if sum(not size.is_fixed for size in shape) == 1 and all(size.base for size in shape if size.is_fixed):
            return self.op('Reshape', [x, self.integers(s.base if s.is_fixed else -1 for s in shape)])
        return self.op('Reshape', [x, self.list_of(shape)], allowzero=1)

    def cast(self, x: str, dtype: Any) -> str:
        return self.op('Cast', [x], to=element_type(dtype))

    def used(self, results: Iterable[str]) -> set[str]:
        """Returns the names of all that some results are computed of, and their own."""
        results = set(results)
        return results.union(*(node.input for node in _needed(self.nodes, results)))

    def model(self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto],
              results: Mapping[str, str]) -> onnx.ModelProto:
        """Makes the model of what was added.

        Args:
            name: Of the graph.
            inputs, outputs: As the file declares them.
            results: What computes each output.
        """
        import graphdsl
        nodes = [*_needed(self.nodes, results.values()),
                 *(helper.make_node('Identity', [result], [output], name=f'output {output}')
                   for output, result in results.items())]
        used = self.used(results.values())
        graph = helper.make_graph(nodes, name, inputs, outputs, [c for n, c in self._constants.items() if n in used])
        return helper.make_model(graph, producer_name='graphdsl', producer_version=graphdsl.__version__,
                                 ir_version=_IR_VERSION, opset_imports=[helper.make_opsetid('', OPSET)])


def element_type(dtype: Any) -> int:
    """Returns ONNX's number of a dtype."""
    return helper.np_dtype_to_tensor_dtype(numpy.dtype(dtype))


def declared(name: str, dtype: Any, shape: Sequence[Union[int, str, None]], note: str = '') -> onnx.ValueInfoProto:
    """Declares an input or output; names, or None, stand for free axes."""
    return helper.make_tensor_value_info(name, element_type(dtype), shape, note)


def _needed(nodes: Sequence[onnx.NodeProto], outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """Returns the nodes that outputs depend on."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]
