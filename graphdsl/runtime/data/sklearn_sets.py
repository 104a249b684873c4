"""The datasets that come with scikit-learn: small, real, and there without a network."""
from __future__ import annotations

from typing import Optional, Sequence

import numpy

from graphdsl.runtime.data.columns import Columns
from graphdsl.runtime.data.errors import DataError, check_whole
from graphdsl.runtime.data.split import part


def digits(strip: Optional[int] = None, split: str = 'train', examples: Optional[int] = None, seed: int = 0, *,
           classes: Optional[Sequence[int]] = None, limit: Optional[int] = None) -> Columns:
    """Gets handwritten digits, one by one or joined side by side into strips.

    These are scikit-learn's 1797 images. Every fifth of each class is kept for tests *before* they are joined:
    whatever the other arguments, no image is in both a training and a test strip. (They are in the order of their
    13 writers, so each of these is in both parts.)

    The columns have no names. An example is ``(image, labels)``:

    * image: float32 of shape ``(1, 8, 8 * strip)`` with values in ``[0, 1]``;
    * labels: int32 of shape ``(strip,)``, from left to right, in ``0..9``. Without ``strip``, a scalar.

    Args:
        strip (int): Number of digits in an image. By default, an image is one digit and its label a scalar.
        split (str): ``'train'``, ``'test'`` or ``'all'``.
        examples (int): Number of examples. Digits are drawn at random, but at each place of a strip all come once
            before one comes again. By default, single digits come once each, and of longer strips there are 6000,
            or 1000 for tests.
        seed (int): Seed of the drawing.
        classes (list of int): The digits that are kept, also as parts of strips. By default, all ten. They keep
            their labels: ``classes=[5, 6]`` has the labels 5 and 6.
        limit (int): Number of examples at most, the same number of every class as far as possible, and always the
            same ones: those of a smaller limit are among those of a larger one. It is for single digits that come
            once each, such as the few that have labels; ``examples`` gives the number of others.

    Returns:
        :class:`Columns`.

    Raises:
        DataError: For an argument of another kind, or for ``limit`` beside ``strip`` or ``examples``.

    """
    from sklearn.datasets import load_digits

    if strip is not None:
        check_whole('strip', strip, least=1)
    if examples is not None:
        check_whole('examples', examples, least=1)
    check_whole('seed', seed, least=0)
    if classes is not None:
        _check_classes(classes)
    if limit is not None:
        check_whole('limit', limit, least=1)
        if strip is not None or examples is not None:
            raise DataError('limit is for digits that come once each',
                            help='examples gives the number of others: digits(strip=4, examples=100)')

    bunch = load_digits()
    images = (bunch.images / 16).astype(numpy.float32)
    labels = bunch.target.astype(numpy.int32)
    rows = part(split, [images], labels)
    if classes is not None:
        rows = rows[numpy.isin(labels[rows], classes)]
    if limit is not None:
        rows = _balanced(rows, labels, limit)
    if examples is None and strip in (None, 1):
        chosen = rows[:, None]
    else:
        chosen = _drawn(rows, examples or (1000 if split == 'test' else 6000), strip or 1, seed)
    strips = images[chosen].transpose(0, 2, 1, 3).reshape(len(chosen), 1, 8, -1)
    return Columns([strips, labels[chosen[:, 0] if strip is None else chosen]])


def _check_classes(classes: object) -> None:
    if not isinstance(classes, (list, tuple)) or not classes:
        raise DataError(f'classes is {classes!r}', help='give a list of digits: classes=[0, 1, 2]')
    for label in classes:
        check_whole('one of classes', label, least=0)
        if label > 9:
            raise DataError(f'one of classes is {label}', help='digits are 0 to 9')


def _balanced(rows: numpy.ndarray, labels: numpy.ndarray, limit: int) -> numpy.ndarray:
    """Chooses one example of each class, then a second of each, and so on."""
    # Rows are in the order of their writers: the first ones would all be of one hand.
    rows = numpy.random.RandomState(0).permutation(rows)
    turn = numpy.empty(len(rows), dtype=int)
    for label in numpy.unique(labels[rows]):
        mine = labels[rows] == label
        turn[mine] = numpy.arange(numpy.count_nonzero(mine))
    return numpy.sort(rows[numpy.argsort(turn, kind='stable')[:limit]])


def _drawn(rows: numpy.ndarray, examples: int, strip: int, seed: int) -> numpy.ndarray:
    random = numpy.random.RandomState(seed)
    turns = -(-examples // len(rows))
    return numpy.stack([numpy.concatenate([random.permutation(rows) for _ in range(turns)])[:examples]
                        for _ in range(strip)], axis=1)


def iris(split: str = 'train') -> Columns:
    """Gets the iris flowers: 150 examples ``(features, label)`` in 3 classes.

    * features: float32 of shape ``(4,)``, standardised: on the training part, each has mean 0 and standard
      deviation 1;
    * label: int32 scalar. ``classes[1]`` of the dataset has the names of the classes.

    The columns have no names. Every fifth example of each class is for tests; an example that occurs twice is on
    one side only.

    Args:
        split (str): ``'train'``, ``'test'`` or ``'all'``.

    Returns:
        :class:`Columns`.

    Raises:
        DataError: For another ``split``.

    """
    return _labelled('iris', split)


def wine(split: str = 'train') -> Columns:
    """Gets the wines: 178 examples ``(features, label)``, float32 of shape ``(13,)`` and int32 scalar.

    There are 3 classes. All else is as in :func:`iris`.

    """
    return _labelled('wine', split)


def breast_cancer(split: str = 'train') -> Columns:
    """Gets the tumours: 569 examples ``(features, label)``, float32 of shape ``(30,)`` and int32 scalar.

    Label 0 is malignant, 1 is benign. All else is as in :func:`iris`.

    """
    return _labelled('breast_cancer', split)


def diabetes(split: str = 'train') -> Columns:
    """Gets the progress of 442 patients with diabetes: examples ``(features, target)``.

    * features: float32 of shape ``(10,)``;
    * target: float32 scalar.

    Both are standardised: on the training part, each has mean 0 and standard deviation 1. A mean squared error of
    1 is therefore that of guessing the mean. All else is as in :func:`iris`.

    """
    from sklearn.datasets import load_diabetes

    features, target = load_diabetes(return_X_y=True)
    rows, train = part(split, [features]), part('train', [features])
    return Columns([_standardised(features, train)[rows], _standardised(target, train)[rows]])


def _labelled(name: str, split: str) -> Columns:
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, 'load_' + name)()
    labels = bunch.target.astype(numpy.int32)
    rows, train = part(split, [bunch.data], labels), part('train', [bunch.data], labels)
    return Columns([_standardised(bunch.data, train)[rows], labels[rows]],
                   classes={1: tuple(str(name) for name in bunch.target_names)})


def _standardised(values: numpy.ndarray, train: numpy.ndarray) -> numpy.ndarray:
    return ((values - values[train].mean(axis=0)) / values[train].std(axis=0)).astype(numpy.float32)
