"""What converters see: a call, as it ran in several traces."""
from __future__ import annotations

from typing import Any, Callable, Optional, Sequence, Union

import numpy

from graphdsl.diagnostics import Span
from graphdsl.export.sizes import UNKNOWN, Size, Sizes
from graphdsl.export.traced import Constant, Given, Record, Result, Source, Weight


class Refusal(Exception):
    """Raised for what cannot be exported.

    Args:
        reason: Why.
        help: What to do.
        span: Where; None leaves it to the caller.
    """

    def __init__(self, reason: str, help: str = '', span: Optional[Span] = None):
        super().__init__(reason)
        self.reason = reason
        self.help = help
        self.span = span


class Call:
    """One call of a function.

    Args:
        records: The call in every trace.
        sizes: Of the traces.
        inputs: Names of its inputs in the ONNX graph.

    Attributes:
        kind (str): Name of the function's class.
    """

    def __init__(self, records: Sequence[Record], sizes: Sizes, inputs: Sequence[str]):
        self.kind = records[0].kind
        self.inputs = list(inputs)
        self._records = records
        self._sizes = sizes

    @property
    def input(self) -> str:
        """The name of the only, or the first, input."""
        return self.inputs[0]

    @property
    def dtype(self) -> numpy.dtype:
        """Dtype of the first input."""
        return self._records[0].dtypes[0]

    def dtypes(self) -> tuple[numpy.dtype, ...]:
        return self._records[0].dtypes

    def out_dtype(self) -> numpy.dtype:
        """Dtype of the first result."""
        return self._records[0].outputs[0][1]

    def ndim(self, i: int = 0) -> int:
        return len(self._records[0].shapes[i])

    def outputs(self) -> int:
        """Returns the number of results."""
        return len(self._records[0].outputs)

    def shape(self, i: int = 0) -> list[Size]:
        """Returns the shape of an input."""
        return self.sizes([record.shapes[i] for record in self._records])

    def out_shape(self, i: int = 0) -> list[Size]:
        """Returns the shape of a result."""
        return self.sizes([record.outputs[i][0] for record in self._records])

    def fixed(self, shape: Sequence[Size]) -> list[int]:
        """Returns lengths that do not depend on the number of examples."""
        if not all(size.is_fixed for size in shape):
            raise Refusal('here it works along the axis of the examples')
        return [size.base for size in shape]

    def get(self, name: str) -> Any:
        """Returns an attribute of the function, which must be the same in all traces."""
        return self.same([getattr(record.function, name) for record in self._records])

    def numbers(self, name: str) -> Union[Any, tuple[Size, bool]]:
        """Returns a number that the function was given.

        Returns:
            The number; if it depends on the number of examples, a size, and whether the number is one over it.
        """
        values = self.each(lambda function: getattr(function, name))
        if any(map(numpy.ndim, values)):
            raise Refusal('one of its operands is an array that NumPy made')
        if all(value == values[0] for value in values):
            return values[0]
        for is_inverse in (False, True):
            found = [1 / value if is_inverse and value else value for value in values]
            size = self._sizes.of([round(value) for value in found])
            if size is not UNKNOWN and numpy.allclose(found, [round(value) for value in found], rtol=1e-9):
                return size, is_inverse
        return self.same(values)

    def each(self, get: Callable[[Any], Any]) -> list[Any]:
        """Returns something of the function in every trace."""
        return [get(record.function) for record in self._records]

    def same(self, values: Sequence[Any]) -> Any:
        """Returns a value that must be the same in all traces."""
        if any(not numpy.array_equal(value, values[0]) for value in values):
            raise Refusal('one of its arguments is computed outside of the graph, from the data or the number of '
                          'examples')
        return values[0]

    def sizes(self, values: Sequence[Sequence[int]]) -> list[Size]:
        """Returns integers as they depend on free axes, given their values in each trace."""
        if len({len(value) for value in values}) > 1:
            raise Refusal('the number of axes depends on the number of examples')
        return [self._sizes.of([int(v) for v in column]) for column in zip(*values)]


def matching(sources: Sequence[Source]) -> bool:
    """Says whether the sources of an array are the same in all traces, but for constants."""
    first = sources[0]
    if isinstance(first, Constant):
        return all(isinstance(source, Constant) for source in sources)
    assert isinstance(first, (Given, Weight, Result))
    return all(source == first for source in sources)
