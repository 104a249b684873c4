"""One way to split examples into training and test data."""
from __future__ import annotations

import hashlib
from typing import Optional, Sequence

import numpy

from graphdsl.runtime.data.errors import DataError, check_choice

SPLITS = ('train', 'test', 'all')


def part(split: str, contents: Sequence[numpy.ndarray], classes: Optional[numpy.ndarray] = None,
         shuffle: bool = False) -> numpy.ndarray:
    """Returns the places of the examples in one part of a dataset.

    Every fifth example is for tests, counted class after class, from the third on. This takes no seed, so that two
    sources in one graph file, such as a training and a test set with different seeds, never share an example.
    Examples of equal content, however often they occur, count as one and are on one side.

    Args:
        split (str): ``'train'``, ``'test'`` or ``'all'``.
        contents (sequence of arrays): What makes two examples equal. The first axis counts the examples.
        classes (array of ints): Classes of the examples. By default, they are all of one.
        shuffle (bool): If ``True``, the examples of a class are counted in a random order, always the same. It is
            for data whose order may have a rhythm; in other data, their own order spreads the tests evenly.

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

    order = numpy.random.RandomState(0).permutation(len(groups)) if shuffle else numpy.arange(len(groups))
    if classes is not None:
        _, first = numpy.unique(group, return_index=True)
        order = order[numpy.argsort(classes[first[order]], kind='stable')]
    test = order[2::5]
    if not len(test):
        raise DataError(f'there are too few different examples to split: {len(groups)}',
                        help='name a file for training and another for tests')
    return numpy.flatnonzero(numpy.isin(group, test, invert=split == 'train'))


def _digest(values: Sequence[numpy.ndarray]) -> bytes:
    return hashlib.blake2b(b''.join([value.tobytes() for value in values]), digest_size=16).digest()
