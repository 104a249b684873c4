"""The data sources of the language.

Each is a function that returns a Chainer dataset: an object with ``__len__`` and ``__getitem__`` whose examples
are tuples, as iterators and :func:`chainer.dataset.concat_examples` want them. Most are :class:`Columns`, whose
attribute ``columns`` has the names of its columns, or ``None``; :class:`chainer.datasets.TupleDataset` has no
such attribute, so ``getattr(dataset, 'columns', None)`` answers for every dataset: columns with names meet the
inputs of a graph by name, others by order.

:func:`sequence` is no source: it makes a dataset whose examples are read in order from one that a source gives.

A source gives the same examples whenever it is called with the same arguments, and leaves NumPy's global random
state alone. What its user got wrong is a :class:`DataError`.

"""
from graphdsl.runtime.data.chainer_sets import (cifar10, cifar100, fashion_mnist, kuzushiji_mnist, mnist,
                                                ptb_words, svhn)
from graphdsl.runtime.data.columns import Columns
from graphdsl.runtime.data.errors import DataError, Ended
from graphdsl.runtime.data.files import images, text
from graphdsl.runtime.data.sequence import SequenceIterator, sequence
from graphdsl.runtime.data.sklearn_sets import breast_cancer, diabetes, digits, iris, wine
from graphdsl.runtime.data.tables import csv, npz

#: The sources by their names in the language.
SOURCES = {source.__name__: source for source in (
    digits, iris, wine, breast_cancer, diabetes, npz, csv, images, text,
    mnist, fashion_mnist, kuzushiji_mnist, cifar10, cifar100, svhn, ptb_words)}

#: The arguments that are paths, by source. A source uses a path as it gets it: whoever reads a graph file joins
#: the file's folder and the path. The first path may come without its name, as the first argument.
PATH_ARGUMENTS = {'npz': ('path',), 'csv': ('path', 'like'), 'images': ('path', 'like'), 'text': ('path', 'like')}

__all__ = ['Columns', 'DataError', 'Ended', 'PATH_ARGUMENTS', 'SOURCES', 'SequenceIterator', 'sequence', *SOURCES]
