import chainer
import chainer.links as L
import numpy
import pytest
from chainer import optimizers

from graphdsl.runtime.hooks import Clip


@pytest.mark.parametrize('optimizer', [optimizers.SGD(lr=1.0), optimizers.RMSprop(lr=0.5)])
def test_clip_bounds_parameters_after_an_update(optimizer):
    model, twin = L.Linear(2, 3), L.Linear(2, 3)
    twin.copyparams(model)
    plain = type(optimizer)(lr=optimizer.lr).setup(twin)
    optimizer.setup(model)
    optimizer.add_hook(Clip(-0.25, 0.125))
    array = model.W.array
    for seed in range(3):
        for link in (model, twin):
            for path, parameter in link.namedparams():
                parameter.grad = numpy.random.RandomState(seed).normal(size=parameter.shape).astype('f')
        optimizer.update()
        plain.update()
        for path, parameter in twin.namedparams():
            parameter.array[...] = numpy.clip(parameter.array, -0.25, 0.125)
            numpy.testing.assert_array_equal(dict(model.namedparams())[path].array, parameter.array)
    assert model.W.array is array
    assert array.min() == -0.25 and array.max() == 0.125


def test_clip_leaves_others_and_the_uninitialized_alone():
    model, other = L.Linear(None, 3), L.Linear(2, 3, initialW=numpy.full((3, 2), 9, 'f'))
    optimizer = optimizers.SGD().setup(model)
    optimizer.add_hook(Clip(-1, 1))
    model.cleargrads()
    optimizer.update()
    assert model.W.array is None and (other.W.array == 9).all()


def test_clip_is_called_after_the_update():
    assert Clip.timing == 'post' and Clip.call_for_each_param
    hook = Clip(low=-1, high=2)
    parameter = chainer.Parameter(numpy.array([-3, 0.5, 3], 'f'))
    hook(parameter.update_rule, parameter)
    assert parameter.array.tolist() == [-1, 0.5, 2]
