"""The rules about states and schedules: what moves after an iteration, and what is set before one."""
import chainer
import chainer.functions as F
import numpy
import pytest

import graphdsl
from graphdsl.runtime.seeds import random_state
from rules import Calls, Counted, SIZE, X, assert_parameters, compiled, descend, iterate, twins, variable

pytestmark = pytest.mark.usefixtures('float64')

PLAIN = """
input x: float64[3]
model net = Linear(2)
x -> net -> y
cost_of_y = mean((y - 1) ** 2)
loss cost = cost_of_y
optimizer net = SGD(lr=0.5) owns net
"""


def minibatch(number, batch=4):
    return variable(X[number * batch % SIZE:][:batch])


def values(graph, iterations, *names):
    """The states after each of some iterations, and the reports of each."""
    updater = graph.updater(Counted(X))
    found, reports = [], []
    for _ in range(iterations):
        reports += iterate(updater)
        found.append(tuple(graph.numbers[name] for name in names))
    return found, reports


# state, next

def test_all_states_move_together_from_the_old_values():
    """A swap, as in Python's `a, b = b, a + b`."""
    graph = compiled(PLAIN + 'next b = a + b\nnext a = b\nstate a = 0\nstate b = 1\n')
    found, reports = values(graph, 6, 'a', 'b')
    a, b, expected = 0, 1, []
    for _ in range(6):
        a, b = b, a + b
        expected.append((a, b))
    assert found == expected
    # Reported is the value that the iteration ran with.
    assert [(r['a'], r['b']) for r in reports] == [(0, 1), *expected[:-1]]


def test_a_scalar_array_is_read_as_its_number():
    """And what the state multiplies in the losses is the value before the iteration."""
    graph = compiled(PLAIN.replace('loss cost = cost_of_y', 'loss cost = (1 + k) * cost_of_y') + """
        state k = 0.5
        next k = min(1.0, max(0.0, k + 0.1 * (cost_of_y - exp(-k))))
        """)
    theirs = twins(graph)
    found, reports = values(graph, 5, 'k')
    k = 0.5
    for i in range(5):
        cost = F.mean((theirs['net'](minibatch(i)) - 1) ** 2)
        assert reports[i]['cost'] == pytest.approx((1 + k) * float(cost.array))
        descend([(1 + k) * cost], [theirs['net']], 0.5)
        k = min(1.0, max(0.0, k + 0.1 * (float(cost.array) - numpy.exp(-k))))
        assert found[i] == (pytest.approx(k),) and type(found[i][0]) is float
    assert_parameters(graph, theirs)


def test_a_state_stays_where_what_it_is_made_of_was_not_computed():
    """The loss is absent in every second iteration."""
    graph = compiled(PLAIN + """
        loss size = mean(y ** 2) when iteration % 2 == 1
        state seen = 0.0
        state count = 0
        next seen = size
        next count = count + 1
        """)
    found, reports = values(graph, 5, 'seen', 'count')
    assert [count for _, count in found] == [1, 2, 3, 4, 5]
    assert found[0][0] == 0
    for i in (1, 3):
        assert found[i][0] == found[i + 1][0] == pytest.approx(reports[i]['size'])


def test_a_state_stays_where_the_step_that_it_reads_is_left_out():
    graph = compiled(PLAIN + """
        model other = Linear(2)
        x -> other -> q
        loss b = mean(q ** 2)
        optimizer other = SGD(lr=0.5) owns other
        step first when iteration != 1 { update net }
        step second { update other }
        state last = -1.0
        next last = cost
        """)
    found, reports = values(graph, 3, 'last')
    assert found[0] == found[1] == (pytest.approx(reports[0]['cost']),)
    assert found[2] == (pytest.approx(reports[2]['cost']),)


def test_next_reads_the_latest_of_several_runs():
    graph = compiled(PLAIN + 'step main repeat 3 { update net }\nstate last = 0.0\nnext last = cost_of_y\n')
    theirs = twins(graph)
    found, reports = values(graph, 1, 'last')
    costs = []
    for i in range(3):
        cost = F.mean((theirs['net'](minibatch(i)) - 1) ** 2)
        costs.append(float(cost.array))
        descend([cost], [theirs['net']], 0.5)
    assert found == [(pytest.approx(costs[-1]),)]
    assert reports[0]['cost'] == pytest.approx(numpy.mean(costs))


TWO_STEPS = PLAIN + """
model other = Linear(2)
x -> other -> q
loss b = k * mean((q - 1) ** 2)
optimizer other = SGD(lr=0.5) owns other
step first { update net }
step second { update other }
state k = 1.0
"""


@pytest.mark.parametrize('after', ['', 'after first', 'after second'])
def test_next_after_a_step_moves_at_once(after):
    """The second step reads what the first one moved."""
    graph = compiled(TWO_STEPS + f'next k {after} = k + cost_of_y\n')
    theirs = twins(graph)
    found, reports = values(graph, 3, 'k')
    k = 1.0
    for i in range(3):
        cost = F.mean((theirs['net'](minibatch(2 * i)) - 1) ** 2)
        descend([cost], [theirs['net']], 0.5)
        moved = k + float(cost.array)
        b = (moved if after == 'after first' else k) * F.mean((theirs['other'](minibatch(2 * i + 1)) - 1) ** 2)
        descend([b], [theirs['other']], 0.5)
        k = moved
        assert found[i] == (pytest.approx(k),)
        assert reports[i]['b'] == pytest.approx(float(b.array))
    assert_parameters(graph, theirs)


def test_next_after_a_step_that_is_left_out_does_not_move():
    graph = compiled(TWO_STEPS.replace('step first', 'step first when iteration % 2 == 0') + """
        state n = 0
        next n after first = n + 1
        next k = k * 2
        """)
    found, _ = values(graph, 4, 'n', 'k')
    assert found == [(1, 2), (1, 4), (2, 8), (2, 16)]


def test_next_after_a_step_repeated_moves_once_the_step_is_done():
    graph = compiled(TWO_STEPS.replace('step first', 'step first repeat 3') + """
        state n = 0
        next n after first = n + 1
        next k = k * 2
        """)
    found, _ = values(graph, 2, 'n', 'k')
    assert found == [(1, 2), (2, 4)]


def test_a_state_that_nothing_moves_keeps_its_value():
    graph = compiled(PLAIN.replace('loss cost = cost_of_y', 'loss cost = k * cost_of_y') + 'state k = 2.0\n')
    found, reports = values(graph, 2, 'k')
    assert found == [(2.0,), (2.0,)] and reports[1]['k'] == 2


def test_families_of_states():
    graph = compiled(PLAIN + 'for i in 0..3 {\n state k[i] = i\n next k[i] = k[(i + 1) % 3]\n}\n')
    found, _ = values(graph, 2, 'k[0]', 'k[1]', 'k[2]')
    assert found == [(1, 2, 0), (2, 0, 1)]


@pytest.mark.parametrize('name', ['iteration', 'epoch', 'progress'])
def test_states_read_the_numbers_of_their_iteration(name):
    graph = compiled(PLAIN + f'state n = -1.0\nnext n = {name}\ntrain {{ iterations 6 }}\n')
    found, _ = values(graph, 6, 'n')
    expected = {'iteration': range(6), 'epoch': [0, 0, 0, 1, 1, 1], 'progress': [i / 6 for i in range(6)]}[name]
    assert [n for n, in found] == pytest.approx(list(expected))


def test_functions_and_operators_of_numbers():
    """They are Python's and the `math` module's."""
    expressions = {
        'min(3, a, 2.5)': 1.5, 'max(a, 2)': 2, 'abs(-a)': 1.5, 'exp(a)': numpy.exp(1.5), 'log(a)': numpy.log(1.5),
        'sqrt(a)': 1.5 ** 0.5, 'sin(a)': numpy.sin(1.5), 'cos(a)': numpy.cos(1.5), 'tanh(a)': numpy.tanh(1.5),
        'floor(a)': 1, '7 // 2': 3, '7 % 4': 3, '-7 // 2': -4, '7 / 2': 3.5, '2 ** 3 ** 2': 512,
        '1 if a > 1 else 0': 1, '1 if 1 < a <= 1.5 and not a == 2 else 0': 1, '1 if a > 2 or a < 0 else 0': 0,
        'min([a, 1])': 1, '2 if a in [1.5, 2] else 3': 2,
    }
    text = PLAIN + 'state a = 1.5\n'
    for i, expression in enumerate(expressions):
        text += f'state s{i} = 0.0\nnext s{i} = {expression}\n'
    found, _ = values(compiled(text), 1, *(f's{i}' for i in range(len(expressions))))
    assert dict(zip(expressions, found[0])) == pytest.approx(expressions)


def test_an_array_that_is_no_scalar_is_no_number():
    with pytest.raises(graphdsl.GraphError):
        graph = compiled(PLAIN + 'state k = 0.0\nnext k = y\n')
        iterate(graph.updater(Counted(X)))


# schedule

def test_schedule_sets_a_hyperparameter_before_each_iteration():
    """And reports it; with SGD the moves are the gradient times what is reported."""
    graph = compiled(PLAIN + """
        schedule net.lr = 0.5 * 0.5 ** (iteration // 2) + 0.1 * epoch + rate
        state rate = 0.0
        next rate = cost_of_y
        """)
    theirs = twins(graph)
    _, reports = values(graph, 5)
    rate = 0.0
    for i, report in enumerate(reports):
        lr = 0.5 * 0.5 ** (i // 2) + 0.1 * (i // 3) + rate
        assert report['net.lr'] == pytest.approx(lr)
        cost = F.mean((theirs['net'](minibatch(i)) - 1) ** 2)
        descend([cost], [theirs['net']], lr)
        rate = float(cost.array)
    assert_parameters(graph, theirs)


def test_schedule_by_progress_of_an_anonymous_optimizers_other():
    """Two hyperparameters of one optimizer."""
    graph = compiled(PLAIN.replace('SGD(lr=0.5)', 'Adam()') + """
        schedule net.alpha = 1e-3 * (1 - progress)
        schedule net.beta1 = 0.5 if iteration < 2 else 0.9
        train { iterations 4 }
        """)
    theirs = twins(graph)
    adam = chainer.optimizers.Adam().setup(theirs['net'])
    _, reports = values(graph, 4)
    for i in range(4):
        adam.alpha, adam.beta1 = 1e-3 * (1 - i / 4), 0.5 if i < 2 else 0.9
        assert (reports[i]['net.alpha'], reports[i]['net.beta1']) == pytest.approx((adam.alpha, adam.beta1))
        theirs['net'].cleargrads()
        F.mean((theirs['net'](minibatch(i)) - 1) ** 2).backward()
        adam.update()
    assert_parameters(graph, theirs)


def test_a_schedule_is_set_at_the_start_of_an_iteration_only():
    """A state that moves after the first step counts for the next iteration's."""
    graph = compiled(TWO_STEPS + 'next k after first = k + 1\nschedule other.lr = 0.1 * k\n')
    _, reports = values(graph, 3)
    assert [r['other.lr'] for r in reports] == pytest.approx([0.1, 0.2, 0.3])


def test_a_hyperparameter_has_one_schedule_and_exists():
    with pytest.raises(graphdsl.GraphError):
        compiled(PLAIN + 'schedule net.lr = 0.1\nschedule net.lr = 0.2\n')
    with pytest.raises(graphdsl.GraphError):
        compiled(PLAIN + 'schedule net.alpha = 0.1\n')


# In evaluation

def test_evaluation_reads_states_as_they_are():
    graph = compiled(PLAIN.replace('loss cost = cost_of_y', 'loss cost = k * cost_of_y')
                     + 'state k = 1\nnext k = k + 1\n')
    values(graph, 3)
    calls = Calls(graph)
    with calls:
        cost = float(graph.reports({'x': X})['cost'].array)
    assert cost == pytest.approx(4 * numpy.mean((graph.models['net'](X).array - 1) ** 2))
    assert graph.numbers['k'] == 4


@pytest.mark.parametrize('expression, function', [
    ('1 / cost', lambda c: 1 / c), ('log(cost)', numpy.log), ('sqrt(cost - 1e-9)', lambda c: numpy.sqrt(c - 1e-9)),
    ('exp(1e4 * (1e-9 - cost)) / cost', lambda c: numpy.exp(1e4 * (1e-9 - c)) / c)])
def test_numbers_that_zeros_would_break(expression, function):
    """The first pass over examples of zeros says nothing of what numbers come of data."""
    graph = compiled(f"""
        input x: float64[3]
        model net = Linear(2, nobias=true)
        loss cost = mean(net(x) ** 2)
        optimizer net = SGD(lr=0.1) owns net
        state k = 1.0
        next k = {expression}
        """)
    found, reports = values(graph, 2, 'k')
    assert [k for k, in found] == pytest.approx([function(report['cost']) for report in reports])


def test_next_reads_the_noise_that_the_run_drew():
    graph = compiled(PLAIN.replace('loss cost = cost_of_y', 'loss cost = n * cost_of_y')
                     + 'noise n ~ uniform(0, 1)\ntwice = 2 * n\nstate k = 0.0\nnext k = twice\n')
    state = random_state(0, 'noise/n')
    found, _ = values(graph, 3, 'k')
    assert [k for k, in found] == pytest.approx([2 * state.uniform(0, 1) for _ in range(3)])


@pytest.mark.parametrize('expression', ['2 * cost_of_y', 'double', 'quadruple / 2', 'shown'])
@pytest.mark.parametrize('step', ['', 'step main { update net }\nstep rest { update other }\n'])
def test_next_of_a_named_value(expression, step):
    """A name means what its expression means; nothing is computed a second time for it."""
    graph = compiled(PLAIN + 'double = 2 * cost_of_y\nquadruple = 2 * double\nmetric shown = double\n'
                     'model other = Linear(1)\nloss rest = mean(other(x) ** 2)\n'
                     'optimizer other = SGD(lr=0.1) owns other\n'
                     f'state k = 0.0\nnext k = {expression}\n' + step)
    calls = Calls(graph)
    with calls:
        found, reports = values(graph, 3, 'k')
    assert calls.counts == {'net': 3, 'other': 3}
    assert [k for k, in found] == pytest.approx([2 * report['cost'] for report in reports])


def test_next_of_what_no_run_computes():
    """The state stays; the model is not called for its sake."""
    graph = compiled(PLAIN + 'm = mean(net(2 * x))\nstate k = 0.5\nnext k = m\n')
    calls = Calls(graph)
    with calls:
        found, _ = values(graph, 2, 'k')
    assert calls.counts == {'net': 2} and found == [(0.5,), (0.5,)]
