"""The types of arrays: `float32[1, 8, 8]`."""
from __future__ import annotations

import math
from typing import Optional

from graphdsl.semantics.builtins import DTYPES
from graphdsl.semantics.expressions import Expressions
from graphdsl.semantics.suggestions import listed, unknown
from graphdsl.diagnostics import mistake
from graphdsl.syntax import nodes

_LARGEST_AXIS = 2 ** 31 - 1


def is_integer(dtype: str) -> bool:
    """Says whether arrays of a dtype are made of integers or truth values."""
    return not dtype.startswith('float')


def array_type(node: nodes.ArrayType, resolver: Expressions, is_ragged: bool = False
               ) -> tuple[str, tuple[Optional[int], ...]]:
    """Returns the dtype and the shape of an array type.

    Args:
        node: The type.
        resolver: Resolves the sizes of axes.
        is_ragged: Whether axes may be of any length, written `?` and returned as None.

    Raises:
        Mistake: If there is no such dtype, or a size is no size.
    """
    dtype = node.dtype.name
    if dtype not in DTYPES:
        raise mistake('G504', f'there is no dtype `{dtype}`', node.dtype.span,
                      **unknown(dtype, node.dtype.span, DTYPES, listed(DTYPES, '')))
    if not is_ragged and any(size is None for size in node.shape):
        raise mistake('G504', 'only axes of an input may be of any length', node.span, reason='it has an axis `?`',
                      help='write a number for `?`')
    shape = tuple(None if size is None else resolver.integer(size, 'the size of an axis', least=1, most=_LARGEST_AXIS)
                  for size in node.shape)
    elements = math.prod(size for size in shape if size is not None)
    if elements > _LARGEST_AXIS:
        raise mistake('G204', f'an example has at most {_LARGEST_AXIS:,} elements', node.span,
                      reason=f'this has {elements:,}', help='make its axes smaller')
    return dtype, shape
