"""The check of losses and gradients: what it sees, when, and where it says that it comes from."""
import linecache

import chainer
import numpy
import pytest
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator

import graphdsl
from graphdsl.runtime import nonfinite
from graphdsl.runtime.finite import all_finite
from graphdsl.runtime.origin import Origin
from graphdsl.runtime.program import Program

HEAD = 'input x: float32[4], t: int32\nmodel m = Linear(3, initialW=0)\nx -> m -> y\n'
KL = 'loss kl = softmax_cross_entropy(y, t)\n'


def data(rows=60, bad=()):
    x = numpy.random.RandomState(0).rand(rows, 4).astype('f')
    for row in bad:
        x[row, 2] = numpy.nan
    return TupleDataset(x, numpy.arange(rows).astype('i') % 3)


def updater_of(text, dataset=None, batch=10, **options):
    graph = graphdsl.compile(text)
    iterator = SerialIterator(dataset or data(), batch, shuffle=False)
    return graph, graph.updater(iterator, **options)


def weights(graph):
    return {f'{name}{path}': p.array.copy() for name, m in graph.models.items() for path, p in m.namedparams()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        numpy.testing.assert_array_equal(one[name], other[name])


def struck(updater, iterations=5):
    """Runs until something is not finite; returns what is said then."""
    with pytest.raises(graphdsl.GraphError) as error, numpy.errstate(all='ignore'):
        for _ in range(iterations):
            updater.update()
    diagnostic, = error.value.diagnostics
    return diagnostic, error.value.source


def shown(diagnostic, source):
    return source[diagnostic.span]


class Elsewhere(numpy.ndarray):
    """An array that is none of NumPy's own, such as one on a GPU."""


# The check

@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64'])
@pytest.mark.parametrize('value', [0, 1, -1, 'max', '-max', numpy.nan, numpy.inf, -numpy.inf])
def test_the_check_is_isfinite(value, dtype):
    value = {'max': numpy.finfo(dtype).max, '-max': -numpy.finfo(dtype).max}.get(value, value)
    random = numpy.random.RandomState(0)
    for shape in ((), (1,), (7,), (3, 5), (2, 3, 4)):
        array = numpy.array(random.randn(*shape), dtype)
        array[(0,) * len(shape)] = value
        repeated = numpy.broadcast_to(array, (2, *shape))
        for view in (array, numpy.asfortranarray(array), array[..., None], array.T, repeated, array.view(Elsewhere)):
            assert all_finite([numpy.zeros(3, dtype), None, view]) == numpy.isfinite(view).all()
    assert all_finite([numpy.zeros((0, 3), dtype)]) and all_finite([])


GRAPHS = {
    'loss': KL + 'loss bad = mean(log(y - y))\noptimizer a = Adam() owns m\n',
    'gradient': KL + 'loss bad = mean(sqrt(y - y))\noptimizer a = Adam() owns m\n',
    'repeat': KL + 'loss bad = mean(log(y - y))\noptimizer a = Adam() owns m\nstep s repeat 3 { update a }\n',
    'accumulate': KL + 'loss bad = mean(log(y - y))\noptimizer a = Adam() owns m\nstep s accumulate 3 { update a }\n',
    'accumulated gradient':
        KL + 'loss bad = mean(sqrt(y - y))\noptimizer a = Adam() owns m\nstep s accumulate 3 { update a }\n',
    'unroll': KL + 'loss bad = mean(log(y - y))\noptimizer a = Adam() owns m\nstep s unroll 3 { update a }\n',
    'condition': KL + 'loss bad = mean(log(y - y)) when iteration >= 2\noptimizer a = Adam() owns m\n',
    'hooks': KL + 'loss bad = mean(log(y - y))\noptimizer a = Adam() owns m { hook GradientHardClipping(-1, 1) }\n',
}


@pytest.mark.parametrize('name', GRAPHS)
def test_no_weight_moves(name):
    graph, updater = updater_of(HEAD + GRAPHS[name])
    if name == 'condition':
        updater.update()
        updater.update()
    before, iteration = weights(graph), updater.iteration
    diagnostic, source = struck(updater)
    assert diagnostic.code == ('G731' if 'gradient' in name else 'G730')
    assert shown(diagnostic, source) == ('mean(sqrt(y - y))' if 'gradient' in name else 'mean(log(y - y))')
    assert 'of 0' in diagnostic.reason or 'at 0' in diagnostic.reason
    assert_equal(before, weights(graph))
    assert updater.iteration == iteration and graph.optimizers['a'].t == iteration


def test_one_bad_gradient_stops_every_update_of_the_step():
    """All or none: no optimizer has moved when the gradient of another is found."""
    graph, updater = updater_of(HEAD + KL + '''model n = Linear(3, initialW=0)
x -> n -> z
loss bad = mean(sqrt(z - z))
optimizer first = SGD(lr=1) owns m
optimizer second = SGD(lr=1) owns n
''')
    before = weights(graph)
    diagnostic, _ = struck(updater)
    assert diagnostic.code == 'G731' and '`n.linear_1.W`' in diagnostic.message
    assert_equal(before, weights(graph))


def test_steps_before_have_moved():
    graph, updater = updater_of(HEAD + KL + '''model n = Linear(3, initialW=0)
x -> n -> z
loss bad = mean(log(z)) * sum(y * y)
optimizer first = SGD(lr=1) owns m minimizes kl
optimizer second = SGD(lr=1) owns n minimizes bad
step one { update first }
step two on the same batch { update second }
''')
    diagnostic, source = struck(updater)
    assert diagnostic.code == 'G730' and shown(diagnostic, source) == 'mean(log(z)) * sum(y * y)'
    assert diagnostic.reason == 'log of 0'
    assert graph.models['m'].linear_1.W.array.any() and not graph.models['n'].linear_1.W.array.any()


def test_the_check_can_be_switched_off():
    graph, updater = updater_of(HEAD + GRAPHS['loss'], nan_check=False)
    with numpy.errstate(all='ignore'):
        updater.update()
    assert updater.iteration == 1 and numpy.isnan(graph.models['m'].linear_1.W.array).all()


def test_an_optimizer_that_skips_goes_on():
    graph, updater = updater_of(HEAD + '''model n = Linear(3)
x -> n -> z
loss bad = mean(log(y - y))
loss kl = softmax_cross_entropy(z, t)
optimizer a = Adam() owns m { skip nonfinite }
optimizer b = Adam() owns n
''')
    before = weights(graph)
    with numpy.errstate(all='ignore'):
        for _ in range(3):
            updater.update()
    assert graph.numbers['a.skipped'] == 3 and graph.optimizers['b'].t == 3
    numpy.testing.assert_array_equal(graph.models['m'].linear_1.W.array, before['m/linear_1/W'])
    assert (graph.models['n'].linear_1.W.array != before['n/linear_1/W']).any()


def test_gradients_that_are_not_used_are_not_asked():
    """Chainer fills gradients of new parameters with NaN; an optimizer that is left out keeps them."""
    graph, updater = updater_of(HEAD + KL + '''model n = Linear(3)
x -> n -> z
loss other = mean(z ** 2)
optimizer a = SGD(lr=0.1) owns m
optimizer b = SGD(lr=0.1) owns n
step s { update a; update b when iteration >= 2 }
''')
    for _ in range(4):
        updater.update()
    assert graph.optimizers['b'].t == 2


def test_a_wrapped_optimizer_is_checked():
    class Wrapper:

        def __init__(self, actual):
            self.__dict__['actual'] = actual

        def __getattr__(self, name):
            return getattr(self.actual, name)

    graph = graphdsl.compile(HEAD + GRAPHS['gradient'])
    wrapped = {name: Wrapper(optimizer) for name, optimizer in graph.optimizers.items()}
    diagnostic, _ = struck(graph.updater(SerialIterator(data(), 10), optimizers=wrapped))
    assert diagnostic.code == 'G731'


# Where it comes from

@pytest.mark.parametrize('text, reason', [
    ('mean(log(y - 0.25))', 'log of -0.25'), ('mean(exp(y + 91.2))', 'exp of 91.2, which is too large for float32'),
    ('mean(x / (y[:, 0:1] + 0.0))', 'division by 0'), ('mean(1 / y)', 'division by 0'),
    ('mean(sqrt(y - 0.5))', 'square root of -0.5'), ('mean(y ** -2)', '0 to the power of -2'),
    ('mean((y - 2) ** 0.5)', '-2 to the power of 0.5'), ('mean(arccos(y + 3))', 'arccos of 3'),
    ('mean((y + 1e30) ** 2)', 'the result is too large for float32: values up to 1e+30 arrive here'),
    ('mean(log1p(y - 1))', 'log1p of -1'), ('mean(arcsin(y + 1) + y)', 'arcsin at -1 or 1 has an infinite gradient')])
def test_reasons(text, reason):
    _, updater = updater_of(HEAD + f'loss bad = {text}\noptimizer SGD(lr=1) owns m\n')
    diagnostic, source = struck(updater)
    assert (shown(diagnostic, source), diagnostic.reason) == (text, reason)
    assert diagnostic.help


@pytest.mark.parametrize('factor, reason', [
    (1e300, 'the number here is 1e+300, which is too large for float32'), (float('inf'), 'the number here is inf')])
def test_a_number_that_is_not_finite(factor, reason):
    graph, updater = updater_of(HEAD + 'state k = 1.0\nnext k = k + 1\nloss a = k * mean(y)\noptimizer SGD() owns m\n')
    updater.update()
    graph.numbers['k'] = factor
    diagnostic, source = struck(updater)
    assert (shown(diagnostic, source), diagnostic.reason) == ('k * mean(y)', reason)


def test_a_mask_of_infinities_is_not_blamed():
    _, updater = updater_of(HEAD + '''share = softmax(where(x > 0.5, x, -1e39 * (x * 0 + 1)))
loss a = mean(log(y - y)) + sum(share)
optimizer SGD() owns m
''')
    diagnostic, source = struck(updater)
    assert shown(diagnostic, source) == 'mean(log(y - y)) + sum(share)' and diagnostic.reason == 'log of 0'


def test_data_that_is_cleaned_is_not_blamed():
    text = HEAD.replace('x -> m', 'where(x == x, x, ones_like(x)) -> m') + '''loss a = mean(y)
loss b = mean(log(y - y)) when iteration > 0
optimizer SGD() owns m
'''
    _, updater = updater_of(text, data(bad=[3, 13]))
    updater.update()
    diagnostic, _ = struck(updater)
    assert diagnostic.code == 'G730' and diagnostic.reason == 'log of 0'


def test_dropout_is_drawn_again():
    _, updater = updater_of(HEAD + 'loss a = mean(log(dropout(y + 1, 0.5)))\noptimizer SGD() owns m\n')
    diagnostic, _ = struck(updater)
    assert diagnostic.code == 'G730' and diagnostic.reason == 'log of 0'


def test_the_data():
    _, updater = updater_of(HEAD + KL + 'optimizer SGD(lr=0.1) owns m\n', data(bad=[23]))
    diagnostic, source = struck(updater)
    assert (diagnostic.code, shown(diagnostic, source)) == ('G521', 'x: float32[4]')
    assert diagnostic.reason == 'nan in example 4 of this minibatch of 10'
    assert 'this was iteration 3, after 0 epochs; its update was not made' in diagnostic.notes


def test_weights_that_were_loaded():
    graph, updater = updater_of(HEAD + KL + 'optimizer SGD(lr=0.1) owns m\n')
    graph.models['m'].linear_1.W.array[1, 1] = numpy.inf
    diagnostic, source = struck(updater)
    assert (diagnostic.code, shown(diagnostic, source)) == ('G733', 'm')
    assert diagnostic.reason == '`linear_1/W` holds inf' and 'file' in diagnostic.help


def test_weights_that_are_frozen():
    graph, updater = updater_of(HEAD + KL.replace('y, t', 'n(y), t') + '''frozen model n = Linear(3)
optimizer SGD(lr=0.1) owns m
''')
    graph.models['n'].linear_1.W.array[1, 1] = numpy.nan
    diagnostic, source = struck(updater)
    assert (diagnostic.code, shown(diagnostic, source)) == ('G733', 'n')


def test_the_gradient_that_was_asked_is_named():
    """The gradients of `n` are NaN from the beginning, and nobody uses them yet."""
    graph, updater = updater_of('''model n = Linear(3)
''' + HEAD + '''x -> n -> z
loss other = mean(z ** 2)
loss bad = mean(sqrt(y - y))
optimizer a = SGD(lr=0.1) owns m
optimizer b = SGD(lr=0.1) owns n
step s { update a; update b when iteration >= 2 }
''')
    graph.models['n'].linear_1.W.grad[:] = numpy.nan
    diagnostic, _ = struck(updater)
    assert diagnostic.code == 'G731' and '`m.linear_1.W`' in diagnostic.message


def test_weights_that_an_update_made_infinite():
    graph, updater = updater_of(HEAD + 'loss a = 1e30 * mean(y * x[:, 0:3])\noptimizer SGD(lr=1e30) owns m\n')
    diagnostic, _ = struck(updater)
    assert diagnostic.code == 'G733' and 'lower rate' in diagnostic.help


def test_stacked_heads():
    text = '''param count = 3
input x: float32[4], t: int32[count]
for i in 0..count {
    model head[i] = Linear(3)
    x -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    optimizer SGD(lr=0.1) owns head[i]
}
'''
    graph = graphdsl.compile(text)
    assert 'digit.whole' in graph.source
    dataset = TupleDataset(data()._datasets[0], numpy.zeros((60, 3), 'i'))
    updater = graph.updater(SerialIterator(dataset, 10, shuffle=False))
    updater.update()
    graph.models['head[1]'].linear_1.b.array[:] = numpy.nan
    diagnostic, source = struck(updater)
    assert diagnostic.code == 'G733' and diagnostic.message == 'the weights of `head[1]` are not finite'


def test_recurrent_models():
    text = '''input now: int32, following: int32
model net = EmbedID(9, 4) -> LSTM(4) -> Linear(9)
now -> net -> y
loss nats = softmax_cross_entropy(y, following)
loss bad = mean(log(y - y)) when iteration > 0
optimizer adam = Adam() owns net
step main unroll 3 { update adam }
'''
    graph = graphdsl.compile(text)
    t = numpy.arange(60).astype('i') % 9
    updater = graph.updater(SerialIterator(TupleDataset(t, t), 5, shuffle=False))
    updater.update()
    diagnostic, source = struck(updater)
    assert shown(diagnostic, source) == 'mean(log(y - y))' and diagnostic.reason == 'log of 0'


def test_what_is_drawn_and_kept_is_left_alone(monkeypatch):
    """To look for the place changes no generator, no statistics and no state."""
    text = HEAD + '''noise z: float32[3] ~ normal(0, 1)
model n = BatchNormalization(3) -> Linear(3) -> dropout(0.5)
state k = 1.0
next k = k + 1
z -> n -> u
loss a = mean(u) + mean(log(history(y, size=20) - y)) when iteration > 1
loss b = mean(u ** 2) + mean(y ** 2)
optimizer Adam() owns m, n
'''

    def after(explains):
        numpy.random.seed(3)
        graph, updater = updater_of(text)
        with monkeypatch.context() as patch:
            if not explains:
                patch.setattr('graphdsl.runtime.nonfinite._Case.find', lambda case: None)
            struck(updater)
        saved = {}
        updater.serialize(chainer.serializers.DictionarySerializer(saved))
        return saved

    assert_equal(after(True), after(False))


def test_models_that_cannot_be_copied_are_told_at_the_loss(monkeypatch):
    monkeypatch.setattr(nonfinite, 'replay', lambda *_: (_ for _ in ()).throw(TypeError('no copies')))
    _, updater = updater_of(HEAD + GRAPHS['loss'])
    diagnostic, source = struck(updater)
    assert diagnostic.code == 'G734' and shown(diagnostic, source) == 'loss bad = mean(log(y - y))'


def test_a_module_of_its_own(tmp_path):
    graph = graphdsl.compile(HEAD + GRAPHS['loss'])
    file = tmp_path / 'written.py'
    file.write_text(graph.source)
    namespace = {'__name__': 'written', '__file__': str(file)}
    exec(compile(graph.source, str(file), 'exec'), namespace)
    linecache.checkcache()
    program = Program(namespace, Origin.of_module(str(file)))
    diagnostic, source = struck(program.updater(SerialIterator(data(), 10)))
    assert shown(diagnostic, source) == 'bad = F.mean(F.log(y - y))' and diagnostic.reason == 'log of 0'
