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


def linears(random, count, size, out, dtype='d', nobias=False):
    with chainer.using_config('dtype', numpy.dtype(dtype)):
        return [L.Linear.from_params(random.randn(out, size), None if nobias else random.randn(out), nobias)
                for _ in range(count)]


def chains(links):
    """Each link in a chain of its own, as a model is."""
    return [chainer.Sequential(link) for link in links]


def parameters(links):
    return [parameter for link in links for parameter in link.params()]


def assert_same(ours, theirs, links, others, random):
    """Compares values, and the gradients of some weighted sum with respect to links and other variables.

    Args:
        ours (Stack): Values of all heads.
        theirs: A list of them.
        links: The heads that both were computed by, as `Heads` and links; None if there are none.
    """
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert a.dtype == b.dtype and a.shape == b.shape and not a.requires_grad
        numpy.testing.assert_allclose(a.array, b.array, **tolerance(b.dtype))
    slopes = [numpy.asarray(random.randn(*y.shape), y.dtype) for y in theirs]
    slope = numpy.stack(slopes, axis=0 if slopes[0].ndim == 0 else 1)
    heads, singles = links if links is not None else (None, [])
    wholes = [*heads.weights, *others] if heads is not None else others
    gradients = chainer.grad([ours.whole], wholes, grad_outputs=[chainer.Variable(slope)])
    for variable, gradient in zip(wholes, gradients):
        variable.grad = gradient.array
    if heads is not None:
        heads.share_gradients()
    expected = chainer.grad(theirs, [*parameters(singles), *others], grad_outputs=list(map(chainer.Variable, slopes)))
    for variable, gradient in zip([*parameters(singles), *others], expected):
        assert variable.grad.dtype == gradient.dtype and variable.grad.shape == gradient.shape
        numpy.testing.assert_allclose(variable.grad, gradient.array, **tolerance(gradient.dtype))


def tolerance(dtype):
    return dict(rtol=1e-10, atol=1e-12) if numpy.dtype(dtype) == numpy.float64 else dict(rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize('dtype', ['f', 'd'])
@pytest.mark.parametrize('nobias', [False, True])
@pytest.mark.parametrize('shape, count, out', [((5, 3), 5, 4), ((1, 3), 2, 4), ((4, 3), 3, 1), ((2, 1, 3), 1, 5)])
@pytest.mark.parametrize('most', [0, 2 ** 18], ids=['one by one', 'as one'])
def test_linear(random, shape, count, out, nobias, dtype, most, monkeypatch):
    monkeypatch.setattr(stacked, '_MOST_COPIED', most)
    links = linears(random, count, 3, out, dtype, nobias)
    x = chainer.Variable(random.randn(*shape).astype(dtype))
    heads = stacked.stacked_linear(x, chains(links))
    assert_same(heads, [link(x) for link in links], (heads, links), [x], random)


def test_linear_of_two_dtypes(random):
    links = linears(random, 2, 3, 2, 'd', nobias=True)
    x = chainer.Variable(random.randn(4, 3).astype('f'))
    heads = stacked.stacked_linear(x, chains(links))
    assert_same(heads, [link(x) for link in links], (heads, links), [x], random)


def test_linear_initializes_its_links(random):
    ours, theirs = [[L.Linear(None, 4) for _ in range(3)] for _ in range(2)]
    numpy.random.seed(0)
    stacked.stacked_linear(random.randn(5, 2, 3).astype('f'), chains(ours))
    numpy.random.seed(0)
    for link in theirs:
        link(numpy.zeros((1, 6), 'f'))
    for a, b in zip(parameters(ours), parameters(theirs)):
        numpy.testing.assert_array_equal(a.array, b.array)


def test_linear_needs_an_input_of_its_size(random):
    with pytest.raises(InvalidType, match='StackedLinear'):
        stacked.stacked_linear(random.randn(2, 3), chains(linears(random, 2, 4, 4)))


@pytest.mark.parametrize('place', ['link', 'chain', 'everywhere'])
def test_heads_with_hooks_run_by_themselves(random, place):
    """Spectral normalization, as one, changes the weights that a link uses."""
    class Calls(chainer.LinkHook):
        name = 'calls'
        count = 0

        def forward_postprocess(self, args):
            self.count += isinstance(args.link, L.Linear if place != 'chain' else chainer.Sequential)

    links, hook = linears(random, 3, 3, 2), Calls()
    x, heads = chainer.Variable(random.randn(5, 3)), chains(links)
    if place != 'everywhere':
        {'link': links[1], 'chain': heads[1]}[place].add_hook(hook)
    with hook if place == 'everywhere' else chainer.using_config('train', True):
        found = stacked.stacked_linear(x, heads)
    assert hook.count == (3 if place == 'everywhere' else 1)
    assert_same(found, [link(x) for link in links], (found, links), [x], random)


def test_only_what_is_asked_for_is_computed(random):
    links, x = linears(random, 4, 3, 2), chainer.Variable(random.randn(5, 3))
    heads = stacked.stacked_linear(x, chains(links))
    gy = [chainer.Variable(numpy.ones((5, 4, 2)))]
    everything = [x, *heads.weights]
    expected = chainer.grad([heads.whole], everything, grad_outputs=gy)
    for variable, gradient in zip(everything, expected):
        alone, = chainer.grad([heads.whole], [variable], grad_outputs=gy)
        numpy.testing.assert_array_equal(alone.array, gradient.array)


def test_gradients_do_not_overlap_and_hooks_may_change_them(random):
    links = linears(random, 3, 3, 2)
    optimizers = {str(i): chainer.optimizers.SGD(0.1).setup(link) for i, link in enumerate(links)}
    for optimizer in optimizers.values():
        optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(0.5))
    x = random.randn(5, 3)
    heads = stacked.stacked_linear(x, chains(links))
    chainer.grad([heads.whole], heads.weights, set_grad=True)
    heads.share_gradients()
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


def predictions(random, batch, count, *shape, dtype='d'):
    """A stack, whose variable is all heads' predictions."""
    return stacked.Stack(chainer.Variable(random.randn(batch, count, *shape).astype(dtype)))


def single(stack):
    """The predictions of a stack one by one, with their history."""
    return [stack.whole[:, i] for i in range(len(stack))]


@pytest.mark.parametrize('dtype', ['f', 'd'])
@pytest.mark.parametrize('as_list', [False, True])
@pytest.mark.parametrize('shape, ignored', LABELS)
def test_softmax_cross_entropy(random, shape, ignored, as_list, dtype):
    t = labels_of(random, shape, ignored)
    ys = predictions(random, *shape, dtype=dtype)
    theirs = [F.softmax_cross_entropy(y, t[:, i]) for i, y in enumerate(single(ys))]
    assert_same(stacked.stacked_softmax_cross_entropy(ys, list(t.T) if as_list else t), theirs, None, [ys.whole],
                random)


@pytest.mark.parametrize('large', [200.0, 1e4, numpy.inf, numpy.nan])
def test_large_and_broken_scores_are_as_in_chainer(random, large):
    t, ys = labels_of(random, (4, 2, 3), ()), predictions(random, 4, 2, 3)
    ys.whole.array[2, 1, 0] = large
    with numpy.errstate(all='ignore'):
        ours = stacked.stacked_softmax_cross_entropy(ys, t)
        theirs = [F.softmax_cross_entropy(y, t[:, i]) for i, y in enumerate(ys)]
    for a, b in zip(ours, theirs):
        numpy.testing.assert_allclose(a.array, b.array)


def test_labels_that_are_too_few(random):
    with pytest.raises(InvalidType, match='StackedSoftmaxCrossEntropy'):
        stacked.stacked_softmax_cross_entropy(predictions(random, 4, 3, 2), numpy.zeros((4, 1), 'i'))


def test_a_label_that_is_no_class(random):
    ys = predictions(random, 1, 2, 3)
    with pytest.raises(IndexError):
        stacked.stacked_softmax_cross_entropy(ys, numpy.array([[0, 3]], 'i'))
    with chainer.using_config('debug', True), pytest.raises(ValueError, match='Each label `t` need to satisfy'):
        stacked.stacked_softmax_cross_entropy(ys, numpy.array([[0, -2]], 'i'))


@pytest.mark.parametrize('dtype', ['f', 'd'])
@pytest.mark.parametrize('shape', [(5,), (1, 4), (3, 2, 2)])
def test_mean_squared_error(random, shape, dtype):
    """Gradients reach targets, too."""
    ys = predictions(random, shape[0], 3, *shape[1:], dtype=dtype)
    ts = [chainer.Variable(random.randn(*shape).astype(dtype)) for _ in range(3)]
    theirs = [F.mean_squared_error(y, t) for y, t in zip(single(ys), ts)]
    assert_same(stacked.stacked_mean_squared_error(ys, ts), theirs, None, [ys.whole, *ts], random)
    assert_same(stacked.stacked_mean_squared_error(ys, ts), theirs, None, [ts[1]], random)


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
        heads = stacked.stacked_linear(x, chains(links))
        losses = stacked.stacked_softmax_cross_entropy(heads, t)
        chainer.grad([losses.whole], heads.weights)
    assert nodes == {(name, way): 1 for name in ('StackedLinear', 'StackedSoftmaxCrossEntropy')
                     for way in ('forward', 'backward')}


def test_a_second_derivative_is_refused(random):
    links, x = linears(random, 2, 3, 2), chainer.Variable(random.randn(5, 3))
    heads = stacked.stacked_linear(x, chains(links))
    for stack in (heads, stacked.stacked_mean_squared_error(heads, [x[:, :2], x[:, 1:]]),
                  stacked.stacked_softmax_cross_entropy(heads, numpy.zeros((5, 2), 'i'))):
        with pytest.raises(RuntimeError, match='Stacked.* cannot be differentiated twice'):
            chainer.grad([F.sum(stack.whole)], [x], enable_double_backprop=True)
