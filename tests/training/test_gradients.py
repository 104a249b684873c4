"""Gradients and updates against central differences of the losses written in NumPy."""
from typing import Callable, NamedTuple

import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.datasets import TupleDataset
from numpy import exp, mean, tanh

import graphdsl
from handwritten import difference, in_order

RATE = 0.3
DATA = TupleDataset(*(numpy.random.RandomState(size).randn(4, size) for size in (3, 2)))
INPUTS = 'input x: float64[3], t: float64[2]\n'
pytestmark = pytest.mark.usefixtures('float64')


class Case(NamedTuple):
    """A graph, its losses in NumPy, and for each model the weights of the losses that its optimizer minimizes."""

    graph: str
    losses: Callable
    minimized: dict


def linear(link, x):
    return x @ link.W.array.T + (0 if link.b is None else link.b.array)


def dense(model, x):
    """A model that is one linear layer."""
    return linear(model.linear_1, x)


def softplus(x):
    return numpy.logaddexp(0, x)


def square(y, t):
    return mean((y - t) ** 2)


# A trunk with two heads

TRUNK = """
model trunk = Linear(2) -> tanh
model left = Linear(2)
model right = Linear(2)
x -> trunk -> h
h -> left -> y
h -> right -> z
loss a = mean_squared_error(y, t)
loss b = mean(z * z * z)
"""


def trunk_losses(models, x, t):
    h = tanh(dense(models['trunk'], x))
    return {'a': square(dense(models['left'], h), t), 'b': mean(dense(models['right'], h) ** 3)}


def nested_losses(models, x, t):
    losses = trunk_losses(models, x, t)
    return {**losses, 'both': losses['a'] + 2 * losses['b']}


def doubled_losses(models, x, t):
    losses = trunk_losses(models, x, t)
    return {**losses, 'c': losses['a']}


# Players of a game

GAME = """
model generator = Linear(2) -> tanh
model critic(v) -> f, p {
    v -> Linear(3) -> tanh -> f
    f -> Linear(1) -> p
}
x -> generator -> fake
fake -> critic -> f, p
t -> critic -> g, q
loss fool = mean(softplus(-p))
loss fake_cost = mean(softplus(p))
loss real_cost = mean(softplus(-q))
"""


def criticize(model, x):
    f = tanh(linear(model.linear_1, x))
    return f, linear(model.linear_2, f)


def game_losses(models, x, t):
    f, p = criticize(models['critic'], tanh(dense(models['generator'], x)))
    g, q = criticize(models['critic'], t)
    return {'fool': mean(softplus(-p)), 'fake_cost': mean(softplus(p)), 'real_cost': mean(softplus(-q)),
            'feature': square(f, g)}


# An encoder with two results

VAE = """
param beta = 0.25
model encoder(v) -> mu, ln_var {
    layer shared = Linear(3)
    v -> shared -> tanh -> h
    h -> Linear(2) -> mu
    h -> Linear(2) -> ln_var
}
model decoder = Linear(2) -> tanh -> Linear(3)
x -> encoder -> mu, ln_var
(mu, ln_var) -> gaussian -> z
z -> decoder -> y
loss reconstruction = mean_squared_error(y, x)
loss kl = beta * gaussian_kl_divergence(mu, ln_var) / batch_size
"""


def vae_losses(models, x, t):
    encoder, decoder = models['encoder'], models['decoder']
    h = tanh(linear(encoder.shared, x))
    mu, ln_var = linear(encoder.linear_1, h), linear(encoder.linear_2, h)
    z = mu + exp(ln_var / 2) * numpy.random.standard_normal(mu.shape)
    y = linear(decoder.linear_2, tanh(linear(decoder.linear_1, z)))
    kl = (mu ** 2 + exp(ln_var) - ln_var - 1).sum() / 2
    return {'reconstruction': square(y, x), 'kl': 0.25 * kl / len(x)}


# Parameters that are shared, and templates that share none

TWICE = """
model cell(v) -> w {
    layer wide = Linear(2)
    v -> wide -> tanh -> w
}
model widen = Linear(2)
x -> widen -> cell -> u
u -> cell -> w
loss near = mean_squared_error(w, t)
loss small = mean(u * u)
optimizer SGD(lr=0.3) owns cell
optimizer SGD(lr=0.3) owns widen
"""
BLOCKS = """
block dense(width) = Linear(width) -> tanh
block residual(width) (v) -> w {
    v -> dense(width) -> dense(width) -> r
    w = v + 0.5 * r
}
model tower = dense(2) -> residual(2) -> residual(2) -> Linear(2)
x -> tower -> y
loss near = mean_squared_error(y, t)
optimizer SGD(lr=0.3) owns tower
"""


def twice_losses(models, x, t):
    u = tanh(linear(models['cell'].wide, dense(models['widen'], x)))
    return {'near': square(tanh(linear(models['cell'].wide, u)), t), 'small': mean(u ** 2)}


def block_losses(models, x, t):
    tower = models['tower']
    h = tanh(linear(tower.dense_1.linear_1, x))
    for residual in (tower.residual_1, tower.residual_2):
        r = tanh(linear(residual.dense_2.linear_1, tanh(linear(residual.dense_1.linear_1, h))))
        h = h + 0.5 * r
    return {'near': square(linear(tower.linear_1, h), t)}


# Losses made of others, families, expressions

FAMILY = """
for i in 0..3 {
    model head[i] = Linear(2)
    x -> head[i] -> y[i]
    part[i] = mean_squared_error(y[i], t) * (i + 1)
    optimizer SGD(lr=0.3) owns head[i]
}
loss total = sum(part[*]) + mean(part[1:])
"""
EXPRESSION = """
model m = Linear(2)
x -> m -> y
loss crooked = mean(-y[:, 0] ** 2 - (t[:, 0] - (y[:, 1] - 2.0)) / 3 / 0.5 + 2 ** -y[:, 0] * (1 - t[:, 1] * 4.0))
optimizer SGD(lr=0.3) owns m
"""


def family_losses(models, x, t):
    parts = [square(dense(models[f'head[{i}]'], x), t) * (i + 1) for i in range(3)]
    return {'total': sum(parts) + (parts[1] + parts[2]) / 2}


def expression_losses(models, x, t):
    y = dense(models['m'], x)
    y, z, t, u = *y.T, *t.T
    return {'crooked': mean(-y ** 2 - (t - (z - 2)) / 3 / 0.5 + 2 ** -y * (1 - u * 4))}


def owned(*lines):
    return ''.join(f'optimizer SGD(lr={RATE}) owns {line}\n' for line in lines)


CASES = {
    'one owner of all': Case(
        TRUNK + owned('trunk, left, right'), trunk_losses,
        {'trunk': {'a': 1, 'b': 1}, 'left': {'a': 1, 'b': 1}, 'right': {'a': 1, 'b': 1}}),
    'everyone minimizes what it reaches': Case(
        TRUNK + owned('left', 'right', 'trunk'), trunk_losses,
        {'trunk': {'a': 1, 'b': 1}, 'left': {'a': 1}, 'right': {'b': 1}}),
    "weights of an optimizer's own": Case(
        TRUNK + owned('trunk minimizes a, 0.5 * b', 'left minimizes 3 * a', 'right minimizes b * 2'), trunk_losses,
        {'trunk': {'a': 1, 'b': 0.5}, 'left': {'a': 3}, 'right': {'b': 2}}),
    'a negative weight': Case(
        TRUNK + owned('trunk minimizes a, -2 * b', 'left minimizes a', 'right minimizes b'), trunk_losses,
        {'trunk': {'a': 1, 'b': -2}, 'left': {'a': 1}, 'right': {'b': 1}}),
    'a loss that passes through leaves no trace': Case(
        TRUNK + owned('trunk, left minimizes a', 'right minimizes b'), trunk_losses,
        {'trunk': {'a': 1}, 'left': {'a': 1}, 'right': {'b': 1}}),
    'a loss built on a loss': Case(
        TRUNK + 'loss both = a + 2 * b\n' + owned('trunk', 'left', 'right'),
        nested_losses,
        {'trunk': {'a': 1, 'b': 1, 'both': 1}, 'left': {'a': 1, 'both': 1}, 'right': {'b': 1, 'both': 1}}),
    'one value as two losses': Case(
        TRUNK.replace('loss a', 'e') + 'loss a = e\nloss c = e\n' + owned('trunk', 'left', 'right'),
        doubled_losses, {'trunk': {'a': 1, 'b': 1, 'c': 1}, 'left': {'a': 1, 'c': 1}, 'right': {'b': 1}}),
    'one loss under two names': Case(
        TRUNK + 'c = a\nloss c\n' + owned('trunk', 'left', 'right'), doubled_losses,
        {'trunk': {'a': 1, 'b': 1, 'c': 1}, 'left': {'a': 1, 'c': 1}, 'right': {'b': 1}}),
    'adversaries': Case(
        GAME.replace('f, p\nt', '_, p\nt').replace('g, q', '_, q')
        + owned('generator minimizes fool', 'critic minimizes real_cost, fake_cost'), game_losses,
        {'generator': {'fool': 1}, 'critic': {'real_cost': 1, 'fake_cost': 1}}),
    'feature matching': Case(
        GAME + 'loss feature = mean_squared_error(f, g)\n'
        + owned('critic minimizes 0.5 * real_cost, fake_cost', 'generator minimizes fool, 0.1 * feature'),
        game_losses, {'generator': {'fool': 1, 'feature': 0.1}, 'critic': {'real_cost': 0.5, 'fake_cost': 1}}),
    'two results': Case(
        VAE + owned('encoder', 'decoder'), vae_losses,
        {'encoder': {'reconstruction': 1, 'kl': 1}, 'decoder': {'reconstruction': 1}}),
    'an encoder that ignores the decoder': Case(
        VAE + owned('encoder minimizes kl', 'decoder minimizes reconstruction'), vae_losses,
        {'encoder': {'kl': 1}, 'decoder': {'reconstruction': 1}}),
    'a model that is used twice': Case(
        TWICE, twice_losses, {'cell': {'near': 1, 'small': 1}, 'widen': {'near': 1, 'small': 1}}),
    'blocks': Case(BLOCKS, block_losses, {'tower': {'near': 1}}),
    'a sum over a family': Case(FAMILY, family_losses, {f'head[{i}]': {'total': 1} for i in range(3)}),
    'an expression': Case(EXPRESSION, expression_losses, {'m': {'crooked': 1}}),
}


def compiled(text):
    numpy.random.seed(1)
    graph = graphdsl.compile(INPUTS + text)
    return graph, graph.updater(in_order(DATA))


def central_differences(function, array, step=1e-5):
    """The gradient of a function that reads an array, by moving each element up and down."""
    gradient = numpy.empty_like(array)
    for i in numpy.ndindex(array.shape):
        value = array[i]
        array[i] = value + step
        above = function()
        array[i] = value - step
        gradient[i] = (above - function()) / (2 * step)
        array[i] = value
    return gradient


def true_losses(graph, case):
    numpy.random.seed(0)
    return case.losses(graph.models, *chainer.dataset.concat_examples(DATA[:]))


def true_gradients(graph, case):
    """Every parameter with the gradient of what its optimizer minimizes."""
    def minimized(terms):
        losses = true_losses(graph, case)
        return sum(weight * losses[loss] for loss, weight in terms.items())

    return [(parameter, central_differences(lambda: minimized(terms), parameter.array))
            for model, terms in case.minimized.items() for parameter in graph.models[model].params()]


@pytest.mark.parametrize('case', CASES.values(), ids=CASES)
def test_an_optimizer_moves_its_parameters_by_exactly_what_it_minimizes(case):
    """Law 2: the gradient is that of the sum of the minimized losses, and weights move by it and nothing else."""
    graph, updater = compiled(case.graph)
    losses, expected = true_losses(graph, case), true_gradients(graph, case)
    before = [parameter.array.copy() for parameter, _ in expected]
    assert set(case.minimized) == set(graph.models)
    numpy.random.seed(0)
    reporter, reported = chainer.Reporter(), {}
    with reporter.scope(reported):
        updater.update()
    assert {name: float(loss) for name, loss in reported.items()} == pytest.approx(
        {name: losses[name] for name in graph.losses}, rel=1e-12)
    for (parameter, gradient), array in zip(expected, before):
        assert abs(gradient).max() > 1e-4
        assert difference(parameter.grad, gradient) < 1e-8
        numpy.testing.assert_allclose(parameter.array, array - RATE * gradient, rtol=0, atol=1e-9)


# Law 3: one moment

DUEL = """
model outer = Linear(2)
model inner = Linear(2)
x -> inner -> h
h -> outer -> y
loss near = mean_squared_error(y, t)
loss far = mean(softplus(-y))
optimizer SGD(lr=0.3) owns outer minimizes near
optimizer SGD(lr=0.3) owns inner minimizes far
"""


def duel_losses(models, x, t):
    y = dense(models['outer'], dense(models['inner'], x))
    return {'near': square(y, t), 'far': mean(softplus(-y))}


def alternating(models):
    """One after the other on the same forward pass, as is often written: `outer` has moved when `inner` looks."""
    x, t = chainer.dataset.concat_examples(DATA[:])
    y = models['outer'](models['inner'](x))
    for name, loss in (('outer', F.mean_squared_error(y, t)), ('inner', F.mean(F.softplus(-y)))):
        for model in models.values():
            model.cleargrads()
        loss.backward()
        chainer.optimizers.SGD(lr=RATE).setup(models[name]).update()


def test_all_gradients_are_taken_at_the_same_moment():
    """Law 3: two players move at once, each by its gradient at the weights that both began with."""
    graph, updater = compiled(DUEL)
    case = Case(DUEL, duel_losses, {'outer': {'near': 1}, 'inner': {'far': 1}})
    expected = [parameter.array - RATE * gradient for parameter, gradient in true_gradients(graph, case)]
    naive, _ = compiled(DUEL)
    alternating(naive.models)
    updater.update()
    ours, theirs = ([parameter.array for name in ('outer', 'inner') for parameter in g.models[name].params()]
                    for g in (graph, naive))
    assert max(map(difference, ours, expected)) < 1e-8
    assert max(map(difference, theirs, expected)) > 1e-2


# Hooks

def test_weight_decay_sees_the_owned_parameters_only():
    graph, updater = compiled(TRUNK + owned('trunk {\n hook WeightDecay(0.5)\n}', 'left', 'right'))
    before = {name: model.linear_1.W.array.copy() for name, model in graph.models.items()}
    case = CASES['everyone minimizes what it reaches']
    gradients = {id(parameter): gradient for parameter, gradient in true_gradients(graph, case)}
    updater.update()
    for name, model in graph.models.items():
        decay = 0.5 * before[name] if name == 'trunk' else 0
        expected = before[name] - RATE * (gradients[id(model.linear_1.W)] + decay)
        numpy.testing.assert_allclose(model.linear_1.W.array, expected, rtol=0, atol=1e-9)


def test_clipping_measures_the_owned_parameters_only():
    """The norm is that of the gradients of both models that the optimizer owns, and of no other."""
    graph, updater = compiled(TRUNK + owned('trunk, left {\n hook GradientClipping(0.01)\n}', 'right'))
    gradients = true_gradients(graph, CASES['everyone minimizes what it reaches'])
    owned_ones = [gradient for parameter, gradient in gradients
                  if any(parameter is p for name in ('trunk', 'left') for p in graph.models[name].params())]
    norm = numpy.sqrt(sum((gradient ** 2).sum() for gradient in owned_ones))
    before = [parameter.array.copy() for parameter, _ in gradients]
    updater.update()
    for (parameter, gradient), array in zip(gradients, before):
        scale = 0.01 / norm if any(gradient is one for one in owned_ones) else 1
        numpy.testing.assert_allclose(parameter.array, array - RATE * scale * gradient, rtol=0, atol=1e-9)
