import io

import chainer
import numpy
import pytest

from graphdsl.runtime.draws import Draws, ZeroDraws
from graphdsl.runtime.noise import Noise
from graphdsl.runtime.pool import Pool
from graphdsl.runtime.random_state import serialize_global, serialize_random_state
from graphdsl.runtime.seeds import random_state

Z = Noise('z', 'float32', (3,), 'normal', (0, 1), 'main')
OTHER = Noise('other', 'float32', (), 'uniform', (0, 1), 'other')
COIN = Noise('coin', None, (), 'uniform', (0, 1), 'main')
ORDER = Noise('order', 'int32', (), 'permutation', ('batch_size',), 'main')
NOISES = [Z, OTHER, COIN, ORDER]


class Streams:
    """Minibatches that count themselves."""

    def __init__(self, rows=4):
        self.rows = rows
        self.drawn = []

    def __call__(self, stream):
        self.drawn.append(stream)
        return [None, chainer.Variable(numpy.full((self.rows, 2), len(self.drawn), 'f'), requires_grad=False)]


def draws(streams=None, seed=5, noises=NOISES, pools={'old': 3}):
    return Draws(streams or Streams(), {'main': 6, 'other': 2}.__getitem__, noises, seed, pools=pools)


def test_a_minibatch_is_drawn_anew_or_again():
    streams = Streams()
    d = draws(streams)
    first = d.minibatch('main', again=True)
    assert d.minibatch('main', again=True) is first
    second = d.minibatch('main')
    assert second[1].array[0, 0] == 2
    assert d.minibatch('main', again=True) is second
    d.minibatch('other')
    assert d.minibatch('main', again=True) is second
    d.begin()
    assert d.minibatch('main', again=True) is not second
    assert streams.drawn == ['main', 'main', 'other', 'main']


def test_noise_is_drawn_anew_or_again():
    d = draws()
    first = d.noise('z', again=True)
    assert d.noise('z', again=True) is first
    second = d.noise('z')
    assert d.noise('z', again=True) is second is not first
    d.begin()
    third = d.noise('z', again=True)
    state = random_state(5, 'noise/z')
    for value in (first, second, third):
        numpy.testing.assert_array_equal(value.array, state.normal(0, 1, (6, 3)).astype('f'))


def test_noise_has_the_rows_of_its_streams_latest_minibatch():
    streams = Streams()
    d = draws(streams)
    assert d.batch_size('main') == 6 and d.noise('z').shape == (6, 3)
    d.minibatch('main')
    assert d.batch_size('main') == 4 and d.noise('z').shape == (4, 3) and len(d.noise('order')) == 4
    assert d.noise('other').shape == (2,)
    streams.rows = 3
    d.minibatch('main')
    assert d.batch_size('main') == 3
    d.begin()
    assert d.batch_size('main') == 6


def test_noises_do_not_disturb_each_other():
    alone, both = draws(noises=[Z]), draws()
    both.noise('coin'), both.noise('other')
    numpy.testing.assert_array_equal(alone.noise('z').array, both.noise('z').array)


def test_nothing_moves_the_global_generator():
    numpy.random.seed(0)
    before = numpy.random.get_state()[1].tolist()
    d = draws()
    d.noise('z'), d.history('old', numpy.zeros((9, 1), 'f'))
    assert numpy.random.get_state()[1].tolist() == before


def test_history_swaps_and_detaches():
    d, pool = draws(), Pool(3, random_state(5, 'history/old'))
    for i in range(6):
        value = chainer.Variable(numpy.arange(4, dtype='f')[:, None] + 10 * i) * 2
        result = d.history('old', value)
        numpy.testing.assert_array_equal(result.array, pool.swap(value.array))
        assert result.creator is None and not result.requires_grad
    assert isinstance(d.history('old', numpy.zeros((2, 1), 'f')), chainer.Variable)


def test_what_is_loaded_goes_on_as_what_was_saved():
    saved, loaded = draws(), draws(seed=6)
    values = [numpy.random.RandomState(i).rand(4, 2).astype('f') for i in range(9)]

    def some(d, n):
        return [array for value in values[:n] for array in (
            d.noise('z').array, d.noise('coin'), d.noise('order'), d.history('old', value).array)]

    some(saved, 3)
    file = io.BytesIO()
    chainer.serializers.save_npz(file, saved)
    file.seek(0)
    chainer.serializers.load_npz(file, loaded)
    for a, b in zip(some(saved, 9), some(loaded, 9)):
        numpy.testing.assert_array_equal(a, b)


def roundtrip(save, load):
    serializer = chainer.serializers.DictionarySerializer()
    save(serializer)
    file = io.BytesIO()
    numpy.savez(file, **serializer.target)
    file.seek(0)
    with numpy.load(file, allow_pickle=False) as npz:
        load(chainer.serializers.NpzDeserializer(npz))


@pytest.mark.parametrize('draws_before', [0, 1, 2])
def test_a_generator_is_saved_with_its_second_gaussian(draws_before):
    state, other = numpy.random.RandomState(0), numpy.random.RandomState(1)
    state.normal(size=draws_before)
    roundtrip(lambda s: serialize_random_state(s, state), lambda s: serialize_random_state(s, other))
    assert other.normal(size=5).tolist() == state.normal(size=5).tolist()
    assert other.randint(1000, size=700).tolist() == state.randint(1000, size=700).tolist()


def test_the_global_generator_is_saved():
    numpy.random.seed(4)
    numpy.random.normal()
    expected = []

    def save(serializer):
        serialize_global(serializer)
        expected.extend(numpy.random.normal(size=5))

    roundtrip(save, serialize_global)
    assert numpy.random.normal(size=5).tolist() == expected


def test_zero_draws_have_the_right_shapes():
    x = chainer.Variable(numpy.zeros((2, 5), 'f'), requires_grad=False)
    d = ZeroDraws({'main': ['x', '_']}, {'x': x}, NOISES)
    d.begin()
    assert d.minibatch('main') == [x, None] and d.batch_size('main') == 2
    z = d.noise('z', again=True)
    assert z.shape == (2, 3) and z.dtype == numpy.float32 and not z.requires_grad and not z.array.any()
    assert d.noise('coin') == 0.0 and type(d.noise('coin')) is float
    assert d.noise('order').tolist() == [0, 1] and d.noise('order').dtype == numpy.int32
    value = d.history('old', chainer.Variable(numpy.ones((2, 1), 'f')) * 2)
    assert value.creator is None and value.array.tolist() == [[2], [2]]
