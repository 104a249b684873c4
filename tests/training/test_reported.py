"""What reviewers and ported updaters once found wrong, each as a program of its own."""
import chainer
import numpy
import pytest
from rules import SIZE, X, Counted, compiled, iterate

import graphdsl

pytestmark = pytest.mark.usefixtures('float64')

MODEL = """
input x: float64[3]
model net = Linear(2)
x -> net -> y
loss cost = mean(y ** 2)
optimizer adam = SGD(lr=0.1) owns net
"""
RANDOM = numpy.random.RandomState(1)
MASKS = {name: RANDOM.rand(4, 4) > 0.5 for name in 'bc'}
INTEGERS = RANDOM.randint(5, size=(4, 4)).astype(numpy.int32)
FLOATS = RANDOM.randn(4, 4)


def predicted(expression):
    """What an expression of masks `b` and `c`, integers `i` and floats `f` comes to."""
    graph = graphdsl.compile(f"""
        input b: bool[4], c: bool[4], i: int32[4], f: float64[4]
        model net = Linear(2)
        f -> net -> y
        loss cost = mean(y)
        optimizer SGD() owns net
        output found = {expression}
        """)
    found = graph.outputs({**MASKS, 'i': INTEGERS, 'f': FLOATS})['found']
    return getattr(found, 'array', found)


@pytest.mark.parametrize('expression, expected', [
    ('sum([b, c])', MASKS['b'].astype(int) + MASKS['c']),
    ('mean([b, c])', (MASKS['b'].astype(int) + MASKS['c']) / 2),
    ('reshape(f > 0, (-1, 2, 2)) * reshape(b, (-1, 2, 2))', ((FLOATS > 0) & MASKS['b']).reshape(-1, 2, 2)),
    ('argmax(f, axis=1) + 1', FLOATS.argmax(1) + 1),
    ('concat([f, i])', numpy.concatenate([FLOATS, INTEGERS], axis=1)),
    ('stack([i, f, b])', numpy.stack([INTEGERS, FLOATS, MASKS['b']])),
    ('reshape(f, (shape(f, 0), 2, 2))', FLOATS.reshape(4, 2, 2)),
    ('i * 2 - i // 2', INTEGERS * 2 - INTEGERS // 2),
    ('where(b, i, -1)', numpy.where(MASKS['b'], INTEGERS, -1)),
    ('where(i == 3, 2 * ones_like(i), where(b, i, zeros_like(i)))',
     numpy.where(INTEGERS == 3, 2, numpy.where(MASKS['b'], INTEGERS, 0))),
    ('where(b, i, 0.5)', numpy.where(MASKS['b'], INTEGERS, 0.5)),
    ('where(b, c, zeros_like(c))', MASKS['b'] & MASKS['c']),
])
def test_masks_integers_and_lists(expression, expected):
    found = predicted(expression)
    assert found.dtype.kind == numpy.asarray(expected).dtype.kind
    numpy.testing.assert_allclose(found, expected)


def test_a_state_that_moves_after_the_only_step():
    graph = compiled(MODEL + 'state k = 1.0\nstep main { update adam }\nnext k after main = k * 2\n')
    iterate(graph.updater(Counted(X)), 3)
    assert graph.numbers['k'] == 8.0


def test_an_unwanted_column_and_an_unwanted_result():
    graph = compiled("""
        input x: float64[3], _
        model net(x) -> y, l { x -> Linear(3) -> l; l -> Linear(2) -> y }
        x -> net -> a, _
        loss cost = mean(a ** 2)
        optimizer SGD(lr=0.1) owns net
        """)
    reports, = iterate(graph.updater(Counted(X, numpy.arange(SIZE))))
    assert reports['cost'] > 0


def test_names_that_differ_only_in_brackets():
    """Steps, conditions and optimizers `s[0]` and `s_0` are two, and so are the variables of the module."""
    text = """
        input x: float64[3]
        model a[0] = Linear(2)
        model b = Linear(2)
        x -> a[0] -> u
        x -> b -> v
        loss l[0] = mean(u ** 2) when iteration % 2 == 0
        loss l_0 = mean(v ** 2) when iteration % 2 == 1
        optimizer o[0] = SGD() owns a[0]
        optimizer o_0 = SGD() owns b
        step s[0] { update o[0]; update o_0 }
        step s_0 { update o[0]; update o_0 }
        """
    updater = compiled(text).updater(Counted(X))
    for name in ('l[0]', 'l_0', 'l[0]', 'l_0'):
        reports, = iterate(updater)
        assert list(reports) == [name]
        assert updater.get_optimizer('o[0]').t + updater.get_optimizer('o_0').t == 2 * (updater.iteration)


@pytest.mark.parametrize('lines', [
    'metric again = mean(cell(x) ** 2)', 'output z = cell(x)', 'x -> eval(cell) -> z\noutput z'])
def test_a_state_that_evaluation_would_move_twice(lines):
    text = """
        input x: float64[3]
        model cell = LSTM(2)
        x -> cell -> y
        loss cost = mean(y ** 2)
        optimizer SGD() owns cell
        """ + lines
    assert [d.code for d in graphdsl.check(text)] == ['G318']


def test_a_part_without_a_state():
    text = """
        input x: int32
        model cell(x) -> y { layer embed = EmbedID(5, 4); layer lstm = LSTM(4); x -> embed -> lstm -> y }
        x -> cell -> y
        x -> cell.embed -> e
        loss cost = mean(y ** 2) + mean(e ** 2)
        optimizer SGD() owns cell
        """
    assert graphdsl.check(text) == ()


@pytest.mark.parametrize('lines, warnings', [
    ('metric far = mean(net(x + 1))\nstate k = 0.0\nnext k = k + far', ['G155']),
    ('state k = 0.0\nnext k = k + 2 * cost', []),
    ('noise c ~ uniform(0, 1)\nloss more = mean(y) when c > 0.5\nstate k = 0.0\nnext k = k + c', []),
])
def test_states_that_never_move(lines, warnings):
    assert [d.code for d in graphdsl.check(MODEL + lines)] == warnings


def test_a_run_without_a_clock(tmp_path):
    text = """
        data flowers { train = iris() }
        input x: float64[4], _ from flowers
        noise z: float64[4] ~ normal(0, 1)
        model net = Linear(4)
        z -> net -> y
        loss cost = mean(y ** 2)
        metric far = mean((y - x) ** 2)
        optimizer Adam() owns net
        """
    graph = graphdsl.compile(text)
    with pytest.raises(ValueError, match='an epoch would never end'):
        graph.trainer(out=tmp_path, length=(1, 'epoch'))
    graph.trainer(out=tmp_path, length=(2, 'iteration'), progress=False).run()
    assert [d.code for d in graphdsl.check(text + 'train { epochs 1 }') if d.severity == 'error'] == ['G508']


def test_an_input_that_is_missing():
    graph = compiled('input x: float64[3], t: int32\nmodel net = Linear(2)\nx -> net -> y\n'
                     'loss cost = softmax_cross_entropy(y, t)\noptimizer SGD() owns net\n')
    with pytest.raises(graphdsl.GraphError, match="the minibatch has no 't'"):
        graph.reports({'x': X})


RUNS = {
    'a noise of a condition, a loss and a state': """
        noise c ~ uniform(0, 1)
        model m = Linear(4)
        x -> m -> y
        loss a = c * mean(y ** 2)
        state k = 0.5
        next k = k + c
        optimizer o = SGD(lr=0.1) owns m
        step s when c < 0.5 { update o }
        """,
    'a point under a condition': """
        model m0 = Linear(5) -> tanh -> Linear(4)
        model m1 = Linear(4)
        v = grad(m0(u), u)
        loss l0 = mean(m0(x) ** 2) + mean(v ** 2)
        loss l1 = mean(m1(u) ** 2)
        optimizer o0 = SGD(lr=0.01) owns m0
        optimizer o1 = SGD(lr=0.01) owns m1
        step b { update o0 when iteration > 1; update o1 when iteration > 2 }
        """,
    'a state of a metric of an absent loss': """
        model m = Linear(4)
        x -> m -> y
        loss a = mean(y ** 2)
        loss b = mean(y) when iteration > 1
        metric q = 2 * b
        state k = 0.5
        next k = 0.5 * q
        optimizer o = SGD(lr=0.1) owns m
        """,
    'a state of a number that a step of no runs draws': """
        noise c ~ uniform(0, 1)
        n = c * 2
        model m = Linear(4)
        x -> m -> y
        loss a = c * mean(y ** 2)
        state k = 0.5
        next k = 0.5 * n
        optimizer o = SGD(lr=0.1) owns m
        step s repeat iteration { update o }
        """,
    'a state of what only a later step computes': """
        noise z: float64[4] ~ normal(0, 1)
        model m = Linear(4)
        model n = Linear(4)
        z -> m -> y
        x -> n -> w
        loss a = mean(y ** 2)
        loss b = mean(w ** 2)
        state k = 0.5
        next k after s = k + mean(w)
        optimizer o = SGD(lr=0.1) owns m
        optimizer p = SGD(lr=0.1) owns n
        step s { update o }
        step r { update p }
        """}


@pytest.mark.parametrize('text', RUNS.values(), ids=RUNS)
def test_what_a_run_may_not_have(text):
    graph = compiled('input x: float64[3], u: float64[3]\n' + text)
    updater = graph.updater(Counted(X, X))
    states = [graph.numbers.get('k')]
    for _ in range(4):
        iterate(updater)
        states.append(graph.numbers.get('k'))
    if 'next k = k + c' in text:        # the condition draws it, whether or not the step takes place
        assert all(0 < new - old < 1 for old, new in zip(states, states[1:]))
    if 'when iteration > 1\n' in text:
        assert states[:3] == [0.5] * 3 and states[3] != 0.5
    if 'after s' in text:
        assert states == [0.5] * 5


class Recurrent(chainer.Chain):
    """An imported link with a recurrent one within."""

    def __init__(self, size):
        super().__init__()
        with self.init_scope():
            self.lstm = chainer.links.LSTM(None, size)

    def forward(self, x):
        return self.lstm(x)


class Resetting(Recurrent):

    def reset_state(self):
        self.lstm.reset_state()


@pytest.mark.parametrize('link', [Recurrent, Resetting])
def test_an_imported_recurrent_link(link):
    """It is cut like Chainer's own."""
    text = 'input x: float64[3]\nmodel m = LSTM(2)\nx -> m -> y\nloss cost = mean((y - 1) ** 2)\n' \
           'optimizer SGD(lr=1.0) owns m\n'
    ours = compiled('import Link from "lab"\n' + text.replace('LSTM', 'Link'), bind={'Link': link})
    theirs = compiled(text)
    for (_, a), (_, b) in zip(sorted(ours.models['m'].namedparams()), sorted(theirs.models['m'].namedparams())):
        a.copydata(b)
    reports = [iterate(graph.updater(Counted(X)), 6) for graph in (ours, theirs)]
    assert reports[0] == reports[1]


def test_no_history_before_what_moves_on_one_edge():
    graph = compiled("""
        input x: float64[3]
        frozen model trunk = Linear(4) -> relu
        model head = Linear(2)
        model generator = Linear(3)
        model critic = Linear(1)
        x -> trunk -> head -> y
        x -> generator -> detach -> critic -> p
        loss cost = mean(y ** 2) + mean(generator(x) ** 2)
        loss judge = mean(p ** 2)
        optimizer SGD() owns head, generator, critic
        """)
    nodes = []

    class Recorded(chainer.FunctionHook):

        def forward_postprocess(self, function, in_data):
            if chainer.config.enable_backprop:
                nodes.append(function.label)

    updater = graph.updater(Counted(X))
    with Recorded():
        iterate(updater)
    # head, and the generator where it learns, and the critic: not the trunk, nor the generator of the critic's edge.
    assert nodes.count('LinearFunction') == 3 and 'ReLU' not in nodes


def test_a_gradient_that_is_only_used_detached():
    graph = compiled(MODEL + 'g = grad(cost, x)\nloss more = mean(net(x + detach(g)) ** 2)\n')
    assert graph.source.split('def make_evaluations')[0].count('twice=False') == 1
    graph = compiled(MODEL + 'g = grad(cost, x)\nloss more = mean(g ** 2)\n')
    assert 'twice=False' not in graph.source
