"""The rules about arrays and numbers, against NumPy."""
import chainer
import numpy
import pytest
from chainer.iterators import SerialIterator

import graphdsl
from rules import Counted, T, U, X, compiled, iterate

F32 = {'f': X.astype('f'), 'g': U.astype('f') + 3}
INTS = {'i': T * 3 + 1, 'j': (numpy.arange(12) % 4 - 1).astype(numpy.int32)}
MASK = {'b': X > 0}
BATCH = {**F32, **INTS, **MASK, 'd': U[:, 0].copy(), 'h': X.astype(numpy.float16)}
INPUTS = ('input f: float32[3], g: float32[3], i: int32, j: int32, b: bool[3], d: float64, h: float16[3]\n'
          'model net = Linear(1)\nloss cost = mean(net(f))\noptimizer net = SGD(lr=0.1) owns net\n')


def output(expression, more=''):
    """What an expression is, in an output."""
    graph = compiled(INPUTS + more + f'output result = {expression}\n')
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        batch = {name: chainer.Variable(a) if a.dtype.kind == 'f' else a for name, a in BATCH.items()}
        result = graph.outputs(batch)['result']
    return result.array if isinstance(result, chainer.Variable) else result


def names():
    return {name: array.astype(numpy.float64) if array.dtype.kind == 'f' else array for name, array in BATCH.items()}


def check(expression, expected, dtype, tolerance=1e-5):
    found = output(expression)
    assert found.dtype == dtype, f'{expression} is {found.dtype}'
    assert found.shape == numpy.shape(expected), expression
    numpy.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize('expression', [
    'f + 1', '2 * f', 'f - 0.5', '1 - f', 'f / 3', '1 / g', 'f ** 2', '2 ** f', 'f * g', 'f - g', 'f / g', 'g ** f',
    '-f', '+f', 'f // 0.5', '-f ** 2', '(f + g) * 2 - 1', 'f * 1', '3 * f / 2', 'f + 2 ** 3', 'f * (1 if 1 < 2 else 0)',
])
def test_a_number_beside_a_float_array_takes_its_dtype(expression):
    values = {name: names()[name] for name in 'fg'}
    check(expression, eval(expression, {}, values), numpy.float32)


@pytest.mark.parametrize('expression, dtype', [
    ('2 * h', 'e'), ('h + 1', 'e'), ('h * 0.5', 'e'), ('d * 0.5', 'd'), ('2 - d', 'd'), ('1 / d', 'd')])
def test_other_float_dtypes_are_kept(expression, dtype):
    check(expression, eval(expression, {}, names()), numpy.dtype(dtype), 1e-2 if dtype == 'e' else 1e-12)


@pytest.mark.parametrize('expression', [
    'i + 1', '2 * i', 'i - j', 'i * j', '-i', 'i // 2', 'i ** 2', '1 - i', 'j // 2'])
def test_integers_stay_integers(expression):
    check(expression, eval(expression, {}, names()), numpy.int32)


@pytest.mark.parametrize('expression', [
    'i * 0.5', '0.5 * i', 'i + 0.5', 'i / 2', '2 / i', 'i / i', 'j / i', 'i - 1.0', 'i ** 0.5', 'i * 1.0', 'j * 0.1',
    'i // 2.0', '1.5 - j'])
def test_integers_that_meet_a_float_number_become_floats(expression):
    """Chainer alone gives `int32 * 0.5 == 0`. The dtype is Chainer's default."""
    check(expression, eval(expression, {}, names()), numpy.float32)


@pytest.mark.parametrize('expression', ['b * f', 'f * b', 'f + b', 'f - 2 * b', 'b * 0.5', '1.0 * b', '1 - b * f'])
def test_masks_meet_floats(expression):
    check(expression, eval(expression, {}, names()), numpy.float32)


@pytest.mark.parametrize('expression, dtype', [
    ('d * i', 'd'), ('i * d', 'd'), ('i + d', 'd'), ('d / i', 'd'), ('i / d', 'd'), ('d - j', 'd'),
    ('j ** 2 * d', 'd')])
def test_integers_are_cast_to_the_dtype_of_the_floats_that_they_meet(expression, dtype):
    check(expression, eval(expression, {}, names()), numpy.dtype(dtype), 1e-12)


def test_masks_of_half_precision():
    check('b * h', MASK['b'] * BATCH['h'].astype('f'), numpy.float16)
    check('0.5 * h + b', 0.5 * X + MASK['b'], numpy.float16, 1e-2)


# Numbers passed to functions

@pytest.mark.parametrize('expression, function', [
    ('maximum(f, 0.5)', lambda f, g: numpy.maximum(f, 0.5)),
    ('maximum(0.5, f)', lambda f, g: numpy.maximum(f, 0.5)),
    ('minimum(f, 0)', lambda f, g: numpy.minimum(f, 0)),
    ('maximum(f, g)', lambda f, g: numpy.maximum(f, g)),
    ('where(f > 0, f, 0)', lambda f, g: numpy.where(f > 0, f, 0)),
    ('where(f > 0, 1, g)', lambda f, g: numpy.where(f > 0, 1, g)),
    ('where(f > g - 3, f, g)', lambda f, g: numpy.where(f > g - 3, f, g)),
    ('clip(f, -0.5, 0.5)', lambda f, g: numpy.clip(f, -0.5, 0.5)),
    ('where(b, f, -1.5)', lambda f, g: numpy.where(f > 0, f, -1.5)),
    ('mean_squared_error(f, 0.5)', lambda f, g: numpy.mean((f - 0.5) ** 2)),
    ('mean_absolute_error(1, f)', lambda f, g: numpy.mean(abs(f - 1))),
])
def test_a_number_that_a_function_wants_as_an_array_takes_its_dtype(expression, function):
    check(expression, function(X, U + 3), numpy.float32)


def test_functions_of_a_double():
    check('maximum(d, 0.5)', numpy.maximum(U[:, 0], 0.5), numpy.float64, 1e-12)
    check('where(i > 1, d, 0)', numpy.where(INTS['i'] > 1, U[:, 0], 0), numpy.float64, 1e-12)


def test_integers_in_functions_that_meet_floats():
    """An integer array beside a float one is cast to its dtype."""
    check('maximum(d, i)', numpy.maximum(U[:, 0], INTS['i']), numpy.float64, 1e-12)
    check('mean_squared_error(d, j)', numpy.mean((U[:, 0] - INTS['j']) ** 2), numpy.float64, 1e-12)
    check('where(i > 1, d, j)', numpy.where(INTS['i'] > 1, U[:, 0], INTS['j']), numpy.float64, 1e-12)


# Comparisons

@pytest.mark.parametrize('expression', [
    'f > 0', 'f >= g - 3', '0.5 < f', 'f <= 0', 'i == 1', 'i != j', 'i < 2', 'f == f', 'd > 0'])
def test_comparisons_of_arrays_are_bool_arrays(expression):
    found = output(expression)
    assert found.dtype == bool
    numpy.testing.assert_array_equal(found, eval(expression, {}, {**BATCH, 'd': U[:, 0]}))


def test_a_comparison_has_no_history():
    """It is a mask: gradients pass where `where` selects."""
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2)
        y = net(x)
        loss cost = mean(where(y > 0, 2 * y, 0.1 * y) + (y > 0.5) * y)
        optimizer net = SGD(lr=1.0) owns net
        """.replace('float64', 'float32'))
    net = graph.models['net'].linear_1
    x = X[:4].astype('f')
    y = x @ net.W.array.T + net.b.array
    expected = net.b.array - (numpy.where(y > 0, 2, 0.1) + (y > 0.5)).sum(0) / 8
    iterate(graph.updater(Counted(x)))
    numpy.testing.assert_allclose(net.b.array, expected, rtol=1e-5)


@pytest.mark.parametrize('expression, advice', [
    ('f > 0 and g > 0', 'where'), ('not b', 'where'), ('f > 0 or b', 'where'), ('f % 2', 'where'),
    ('f if f > 0 else g', 'where'), ('max(f, 0)', 'maximum'), ('min(f, g)', 'minimum')])
def test_what_arrays_do_not_go_with(expression, advice):
    with pytest.raises(graphdsl.GraphError, match=advice):
        output(expression)


# Axes

@pytest.mark.parametrize('expression, expected', [
    ('f[:, 1]', X[:, 1]), ('f[:, 0:2]', X[:, 0:2]), ('f[0]', X[0]), ('f[2:5, 1:]', X[2:5, 1:]), ('f[:, -1]', X[:, -1]),
    ('sum(f, axis=1)', X.sum(1)), ('sum(f, axis=0)', X.sum(0)), ('sum(f)', X.sum()), ('mean(f)', X.mean()),
    ('mean(f, axis=1)', X.mean(1)), ('sum(f, axis=(0, 1))', X.sum()), ('max(f)', X.max()), ('max(f, axis=1)', X.max(1)),
    ('min(f, axis=0)', X.min(0)), ('argmax(f, axis=1)', X.argmax(1)),
    ('sum(f[:, 0] * f[:, 1])', (X[:, 0] * X[:, 1]).sum()),
])
def test_the_batch_axis_counts(expression, expected):
    found = output(expression)
    numpy.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert numpy.shape(found) == numpy.shape(expected)


@pytest.mark.parametrize('expression, expected', [
    ('sum([f, g, f])', 2 * X + U + 3), ('mean([f, g])', (X + U + 3) / 2), ('sum([])', 0), ('sum([1, 2.5])', 3.5),
    ('f + sum([])', X), ('sum([2 * f])', 2 * X)])
def test_sums_and_means_of_lists(expression, expected):
    found = output(f'f * 0 + {expression}')
    numpy.testing.assert_allclose(found, numpy.zeros((12, 3)) + expected, rtol=1e-4, atol=1e-5)


def test_an_empty_family_sums_to_zero():
    """A file with a count of 0 still compiles."""
    text = INPUTS + """
        param count = 0
        for n in 0..count {
            model head[n] = Linear(1)
            extra[n] = mean(head[n](f) ** 2)
            optimizer Adam() owns head[n]
        }
        loss total = mean(net(g)) + sum(extra[*])
        """
    text = text.replace('owns net\n', 'owns net minimizes cost, total\n').replace('owns head[n]', 'owns head[n] '
                                                                                  'minimizes total')
    for count in (0, 2):
        graph = compiled(text, params={'count': count})
        with chainer.using_config('train', False):
            total = graph.reports({name: BATCH[name] for name in BATCH})['total']
            expected = graph.models['net'](BATCH['g']).array.mean()
            for i in range(count):
                expected = expected + (graph.models[f'head[{i}]'](BATCH['f']).array ** 2).mean()
        assert float(total.array) == pytest.approx(float(expected), rel=1e-4)


def test_columns_meeting_vectors_are_a_warning():
    """A (B, 1) array beside a (B,) array makes (B, B)."""
    graph = compiled("""
        input x: float32[3], t: float32
        model net = Linear(1)
        x -> net -> y
        loss cost = mean((y - t) ** 2)
        optimizer net = SGD(lr=0.1) owns net
        """)
    assert any('1' in w.message and w.severity == 'warning' for w in graph.warnings)
    graph = compiled("""
        input x: float32[3], t: float32
        model net = Linear(1)
        x -> net -> y
        loss cost = mean((y[:, 0] - t) ** 2)
        optimizer net = SGD(lr=0.1) owns net
        """)
    assert graph.warnings == ()


# Dtypes of inputs

def test_columns_are_cast_to_the_declared_dtype():
    graph = compiled('input x: float32[3], t: int8\nmodel net = Linear(2)\nimport look from "lab"\n'
                     'loss cost = mean(net(x)) + 0 * mean(look(x, t))\noptimizer net = SGD(lr=0.1) owns net\n',
                     bind={'look': look})
    seen.clear()
    iterate(graph.updater(Counted(X, T)))
    assert seen == [(numpy.dtype('f'), numpy.dtype('int8'))]


seen = []


def look(x, t):
    seen.append((x.dtype, t.dtype))
    return x


def test_floats_for_integers_are_an_error():
    graph = compiled('input x: float32[3], t: int32\nmodel net = Linear(2)\n'
                     'loss cost = softmax_cross_entropy(net(x), t)\noptimizer net = SGD(lr=0.1) owns net\n')
    with pytest.raises(graphdsl.GraphError, match='int32'):
        iterate(graph.updater(Counted(X, T.astype('d'))))


def test_ragged_columns_are_padded():
    """`[?] pad -1`: to the longest of the minibatch."""
    rows = [(x.astype('f'), numpy.arange(i % 4 + 1, dtype='i')) for i, x in enumerate(X)]
    graph = compiled('input x: float32[3], t: int32[?] pad -1\nmodel net = Linear(2)\nimport keep from "lab"\n'
                     'loss cost = mean(net(x)) + 0 * mean(keep(x, t))\noptimizer net = SGD(lr=0.1) owns net\n',
                     bind={'keep': keep})
    kept.clear()
    iterate(graph.updater(SerialIterator(rows, 3, shuffle=False)), 2)
    assert [t.tolist() for t in kept] == [[[0, -1, -1], [0, 1, -1], [0, 1, 2]], [[0, 1, 2, 3], [0, -1, -1, -1],
                                                                              [0, 1, -1, -1]]]


kept = []


def keep(x, t):
    kept.append(t)
    return x
