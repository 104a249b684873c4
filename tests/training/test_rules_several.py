"""The rules about `accumulate` and `unroll`, updates that are skipped, and the numbers of the run."""
import chainer
import chainer.functions as F
import numpy
import pytest

import graphdsl
from rules import (
    Calls, Counted, GAME, SIZE, T, U, X, assert_moved, assert_parameters, assert_same, compiled, descend,
    everything, iterate, minibatch, recorded, twins, variable)

pytestmark = pytest.mark.usefixtures('float64')

# accumulate, unroll

DENSE = """
input x: float64[3], t: int32
model net = Linear(4) -> tanh -> Linear(2)
x -> net -> y
loss cost = softmax_cross_entropy(y, t)
metric accuracy = accuracy(y, t)
optimizer net = Adam(alpha=0.1) owns net
"""


def test_accumulate_is_one_big_minibatch():
    """Gradients, losses and metrics are means; all three are those of 12 examples at once."""
    ours = compiled(DENSE + 'step main accumulate 3 { update net }\n')
    theirs = compiled(DENSE)
    iterator = Counted(X, T)
    updater = ours.updater(iterator)
    other = theirs.updater(Counted(X, T, batch=12))
    with recorded(updater) as grads, recorded(other) as expected:
        reports = iterate(updater, 3)
        for report, one in zip(reports, iterate(other, 3)):
            assert report == pytest.approx(one, rel=1e-8)
    assert iterator.draws == 9 and ours.optimizers['net'].t == 3
    for got, want in zip(grads['net'], expected['net']):
        assert_same(got, want, 1e-8)


def test_accumulate_keeps_the_weights_for_all_its_minibatches():
    graph = compiled(GAME + 'step main accumulate 2 { update critic, generator }\n')
    theirs = twins(graph)
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    with calls:
        reports, = iterate(updater)
    assert calls.counts == {'generator': 2, 'critic': 4}
    fools, judges = [], []
    for i in range(2):
        judged = theirs['critic'](theirs['generator'](variable(calls.inputs['generator'][i])))
        fools.append(F.mean(F.softplus(-judged)))
        judges.append(F.mean(F.softplus(-theirs['critic'](minibatch(i)))) + F.mean(F.softplus(judged)))
    generator = chainer.grad([0.5 * (fools[0] + fools[1])], list(theirs['generator'].params()))
    descend([0.5 * (judges[0] + judges[1])], [theirs['critic']])
    for parameter, gradient in zip(theirs['generator'].params(), generator):
        parameter.array[...] -= gradient.array
    assert_parameters(graph, theirs)
    assert reports['fool'] == pytest.approx(numpy.mean([float(f.array) for f in fools]))


def test_unroll_sums_the_losses_of_consecutive_minibatches():
    """And updates once; losses and metrics are reported as means over the runs."""
    graph = compiled(DENSE.replace('Adam(alpha=0.1)', 'SGD(lr=1.0)') + 'step main unroll 3 { update net }\n')
    theirs = twins(graph)
    iterator = Counted(X, T)
    reports, = iterate(graph.updater(iterator))
    assert iterator.draws == 3
    losses = [F.softmax_cross_entropy(theirs['net'](variable(X[i:i + 4])), T[i:i + 4]) for i in (0, 4, 8)]
    descend([losses[0] + losses[1] + losses[2]], [theirs['net']])
    assert_parameters(graph, theirs, 'net')
    assert reports['cost'] == pytest.approx(numpy.mean([float(loss.array) for loss in losses]))


def test_unroll_with_weights_and_two_optimizers():
    graph = compiled(GAME.replace('minimizes judge', 'minimizes 3 * judge')
                     + 'step main unroll 2 { update critic, generator }\n')
    theirs = twins(graph)
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    with calls:
        iterate(updater)
    fool = judge = 0
    for i in range(2):
        judged = theirs['critic'](theirs['generator'](variable(calls.inputs['generator'][i])))
        fool += F.mean(F.softplus(-judged))
        judge += F.mean(F.softplus(-theirs['critic'](minibatch(i)))) + F.mean(F.softplus(judged))
    generator = chainer.grad([fool], list(theirs['generator'].params()))
    descend([3 * judge], [theirs['critic']])
    for parameter, gradient in zip(theirs['generator'].params(), generator):
        parameter.array[...] -= gradient.array
    assert_parameters(graph, theirs)


@pytest.mark.parametrize('kind', ['accumulate', 'unroll'])
def test_a_loss_that_is_absent_from_several_minibatches(kind):
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2)
        model side = Linear(2)
        x -> net -> y
        loss cost = mean((y - 1) ** 2)
        loss size = mean(side(y) ** 4) when iteration %% 2 == 1
        optimizer net = SGD(lr=0.5) owns net
        optimizer side = Adam() owns side
        step main %s 3 { update net, side }
        """ % kind)
    theirs = twins(graph)
    adam = chainer.optimizers.Adam().setup(theirs['side'])
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    with calls:
        reports = iterate(updater, 4)
    assert calls.counts == {'net': 4 * 3, 'side': 2 * 3}
    for i, report in enumerate(reports):
        ys = [theirs['net'](minibatch(number)) for number in range(3)]
        costs = [F.mean((y - 1) ** 2) for y in ys]
        sizes = [F.mean(theirs['side'](y) ** 4) for y in ys] if i % 2 else []
        expected = {name: numpy.mean([float(loss.array) for loss in losses])
                    for name, losses in (('cost', costs), ('size', sizes)) if losses}
        assert report == pytest.approx(expected, rel=1e-10)
        total = sum(costs + sizes) / (3 if kind == 'accumulate' else 1)
        theirs['side'].cleargrads()
        gradients = chainer.grad([total], [*theirs['side'].params()]) if sizes else []
        descend([total], [theirs['net']], 0.5)
        for parameter, gradient in zip(theirs['side'].params(), gradients):
            parameter.grad = gradient.array
        if sizes:
            adam.update()
    assert graph.optimizers['side'].t == 2
    assert_parameters(graph, theirs)


def test_accumulate_with_an_update_that_is_left_out():
    graph = compiled("""
        input x: float64[3]
        model trunk = Linear(4) -> tanh
        model head = Linear(2)
        loss cost = mean((head(trunk(x)) - 1) ** 2)
        optimizer trunk = SGD(lr=1.0) owns trunk
        optimizer head = Adam() owns head
        step main accumulate 1 + iteration { update trunk; update head when iteration == 1 }
        """)
    theirs = twins(graph)
    adam = chainer.optimizers.Adam().setup(theirs['head'])
    draw = 0
    for i in range(3):
        costs = [F.mean((theirs['head'](theirs['trunk'](minibatch(draw + k))) - 1) ** 2) for k in range(i + 1)]
        draw += i + 1
        cost = sum(costs) / (i + 1)
        theirs['head'].cleargrads()
        gradients = chainer.grad([cost], list(theirs['head'].params()))
        descend([cost], [theirs['trunk']])
        for parameter, gradient in zip(theirs['head'].params(), gradients):
            parameter.grad = gradient.array
        if i == 1:
            adam.update()
    before = everything(graph)
    iterator = Counted(X)
    updater = graph.updater(iterator)
    iterate(updater)
    assert_moved(before, everything(graph), {'trunk'})
    iterate(updater, 2)
    assert iterator.draws == 6 and graph.optimizers['head'].t == 1
    assert_parameters(graph, theirs)


@pytest.mark.parametrize('kind', ['accumulate', 'unroll'])
def test_no_minibatches_no_update(kind):
    """A number that comes to 0 is an error or skips; nothing moves by the gradients of an earlier iteration."""
    graph = compiled(DENSE + f'step main {kind} 1 - iteration % 2 {{ update net }}\n')
    updater = graph.updater(Counted(X, T))
    iterate(updater)
    before = everything(graph)
    try:
        iterate(updater)
    except graphdsl.GraphError:
        pass
    assert graph.optimizers['net'].t == 1
    assert_same(before, everything(graph))


# skip nonfinite

def test_skip_nonfinite():
    """No update where a gradient is not finite; the others go on; the skips are counted and reported."""
    graph = compiled("""
        input x: float64[3], s: float64
        model net = Linear(2)
        model other = Linear(2)
        x -> net -> y
        x -> other -> q
        loss a = mean(s * sum(y, axis=1))
        loss b = mean(q ** 2)
        optimizer net = Adam() owns net { skip nonfinite }
        optimizer other = Adam() owns other
        """)
    scale = numpy.ones(SIZE)
    scale[5] = numpy.inf
    updater = graph.updater(Counted(X, scale))
    before = everything(graph)
    reports = iterate(updater)
    assert_moved(before, everything(graph), {'net', 'other'})
    before = everything(graph)
    with numpy.errstate(all='ignore'):
        reports += iterate(updater)
    assert_moved(before, everything(graph), {'other'})
    assert graph.optimizers['net'].t == 1 and graph.optimizers['other'].t == 2
    reports += iterate(updater)
    assert [r['net.skipped'] for r in reports] == [0, 1, 1]
    assert all(numpy.isfinite(v).all() for v in everything(graph).values())


def test_skip_nonfinite_after_accumulate():
    """One bad minibatch of several spoils the mean, and the update is left out."""
    graph = compiled("""
        input x: float64[3], s: float64
        model net = Linear(2)
        loss a = mean(s * sum(net(x), axis=1))
        optimizer net = Adam() owns net { skip nonfinite; hook WeightDecay(0.1) }
        step main accumulate 3 { update net }
        """)
    scale = numpy.ones(SIZE)
    scale[5] = numpy.nan
    before = everything(graph)
    reports = iterate(graph.updater(Counted(X, scale)), 2)
    assert_same(before, everything(graph))
    assert [r['net.skipped'] for r in reports] == [1, 2]


# Numbers of the run

def test_numbers_are_fixed_at_the_start_of_an_iteration():
    """Even where the epoch ends with a draw of its first step."""
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2)
        x -> net -> y
        loss a = mean(y ** 2) + 0 * progress
        loss b = mean(y)
        state i = 0; next i after second = iteration
        state e = 0; next e after second = epoch
        state p = 0.0; next p after second = progress
        optimizer net = SGD(lr=0.1) owns net
        step first { update net for a }
        step second { update net for b }
        """)
    updater = graph.updater(Counted(X), length=(10, 'iteration'))
    seen = []
    for _ in range(4):
        iterate(updater)
        seen.append((graph.numbers['i'], graph.numbers['e'], graph.numbers['p']))
    # Two draws of 4 of 12 examples in an iteration.
    assert [(i, e) for i, e, _ in seen] == [(0, 0), (1, 0), (2, 1), (3, 2)]
    numpy.testing.assert_allclose([p for _, _, p in seen], [0, 0.1, 0.2, 0.3])


def test_progress_of_a_run_in_epochs():
    """Is the share of examples that were drawn."""
    graph = compiled(DENSE + 'state p = 0.0\nnext p = progress\n')
    updater = graph.updater(Counted(X, T), length=(2, 'epoch'))
    seen = []
    for _ in range(6):
        iterate(updater)
        seen.append(graph.numbers['p'])
    numpy.testing.assert_allclose(seen, numpy.arange(6) / 6)


def test_batch_size_is_that_of_the_running_step():
    """Of the minibatch that it drew, which may be of another stream."""
    graph = compiled("""
        import points from "lab"
        data a { train = points(); batch 4 }
        data b { train = points(); batch 3 }
        input x: float64[3] from a
        input u: float64[3] from b
        noise z: float64[3] ~ normal(0, 1) from b
        model net = Linear(2)
        x -> net -> y
        u -> net -> q
        z -> net -> r
        loss first = sum(y ** 2) / batch_size
        loss second = sum(q ** 2) / batch_size
        loss third = sum(r ** 2) / batch_size
        optimizer net = SGD(lr=0.1) owns net
        step one { update net for first }
        step two { update net for second }
        step three { update net for third }
        """, bind={'points': lambda: None})
    calls = Calls(graph)
    updater = graph.updater({'a': Counted(X), 'b': Counted(U, batch=3)})
    weights = []
    for optimizer in graph.optimizers.values():
        optimizer.add_hook(lambda o: weights.append(twins(graph)['net']), 'keep', timing='pre')
    with calls:
        reports, = iterate(updater)
    for name, x, net in zip(('first', 'second', 'third'), calls.inputs['net'], weights):
        assert reports[name] == pytest.approx(float((net(variable(x)).array ** 2).sum() / len(x)))
    assert [len(x) for x in calls.inputs['net']] == [4, 3, 3]


# What is refused

def error_of(text, **options):
    with pytest.raises(graphdsl.GraphError) as caught:
        compiled(text, **options)
    return str(caught.value)


def test_an_optimizer_that_no_step_updates_is_an_error():
    assert 'generator' in error_of(GAME + 'step critic { update critic }\n')


def test_a_clock_that_no_step_draws_is_an_error_with_epochs():
    text = """
        import points from "lab"
        data clock { train = points() }
        data other { train = points() }
        input x: float64[3] from clock
        input u: float64[3] from other
        model net = Linear(2)
        u -> net -> y
        x -> net -> q
        loss a = mean(y ** 2)
        metric m = mean(q)
        optimizer net = SGD(lr=0.1) owns net
        step one { update net }
        train { %s }
        """
    compiled(text % 'iterations 5', bind={'points': lambda: None})
    assert 'clock' in error_of(text % 'epochs 5', bind={'points': lambda: None})


def test_accumulate_goes_neither_with_repeat_nor_with_unroll():
    for kinds in ('accumulate 2 repeat 2', 'repeat 2 unroll 2'):
        error_of(GAME + f'step main {kinds} {{ update critic, generator }}\n')
