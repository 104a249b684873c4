import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer.optimizer_hooks import WeightDecay

from graphdsl.runtime.gradients import Gradients, Reports, unshare


def test_the_mean_over_minibatches_is_the_gradient_of_the_mean():
    x = numpy.random.RandomState(0).normal(size=(12, 3))
    with chainer.using_config('dtype', numpy.float64):
        model = chainer.Sequential(L.Linear(3, 4), F.tanh, L.Linear(4, 1))
    parameters = list(model.params())
    mean = Gradients()
    for part in numpy.split(x, 4):
        mean.add(parameters, chainer.grad([F.mean(model(part) ** 2)], parameters))
    mean.set(4)
    got = [parameter.grad for parameter in parameters]
    model.cleargrads()
    F.mean(model(x) ** 2).backward()
    for gradient, parameter in zip(got, parameters):
        numpy.testing.assert_allclose(gradient, parameter.grad, rtol=1e-12)


def test_what_never_got_a_gradient_has_none():
    a, b = chainer.Parameter(numpy.ones(2, 'f')), chainer.Parameter(numpy.ones(2, 'f'))
    b.grad = numpy.ones(2, 'f')
    mean = Gradients()
    mean.add([a, b], [chainer.Variable(numpy.array([2, 4], 'f')), None])
    mean.add([a, b], [None, None])
    mean.set(2)
    assert a.grad.tolist() == [1, 2] and a.grad.dtype == numpy.float32 and b.grad is None


def test_a_parameter_without_axes():
    a = chainer.Parameter(numpy.array(1, 'f'))
    mean = Gradients()
    for _ in range(2):
        mean.add([a], chainer.grad([a * 3], [a]))
    mean.set(2)
    assert a.grad.shape == () and a.grad.dtype == numpy.float32 and a.grad == 3


def test_parameters_do_not_share_an_array():
    a, b = chainer.Parameter(numpy.ones(2, 'f')), chainer.Parameter(numpy.ones(2, 'f'))
    gradients = chainer.grad([F.sum(a + b)], [a, b])
    mean = Gradients()
    for _ in range(2):
        mean.add([a, b], gradients)
    mean.set(2)
    a.grad += 1
    assert b.grad.tolist() == [1, 1] and gradients[0].array.tolist() == [1, 1]


def test_passes_add_up_and_what_is_beyond_the_parameters_is_left_out():
    a, b = chainer.Parameter(numpy.ones(2, 'f')), chainer.Parameter(numpy.ones(2, 'f'))
    loss, other = F.sum(a * b * 3), F.sum(a * 5)
    total = Gradients()
    total.add([a], chainer.grad([loss], [a, b]))
    total.add([a], chainer.grad([other], [a]))
    total.set()
    assert a.grad.tolist() == [8, 8] and b.grad is None


def test_passes_of_a_parameter_without_axes_add_up():
    a = chainer.Parameter(numpy.array(1, 'f'))
    total = Gradients()
    for _ in range(2):
        total.add([a], chainer.grad([a * 3], [a]))
    total.set()
    assert a.grad.shape == () and a.grad.dtype == numpy.float32 and a.grad == 6


def test_reports_are_means_over_the_passes_that_computed_them():
    reports = Reports()
    x = chainer.Variable(numpy.array(2, 'f'))
    reports.add({'loss': x * 3, 'k': 0.5})
    reports.add({'loss': numpy.array(2, 'f')})
    means = reports.means()
    assert means == {'loss': 4, 'k': 0.5} and not isinstance(means['loss'], chainer.Variable)
    assert reports.means() == means
    reports.clear()
    assert reports.means() == {}


@pytest.mark.parametrize('loss, slope', [
    (lambda a, b: F.sum(a + b), 1),
    (lambda a, b: F.sum((a + b) ** 2), 6),
    (lambda a, b: F.mean(a) + F.sum(b) / 3, 1 / 3),
    (lambda a, b: F.sum(F.reshape(a, (3, 1)) + F.reshape(b, (3, 1))), 1),
    (lambda a, b: F.sum(a * b - b * a + b), None),
])
def test_hooks_move_each_gradient_alone(loss, slope):
    model = chainer.Chain()
    with model.init_scope():
        model.a = chainer.Parameter(numpy.full(3, 1, 'f'))
        model.b = chainer.Parameter(numpy.full(3, 2, 'f'))
    parameters = [model.a, model.b]
    optimizer = chainer.optimizers.SGD(lr=1.0).setup(model)
    optimizer.add_hook(WeightDecay(0.1))
    chainer.grad([loss(*parameters)], parameters, set_grad=True)
    slopes = [0, 1] if slope is None else [slope, slope]
    unshare({'o': optimizer})
    optimizer.update()
    numpy.testing.assert_allclose(model.a.array, numpy.full(3, 1 - slopes[0] - 0.1), rtol=1e-5)
    numpy.testing.assert_allclose(model.b.array, numpy.full(3, 2 - slopes[1] - 0.2), rtol=1e-5)


def test_parameters_whose_gradient_comes_late():
    """An optimizer that is left out of some passes has the mean over all of them, of zero where it was out."""
    a, b = chainer.Parameter(numpy.ones(2, 'f')), chainer.Parameter(numpy.ones(2, 'f'))
    mean = Gradients()
    mean.add([a], [chainer.Variable(numpy.array([2, 4], 'f'))])
    mean.add([a, b], [chainer.Variable(numpy.array([2, 4], 'f')), chainer.Variable(numpy.array([4, 8], 'f'))])
    mean.set(2)
    assert a.grad.tolist() == [2, 4] and b.grad.tolist() == [2, 4]


def test_a_gradient_of_its_own_stays_the_array_it_is():
    model = chainer.Chain()
    with model.init_scope():
        model.a, model.b = chainer.Parameter(numpy.ones(4, 'f')), chainer.Parameter(numpy.ones((2, 2), 'f'))
    optimizers = {'o': chainer.optimizers.SGD().setup(model)}
    own, view = numpy.ones(4, 'f'), numpy.ones(4, 'f').reshape(2, 2)
    model.a.grad, model.b.grad = own, view
    unshare(optimizers)
    assert model.a.grad is own and model.b.grad is view
    model.a.grad = None
    unshare(optimizers)
    assert model.a.grad is None


def test_optimizers_do_not_share_an_array():
    models, shared = [L.Linear(2, 2, nobias=True) for _ in range(2)], numpy.ones((2, 2), 'f')
    optimizers = {str(i): chainer.optimizers.SGD().setup(model) for i, model in enumerate(models)}
    for model in models:
        model.W.grad = shared
    unshare(optimizers)
    assert models[0].W.grad is shared and models[1].W.grad is not shared
