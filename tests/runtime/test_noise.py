import chainer
import numpy
import pytest
from numpy.random import RandomState

from graphdsl.runtime.data import DataError
from graphdsl.runtime.noise import Noise, draw


def noise(dtype, shape, distribution, *arguments):
    return Noise('z', dtype, shape, distribution, arguments, 'main')


@pytest.mark.parametrize('distribution, arguments, expected', [
    ('normal', (1, 3), lambda state: state.normal(1, 3, (5, 2, 4))),
    ('uniform', (-1, 2), lambda state: state.uniform(-1, 2, (5, 2, 4))),
    ('bernoulli', (0.3,), lambda state: state.random_sample((5, 2, 4)) < 0.3),
    ('categorical', (7,), lambda state: state.randint(7, size=(5, 2, 4))),
    ('categorical', ([0.2, 0.8],), lambda state: state.choice(2, size=(5, 2, 4), p=[0.2, 0.8])),
])
@pytest.mark.parametrize('dtype', ['float32', 'float64', 'int32', 'bool'])
def test_an_array_is_what_numpy_draws_cast_to_the_declared_dtype(distribution, arguments, expected, dtype):
    value = draw(noise(dtype, (2, 4), distribution, *arguments), RandomState(3), 5)
    array = getattr(value, 'array', value)
    assert array.dtype == dtype
    numpy.testing.assert_array_equal(array, expected(RandomState(3)).astype(dtype))


def test_floats_are_variables_without_gradient_and_others_bare_arrays():
    value = draw(noise('float32', (), 'normal', 0, 1), RandomState(0), 3)
    assert isinstance(value, chainer.Variable) and not value.requires_grad and value.shape == (3,)
    assert isinstance(draw(noise('int32', (), 'categorical', 4), RandomState(0), 3), numpy.ndarray)
    assert isinstance(draw(noise('bool', (), 'bernoulli', 0.5), RandomState(0), 3), numpy.ndarray)


@pytest.mark.parametrize('distribution, arguments, expected', [
    ('uniform', (2, 5), lambda state: state.uniform(2, 5)),
    ('normal', (2, 5), lambda state: state.normal(2, 5)),
    ('bernoulli', (0.5,), lambda state: float(state.random_sample() < 0.5)),
    ('categorical', (9,), lambda state: float(state.randint(9))),
    ('categorical', ((0.5, 0.5),), lambda state: float(state.choice(2, p=(0.5, 0.5)))),
])
def test_without_a_type_a_draw_is_one_number(distribution, arguments, expected):
    value = draw(noise(None, (), distribution, *arguments), RandomState(8), 5)
    assert type(value) is float and value == expected(RandomState(8))


def test_a_permutation_of_the_minibatch():
    value = draw(noise('int32', (), 'permutation', 'batch_size'), RandomState(1), 6)
    assert value.dtype == numpy.int32
    assert value.tolist() == RandomState(1).permutation(6).tolist()
    assert draw(noise('int32', (), 'permutation', 6), RandomState(1), 6).tolist() == value.tolist()


def test_a_permutation_with_a_shape_is_drawn_row_by_row():
    state = RandomState(1)
    expected = [state.permutation(4).tolist() for _ in range(3)]
    assert draw(noise('int32', (4,), 'permutation', 4), RandomState(1), 3).tolist() == expected


def test_a_permutation_of_another_length_is_refused():
    with pytest.raises(DataError, match='permutation of 5, and the minibatch has 6 examples'):
        draw(noise('int32', (), 'permutation', 5), RandomState(1), 6)
    with pytest.raises(DataError, match=r'permutation of 5 in the shape \[4\]'):
        draw(noise('int32', (4,), 'permutation', 5), RandomState(1), 6)


def test_an_array_is_sent_to_the_device():
    class Device:
        def send(self, array):
            self.sent = array
            return array

    device = Device()
    value = draw(noise('float32', (2,), 'normal', 0, 1), RandomState(0), 3, device)
    assert device.sent is value.array
