"""The rules about `repeat` and `when`, of steps, updates and losses."""
import chainer
import chainer.functions as F
import numpy
import pytest

from graphdsl.runtime.seeds import random_state
from rules import (
    Calls, Counted, GAME, SIZE, U, X, assert_moved, assert_parameters, assert_same, compiled, descend, everything,
    iterate, minibatch, twins, variable)

pytestmark = pytest.mark.usefixtures('float64')

# repeat, when


@pytest.mark.parametrize('count, times', [('3', 3), ('1', 1), ('0', 0), ('-2', 0), ('2 - iteration', 2)])
def test_repeat(count, times):
    graph = compiled(GAME + f'step critic repeat {count} {{ update critic }}\nstep generator {{ update generator }}\n')
    iterator = Counted(X)
    updater = graph.updater(iterator)
    before = everything(graph)
    reports, = iterate(updater)
    assert iterator.draws == times
    assert ('judge' in reports) == (times > 0)
    assert_moved(before, everything(graph), {'generator', 'critic'} if times else {'generator'})


def test_repeat_is_evaluated_when_its_step_is_reached():
    """A state that moves after the first step counts for the second."""
    graph = compiled(GAME + """
        state n = 0
        next n after generator = n + 2
        step generator { update generator }
        step critic repeat n - 1 { update critic }
        """)
    iterator = Counted(X)
    updater = graph.updater(iterator)
    draws = []
    for _ in range(3):
        iterate(updater)
        draws.append(iterator.draws)
    assert draws == [1, 1 + 3, 1 + 3 + 5]


def test_when_is_evaluated_when_its_step_is_reached():
    graph = compiled(GAME + """
        state n = 0
        next n after generator = n + 1
        step generator { update generator }
        step critic when n % 2 == 1 { update critic }
        """)
    iterator = Counted(X)
    updater = graph.updater(iterator)
    draws = []
    for _ in range(4):
        iterate(updater)
        draws.append(iterator.draws)
    assert draws == [1, 1, 2, 2]


def test_when_and_repeat():
    """`when` comes first: it decides on all repetitions."""
    graph = compiled(GAME + """
        step critic when iteration % 2 == 0 repeat 2 { update critic }
        step generator { update generator }
        """)
    iterator = Counted(X)
    iterate(graph.updater(iterator), 4)
    assert iterator.draws == 4


def test_every_repetition_begins_with_the_weights_of_the_last():
    graph = compiled(GAME + 'step critic repeat 3 { update critic }\nstep generator { update generator }\n')
    theirs = twins(graph)
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    with calls:
        reports, = iterate(updater)
    losses = []
    for i in range(3):
        fake = theirs['generator'](variable(calls.inputs['generator'][i]))
        loss = F.mean(F.softplus(-theirs['critic'](minibatch(i)))) + F.mean(F.softplus(theirs['critic'](fake)))
        losses.append(float(loss.array))
        descend([loss], [theirs['critic']])
    assert_parameters(graph, theirs, 'critic')
    # A loss reports the mean over the runs that minimized it.
    assert reports['judge'] == pytest.approx(numpy.mean(losses), rel=1e-12)


# update ... when, loss ... when

def test_an_update_that_is_left_out_lets_gradients_pass():
    """The trunk learns through a head that rests, which keeps its weights."""
    graph = compiled("""
        input x: float64[3]
        model trunk = Linear(4) -> tanh
        model head = Linear(2)
        x -> trunk -> h
        h -> head -> y
        loss a = mean((y - 1) ** 2)
        optimizer trunk = SGD(lr=1.0) owns trunk
        optimizer head = Adam() owns head
        step main { update trunk; update head when iteration >= 2 }
        """)
    theirs = twins(graph)
    updater = graph.updater(Counted(X))
    before = everything(graph)
    reports = iterate(updater, 2)
    assert_moved(before, everything(graph), {'trunk'})
    for i in range(2):
        loss = F.mean((theirs['head'](theirs['trunk'](minibatch(i))) - 1) ** 2)
        assert reports[i]['a'] == pytest.approx(float(loss.array))
        descend([loss], [theirs['trunk']])
    assert_parameters(graph, theirs, 'trunk')
    before = everything(graph)
    iterate(updater)
    assert_moved(before, everything(graph), {'trunk', 'head'})
    assert graph.optimizers['head'].t == 1 and graph.optimizers['trunk'].t == 3


def test_what_only_an_update_that_is_left_out_needs_is_neither_drawn_nor_computed():
    graph = compiled(GAME + 'step main { update generator; update critic when iteration % 2 == 1 }\n')
    calls, iterator = Calls(graph), Counted(X)
    updater = graph.updater(iterator)
    with calls:
        reports = iterate(updater, 2)
    assert iterator.draws == 1
    assert calls.counts == {'generator': 2, 'critic': 1 + 2}
    assert ['judge' in report for report in reports] == [False, True]


LAZY = """
input x: float64[3], u: float64[3]
model net = Linear(2)
model side = Linear(2)
x -> net -> y
u -> net -> side -> q
loss cost = mean((y - 1) ** 2)
loss penalty = mean(q ** 2) when iteration % 3 == 1
optimizer net = MomentumSGD(lr=0.5) owns net
optimizer side = Adam() owns side
"""


def test_a_loss_that_is_absent():
    """Not computed, not reported, no gradient; an optimizer with no other loss rests, its momentum included."""
    graph = compiled(LAZY)
    theirs = twins(graph)
    optimizers = {'net': chainer.optimizers.MomentumSGD(lr=0.5).setup(theirs['net']),
                  'side': chainer.optimizers.Adam().setup(theirs['side'])}
    calls = Calls(graph)
    updater = graph.updater(Counted(X, U))
    with calls:
        reports = iterate(updater, 6)
    assert calls.counts == {'net': 6 + 2, 'side': 2}
    for i in range(6):
        x, u = variable(X[i * 4 % SIZE:][:4]), variable(U[i * 4 % SIZE:][:4])
        loss = F.mean((theirs['net'](x) - 1) ** 2)
        expected = {'cost': float(loss.array)}
        if i % 3 == 1:
            penalty = F.mean(theirs['side'](theirs['net'](u)) ** 2)
            expected['penalty'] = float(penalty.array)
            loss += penalty
        assert reports[i] == pytest.approx(expected, rel=1e-10)
        for model in theirs.values():
            model.cleargrads()
        loss.backward()
        optimizers['net'].update()
        if i % 3 == 1:
            optimizers['side'].update()
    assert graph.optimizers['side'].t == 2 and graph.optimizers['net'].t == 6
    assert_parameters(graph, theirs)


def test_a_loss_that_is_absent_in_an_iteration_in_which_nothing_else_happens():
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2)
        x -> net -> y
        loss cost = mean(y ** 2) when iteration >= 1
        optimizer net = Adam() owns net
        """)
    before = everything(graph)
    updater = graph.updater(Counted(X))
    assert iterate(updater) == [{}]
    assert_same(before, everything(graph))
    assert graph.optimizers['net'].t == 0
    assert 'cost' in iterate(updater)[0]
    assert graph.optimizers['net'].t == 1


def test_a_condition_may_be_a_state_or_noise():
    graph = compiled("""
        input x: float64[3]
        noise coin ~ uniform(0, 1)
        model net = Linear(2)
        x -> net -> y
        loss cost = mean(y ** 2) when coin < 0.5
        loss size = mean(y) when k > 2
        state k = 0
        next k = k + 1
        optimizer net = SGD(lr=0.1) owns net
        """)
    state = random_state(5, 'noise/coin')
    reports = iterate(graph.updater(Counted(X), seed=5), 12)
    assert ['cost' in r for r in reports] == [state.uniform(0, 1) < 0.5 for _ in range(12)]
    assert ['size' in r for r in reports] == [False] * 3 + [True] * 9


def test_families_of_optimizers_and_steps():
    """`for` in any braces; each member learns alone."""
    graph = compiled("""
        param count = 3
        input x: float64[3]
        for i in 0..count {
            model net[i] = Linear(2)
            loss cost[i] = mean((net[i](x) - i) ** 2)
            optimizer sgd[i] = SGD(lr=0.5) owns net[i]
            step one[i] when iteration % count == i { update sgd[i] }
        }
        step all on the same batch when iteration == 4 { for i in 0..count { update sgd[i] } }
        """)
    theirs = twins(graph)
    updater = graph.updater(Counted(X))
    for iteration in range(5):
        costs = {}
        for run in [[iteration % 3]] + ([[0, 1, 2]] if iteration == 4 else []):
            for i in run:
                cost = F.mean((theirs[f'net[{i}]'](minibatch(iteration)) - i) ** 2)
                costs.setdefault(f'cost[{i}]', []).append(float(cost.array))
                descend([cost], [theirs[f'net[{i}]']], 0.5)
        report, = iterate(updater)
        assert report == pytest.approx({name: numpy.mean(found) for name, found in costs.items()})
    assert_parameters(graph, theirs)
