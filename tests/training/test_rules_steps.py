"""The rules about steps: what an iteration is, what a run computes, minimizes and reports."""
import chainer
import chainer.functions as F
import numpy
import pytest

from rules import (
    Calls, Counted, Functions, GAME, T, X, assert_parameters, assert_same, compiled, descend, everything, iterate,
    minibatch, twins, variable)

pytestmark = pytest.mark.usefixtures('float64')

# What an iteration is


def test_without_a_step_an_iteration_is_one_step_that_updates_all_optimizers():
    """Law 3 as well: both gradients are taken at the weights that the step began with."""
    for extra in ('', 'step one { update generator, critic }', 'step one { update critic; update generator }'):
        graph = compiled(GAME + extra)
        theirs = twins(graph)
        calls = Calls(graph)
        updater = graph.updater(Counted(X), seed=3)
        with calls:
            iterate(updater)
        assert calls.counts == {'generator': 1, 'critic': 2}
        fake = theirs['generator'](variable(calls.inputs['generator'][0]))
        judged = theirs['critic'](fake)
        fool = F.mean(F.softplus(-judged))
        judge = F.mean(F.softplus(-theirs['critic'](minibatch(0)))) + F.mean(F.softplus(judged))
        gradients = chainer.grad([fool], list(theirs['generator'].params()))
        descend([judge], [theirs['critic']])
        for parameter, gradient in zip(theirs['generator'].params(), gradients):
            parameter.array[...] -= gradient.array
        assert_parameters(graph, theirs)


@pytest.mark.parametrize('first, second', [('critic', 'generator'), ('generator', 'critic')])
def test_steps_run_in_the_order_written_with_the_weights_as_they_are(first, second):
    """Whatever the order of optimizers and of other statements is."""
    steps = f'step {first} {{ update {first} }}\nstep {second} {{ update {second} }}\n'
    graph = compiled(steps + GAME)
    theirs = twins(graph)
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    with calls:
        iterate(updater)
    noises = dict(zip((first, second), calls.inputs['generator']))
    for name in (first, second):
        fake = theirs['generator'](variable(noises[name]))
        if name == 'critic':
            loss = F.mean(F.softplus(-theirs['critic'](minibatch(0)))) + F.mean(F.softplus(theirs['critic'](fake)))
        else:
            loss = F.mean(F.softplus(-theirs['critic'](fake)))
        descend([loss], [theirs[name]])
    assert_parameters(graph, theirs)


# What a run computes

def test_a_run_computes_exactly_what_the_losses_of_its_optimizers_need():
    """The generator's step calls the critic once, on what is drawn; the critic's draws images and calls it twice."""
    graph = compiled(GAME + 'step critic { update critic }\nstep generator { update generator }\n')
    calls, iterator = Calls(graph), Counted(X)
    updater = graph.updater(iterator)
    with calls:
        iterate(updater)
    assert calls.counts == {'generator': 2, 'critic': 3}
    numpy.testing.assert_array_equal(calls.inputs['critic'][0], X[:4])
    assert iterator.draws == 1


def test_each_value_is_computed_once():
    """However many losses, metrics and backward passes need it."""
    graph = compiled("""
        input x: float64[3], t: int32
        model trunk = Linear(4) -> elu
        model left = Linear(2)
        model right = Linear(2)
        x -> trunk -> h
        h -> left -> y
        h -> right -> q
        loss a = softmax_cross_entropy(y, t)
        loss b = mean(q ** 2) + 0.1 * a
        metric accuracy = accuracy(y, t)
        metric size = mean(h)
        optimizer Adam() owns trunk minimizes a, b
        optimizer Adam() owns left minimizes a
        optimizer Adam() owns right minimizes b
        """)
    calls, functions = Calls(graph), Functions()
    updater = graph.updater(Counted(X, T))
    with calls, functions:
        iterate(updater)
    assert calls.counts == {'trunk': 1, 'left': 1, 'right': 1}
    counts = functions.counts
    assert counts['ELU'] == counts['SoftmaxCrossEntropy'] == counts['Accuracy'] == 1


def test_a_run_computes_no_loss_that_it_does_not_minimize():
    """`update x for loss` updates by some of the losses; the others are neither computed nor reported there."""
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2)
        model other = Linear(2)
        x -> net -> y
        x -> other -> q
        loss a = mean(y ** 2)
        loss b = mean((y - q) ** 2)
        optimizer net = SGD(lr=1.0) owns net minimizes a, 0.5 * b
        optimizer other = SGD(lr=1.0) owns other minimizes b
        step first { update net for a }
        step second { update other }
        step third when iteration > 0 { update net for b }
        """)
    theirs = twins(graph)
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    with calls:
        reports, = iterate(updater)
    assert calls.counts == {'net': 2, 'other': 1}
    a = F.mean(theirs['net'](minibatch(0)) ** 2)
    descend([a], [theirs['net']])
    b = F.mean((theirs['net'](minibatch(1)) - theirs['other'](minibatch(1))) ** 2)
    descend([b], [theirs['other']])
    assert reports == pytest.approx({'a': float(a.array), 'b': float(b.array)}, rel=1e-12)
    assert_parameters(graph, theirs)


def test_update_for_a_loss_keeps_its_weight():
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2)
        x -> net -> y
        loss a = mean(y ** 2)
        loss b = mean(y ** 4)
        optimizer net = SGD(lr=1.0) owns net minimizes a, 0.25 * b
        step first when iteration > 0 { update net for a }
        step second { update net for b }
        """)
    theirs = twins(graph)
    reports, = iterate(graph.updater(Counted(X)))
    b = F.mean(theirs['net'](minibatch(0)) ** 4)
    descend([0.25 * b], [theirs['net']])
    assert_parameters(graph, theirs)
    assert reports == {'b': pytest.approx(float(b.array))}


def test_weights_of_losses_are_each_optimizers_own():
    graph = compiled("""
        input x: float64[3]
        model trunk = Linear(4) -> tanh
        model head = Linear(2)
        x -> trunk -> h
        h -> head -> y
        loss a = mean(y ** 2)
        loss b = mean((y - 1) ** 4)
        optimizer trunk = SGD(lr=1.0) owns trunk minimizes -2 * a, b
        optimizer head = SGD(lr=1.0) owns head minimizes a, 0.5 * b
        """)
    theirs = twins(graph)
    reports, = iterate(graph.updater(Counted(X)))
    y = theirs['head'](theirs['trunk'](minibatch(0)))
    a, b = F.mean(y ** 2), F.mean((y - 1) ** 4)
    head = chainer.grad([a + 0.5 * b], list(theirs['head'].params()))
    descend([b - 2 * a], [theirs['trunk']])
    for parameter, gradient in zip(theirs['head'].params(), head):
        parameter.array[...] -= gradient.array
    assert_parameters(graph, theirs)
    assert reports == pytest.approx({'a': float(a.array), 'b': float(b.array)})     # without the weights


# Metrics

def test_a_metric_belongs_to_the_last_step_that_has_its_operands():
    """Computed once, with what that step computed; its operands cause no computation."""
    graph = compiled(GAME + """
        metric certainty = mean(sigmoid(judged))
        metric seen = mean(sigmoid(real))
        step critic { update critic }
        step generator { update generator }
        """)
    theirs = twins(graph)
    calls, functions = Calls(graph), Functions()
    updater = graph.updater(Counted(X))
    with calls, functions:
        reports, = iterate(updater)
    assert calls.counts == {'generator': 2, 'critic': 3}
    assert functions.counts['Sigmoid'] == 2
    critic = theirs['critic']
    assert reports['seen'] == pytest.approx(float(F.mean(F.sigmoid(critic(minibatch(0)))).array))
    fake = theirs['generator'](variable(calls.inputs['generator'][1]))     # the generator moves after its own step
    after = graph.models['critic'](fake)
    assert reports['certainty'] == pytest.approx(float(F.mean(F.sigmoid(after)).array))


def test_a_metric_whose_operands_no_run_computes_is_not_reported_in_training():
    """A metric is never a reason to compute, but evaluation has it."""
    text = """
        input x: float64[3]
        model net = Linear(2)
        model other = Linear(2)
        x -> net -> y
        x -> other -> q
        loss a = mean(y ** 2)
        loss b = mean(q ** 2)
        metric gap = mean(y - q)
        optimizer net = SGD(lr=1.0) owns net
        optimizer other = SGD(lr=1.0) owns other
        step first { update net }
        step second { update other }
        """
    graph = compiled(text)
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    with calls:
        reports, = iterate(updater)
    assert set(reports) == {'a', 'b'} and calls.counts == {'net': 1, 'other': 1}
    assert set(graph.reports({'x': X})) == {'a', 'b', 'gap'}


def test_a_metric_changes_no_training():
    """With dropout and batch normalization in the models that it looks at."""
    text = """
        input x: float64[3]
        model net = Linear(6, nobias=true) -> BatchNormalization(6) -> dropout(0.5) -> Linear(2)
        x -> net -> y
        loss a = mean(y ** 2)
        optimizer net = Adam() owns net
        """
    found = []
    for metric in ('', 'metric size = mean(absolute(y))\n'):
        graph = compiled(text + metric)
        numpy.random.seed(1)
        reports = iterate(graph.updater(Counted(X)), 3)
        found.append(everything(graph))
        assert ('size' in reports[0]) == bool(metric)
    assert_same(*found)


# Values in several places

def test_a_value_that_one_optimizer_sees_detached_and_another_does_not():
    """Each is moved by the gradient of its own losses, in one step."""
    graph = compiled("""
        input x: float64[3]
        model trunk = Linear(4) -> tanh
        model head = Linear(2)
        x -> trunk -> h
        fixed = detach(h)
        loss a = mean((head(h) - 1) ** 2)
        loss b = mean(head(fixed) ** 4)
        optimizer trunk = SGD(lr=1.0) owns trunk minimizes a, -3 * c
        optimizer head = SGD(lr=1.0) owns head minimizes b, 0.5 * a
        loss c = mean(h * fixed)
        """)
    theirs = twins(graph)
    trunk, head = theirs['trunk'], theirs['head']
    h = trunk(minibatch(0))
    fixed = variable(h.array.copy())
    a, b, c = F.mean((head(h) - 1) ** 2), F.mean(head(fixed) ** 4), F.mean(h * fixed)
    gradients = chainer.grad([b + 0.5 * a], list(head.params()))
    descend([a - 3 * c], [trunk])
    for parameter, gradient in zip(head.params(), gradients):
        parameter.array[...] -= gradient.array
    iterate(graph.updater(Counted(X)))
    assert_parameters(graph, theirs)


def test_what_is_made_of_an_absent_loss_is_absent():
    """A loss is an ordinary value: without it there is neither a metric nor a loss made of it."""
    text = """
        input x: float64[3]
        model net = Linear(2)
        x -> net -> y
        loss a = mean(y ** 2)
        loss b = mean(y ** 4) when iteration % 2 == 1
        metric share = b / a
        optimizer net = SGD(lr=0.1) owns net
        """
    reports = iterate(compiled(text).updater(Counted(X)), 4)
    assert ['share' in report for report in reports] == ['b' in report for report in reports] == [
        False, True, False, True]
    assert reports[1]['share'] == pytest.approx(reports[1]['b'] / reports[1]['a'])


def test_gradients_leave_no_trace_in_models_that_they_pass():
    """Law 2: what the generator's step leaves in the critic's gradients does not reach the critic's update."""
    graph = compiled(GAME.replace('SGD(lr=1.0) owns critic', 'MomentumSGD(lr=0.1) owns critic')
                     + 'step generator repeat 3 { update generator }\nstep critic { update critic }\n')
    theirs = twins(graph)
    sgd = chainer.optimizers.MomentumSGD(lr=0.1).setup(theirs['critic'])
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    for i in range(2):
        calls.inputs.clear()
        with calls:
            iterate(updater)
        *many, last = map(variable, calls.inputs['generator'])
        for z in many:
            descend([F.mean(F.softplus(-theirs['critic'](theirs['generator'](z))))], [theirs['generator']])
        theirs['critic'].cleargrads()
        fake = theirs['generator'](last).array
        (F.mean(F.softplus(-theirs['critic'](minibatch(i)))) + F.mean(F.softplus(theirs['critic'](fake)))).backward()
        sgd.update()
    assert_parameters(graph, theirs)


def test_two_losses_that_are_one_value():
    """The second counts again: an optimizer moves by the sum of its losses."""
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2)
        a = mean((net(x) - 1) ** 2)
        loss first = a
        loss second = a
        optimizer net = SGD(lr=0.5) owns net minimizes first, 3 * second
        """)
    theirs = twins(graph)
    report, = iterate(graph.updater(Counted(X)))
    a = F.mean((theirs['net'](minibatch(0)) - 1) ** 2)
    descend([4 * a], [theirs['net']], 0.5)
    assert_parameters(graph, theirs)
    assert report['first'] == report['second'] == pytest.approx(float(a.array))


def test_a_list_of_existing_values_as_losses():
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2)
        y = net(x)
        a = mean(y ** 2)
        b = mean(y ** 4)
        loss a, b
        size = mean(absolute(y))
        metric size
        optimizer net = SGD(lr=0.5) owns net
        """)
    theirs = twins(graph)
    report, = iterate(graph.updater(Counted(X)))
    y = theirs['net'](minibatch(0))
    y0 = y.array
    assert report == pytest.approx({'a': (y0 ** 2).mean(), 'b': (y0 ** 4).mean(), 'size': abs(y0).mean()})
    descend([F.mean(y ** 2) + F.mean(y ** 4)], [theirs['net']], 0.5)
    assert_parameters(graph, theirs)


def test_stochastic_calls_come_in_topological_order_ties_in_source_order():
    """Dropout draws from the global generator in the order of the file where nothing else decides."""
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2)
        c = dropout(b, 0.5)
        loss cost = mean(net(c)) + mean(net(a))
        a = dropout(2 * x, 0.5)
        b = dropout(x, 0.5)
        optimizer net = SGD(lr=1.0) owns net
        """)
    theirs = twins(graph)
    numpy.random.seed(0)
    report, = iterate(graph.updater(Counted(X)))
    x = minibatch(0)
    numpy.random.seed(0)
    a = F.dropout(2 * x, 0.5)
    b = F.dropout(x, 0.5)
    c = F.dropout(b, 0.5)
    expected = F.mean(theirs['net'](c)) + F.mean(theirs['net'](a))
    assert report['cost'] == pytest.approx(float(expected.array))
