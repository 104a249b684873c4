"""The three laws: for each, what breaks it in Chainer without a word, and that a compiled graph keeps it."""
import copy

import chainer
import chainer.functions as F
import numpy
import pytest

import graphdsl
from graphdsl.runtime.seeds import random_state
from handwritten import difference, in_order, strips

RATE = 0.5
BATCH = 4
pytestmark = pytest.mark.usefixtures('float64')

GAME = """
input x: float64[1, 8, 8], _
noise z: float64[8] ~ normal(0, 1)
model generator = Linear(16, nobias=true) -> BatchNormalization(16) -> relu -> Linear(64) -> sigmoid
    -> reshape((-1, 1, 8, 8))
model critic = Linear(16, nobias=true) -> BatchNormalization(16) -> leaky_relu -> Linear(1)
z -> generator -> fake
x -> critic -> p
fake -> critic -> q
loss judgement = mean(softplus(-p)) + mean(softplus(q))
loss fool = mean(softplus(-q))
optimizer critic = SGD(lr=0.5) owns critic minimizes judgement
optimizer generator = SGD(lr=0.5) owns generator minimizes fool
"""
STEPS = """
step critic { update critic }
step generator on the same batch { update generator }
"""
TRUNK = """
input x: float64[1, 8, 16], t: int32[2]
model trunk = Linear(16) -> tanh -> Linear(16) -> tanh
x -> trunk -> h
for i in 0..2 {
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
}
"""


def compiled(text, count=1):
    """A graph, its updater, and models of the same weights that can be trained by hand."""
    numpy.random.seed(0)
    graph = graphdsl.compile(text)
    return graph, graph.updater(in_order(strips(count), BATCH), seed=0), copy.deepcopy(graph.models)


def images_and_labels(count=1):
    """The first minibatch."""
    return chainer.dataset.concat_examples(strips(count)[:BATCH])


def play(models):
    """The two losses of the game on the first minibatch and the first noise."""
    x, _ = images_and_labels()
    z = random_state(0, 'noise/z').normal(0, 1, (BATCH, 8))
    fake = models['generator'](z)
    p, q = models['critic'](x), models['critic'](fake)
    return F.mean(F.softplus(-p)) + F.mean(F.softplus(q)), F.mean(F.softplus(-q))


def exact(models, player):
    """The gradient of a player's own loss with respect to its own parameters."""
    clear(models)
    judgement, fool = play(models)
    {'critic': judgement, 'generator': fool}[player].backward()
    return gradients(models[player])


def heads(models):
    x, t = images_and_labels(2)
    h = models['trunk'](x)
    return [F.softmax_cross_entropy(models[f'head[{i}]'](h), t[:, i]) for i in range(2)]


def set_up(models):
    """An optimizer for each model."""
    return {name: chainer.optimizers.SGD(lr=RATE).setup(model) for name, model in models.items()}


def clear(models):
    for model in models.values():
        model.cleargrads()


def weights(model):
    return {path: parameter.array.copy() for path, parameter in model.namedparams()}


def gradients(model):
    return {path: parameter.grad.copy() for path, parameter in model.namedparams()}


def statistics(model):
    """Running averages, and how many minibatches they have seen."""
    kept = {}
    for path, link in model.namedlinks():
        kept.update({f'{path}/{name}': numpy.array(getattr(link, name)) for name in link._persistent})
    assert kept
    return kept


def off(ours, theirs):
    """The largest difference of arrays with the same names, relative to the largest value of each."""
    assert list(ours) == list(theirs)
    return max(difference(ours[name], theirs[name]) for name in ours)


def same(ours, theirs):
    return list(ours) == list(theirs) and all(numpy.array_equal(ours[name], theirs[name]) for name in ours)


# Law 1: one owner

@pytest.mark.parametrize('first, second', [
    ('trunk, head[0]', 'trunk, head[1]'),
    ('trunk, head[*]', 'head[1]'),
    ('trunk, head[*]', 'trunk.linear_2'),
    ('trunk.linear_1, head[*]', 'trunk'),
])
def test_two_owners_are_refused(first, second):
    """Both places are shown, whether the parameters are owned as a model, a member or a part."""
    text = TRUNK + f'optimizer one = SGD(lr=0.5) owns {first}\noptimizer two = SGD(lr=0.5) owns {second}\n'
    with pytest.raises(graphdsl.GraphError) as error:
        graphdsl.compile(text)
    diagnostic, = error.value.diagnostics
    place, *_ = diagnostic.places
    source = error.value.source
    assert diagnostic.code == 'G401' and 'two owners' in diagnostic.message
    assert 'optimizer two' in source.line(source.position(diagnostic.span.start)[0])
    assert 'optimizer one' in source.line(source.position(place.span.start)[0])
    assert source[diagnostic.span] in second and source[place.span] in first


@pytest.mark.parametrize('more, refused, why', [
    ('optimizer SGD(lr=0.5) owns head[*]', 'trunk', 'nobody owns'),
    ('optimizer SGD(lr=0.5) owns head[*], trunk except trunk.linear_1', 'trunk', 'nobody owns'),
    ('model average follows trunk decay 0.9\nmetric m = mean(average(x))\n'
     'optimizer SGD(lr=0.5) owns head[*], trunk, average', 'average', 'and is owned'),
    ('frozen trunk\noptimizer SGD(lr=0.5) owns head[*], trunk', 'trunk', 'and is owned'),
])
def test_no_owner_is_refused_and_so_is_one_too_many(more, refused, why):
    """Every parameter has an optimizer, or is frozen, or follows."""
    diagnostic, = graphdsl.check(TRUNK + more)
    assert diagnostic.severity == 'error' and why in diagnostic.message
    assert (TRUNK + more)[diagnostic.span.start:diagnostic.span.end] == refused


def test_chainer_moves_what_has_two_owners_twice():
    graph, updater, naive = compiled(TRUNK + 'optimizer SGD(lr=0.5) owns trunk, head[*]', count=2)
    before = weights(naive['trunk'])
    optimizers = [chainer.optimizers.SGD(lr=RATE).setup(chainer.ChainList(naive['trunk'], naive[f'head[{i}]']))
                  for i in range(2)]
    clear(naive)
    sum(heads(naive)).backward()
    for optimizer in optimizers:
        optimizer.update()
    updater.update()
    once, twice = weights(graph.models['trunk']), weights(naive['trunk'])
    for path, array in before.items():
        assert difference(once[path] - array, (twice[path] - array) / 2) < 1e-10


# Law 2: exact gradients

def test_a_loss_that_passes_through_leaves_no_gradient():
    """In Chainer, what the critic passes on to the generator is added to its own gradient, and the other way round."""
    graph, updater, models = compiled(GAME)
    updater.update()
    clear(models)
    for loss in play(models):
        loss.backward()
    naive = {name: gradients(model) for name, model in models.items()}
    for name, model in graph.models.items():
        assert off(gradients(model), exact(models, name)) < 1e-10
        assert off(naive[name], exact(models, name)) > 0.01


@pytest.mark.parametrize('mover, other', [('generator', 'critic'), ('critic', 'generator')])
def test_a_step_leaves_no_trace_in_the_other_model(mover, other):
    """Neither in its gradients nor in its weights nor in its running statistics; in Chainer, the last always move."""
    graph, updater, naive = compiled(GAME + f'step {mover} {{ update {mover} }}\n'
                                            f'step {other} when iteration > 0 {{ update {other} }}')
    model = graph.models[other]
    for parameter in model.params():
        parameter.grad = numpy.full_like(parameter.array, 7)

    def state():
        return weights(model), gradients(model), statistics(model)

    before, own = state(), statistics(graph.models[mover])
    updater.update()
    assert all(map(same, before, state()))
    assert not same(own, statistics(graph.models[mover]))
    updater.update()
    assert not any(map(same, before, state()))

    before = statistics(naive[other])
    play(naive)
    assert not same(before, statistics(naive[other]))


# Law 3: one moment

def test_both_players_move_from_where_the_iteration_began():
    """An update between two backward passes gives a gradient of new weights and old values: that of no loss."""
    graph, updater, models = compiled(GAME)
    before = {name: weights(model) for name, model in models.items()}
    updater.update()
    for name, model in graph.models.items():
        expected = exact(models, name)
        assert off(gradients(model), expected) < 1e-10
        assert off(weights(model), {path: before[name][path] - RATE * expected[path] for path in expected}) < 1e-10

    expected = exact(models, 'generator')
    naive = critic_first(models, fresh=False)
    assert off(naive, expected) > 0.01


def critic_first(models, fresh):
    """The generator's gradient after an update of the critic, from a fresh forward pass or from the one before."""
    optimizer = chainer.optimizers.SGD(lr=RATE).setup(models['critic'])
    judgement, fool = play(models)
    clear(models)
    judgement.backward()
    optimizer.update()
    if fresh:
        _, fool = play(models)
    models['generator'].cleargrads()
    fool.backward()
    return gradients(models['generator'])


def test_a_later_step_sees_the_new_weights_all_through():
    """The second step of an iteration starts from a forward pass of its own."""
    graph, updater, models = compiled(GAME + STEPS)
    naive = copy.deepcopy(models)
    updater.update()
    expected = critic_first(models, fresh=True)
    assert off(gradients(graph.models['generator']), expected) < 1e-10
    assert off(critic_first(naive, fresh=False), expected) > 0.01


@pytest.mark.parametrize('owners', [['head[0]', 'trunk', 'head[1]'], ['head[1]', 'head[0]', 'trunk']])
def test_a_shared_trunk_moves_once_for_all_its_heads(owners):
    """The order of the optimizers makes no difference; by hand, one update too early does."""
    graph, updater, models = compiled(TRUNK + ''.join(f'optimizer SGD(lr=0.5) owns {one}\n' for one in owners), 2)
    naive = copy.deepcopy(models)
    updater.update()

    clear(models)
    sum(heads(models)).backward()
    for optimizer in set_up(models).values():
        optimizer.update()
    for name, model in graph.models.items():
        assert off(weights(model), weights(models[name])) < 1e-10

    before, after = weights(naive['trunk']), weights(models['trunk'])
    optimizers = set_up(naive)
    for i, loss in enumerate(heads(naive)):
        clear(naive)
        loss.backward()
        optimizers[f'head[{i}]'].update()
        optimizers['trunk'].update()
    moved, expected = weights(naive['trunk']), {path: after[path] - before[path] for path in after}
    assert off({path: moved[path] - before[path] for path in moved}, expected) > 0.01
