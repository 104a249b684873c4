"""A Wasserstein GAN with gradient penalty against its hand-written counterpart, and against plain mathematics."""
import numpy
import pytest

from compare import (
    arrays, assert_close, check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order,
    numerical_gradient, recorded_gradients)
from graphdsl.runtime.seeds import random_state
from handwritten_wgan_gp import WGANUpdater


@pytest.mark.usefixtures('float64')
@pytest.mark.parametrize('n_critic', [1, 3])
def test_same(n_critic):
    graph = compile_float64('wgan_gp', n_critic=n_critic)
    theirs = WGANUpdater(in_order(digits()), n_critic=n_critic)
    copy_weights(graph, theirs.models)
    ours = graph.updater(in_order(digits()), seed=0)
    check_same(ours, theirs, graph, theirs.models)
    assert ours.epoch == theirs.epoch == 5 * n_critic       # the generator's step draws no images


def critic_loss(generator, critic, x, z, eps):
    """What the critic minimizes, by the chain rule on paper.

    Args:
        generator, critic: Their arrays by name.
        x, z, eps: Real images, noise, and where between the two to take the slope.
    """
    def leaky(h):
        return numpy.where(h > 0, 1, 0.2)

    def judge(v):
        """The judgement of vectors and its slope with respect to each."""
        h = v @ critic['linear_1/W'].T + critic['linear_1/b']
        g = h * leaky(h) @ critic['linear_2/W'].T + critic['linear_2/b']
        y = g * leaky(g) @ critic['linear_3/W'].T
        slope = (critic['linear_3/W'] * leaky(g)) @ critic['linear_2/W'] * leaky(h) @ critic['linear_1/W']
        return y, slope

    h = z
    for link in ('linear_1', 'linear_2'):
        h = numpy.maximum(h @ generator[f'{link}/W'].T + generator[f'{link}/b'], 0)
    fake = 1 / (1 + numpy.exp(-(h @ generator['linear_3/W'].T + generator['linear_3/b'])))
    _, slope = judge(eps * x + (1 - eps) * fake)
    penalty = 10 * ((numpy.sqrt((slope ** 2).sum(axis=1)) - 1) ** 2).mean()
    return judge(fake)[0].mean() - judge(x)[0].mean() + penalty


@pytest.mark.usefixtures('float64')
def test_the_gradient_of_the_penalty():
    """A gradient through `grad` agrees with central differences."""
    graph = compile_float64('wgan_gp', n_critic=1)
    generator, critic = arrays(graph.models['generator']), arrays(graph.models['critic'])
    x = numpy.stack([image.ravel() for image, _ in digits()[:8]])
    z = random_state(0, 'noise/z').normal(0, 1, (8, 16))
    eps = random_state(0, 'noise/eps').uniform(0, 1, (8, 1))

    updater = graph.updater(in_order(digits()), seed=0)
    with recorded_gradients(updater, graph.models) as gradients:
        updater.update()
    for name, array in critic.items():
        got, = gradients[f'critic/{name}']
        expected = dict(numerical_gradient(lambda: critic_loss(generator, critic, x, z, eps), array, step=1e-6))
        assert_close([got[index] for index in expected], list(expected.values()), 1e-5, name)


def test_runs(tmp_path):
    """The critic finds real images better than drawn ones, and its slope close to 1."""
    last = check_runs('wgan_gp', tmp_path, 30)
    assert last['validation/distance'] > 0 and last['penalty'] < 2


def test_resume(tmp_path):
    check_resume('wgan_gp', tmp_path, 5, 14, n_critic=2)
