"""Shapes and dtypes as a graph file writes them."""
from __future__ import annotations

from typing import Any

from graphdsl.runtime.arrays import array


def kind_of(value: Any) -> str:
    """Returns the dtype and shape of a variable or array, such as ``float32[64, 10]``."""
    values = array(value)
    return f'{values.dtype}{list(values.shape) if values.shape else ""}'
