"""Stacked heads against Chainer's functions, one head at a time."""
from collections import Counter

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer.utils.type_check import InvalidType

from graphdsl.runtime import stacked
from graphdsl.runtime.gradients import unshare

# Batch, heads, classes; labels that are ignored.
LABELS = [((5, 3, 4), ()), ((1, 2, 4), ()), ((6, 1, 2), ()), ((7, 3, 4), [(0, 0), (3, 0), (3, 2)]),
          ((3, 2, 4), [(0, 1), (1, 1), (2, 1)])]


@pytest.fixture
def random():
    return numpy.random.RandomState(0)


@pytest.fixture(params=[1, 30, 2 ** 18], ids=['no block', 'blocks of two', 'one block'])
def block(request, monkeypatch):
    monkeypatch.setattr(stacked, '_BLOCK', request.param)


def linears(random, count, size, out, dtype='d', nobias=False):
    with chainer.using_config('dtype', numpy.dtype(dtype)):
        return [L.Linear.from_params(random.randn(out, size), None if nobias else random.randn(out), nobias)
                for _ in range(count)]


def parameters(links):
    return [parameter for link in links for parameter in link.params()]


def assert_same(ours, theirs, inputs, random, used=None):
    """Compares values, and the gradients of some inputs by all values or those that are used."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert a.dtype == b.dtype and a.shape == b.shape
        numpy.testing.assert_allclose(a.array, b.array, **tolerance(b.dtype))
    used = range(len(ours)) if used is None else used
    slopes = [chainer.Variable(numpy.asarray(random.randn(*theirs[i].shape), theirs[i].dtype)) for i in used]
    gradients = [chainer.grad([values[i] for i in used], inputs, grad_outputs=slopes) for values in (ours, theirs)]
    for a, b in zip(*gradients):
        b = numpy.zeros_like(a.array) if b is None else b.array
        assert a.dtype == b.dtype and a.shape == b.shape
        numpy.testing.assert_allclose(a.array, b, **tolerance(b.dtype))


def tolerance(dtype):
    return dict(rtol=1e-10, atol=1e-12) if numpy.dtype(dtype) == numpy.float64 else dict(rtol=2e-5, atol=1e-6)


@pytest.mark.usefixtures('block')
@pytest.mark.parametrize('dtype', ['f', 'd'])
@pytest.mark.parametrize('nobias', [False, True])
@pytest.mark.parametrize('shape, count, out', [((5, 3), 5, 4), ((1, 3), 2, 4), ((4, 3), 3, 1), ((2, 1, 3), 1, 5)])
def test_linear(random, shape, count, out, nobias, dtype):
    links = linears(random, count, 3, out, dtype, nobias)
    x = chainer.Variable(random.randn(*shape).astype(dtype))
    assert_same(stacked.stacked_linear(x, links), [link(x) for link in links], [x, *parameters(links)], random)


@pytest.mark.usefixtures('block')
def test_values_that_nothing_uses(random):
    """Heads of which only some are differentiated; the others get zeros."""
    links = linears(random, 4, 3, 2)
    x = chainer.Variable(random.randn(5, 3))
    assert_same(stacked.stacked_linear(x, links), [link(x) for link in links], [x, *parameters(links)], random, [1, 3])


def test_linear_of_two_dtypes(random):
    links = linears(random, 2, 3, 2, 'd', nobias=True)
    x = chainer.Variable(random.randn(4, 3).astype('f'))
    assert_same(stacked.stacked_linear(x, links), [link(x) for link in links], [x, *parameters(links)], random)


def test_values_are_ordinary_variables(random):
    """They may go on to any function; outside of it they have no history."""
    links, x = linears(random, 3, 3, 2), chainer.Variable(random.randn(5, 3))

    def sums(ys):
        return [F.sum(F.tanh(ys[0]) * ys[1]), F.max(ys[2])]

    assert_same(sums(stacked.stacked_linear(x, links)), sums([link(x) for link in links]),
                [x, *parameters(links)], random)
    with chainer.no_backprop_mode():
        first, *others = stacked.stacked_linear(x, links)
    assert not first.requires_grad and len(others) == 2
    numpy.testing.assert_allclose(first.array, links[0](x).array)


def test_linear_initializes_its_links(random):
    ours, theirs = [[L.Linear(None, 4) for _ in range(3)] for _ in range(2)]
    numpy.random.seed(0)
    stacked.stacked_linear(random.randn(5, 2, 3).astype('f'), ours)
    numpy.random.seed(0)
    for link in theirs:
        link(numpy.zeros((1, 6), 'f'))
    for a, b in zip(parameters(ours), parameters(theirs)):
        numpy.testing.assert_array_equal(a.array, b.array)


def test_linear_needs_an_input_of_its_size(random):
    with pytest.raises(InvalidType, match='StackedLinear'):
        stacked.stacked_linear(random.randn(2, 3), linears(random, 2, 4, 4))


def test_links_with_hooks_run_by_themselves(random):
    """Spectral normalization, as one, changes the weights that a link uses."""
    class Calls(chainer.LinkHook):
        name = 'calls'
        count = 0

        def forward_postprocess(self, args):
            self.count += 1

    links, hook = linears(random, 3, 3, 2), Calls()
    links[1].add_hook(hook)
    x = chainer.Variable(random.randn(5, 3))
    assert_same(stacked.stacked_linear(x, links), [link(x) for link in links], [x, *parameters(links)], random)
    assert hook.count == 2


@pytest.mark.usefixtures('block')
def test_linear_computes_the_gradients_that_are_asked_for(random):
    links = linears(random, 4, 3, 2)
    x = chainer.Variable(random.randn(5, 3))
    ys = list(stacked.stacked_linear(x, links))
    inputs = [x, *parameters(links)]
    expected = {id(v): g.array for v, g in zip(inputs, chainer.grad(ys, inputs, grad_outputs=ys))}
    for some in [x], [links[1].b], [links[3].W], [links[2].b, links[0].W, x]:
        for v, g in zip(some, chainer.grad(ys, some, grad_outputs=ys)):
            numpy.testing.assert_array_equal(g.array, expected[id(v)])


@pytest.mark.usefixtures('block')
def test_gradients_do_not_overlap_and_hooks_may_change_them(random):
    links = linears(random, 3, 3, 2)
    optimizers = {str(i): chainer.optimizers.SGD(0.1).setup(link) for i, link in enumerate(links)}
    for optimizer in optimizers.values():
        optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(0.5))
    x = random.randn(5, 3)
    chainer.grad(list(stacked.stacked_linear(x, links)), parameters(links), set_grad=True)
    arrays = [p.grad for p in parameters(links)]
    assert not any(numpy.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    before = [p.array.copy() for p in parameters(links)]
    unshare(optimizers)
    for optimizer in optimizers.values():
        optimizer.update()
    for parameter, old in zip(parameters(links), before):
        slope = x.sum(axis=0) if parameter.ndim == 2 else 5
        numpy.testing.assert_allclose(parameter.array, old - 0.1 * (slope + 0.5 * old))


def labels_of(random, shape, ignored):
    t = random.randint(0, shape[2], shape[:2]).astype('i')
    for place in ignored:
        t[place] = -1
    return t


@pytest.mark.parametrize('dtype', ['f', 'd'])
@pytest.mark.parametrize('as_list', [False, True])
@pytest.mark.parametrize('shape, ignored', LABELS)
def test_softmax_cross_entropy(random, shape, ignored, as_list, dtype):
    t = labels_of(random, shape, ignored)
    xs = [chainer.Variable(random.randn(shape[0], shape[2]).astype(dtype)) for _ in range(shape[1])]
    theirs = [F.softmax_cross_entropy(x, t[:, i]) for i, x in enumerate(xs)]
    assert_same(stacked.stacked_softmax_cross_entropy(xs, list(t.T) if as_list else t), theirs, xs, random)


def test_losses_that_nothing_uses(random):
    t = labels_of(random, (5, 3, 4), ())
    xs = [chainer.Variable(random.randn(5, 4)) for _ in range(3)]
    theirs = [F.softmax_cross_entropy(x, t[:, i]) for i, x in enumerate(xs)]
    assert_same(stacked.stacked_softmax_cross_entropy(xs, t), theirs, xs, random, [1])


@pytest.mark.parametrize('large', [200.0, 1e4, numpy.inf, numpy.nan])
def test_large_and_broken_scores_are_as_in_chainer(random, large):
    t = labels_of(random, (4, 2, 3), ())
    scores = random.randn(2, 4, 3)
    scores[1, 2, 0] = large
    with numpy.errstate(all='ignore'):
        ours = stacked.stacked_softmax_cross_entropy([chainer.Variable(x) for x in scores], t)
        theirs = [F.softmax_cross_entropy(x, t[:, i]) for i, x in enumerate(scores)]
    for a, b in zip(ours, theirs):
        numpy.testing.assert_allclose(a.array, b.array)


def test_a_label_that_is_no_class(random):
    with pytest.raises(IndexError):
        stacked.stacked_softmax_cross_entropy(list(random.randn(2, 1, 3)), numpy.array([[0, 3]], 'i'))
    with chainer.using_config('debug', True), pytest.raises(ValueError, match='Each label `t` need to satisfy'):
        stacked.stacked_softmax_cross_entropy(list(random.randn(2, 1, 3)), numpy.array([[0, -2]], 'i'))


@pytest.mark.parametrize('dtype', ['f', 'd'])
@pytest.mark.parametrize('shape', [(5,), (1, 4), (3, 2, 2)])
def test_mean_squared_error(random, shape, dtype):
    """Gradients reach targets, too."""
    xs, ts = [[chainer.Variable(random.randn(*shape).astype(dtype)) for _ in range(3)] for _ in range(2)]
    theirs = [F.mean_squared_error(x, t) for x, t in zip(xs, ts)]
    assert_same(stacked.stacked_mean_squared_error(xs, ts), theirs, [*xs, ts[1], *ts[2:]], random)
    assert_same(stacked.stacked_mean_squared_error(xs, ts), theirs, [*xs, *ts], random, [0, 2])


def test_one_node_each(random):
    t = labels_of(random, (5, 3, 2), ())
    links, x = linears(random, 3, 3, 2), chainer.Variable(random.randn(5, 3))
    nodes = Counter()

    class Nodes(chainer.FunctionHook):
        name = 'nodes'

        def forward_preprocess(self, function, in_data):
            nodes[function.label, 'forward'] += 1

        def backward_preprocess(self, function, in_data, out_grad):
            nodes[function.label, 'backward'] += 1

    with Nodes():
        losses = stacked.stacked_softmax_cross_entropy(stacked.stacked_linear(x, links), t)
        chainer.grad(losses, parameters(links))
    assert nodes == {(name, way): 1 for name in ('StackedLinear', 'StackedSoftmaxCrossEntropy')
                     for way in ('forward', 'backward')}


def test_a_second_derivative_is_refused(random):
    links, x = linears(random, 2, 3, 2), chainer.Variable(random.randn(5, 3))
    for values in (stacked.stacked_linear(x, links), stacked.stacked_mean_squared_error([x, x], [x + 1, x + 2]),
                   stacked.stacked_softmax_cross_entropy([x, x], numpy.zeros((5, 2), 'i'))):
        with pytest.raises(RuntimeError, match='Stacked.* cannot be differentiated twice'):
            chainer.grad([F.sum(values[0])], [x], enable_double_backprop=True)
