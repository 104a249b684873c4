"""One long array as parallel lanes: what a recurrent model reads."""
from __future__ import annotations

from typing import Any, Optional

import chainer

from graphdsl.runtime.data.errors import DataError, check_whole


def sequence(dataset) -> SequenceDataset:
    """Turns one long column into pairs ``(item, next item)``, which are read in order.

    ``sequence(text('a.txt'))`` has one pair less than the text has characters. The columns have no names.

    Args:
        dataset: A dataset of one column, such as :func:`text` and :func:`ptb_words` give, or an array.

    Returns:
        :class:`SequenceDataset`.

    Raises:
        DataError: If the dataset has several columns, or less than two items.

    """
    return SequenceDataset(dataset)


class SequenceDataset(chainer.dataset.DatasetMixin):
    """Dataset of pairs of neighbours, with an iterator of its own. See :func:`sequence`.

    Args:
        dataset: The items, one by one.

    Attributes:
        columns: ``None``: pairs meet two inputs by order.
        classes (dict): Those of the items, for both columns.

    """

    columns = None

    def __init__(self, dataset):
        if len(dataset) < 2:
            raise DataError(f'a sequence takes two items or more, and the data has {len(dataset)}')
        first = dataset[0]
        if isinstance(first, (tuple, dict)) and len(first) != 1:
            raise DataError(f'a sequence is made of one column, and the data has {len(first)}',
                            help='such as sequence(text("a.txt"))')
        self._items = dataset
        classes = getattr(dataset, 'classes', {})
        self.classes = {0: classes[0], 1: classes[0]} if 0 in classes else {}

    def __len__(self) -> int:
        return len(self._items) - 1

    def get_example(self, i: int) -> tuple[Any, Any]:
        i = range(len(self))[i]
        return _item(self._items[i]), _item(self._items[i + 1])

    def iterator(self, batch: int, repeat: bool = True) -> SequenceIterator:
        """Makes an iterator that reads ``batch`` lanes side by side.

        Args:
            batch (int): Number of lanes.
            repeat (bool): If ``False``, it stops after one epoch.

        Raises:
            DataError: If there are fewer pairs than lanes.

        """
        return SequenceIterator(self, batch, repeat)


class SequenceIterator(chainer.dataset.Iterator):
    """Reads a dataset in order at several places at once.

    With ``n`` examples, lane ``k`` of ``batch`` starts at ``k * n // batch``. Every minibatch has the next example
    of each lane, so the same place of the next minibatch goes on where this one was; after the last example a lane
    goes on with the first. An epoch is ``n // batch`` minibatches, in which a lane comes to where the next one
    started, but for a remainder. (Lanes as in ``ParallelSequentialIterator`` of Chainer's ptb example.)

    Args:
        dataset: The examples.
        batch_size (int): Number of lanes. No minibatch has less.
        repeat (bool): If ``False``, it stops after one epoch.

    Attributes:
        dataset: As given.
        batch_size (int): Likewise.
        repeat (bool): Likewise.

    Raises:
        DataError: If there are fewer examples than lanes.

    """

    def __init__(self, dataset, batch_size: int, repeat: bool = True):
        check_whole('batch', batch_size, least=1)
        if len(dataset) < batch_size:
            raise DataError(f'a sequence of {len(dataset)} pairs cannot be read in {batch_size} lanes',
                            help='batch is the number of lanes: make it smaller')
        self.dataset = dataset
        self.batch_size = batch_size
        self.repeat = repeat
        self._offsets = [k * len(dataset) // batch_size for k in range(batch_size)]
        self._length = len(dataset) // batch_size
        self.reset()

    def reset(self) -> None:
        """Goes back to the beginning."""
        self._count = 0

    def __next__(self) -> list:
        if not self.repeat and self._count == self._length:
            raise StopIteration
        batch = [self.dataset[(offset + self._count) % len(self.dataset)] for offset in self._offsets]
        self._count += 1
        return batch

    next = __next__

    @property
    def epoch(self) -> int:
        return self._count // self._length

    @property
    def is_new_epoch(self) -> bool:
        return self._count > 0 and self._count % self._length == 0

    @property
    def epoch_detail(self) -> float:
        return self._count / self._length

    @property
    def previous_epoch_detail(self) -> Optional[float]:
        return (self._count - 1) / self._length if self._count else None

    def serialize(self, serializer) -> None:
        """Saves or restores the position. It is one number: how many minibatches were read."""
        self._count = int(serializer('count', self._count))


def _item(example: Any) -> Any:
    if isinstance(example, dict):
        example = tuple(example.values())
    return example[0] if isinstance(example, tuple) else example
