"""Indices and slices."""
from __future__ import annotations

from typing import Any, Sequence

import numpy

from graphdsl.export.calls import Call, Refusal
from graphdsl.export.sizes import Size
from graphdsl.export.traced import Traced
from graphdsl.export.writer import Writer

_END, _START = numpy.iinfo('int64').max, numpy.iinfo('int64').min


def index(call: Call, onnx: Writer, items: Sequence[Sequence[Any]]) -> str:
    """Adds what indexes an array.

    Args:
        call: The call; an array that indexes is its second input.
        onnx: The writer.
        items: The index in every trace.
    """
    items = [_complete(one, call.ndim()) for one in items]
    first = items[0]
    if any(list(map(type, one)) != list(map(type, first)) for one in items):
        raise Refusal('its index depends on the number of examples')
    x, axis, slices, arrays, inserted, removed, place = call.input, 0, [], [], [], [], 0
    for column in zip(*items):
        item = column[0]
        if item is None:
            inserted.append(place)
        elif isinstance(item, slice):
            slices += _sliced(call, column, axis)
        elif isinstance(item, (int, numpy.integer)):
            start, = call.sizes([[one] for one in column])
            slices.append((start, Size(_END) if start == Size(-1) else Size(start.base + 1, start.growth), axis, 1))
            removed.append(axis)
        elif isinstance(item, numpy.ndarray) and item.dtype.kind in 'iu':
            arrays.append((axis, item, column, place))
        else:
            raise Refusal('indices are integers, slices, and one array of integers')
        place += item is None or not isinstance(item, (int, numpy.integer))
        axis += item is not None
    if slices:
        starts, ends, axes, steps = zip(*slices)
        x = onnx.op('Slice', [x, onnx.list_of(starts), onnx.list_of(ends), onnx.integers(axes), onnx.integers(steps)])
    if removed:
        x = onnx.op('Squeeze', [x, onnx.integers(removed)])
    if inserted:
        x = onnx.op('Unsqueeze', [x, onnx.integers(inserted)])
    if len(arrays) > 1 or (arrays and removed):
        raise Refusal('several arrays, or an array and integers, cannot index at once')
    for axis, item, column, place in arrays:
        indices = call.inputs[1] if len(call.inputs) > 1 else onnx.constant(call.same(column), 'int64')
        x = onnx.op('Gather', [x, indices], axis=place)
    return x


def _complete(items: Any, ndim: int) -> list[Any]:
    """Writes an index without an ellipsis, lists as arrays."""
    items = list(items) if isinstance(items, tuple) else [items]
    items = [numpy.asarray(item) if isinstance(item, list) else item for item in items]
    items = [item.item() if isinstance(item, numpy.ndarray) and not item.ndim and not isinstance(item, Traced) else item
             for item in items]
    rest = ndim - sum(item is not None and item is not Ellipsis for item in items)
    if any(item is Ellipsis for item in items):
        i = next(i for i, item in enumerate(items) if item is Ellipsis)
        return items[:i] + [slice(None)] * rest + items[i + 1:]
    return items


def _sliced(call: Call, column: Sequence[slice], axis: int) -> list[tuple[Size, Size, int, int]]:
    """Returns the start, end, axis and step of a slice; nothing if it takes all."""
    if all(item == slice(None) for item in column):
        return []
    step = call.same([1 if item.step is None else item.step for item in column])
    start, = call.sizes([[(0 if step > 0 else -1) if item.start is None else item.start] for item in column])
    stop, = call.sizes([[(_END if step > 0 else _START) if item.stop is None else item.stop] for item in column])
    return [(start, stop, axis, step)]


def _get_item(call: Call, onnx: Writer) -> str:
    return index(call, onnx, call.each(lambda function: function.slices))


def _select_item(call: Call, onnx: Writer) -> str:
    indices = onnx.op('Unsqueeze', [onnx.cast(call.inputs[1], 'int64'), onnx.integers([1])])
    return onnx.op('Squeeze', [onnx.op('GatherElements', [call.input, indices], axis=1), onnx.integers([1])])


CONVERTERS = {
    'GetItem': _get_item,
    'SelectItem': _select_item,
}
