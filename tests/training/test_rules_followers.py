"""The rules about models that follow others."""
import chainer
import chainer.functions as F
import numpy
import pytest

from rules import (
    Calls, Counted, SIZE, X, arrays, assert_parameters, assert_same, compiled, descend, iterate, twins, variable)

pytestmark = pytest.mark.usefixtures('float64')

FOLLOWS = """
input x: float64[3]
model student = Linear(4, nobias=true) -> BatchNormalization(4) -> tanh -> Linear(2)
model average follows student {}
x -> student -> y
x -> average -> q
loss cost = mean((y - 1) ** 2) + 0.1 * mean((y - q) ** 2)
optimizer student = SGD(lr=0.5) owns student
"""


def minibatch(number, batch=4, of=X):
    return variable(of[number * batch % SIZE:][:batch])


def test_follows_decay():
    """Parameters by the rule, after the last step; running averages by plain copy; an exact copy at first."""
    graph = compiled(FOLLOWS.format('decay 0.9'))
    assert_same(arrays(graph.models['average']), arrays(graph.models['student']))
    theirs = twins(graph)
    student, average = theirs['student'], theirs['average']
    updater = graph.updater(Counted(X))
    for i in range(3):
        x = minibatch(i)
        y = student(x)
        with chainer.using_config('in_recomputing', True):      # normalises by the minibatch and keeps nothing
            q = average(x)
        cost = F.mean((y - 1) ** 2) + 0.1 * F.mean((y - q.array) ** 2)
        descend([cost], [student], 0.5)
        for parameter, leader in zip(average.params(), student.params()):
            parameter.array[...] = 0.9 * parameter.array + 0.1 * leader.array
        average.batchnormalization_1.avg_mean[...] = student.batchnormalization_1.avg_mean
        average.batchnormalization_1.avg_var[...] = student.batchnormalization_1.avg_var
        iterate(updater)
        assert_same({k: v for k, v in arrays(graph.models['average']).items() if v.dtype.kind == 'f'},
                    {k: v for k, v in arrays(average).items() if v.dtype.kind == 'f'}, 1e-10)
        assert_parameters(graph, theirs, 'student')


def test_the_decay_may_be_computed_anew_each_time():
    """As in the mean teacher's `min(1 - 1 / (step + 1), 0.999)`."""
    graph = compiled(FOLLOWS.format('decay min(1 - 1 / (iteration + 1), 0.6)'))
    updater = graph.updater(Counted(X))
    average = graph.models['average'].linear_2.W.array.copy()
    for i in range(4):
        iterate(updater)
        decay = min(1 - 1 / (i + 1), 0.6)
        average = decay * average + (1 - decay) * graph.models['student'].linear_2.W.array
        numpy.testing.assert_allclose(graph.models['average'].linear_2.W.array, average, rtol=1e-10)


def test_follows_every():
    """A copy after iterations 3 and 6, of parameters and persistent values."""
    graph = compiled(FOLLOWS.format('every 3 iterations'))
    updater = graph.updater(Counted(X))
    last = arrays(graph.models['average'])
    for i in range(1, 8):
        iterate(updater)
        if i % 3 == 0:
            last = arrays(graph.models['student'])
        assert_same(arrays(graph.models['average']), last)
        assert not numpy.array_equal(last['linear_1/W'], arrays(graph.models['student'])['linear_1/W']) or i % 3 == 0


def test_a_follower_moves_only_if_its_leader_was_updated():
    text = FOLLOWS.format('decay 0.5') + """
        model other = Linear(2)
        loss third = mean((other(x) - 1) ** 2)
        optimizer other = SGD(lr=0.5) owns other
        step main { update other; update student when iteration % 2 == 1 }
        """
    graph = compiled(text)
    graph.models['average'].linear_2.b.array[...] = 8      # so that each motion shows
    updater = graph.updater(Counted(X))
    seen = []
    for _ in range(4):
        before = graph.models['average'].linear_2.b.array.copy()
        iterate(updater)
        after = graph.models['average'].linear_2.b.array
        seen.append(not numpy.array_equal(before, after))
    assert seen == [False, True, False, True]


def test_a_follower_moves_once_per_iteration_after_the_last_step():
    graph = compiled(FOLLOWS.format('decay 0.9') + 'step main repeat 3 { update student }\n')
    start = graph.models['average'].linear_2.W.array.copy()
    iterate(graph.updater(Counted(X)))
    numpy.testing.assert_allclose(graph.models['average'].linear_2.W.array,
                                  0.9 * start + 0.1 * graph.models['student'].linear_2.W.array, rtol=1e-10)


def test_followers_of_followers():
    """The chain moves in order: the second follows where the first has just gone."""
    graph = compiled("""
        model last follows middle decay 0.5
        input x: float64[3]
        model first = Linear(2)
        model middle follows first decay 0.8
        x -> first -> y
        loss cost = mean((y - 1) ** 2) + 0 * mean(middle(x)) + 0 * mean(last(x))
        optimizer first = SGD(lr=0.5) owns first
        """)
    first, middle, last = (graph.models[name].linear_1.W for name in ('first', 'middle', 'last'))
    assert (first.array == middle.array).all() and (first.array == last.array).all()
    updater = graph.updater(Counted(X))
    m, l = first.array.copy(), first.array.copy()
    for _ in range(3):
        iterate(updater)
        m = 0.8 * m + 0.2 * first.array
        l = 0.5 * l + 0.5 * m
        numpy.testing.assert_allclose(middle.array, m, rtol=1e-10)
        numpy.testing.assert_allclose(last.array, l, rtol=1e-10)


def test_gradients_pass_to_the_inputs_of_a_follower():
    """A generator learns through a critic that follows; no parameter of it gets a gradient."""
    graph = compiled("""
        input x: float64[3]
        noise z: float64[2] ~ normal(0, 1)
        model generator = Linear(3)
        model critic = Linear(4) -> tanh -> Linear(1)
        model slow follows critic decay 0.9
        z -> generator -> fake
        loss judge = mean(softplus(-critic(x))) + mean(softplus(critic(fake)))
        loss fool = mean(softplus(-slow(fake)))
        optimizer critic = SGD(lr=1.0) owns critic minimizes judge
        optimizer generator = SGD(lr=1.0) owns generator minimizes fool
        """)
    theirs = twins(graph)
    for parameter in graph.models['slow'].params():
        parameter.cleargrad()
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    with calls:
        iterate(updater)
    z = variable(calls.inputs['generator'][0])
    descend([F.mean(F.softplus(-theirs['slow'](theirs['generator'](z))))], [theirs['generator']])
    assert_parameters(graph, theirs, 'generator')
    assert all(p.grad is None for p in graph.models['slow'].params())
