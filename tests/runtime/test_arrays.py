import chainer
import chainer.functions as F
import numpy
import pytest

from graphdsl.runtime.arrays import array, cast, constant, detach, filled, is_finite, scalar


def test_array_is_that_of_a_variable():
    a = numpy.zeros(3, 'f')
    assert array(chainer.Variable(a)) is a and array(a) is a and array(2.5) == 2.5


def test_detached_floats_are_variables_without_history():
    x = chainer.Variable(numpy.ones(3, 'f'))
    y = detach(x * 2)
    assert y.creator is None and not y.requires_grad and y.array.tolist() == [2, 2, 2]
    assert isinstance(detach(numpy.ones(3, 'f')), chainer.Variable)
    assert isinstance(detach(numpy.ones(3, 'i')), numpy.ndarray)
    assert isinstance(detach(chainer.Variable(numpy.ones(3, 'i'))), numpy.ndarray)
    assert detach(3) == 3 and detach(0.5) == 0.5


@pytest.mark.parametrize('v', [numpy.array([1, 0, 2], 'i'), numpy.array([True, False]), numpy.array([1], 'u1'),
                               chainer.Variable(numpy.array([1, 2], 'i'))])
@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
def test_integers_are_cast_to_the_floats_they_meet(v, dtype):
    for like in (numpy.zeros(2, dtype), chainer.Variable(numpy.zeros((), dtype))):
        result = cast(v, like)
        assert isinstance(result, chainer.Variable) and result.dtype == dtype and not result.requires_grad
        assert result.array.tolist() == array(v).tolist()


def test_integers_that_meet_no_float_take_the_configured_one():
    v = numpy.array([1, 2], 'i')
    assert cast(v, None).dtype == cast(v, v).dtype == cast(v).dtype == numpy.float32
    with chainer.using_config('dtype', numpy.float64):
        assert cast(v, v).dtype == numpy.float64
    with chainer.using_config('dtype', chainer.mixed16):
        assert cast(v).dtype == numpy.float16
    assert (cast(v) * 0.5).array.tolist() == [0.5, 1]


def test_one_label_out_of_an_array_is_cast_as_well():
    result = cast(numpy.array([3, 4], 'i')[1], numpy.zeros(2, 'f'))
    assert result.shape == () and result.array == 4 and result.dtype == numpy.float32


def test_floats_and_numbers_are_not_cast():
    v = chainer.Variable(numpy.zeros(2, 'f')) * 1
    a = numpy.zeros(2, 'd')
    assert cast(v, numpy.zeros(1, 'd')) is v and cast(a, v) is a
    assert cast(2, v) == 2 and type(cast(2, v)) is int and cast(True, v) is True


@pytest.mark.parametrize('function', [F.mean_squared_error, F.mean_absolute_error, F.maximum, F.squared_difference])
@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_filled_stands_for_a_number_in_any_function(function, dtype):
    x = chainer.Variable(numpy.random.RandomState(0).rand(4, 3).astype(dtype))
    number = filled(0.25, x)
    assert number.shape == x.shape and number.dtype == dtype and not number.requires_grad
    y = function(x, number)
    numpy.testing.assert_array_equal(y.array, function(x, numpy.full((4, 3), 0.25, dtype)).array)
    F.sum(y).backward()
    assert x.grad is not None and number.grad is None


def test_filled_makes_targets():
    x = chainer.Variable(numpy.array([[-1.0], [2.0]], 'f'))
    t = filled(1, x, 'int32')
    assert isinstance(t, numpy.ndarray) and t.dtype == numpy.int32
    expected = numpy.log1p(numpy.exp([1.0, -2.0])).mean()
    assert abs(float(F.sigmoid_cross_entropy(x, t).array) - expected) < 1e-6


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_a_constant_is_broadcast(dtype):
    x = chainer.Variable(numpy.array([[0.1, 0.9]], dtype))
    c = constant(0.5, x)
    assert c.shape == () and c.dtype == dtype and not c.requires_grad
    y = F.maximum(x, c)
    assert y.dtype == dtype and y.array.tolist() == [[0.5, x.array[0, 1]]]
    assert constant(1, x.array > 0.5, dtype).dtype == dtype
    assert F.where(x.array > 0.5, c, x).array.tolist() == [[x.array[0, 0], 0.5]]


@pytest.mark.parametrize('v', [chainer.Variable(numpy.array(2.5, 'f')), numpy.array([[2.5]]), numpy.float32(2.5), 2.5])
def test_scalar_gives_a_number(v):
    assert scalar(v) == 2.5 and type(scalar(v)) is float


def test_scalar_keeps_numbers_and_refuses_arrays():
    assert type(scalar(3)) is int
    with pytest.raises(ValueError, match=r'shape \[2\] is no number'):
        scalar(chainer.Variable(numpy.zeros(2, 'f')))


def test_gradients_are_finite_or_not():
    a, b, c = (chainer.Parameter(numpy.ones(2, 'f')) for _ in range(3))
    a.grad = numpy.ones(2, 'f')
    b.grad = None
    assert is_finite([a, b]) is True and is_finite([]) is True
    for bad in (numpy.nan, numpy.inf, -numpy.inf):
        c.grad = numpy.array([0, bad], 'f')
        assert is_finite([a, b, c]) is False and is_finite([c, a]) is False
