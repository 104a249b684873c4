import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

from graphdsl.runtime.follow import copy, follow


def model():
    net = chainer.Sequential(L.Linear(3, 4), L.BatchNormalization(4), F.relu, L.Linear(4, 2))
    net[0].add_hook(chainer.link_hooks.SpectralNormalization())
    for parameter in net.params():
        parameter.array[...] = numpy.random.normal(size=parameter.shape)
    net(numpy.random.normal(size=(5, 3)).astype('f'))
    net[1](numpy.random.normal(size=(5, 4)).astype('f'), finetune=True)
    return net


def entries(link):
    serializer = chainer.serializers.DictionarySerializer()
    serializer.save(link)
    return {name: numpy.array(value) for name, value in serializer.target.items()}


def is_persistent(name):
    return name.endswith(('avg_mean', 'avg_var', 'N', 'W_u'))


def test_a_copy_is_equal_and_its_own():
    source, target = model(), model()
    target[1].N = 7
    arrays = [parameter.array for parameter in target.params()]
    copy(source, target)
    a, b = entries(source), entries(target)
    assert a.keys() == b.keys() and source[1].N == target[1].N == 1
    for name in a:
        numpy.testing.assert_array_equal(a[name], b[name], name)
    assert all(parameter.array is array for parameter, array in zip(target.params(), arrays))
    source(numpy.ones((5, 3), 'f'))
    for name in b:
        numpy.testing.assert_array_equal(entries(target)[name], b[name], name)


@pytest.mark.parametrize('decay', [0.0, 0.9, 1.0])
def test_a_follower_is_a_moving_average(decay):
    leader, average = model(), model()
    arrays = [parameter.array for parameter in average.params()]
    for _ in range(3):
        for parameter in leader.params():
            parameter.array += numpy.random.normal(size=parameter.shape).astype('f')
        before, led = entries(average), entries(leader)
        follow(average, leader, decay)
        for name, value in entries(average).items():
            if is_persistent(name):
                numpy.testing.assert_array_equal(value, led[name], name)
            else:
                numpy.testing.assert_allclose(value, decay * before[name] + (1 - decay) * led[name], rtol=1e-6)
    assert all(parameter.array is array for parameter, array in zip(average.params(), arrays))
    assert not any(parameter.update_rule for parameter in average.params())


def test_a_parameter_with_two_places_moves_once():
    def tied():
        net = chainer.Chain(a=L.Linear(2, 2), b=L.Linear(2, 2))
        with net.b.init_scope():
            net.b.W = net.a.W
        return net

    leader, average = tied(), tied()
    expected = 0.5 * average.a.W.array + 0.5 * leader.a.W.array
    follow(average, leader, 0.5)
    numpy.testing.assert_allclose(average.a.W.array, expected)
    assert average.b.W is average.a.W


def test_the_uninitialized_becomes_what_is_led():
    leader, average = L.BatchNormalization(3), L.BatchNormalization(axis=0)
    leader(numpy.random.normal(size=(4, 3)).astype('f'))
    follow(average, leader, 0.9)
    assert (average.avg_mean == leader.avg_mean).all() and average.avg_mean is not leader.avg_mean
    assert (average.gamma.array == 1).all()
