"""One way to split examples into training and test data."""
from __future__ import annotations

import hashlib
from typing import Optional, Sequence

import numpy

from graphdsl.runtime.data.errors import DataError, check_choice

SPLITS = ('train', 'test', 'all')


def part(split: str, contents: Sequence[numpy.ndarray], classes: Optional[numpy.ndarray] = None) -> numpy.ndarray:
    """Returns the places of the examples in one part of a dataset.

    A fifth of the examples is for tests. The choice is random but always the same: it takes no seed, so that two
    sources in one graph file, such as a training and a test set with different seeds, never share an example.
    Examples of equal content, however often they occur, are on the same side.

    Args:
        split (str): ``'train'``, ``'test'`` or ``'all'``.
        contents (sequence of arrays): What makes two examples equal. The first axis counts the examples.
        classes (array of ints): Classes of the examples. Each gives a fifth of its members.

    Returns:
        Ascending array of ints.

    Raises:
        DataError: For another ``split``, or if there are too few examples.

    """
    check_choice('split', split, SPLITS)
    size = len(contents[0])
    if split == 'all':
        return numpy.arange(size)
    groups: dict[bytes, int] = {}
    group = numpy.array([groups.setdefault(_digest([content[i] for content in contents]), len(groups))
                         for i in range(size)], dtype=int)

    order = numpy.random.RandomState(0).permutation(len(groups))
    if classes is not None:
        _, first = numpy.unique(group, return_index=True)
        order = order[numpy.argsort(classes[first[order]], kind='stable')]
    # Every fifth of the shuffled examples, class after class: rare classes too give their share.
    test = order[2::5]
    if not len(test):
        raise DataError(f'there are too few different examples to split: {len(groups)}',
                        help='name a file for training and another for tests')
    return numpy.flatnonzero(numpy.isin(group, test, invert=split == 'train'))


def _digest(values: Sequence[numpy.ndarray]) -> bytes:
    return hashlib.blake2b(b''.join([value.tobytes() for value in values]), digest_size=16).digest()
