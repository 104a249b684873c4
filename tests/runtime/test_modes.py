import copy

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

from graphdsl.runtime.modes import evaluating, quiet, quiet_unless


def batch(*shape, seed=0):
    return numpy.random.RandomState(seed).normal(1, 2, shape).astype('f')


class Counting(chainer.Link):
    """A link of somebody's own, with statistics that know nothing of the configuration."""

    def __init__(self):
        super().__init__()
        self.mean = numpy.zeros(3, 'f')
        self.calls = 0
        self.register_persistent('mean')
        self.register_persistent('calls')

    def forward(self, x):
        if chainer.config.train:
            self.mean += x.mean(axis=0)
            self.calls += 1
        return chainer.as_variable(x) - self.mean * 0.5 if chainer.config.train else chainer.as_variable(x) * 0


def normalization():
    return L.BatchNormalization(3)


def renormalization():
    return L.BatchRenormalization(3, rmax=3, dmax=5)


def decorrelation():
    return L.DecorrelatedBatchNormalization(4, groups=2)


def spectral():
    return L.Linear(3, 5).add_hook(chainer.link_hooks.SpectralNormalization())


def scaled_spectral():
    return L.Linear(3, 5).add_hook(chainer.link_hooks.SpectralNormalization(use_gamma=True, n_power_iteration=2))


def deconvolution():
    return L.Deconvolution2D(3, 2, 3).add_hook(chainer.link_hooks.SpectralNormalization())


def inception():
    return L.InceptionBN(3, 2, 2, 2, 2, 2, 'avg', 2)


LINKS = {normalization: (6, 3), renormalization: (6, 3), decorrelation: (6, 4), spectral: (6, 3),
         scaled_spectral: (6, 3), deconvolution: (2, 3, 4, 4), inception: (2, 3, 4, 4), Counting: (6, 3)}


def persistents(link):
    serializer = chainer.serializers.DictionarySerializer()
    serializer.save(link)
    return {name: numpy.array(value) for name, value in serializer.target.items()}


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        numpy.testing.assert_array_equal(a[name], b[name], name)


@pytest.mark.parametrize('make', LINKS)
@pytest.mark.parametrize('passes', [0, 2])
def test_a_quiet_pass_gives_what_training_would_and_keeps_nothing(make, passes):
    numpy.random.seed(0)
    model = chainer.Sequential(make())
    for seed in range(passes):
        model(batch(*LINKS[make], seed=seed))
    model[0].cleargrads()
    twin = copy.deepcopy(model)
    before = persistents(model)
    x = batch(*LINKS[make], seed=9)
    expected = twin(x)
    for _ in range(2):
        y = quiet(model)(x)
        numpy.testing.assert_allclose(y.array, expected.array, rtol=1e-6)
        assert_equal(persistents(model), before)
    later = model(batch(*LINKS[make], seed=10))
    twin = copy.deepcopy(model)
    assert_equal({'y': quiet(model)(x).array}, {'y': twin(x).array})
    assert numpy.isfinite(later.array).all()


@pytest.mark.parametrize('make', LINKS)
def test_a_quiet_pass_has_the_gradients_of_training(make):
    numpy.random.seed(0)
    model = make()
    twin = copy.deepcopy(model)
    gradients = []
    for call, link in ((quiet(model), model), (twin, twin)):
        x = chainer.Variable(batch(*LINKS[make]))
        link.cleargrads()
        y = call(x)
        F.sum(y * batch(*y.shape, seed=3)).backward()
        gradients.append({'x': x.grad, **{path: p.grad for path, p in link.namedparams()}})
    quietly, usual = gradients
    for name in usual:
        numpy.testing.assert_allclose(quietly[name], usual[name], rtol=1e-5, atol=1e-5)


def test_spectral_normalization_follows_the_weights_of_now():
    numpy.random.seed(0)
    link = spectral()
    x = batch(6, 3)
    link(x)
    link.W.array[...] = numpy.random.normal(size=link.W.shape)
    u = link.W_u.copy()
    v = link.W.array.T @ u
    v /= numpy.linalg.norm(v)
    u = link.W.array @ v
    sigma = numpy.linalg.norm(u)
    numpy.testing.assert_allclose(quiet(link)(x).array, x @ link.W.array.T / sigma + link.b.array, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('make', LINKS)
def test_evaluation_between_changes_no_quiet_pass(make):
    numpy.random.seed(0)
    model = make()
    x = batch(*LINKS[make])
    model(x)
    twin = copy.deepcopy(model)
    evaluating(model)(batch(*LINKS[make], seed=5))
    numpy.testing.assert_array_equal(quiet(model)(x).array, quiet(twin)(x).array)


def test_batch_normalization_has_chainers_own_form():
    model = L.BatchNormalization(3)
    x = batch(6, 3)
    with chainer.using_config('in_recomputing', True):
        expected = model(x)
    numpy.testing.assert_array_equal(quiet(model)(x).array, expected.array)
    numpy.testing.assert_allclose(expected.array.mean(axis=0), 0, atol=1e-6)
    quiet(model)(x, finetune=True)
    assert model.N == 0


def test_quiet_keeps_the_configuration_in_an_error():
    link = spectral()
    u = link.W_u
    with pytest.raises(Exception):
        quiet(link)(batch(6, 7))
    assert link.W_u is u and not chainer.config.in_recomputing
    quiet(L.Linear(3, 2))(batch(1, 3))
    assert not chainer.config.in_recomputing


def test_quiet_is_training():
    with chainer.using_config('train', False):
        assert not numpy.array_equal(quiet(lambda x: F.dropout(x, 0.9))(numpy.ones(100, 'f')).array, numpy.ones(100))


class Pair(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.bn = Counting()

    def features(self, x):
        return self.bn(x) + 1


def test_methods_of_links_are_called_in_both_ways():
    model, x = Pair(), batch(6, 3)
    assert (evaluating(model.features)(x).array == 1).all()
    value = quiet(model.features)(x)
    assert model.bn.calls == 0 and not model.bn.mean.any()
    numpy.testing.assert_allclose(value.array, x - x.mean(axis=0) * 0.5 + 1, rtol=1e-5)


def test_evaluating_calls_with_train_off():
    model = L.BatchNormalization(3)
    x = batch(6, 3)
    y = evaluating(model)(x)
    numpy.testing.assert_allclose(y.array, x, rtol=1e-4)
    assert chainer.config.train
    with pytest.raises(Exception):
        evaluating(model)(batch(6, 4))
    assert chainer.config.train


def test_quiet_unless():
    model = L.BatchNormalization(3)
    assert quiet_unless(True, model) is model
    quiet_unless(False, model)(batch(6, 3))
    assert not model.avg_mean.any()
