import io

import chainer
import numpy
import pytest

from graphdsl.runtime.data import DataError
from graphdsl.runtime.pool import Pool


def by_hand(size, seed, batches):
    """The image pool of CycleGAN, written with lists."""
    state = numpy.random.RandomState(seed)
    pool = []
    for batch in batches:
        returned = []
        for image in batch:
            if len(pool) < size:
                pool.append(image)
                returned.append(image)
            elif state.random_sample() < 0.5:
                k = state.randint(size)
                returned.append(pool[k])
                pool[k] = image
            else:
                returned.append(image)
        yield returned


def batches(n, rows=4):
    return [numpy.random.RandomState(i).rand(rows, 3, 2).astype('f') for i in range(n)]


@pytest.mark.parametrize('size', [1, 3, 6, 50])
def test_examples_are_swapped_as_in_cyclegan(size):
    pool = Pool(size, numpy.random.RandomState(7))
    for batch, expected in zip(batches(12), by_hand(size, 7, batches(12))):
        before = batch.copy()
        result = pool.swap(batch)
        numpy.testing.assert_array_equal(result, numpy.array(expected))
        numpy.testing.assert_array_equal(batch, before)
        assert result.dtype == batch.dtype


def test_what_comes_out_stays_when_the_batch_or_the_pool_changes():
    pool = Pool(2, numpy.random.RandomState(0))
    batch = numpy.ones((2, 1), 'f')
    first = pool.swap(batch)
    batch[...] = 5
    for _ in range(5):
        pool.swap(numpy.zeros((2, 1), 'f'))
    assert first.tolist() == [[1], [1]]


@pytest.mark.parametrize('filled', [0, 1, 5])
def test_a_loaded_pool_goes_on_as_the_saved_one(filled):
    pool, loaded = (Pool(6, numpy.random.RandomState(seed)) for seed in (1, 2))
    for batch in batches(filled):
        pool.swap(batch)
    file = io.BytesIO()
    chainer.serializers.save_npz(file, pool)
    file.seek(0)
    with numpy.load(file, allow_pickle=False) as saved:
        assert all(saved[name].dtype != object for name in saved)
    file.seek(0)
    chainer.serializers.load_npz(file, loaded)
    assert len(loaded) == len(pool) == min(6, 4 * filled)
    for batch in batches(9):
        numpy.testing.assert_array_equal(loaded.swap(batch), pool.swap(batch))


def test_a_pool_that_was_used_is_emptied_by_loading_an_empty_one():
    file = io.BytesIO()
    chainer.serializers.save_npz(file, Pool(3, numpy.random.RandomState(0)))
    file.seek(0)
    pool = Pool(3, numpy.random.RandomState(0))
    pool.swap(batches(1)[0])
    chainer.serializers.load_npz(file, pool)
    assert len(pool) == 0


def test_a_smaller_pool_refuses_what_it_cannot_hold():
    pool = Pool(6, numpy.random.RandomState(0))
    pool.swap(batches(1)[0])
    file = io.BytesIO()
    chainer.serializers.save_npz(file, pool)
    file.seek(0)
    with pytest.raises(DataError, match='pool of 2 is to be loaded with 4 examples'):
        chainer.serializers.load_npz(file, Pool(2, numpy.random.RandomState(0)))


def test_a_pool_without_room_is_refused():
    with pytest.raises(ValueError, match='at least one'):
        Pool(0, numpy.random.RandomState(0))
