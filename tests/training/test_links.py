"""Models made of Chainer's links: their first weights, and what has none."""
import contextlib
import copy

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator

import graphdsl
from handwritten import in_order

INPUTS = 'input x: float32[4], t: float32[2]\n'
DATA = chainer.datasets.TupleDataset(*(numpy.random.RandomState(0).randn(6, size).astype('f') for size in (4, 2)))


def compiled(text, seed=0):
    numpy.random.seed(seed)
    return graphdsl.compile(INPUTS + text)


def one_model(definition):
    return f'model m = {definition}\nx -> m -> y\nloss small = mean(y ** 2)\noptimizer SGD(lr=0.1) owns m\n'


def assert_drawn_in_order(graph, draw):
    """The links of a user's own chain, made one after the other from the same seed, have the same weights."""
    numpy.random.seed(0)
    theirs = [parameter for link in draw() for _, parameter in sorted(link.namedparams())]
    ours = [parameter for model in graph.models.values() for _, parameter in sorted(model.namedparams())]
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs):
        numpy.testing.assert_array_equal(mine.array, other.array)


def test_weights_are_drawn_in_the_order_of_the_file_and_not_of_the_calls():
    graph = compiled('model last = Linear(2)\nmodel first = Linear(3)\nx -> first -> h\nh -> last -> y\n'
                     'loss near = mean((y - t) ** 2)\noptimizer SGD(lr=0.1) owns last, first\n')
    assert_drawn_in_order(graph, lambda: [L.Linear(3, 2), L.Linear(4, 3)])


@pytest.mark.parametrize('models, path, owned', [
    pytest.param('model m = Linear(3)\nmodel n = Linear(3, 2)', 'm -> n', 'm, n', id='two models'),
    pytest.param('model m = Linear(3) -> Linear(3, 2)', 'm', 'm', id='one model', marks=pytest.mark.xfail(
        strict=True, reason='within a model, sizes that are given are drawn before those that are inferred')),
])
def test_weights_of_given_and_inferred_size_are_drawn_in_one_order(models, path, owned):
    graph = compiled(f'{models}\nx -> {path} -> y\nloss near = mean((y - t) ** 2)\n'
                     f'optimizer SGD(lr=0.1) owns {owned}\n')
    assert_drawn_in_order(graph, lambda: [L.Linear(4, 3), L.Linear(3, 2)])


def test_initializers():
    graph = compiled(one_model('Linear(3, initialW=HeNormal(scale=2.0), initial_bias=0.5)'))
    initializer = chainer.initializers.HeNormal(scale=2.0)
    assert_drawn_in_order(graph, lambda: [L.Linear(4, 3, initialW=initializer, initial_bias=0.5)])


def spread(link):
    """Which parameters have different values in them."""
    return {path: numpy.ptp(parameter.array) > 0 for path, parameter in link.namedparams()}


@pytest.mark.parametrize('shape, definition, link', [
    ((4,), 'Linear(3)', lambda: L.Linear(None, 3)),
    ((4,), 'Maxout(3, pool_size=2)', lambda: L.Maxout(None, 3, 2)),
    ((4,), 'LayerNormalization()', lambda: L.LayerNormalization()),
    ((2, 4), 'Convolution1D(3, ksize=2)', lambda: L.Convolution1D(None, 3, 2)),
    ((2, 4, 4), 'Convolution2D(3, ksize=2)', lambda: L.Convolution2D(None, 3, 2)),
    ((2, 4, 4), 'LocalConvolution2D(3, ksize=2)', lambda: L.LocalConvolution2D(None, 3, ksize=2)),
    ((2, 4, 4), 'DepthwiseConvolution2D(3, ksize=2)', lambda: L.DepthwiseConvolution2D(None, 3, 2)),
    ((2, 4, 4), 'MLPConvolution2D([3, 3], ksize=2)', lambda: L.MLPConvolution2D(None, [3, 3], 2)),
    ((2, 4, 4), 'Inception(1, 1, 1, 1, 1, 1)', lambda: L.Inception(None, 1, 1, 1, 1, 1, 1)),
], ids=lambda value: value.partition('(')[0] if isinstance(value, str) else '')
def test_weights_are_random_where_chainers_are(shape, definition, link):
    """A link whose sizes are inferred starts as without graphdsl: nothing is constant that should not be."""
    graph = graphdsl.compile(f'input x: float32{list(shape)}\n' + one_model(definition))
    theirs = link()
    theirs(numpy.zeros((2, *shape), 'f'))
    ours, = graph.models['m'].children()
    assert spread(ours) == spread(theirs)


def test_the_weights_of_an_lstm_are_random():
    graph = compiled("""
        model m(x) -> h {
            layer cell = StatelessLSTM(2)
            (x[:, :2], x[:, 2:], x) -> cell -> c, h
        }
        x -> m -> y
        loss near = mean((y - t) ** 2)
        optimizer SGD(lr=0.1) owns m
        """)
    assert spread(graph.models['m'].cell) == dict.fromkeys(['/lateral/W', '/upward/W', '/upward/b'], True)


# What is not what it seems

@pytest.mark.parametrize('link', ['GRU(2)', 'StatefulGRU(2)', 'LSTM(2)', 'StatefulPeepholeLSTM(4, 2)'])
@pytest.mark.parametrize('condition', ['', ' when iteration >= 0'])
def test_what_a_link_uses_from_its_second_call_on_is_initialised_before_training(link, condition):
    """A GRU whose state is zero leaves some of its links alone, and the sizes of these open."""
    graph = compiled(f'model m = {link}\nx -> m -> y\nloss small = mean(y ** 2){condition}\n'
                     'optimizer Adam() owns m\n')
    assert all(parameter.is_initialized for parameter in graph.models['m'].params())
    updater = graph.updater(in_order(DATA, 3))
    for _ in range(2):
        updater.update()


@pytest.mark.parametrize('definition, make', [
    ('LSTM(2)', lambda: L.LSTM(4, 2)), ('StatefulGRU(4, 2)', lambda: L.StatefulGRU(4, 2)),
    ('StatefulPeepholeLSTM(4, 2)', lambda: L.StatefulPeepholeLSTM(4, 2)),
    ('StatefulMGU(4, 2)', lambda: L.StatefulMGU(4, 2)),
])
def test_a_state_goes_on_from_one_iteration_to_the_next_and_gradients_do_not(definition, make):
    graph, link = compiled(one_model(definition)), make()
    ours, = graph.models['m'].children()
    ours(numpy.zeros((1, 4), 'f'))
    ours.reset_state()
    link.copyparams(ours)
    updater = graph.updater(in_order(DATA, 3))
    optimizer = chainer.optimizers.SGD(lr=0.1).setup(link)
    for i in range(4):
        updater.update()
        x, _ = chainer.dataset.concat_examples(DATA[:3] if i % 2 == 0 else DATA[3:])
        optimizer.update(lambda: F.mean(link(x) ** 2))
        for name in ('c', 'h'):
            if getattr(link, name, None) is not None:
                getattr(link, name).unchain()
    for (path, mine), (_, theirs) in zip(sorted(ours.namedparams()), sorted(link.namedparams())):
        numpy.testing.assert_allclose(mine.array, theirs.array, rtol=1e-5, atol=1e-6, err_msg=path)


@pytest.mark.parametrize('definition', ['= tanh', '(v) -> w {\n w = 2 * tanh(v)\n}'])
def test_a_model_without_links(definition):
    graph = compiled(f'model bend{definition}\nmodel m = Linear(2)\nx -> m -> bend -> y\n'
                     'loss near = mean((y - t) ** 2)\noptimizer SGD(lr=0.1) owns m\n')
    assert isinstance(graph.models['bend'], chainer.Chain)


def test_a_layer_that_nothing_uses():
    """It has no shape and no gradient: refused while compiling, or else an iteration goes by without it."""
    text = """
        model m(v) -> w {
            layer used = Linear(2)
            layer unused = Linear(3)
            v -> used -> w
        }
        x -> m -> y
        loss near = mean((y - t) ** 2)
        optimizer Adam() owns m
        """
    with contextlib.suppress(graphdsl.GraphError):
        compiled(text).updater(in_order(DATA)).update()


def test_a_deconvolution_whose_input_needs_no_gradient(float64):
    """Chainer 7.8.1 alone cannot differentiate it: it takes shapes from arrays."""
    graph = graphdsl.compile("""
        input x: float64[2, 4, 4]
        model m = Deconvolution2D(3, ksize=2)
        x -> m -> y
        loss small = mean(y ** 2)
        optimizer SGD(lr=0.1) owns m
        """)
    x = numpy.random.RandomState(0).randn(4, 2, 4, 4)
    link = copy.deepcopy(graph.models['m'])
    link.cleargrads()
    chainer.functions.mean(link(chainer.Variable(x)) ** 2).backward()     # asks for the input's gradient first
    graph.updater(SerialIterator(TupleDataset(x), 4, shuffle=False)).update()
    for ours, theirs in zip(graph.models['m'].params(), link.params()):
        numpy.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-12)


def test_a_parameter_without_gradient_is_told_before_training():
    with pytest.raises(graphdsl.GraphError, match='no gradient reaches `/linear_1/W`, `/linear_1/b` of `m`'):
        graphdsl.compile('input x: float32[4], c: int32\nmodel m = Linear(3) -> sign\nx -> m -> y\n'
                         'loss right = softmax_cross_entropy(y, c)\noptimizer SGD(lr=0.1) owns m\n')


def test_two_losses_that_are_one_variable_are_told_before_training():
    """`chainer.grad` would count them once."""
    with pytest.raises(graphdsl.GraphError, match='`near` and `again` are one variable'):
        compiled('model m = Linear(2)\nx -> m -> y\nloss near = mean((y - t) ** 2)\n'
                 'loss again = reshape(near, ())\noptimizer SGD(lr=0.1) owns m\n')
