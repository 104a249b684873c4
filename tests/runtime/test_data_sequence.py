import chainer
import numpy
import pytest

from graphdsl.runtime import data
from graphdsl.runtime.data import SequenceIterator, sequence


def letters(count):
    return sequence(data.Columns([numpy.arange(count, dtype='i')]))


def saved(iterator):
    target = {}
    iterator.serialize(chainer.serializers.DictionarySerializer(target))
    return target


def restored(iterator, target):
    iterator.serialize(chainer.serializers.NpzDeserializer(target))
    return iterator


# The dataset

def test_examples_are_pairs_of_neighbours():
    pairs = letters(5)
    assert len(pairs) == 4 and list(pairs) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert pairs[-1] == (3, 4) and pairs[1:3] == [(1, 2), (2, 3)]
    assert pairs.columns is None
    assert [array.dtype for array in chainer.dataset.concat_examples(pairs[:])] == ['i', 'i']
    with pytest.raises(IndexError):
        pairs[4]


@pytest.mark.parametrize('items', [
    numpy.array([3, 1, 2]), [3, 1, 2], data.Columns({'word': [3, 1, 2]}), chainer.datasets.TupleDataset([3, 1, 2]),
    chainer.datasets.DictDataset(word=[3, 1, 2])])
def test_a_sequence_of_any_dataset_of_one_column(items):
    assert sequence(items)[:] == [(3, 1), (1, 2)]


def test_items_may_be_arrays():
    item, following = sequence(data.Columns([numpy.arange(6).reshape(3, 2)]))[1]
    assert item.tolist() == [2, 3] and following.tolist() == [4, 5]


def test_a_sequence_of_a_text_knows_its_characters(tmp_path):
    (tmp_path / 'a.txt').write_text('abca')
    pairs = sequence(data.text(tmp_path / 'a.txt'))
    assert pairs[:] == [(0, 1), (1, 2), (2, 0)] and pairs.classes == {0: ('a', 'b', 'c'), 1: ('a', 'b', 'c')}
    assert letters(3).classes == {}


@pytest.mark.parametrize('items, message', [
    (data.Columns([[1, 2], [3, 4]]), 'a sequence is made of one column, and the data has 2'),
    (chainer.datasets.DictDataset(x=[1, 2], t=[3, 4]), 'one column, and the data has 2'),
    (data.Columns([[1]]), 'a sequence takes two items or more, and the data has 1'),
])
def test_data_that_makes_no_sequence(items, message):
    with pytest.raises(data.DataError, match=message):
        sequence(items)


# The iterator

@pytest.mark.parametrize('pairs, batch', [(12, 3), (14, 3), (7, 7), (11, 1), (100, 32)])
def test_lanes_read_in_order_and_start_far_from_each_other(pairs, batch):
    iterator = letters(pairs + 1).iterator(batch)
    read = numpy.array([next(iterator) for _ in range(3 * pairs)])
    assert read.shape == (3 * pairs, batch, 2)
    lanes = read[..., 0]
    assert lanes[0].tolist() == [k * pairs // batch for k in range(batch)]
    numpy.testing.assert_array_equal(lanes, (lanes[0] + numpy.arange(3 * pairs)[:, None]) % pairs)
    numpy.testing.assert_array_equal(read[..., 1], lanes + 1)


def test_an_epoch_reads_every_pair_once():
    iterator = letters(13).iterator(3)
    for _ in range(2):
        read = [pair for _ in range(4) for pair in iterator.next()]
        assert sorted(read) == [(i, i + 1) for i in range(12)]
        assert iterator.is_new_epoch
    assert iterator.epoch == 2


def test_epochs_are_counted():
    iterator = letters(12).iterator(3)  # 11 pairs, 3 minibatches
    assert (iterator.epoch, iterator.epoch_detail, iterator.previous_epoch_detail) == (0, 0, None)
    assert not iterator.is_new_epoch
    seen = []
    for _ in range(6):
        iterator.next()
        seen.append((iterator.epoch, iterator.is_new_epoch))
        assert iterator.epoch_detail - iterator.previous_epoch_detail == pytest.approx(1 / 3)
    assert seen == [(0, False), (0, False), (1, True), (1, False), (1, False), (2, True)]
    assert iterator.epoch_detail == 2


def test_without_repetition_it_stops_after_an_epoch():
    iterator = letters(12).iterator(3, repeat=False)
    assert [len(batch) for batch in iterator] == [3, 3, 3]
    assert iterator.epoch == 1 and iterator.is_new_epoch
    with pytest.raises(StopIteration):
        iterator.next()
    iterator.reset()
    assert iterator.epoch == 0 and len(list(iterator)) == 3


@pytest.mark.parametrize('read', [0, 1, 3, 7, 31])
def test_a_saved_position_is_restored(read):
    iterator = letters(40).iterator(4)
    for _ in range(read):
        iterator.next()
    twin = restored(letters(40).iterator(4), saved(iterator))
    for _ in range(3):
        for name in ('epoch', 'epoch_detail', 'previous_epoch_detail', 'is_new_epoch'):
            assert getattr(twin, name) == getattr(iterator, name)
        assert twin.next() == iterator.next()


def test_a_position_goes_through_a_file(tmp_path):
    iterator = letters(40).iterator(4)
    for _ in range(13):
        iterator.next()
    chainer.serializers.save_npz(tmp_path / 'a.npz', iterator)
    twin = letters(40).iterator(4)
    chainer.serializers.load_npz(tmp_path / 'a.npz', twin)
    assert twin.next() == iterator.next() and type(twin.epoch) is int


def test_it_is_an_iterator_of_chainer():
    pairs = letters(12)
    iterator = SequenceIterator(pairs, 3)
    assert isinstance(iterator, chainer.dataset.Iterator)
    assert (iterator.dataset, iterator.batch_size, iterator.repeat) == (pairs, 3, True)
    model = chainer.links.Classifier(chainer.links.EmbedID(12, 12))
    updater = chainer.training.StandardUpdater(iterator, chainer.optimizers.SGD().setup(model))
    trainer = chainer.training.Trainer(updater, (2, 'epoch'))
    trainer.run()
    assert updater.iteration == 6


@pytest.mark.parametrize('batch, message', [
    (12, 'a sequence of 11 pairs cannot be read in 12 lanes; batch is the number of lanes: make it smaller'),
    (0, 'batch is 0; it is a whole number from 1'),
])
def test_lanes_that_there_cannot_be(batch, message):
    with pytest.raises(data.DataError, match=message):
        letters(12).iterator(batch)
