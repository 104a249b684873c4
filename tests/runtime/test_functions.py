import chainer
import chainer.functions as F
import numpy
import pytest

from graphdsl.runtime.functions import arange, gradient, one_hot, ones_like, point, reverse_gradient, zeros_like


def random(*shape):
    return numpy.random.RandomState(0).uniform(-1, 1, shape)


def test_a_reversed_gradient():
    x = chainer.Variable(random(3, 2).astype('f'))
    y = reverse_gradient(x, 0.3)
    numpy.testing.assert_array_equal(y.array, x.array)
    F.sum(y ** 2).backward()
    numpy.testing.assert_allclose(x.grad, -0.3 * 2 * x.array, rtol=1e-6)
    assert x.grad.dtype == numpy.float32


def test_a_reversed_gradient_is_differentiated_again():
    x = chainer.Variable(random(4))
    gx = chainer.grad([F.sum(reverse_gradient(x, 0.5) ** 3)], [x], enable_double_backprop=True)[0]
    numpy.testing.assert_allclose(gx.array, -0.5 * 3 * x.array ** 2)
    # The product of Jacobians of the reversal is linear in what comes from above, and 3 y^2 is reversed once more.
    ggx = chainer.grad([F.sum(gx)], [x])[0]
    numpy.testing.assert_allclose(ggx.array, 0.5 ** 2 * 6 * x.array)


def test_a_reversal_of_minus_one_is_the_identity_to_all_orders():
    def slope(x):
        return chainer.grad([F.sum(F.exp(reverse_gradient(x, -1)) * x)], [x], enable_double_backprop=True)[0]

    x, step = random(3), 1e-6
    numeric = (slope(point(x + step)).array - slope(point(x - step)).array) / (2 * step)
    at = point(x)
    numpy.testing.assert_allclose(chainer.grad([F.sum(slope(at))], [at])[0].array, numeric, rtol=1e-7)
    numpy.testing.assert_allclose(slope(at).array, (x + 1) * numpy.exp(x))


def test_ones_and_zeros():
    x = chainer.Variable(random(2, 3).astype('f')) * 2
    for function, value in (ones_like, 1), (zeros_like, 0):
        y = function(x)
        assert isinstance(y, chainer.Variable) and not y.requires_grad and y.creator is None
        assert y.dtype == numpy.float32 and y.array.tolist() == [[value] * 3] * 2
        t = function(x, dtype='int32')
        assert isinstance(t, numpy.ndarray) and t.dtype == numpy.int32 and t.tolist() == [[value] * 3] * 2
        assert function(numpy.zeros(2, 'i')).dtype == numpy.int32
        assert function(numpy.zeros(2, 'i'), dtype='float64').dtype == numpy.float64


@pytest.mark.parametrize('t', [numpy.array([0, 2, 1], 'i'), numpy.array([[0], [2]], 'u1'),
                               chainer.Variable(numpy.array([1, 1], 'i'))])
def test_one_hot(t):
    hot = one_hot(t, 3)
    labels = getattr(t, 'array', t)
    assert not hot.requires_grad and hot.dtype == numpy.float32
    numpy.testing.assert_array_equal(hot.array, numpy.eye(3)[labels])


def test_one_hot_takes_the_configured_dtype_and_refuses_other_labels():
    with chainer.using_config('dtype', numpy.float64):
        assert one_hot(numpy.array([0]), 1).dtype == numpy.float64
    assert one_hot(numpy.zeros(0, 'i'), 3).shape == (0, 3)
    for label in (-1, 3):
        with pytest.raises(ValueError, match=f'3 classes, and was given labels from {min(label, 1)}'):
            one_hot(numpy.array([1, label]), 3)
    with pytest.raises(ValueError, match='float32'):
        one_hot(numpy.zeros(2, 'f'), 3)


def test_arange():
    assert arange(3).tolist() == [0, 1, 2] and arange(3).dtype == numpy.int32


def test_a_point_is_a_variable_that_asks_for_a_gradient():
    x = chainer.Variable(random(2))
    y = x * 2
    assert point(x) is x and point(y) is y
    for value in (x.array, chainer.Variable(x.array, requires_grad=False)):
        p = point(value)
        assert p is not value and p.requires_grad and p.array is x.array
    for value in (numpy.zeros(2, 'i'), chainer.Variable(numpy.zeros(2, 'i')), 2.0):
        with pytest.raises(TypeError, match='floats only'):
            point(value)


def test_a_gradient_is_that_of_the_sum():
    x = point(random(3, 2))
    numpy.testing.assert_allclose(gradient(F.sin(x), x).array, numpy.cos(x.array))
    numpy.testing.assert_allclose(gradient(F.sum(F.sin(x)), x).array, numpy.cos(x.array))


def test_a_gradient_is_differentiated_again():
    x = point(random(3))
    w = chainer.Parameter(random(3))
    slope = gradient(w * x ** 3, x)
    penalty = F.sum(slope ** 2)
    penalty.backward()
    numpy.testing.assert_allclose(w.grad, 2 * w.array * 9 * x.array ** 4)
    numpy.testing.assert_allclose(gradient(slope, x).array, 6 * w.array * x.array)


def test_a_gradient_where_nothing_depends_is_zero():
    x, other = point(random(3)), point(random(2))
    result = gradient(F.sum(x), other)
    assert result.shape == (2,) and not result.array.any()


def test_a_gradient_leaves_those_of_parameters_alone():
    w = chainer.Parameter(random(3))
    w.cleargrad()
    x = point(random(3))
    gradient(w * x, x)
    assert w.grad is None and x.grad is None
