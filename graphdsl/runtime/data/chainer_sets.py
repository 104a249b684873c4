"""Chainer's own datasets, by short names."""
from __future__ import annotations

from graphdsl.runtime.data.columns import Columns
from graphdsl.runtime.data.errors import DataError, check_choice

_SPLITS = ('train', 'test')


def mnist(split: str = 'train', ndim: int = 1):
    """Gets MNIST, by :func:`chainer.datasets.get_mnist`, which downloads it once.

    The columns have no names. An example is ``(image, label)``:

    * image: float32 with values in ``[0, 1]``, of shape ``(784,)``, ``(28, 28)`` or ``(1, 28, 28)``;
    * label: int32 scalar in ``0..9``.

    Args:
        split (str): ``'train'`` (60000 examples) or ``'test'`` (10000).
        ndim (int): Number of axes of an image: 1, 2 or 3.

    Returns:
        :class:`chainer.datasets.TupleDataset`.

    Raises:
        DataError: For another argument, or if it is not on this machine and cannot be downloaded.

    """
    return _images('mnist', split, ndim, (1, 2, 3))


def fashion_mnist(split: str = 'train', ndim: int = 1):
    """Gets Fashion-MNIST, by :func:`chainer.datasets.get_fashion_mnist`. All else is as in :func:`mnist`."""
    return _images('fashion_mnist', split, ndim, (1, 2, 3))


def kuzushiji_mnist(split: str = 'train', ndim: int = 1):
    """Gets Kuzushiji-MNIST, by :func:`chainer.datasets.get_kuzushiji_mnist`. All else is as in :func:`mnist`."""
    return _images('kuzushiji_mnist', split, ndim, (1, 2, 3))


def cifar10(split: str = 'train', ndim: int = 3):
    """Gets CIFAR-10, by :func:`chainer.datasets.get_cifar10`, which downloads it once.

    The columns have no names. An example is ``(image, label)``:

    * image: float32 with values in ``[0, 1]``, of shape ``(3, 32, 32)``, or ``(3072,)`` for ``ndim=1``;
    * label: int32 scalar in ``0..9``.

    Args:
        split (str): ``'train'`` (50000 examples) or ``'test'`` (10000).
        ndim (int): Number of axes of an image: 3 or 1.

    Returns:
        :class:`chainer.datasets.TupleDataset`.

    Raises:
        DataError: For another argument, or if it is not on this machine and cannot be downloaded.

    """
    return _images('cifar10', split, ndim, (1, 3))


def cifar100(split: str = 'train', ndim: int = 3):
    """Gets CIFAR-100, by :func:`chainer.datasets.get_cifar100`: as :func:`cifar10`, with labels in ``0..99``."""
    return _images('cifar100', split, ndim, (1, 3))


def svhn(split: str = 'train'):
    """Gets the Street View House Numbers, by :func:`chainer.datasets.get_svhn`.

    There are 73257 examples for training and 26032 for tests. All else is as in :func:`cifar10` with ``ndim=3``.

    """
    return _get('svhn', split, _SPLITS)


def ptb_words(split: str = 'train') -> Columns:
    """Gets the words of the Penn Tree Bank, by :func:`chainer.datasets.get_ptb_words`, which downloads it once.

    There is one column, without a name: an example is ``(word,)``, int32 scalar. The words stand in the order of
    the text; :func:`chainer.datasets.get_ptb_words_vocabulary` gives their numbers.

    Args:
        split (str): ``'train'`` (929589 words), ``'validation'`` (73760) or ``'test'`` (82430).

    Returns:
        :class:`Columns`.

    Raises:
        DataError: For another ``split``, or if it is not on this machine and cannot be downloaded.

    """
    return Columns([_get('ptb_words', split, ('train', 'validation', 'test'))])


def _images(name: str, split: str, ndim: int, choices: tuple):
    check_choice('ndim', ndim, choices)
    return _get(name, split, _SPLITS, ndim=ndim)


def _get(name: str, split: str, splits: tuple, **options):
    """Calls Chainer, which answers with all splits of a dataset."""
    check_choice('split', split, splits)
    import chainer

    try:
        parts = getattr(chainer.datasets, 'get_' + name)(**options)
    # Chainer says with RuntimeError that it cannot make its folder.
    except (OSError, RuntimeError) as error:
        root = chainer.dataset.get_dataset_root()
        raise DataError(f'{name} is not on this machine and cannot be downloaded: {error}',
                        help=f'connect to the network, or copy {root} from a machine that has it') from error
    return parts[splits.index(split)]
