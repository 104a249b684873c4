"""Expressions: what is computed while compiling, what is left to the run, and what is neither."""
import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import BASE, check, codes, diagnostics, graph

from graphdsl.semantics.computation import Literal


def value(expression, before=''):
    """The value of an expression that is known while compiling."""
    return dict(graph(f'{before}\nparam value_ = {expression}').params)['value_']


@pytest.mark.parametrize('expression, expected', [
    ('1 + 2 * 3 ** 2 // 4 - 7 % 4', 2), ('2 ** -1', 0.5), ('-2 ** 2', -4), ('7 / 2', 3.5), ('1e-3', 0.001),
    ('"a" + "b"', 'ab'), ('[1, 2] + [3]', [1, 2, 3]), ('(1, 2)[0]', 1), ('[1, 2, 3][1:]', [2, 3]),
    ('[1, 2][-1]', 2),
    ('1 if 2 > 1 else 0', 1), ('1 < 2 <= 2 != 3', True), ('not true or false', False), ('3 in [1, 2, 3]', True),
    ('"a" not in "xyz"', True), ('min(3, 2)', 2), ('max([1, 5])', 5), ('sum([1, 2])', 3), ('mean([1, 2])', 1.5),
    ('abs(-3)', 3), ('floor(2.5)', 2), ('sqrt(16)', 4.0), ('exp(0)', 1.0), ('none', None), ('sum([])', 0),
    ('0 and nonsense', 0), ('1 or nonsense', 1), ('[[1, 2], [3]][1][0]', 3), ('1_000', 1000),
])
def test_numbers_are_computed(expression, expected):
    found = value(expression)
    assert found == expected and type(found) is type(expected)


@given(st.recursive(
    st.integers(0, 20).map(str) | st.sampled_from(['0.5', '2.5', '1e3']),
    lambda inner: st.tuples(inner, st.sampled_from(['+', '-', '*', '/', '//', '%', '<', '==']), inner).map(
        lambda t: f'({t[0]} {t[1]} {t[2]})') | inner.map(lambda e: f'(-{e})'), max_leaves=8))
def test_arithmetic_is_pythons(expression):
    graph_, found = check(f'{BASE}param value_ = {expression}')
    try:
        expected = eval(expression)
    except ZeroDivisionError:
        assert [d.code for d in found] == ['G202']
    else:
        assert repr(dict(graph_.params)['value_']) == repr(expected)


TOO_MANY_BITS = {'2 ** 99999', '2 ** 2 ** 2 ** 2 ** 2 ** 2'}


@pytest.mark.parametrize('expression', [
    '1 / 0', '0 ** -1', '1 % 0', 'log(0)', 'sqrt(-1)', '(-8) ** 0.5', '2 ** 99999', '10.0 ** 999', '1e308 * 10',
    '1e308 * 10 - 1e308 * 10', 'exp(10000)', 'mean([])', '10 ** 400 / 3', '2 ** 2 ** 2 ** 2 ** 2 ** 2',
    '10 ** 400 * y',
])
def test_what_has_no_value(expression):
    assert codes(f'output o = y * ({expression})') == ['G034' if expression in TOO_MANY_BITS else 'G202']


@pytest.mark.parametrize('expression', [
    '"a" * 3', '[0] * 3', '"%999999999d" % 1', '1 + "a"', '-"a"', '1 < "a"', 'min(3)', 'sum(3)', '[1] + (2, )',
    'none + 1',
    'abs("a")', 'y + "a"', 'y + none', 'y + [y]', '-[y]', '"abc"[0]', '3[0]',
])
def test_kinds_that_do_not_go_together(expression):
    assert codes(f'output o = {expression}') == ['G203']


def test_lists_do_not_grow_without_bounds():
    doubled = '\n'.join(f'param a{i + 1} = [a{i}, a{i}]' for i in range(60))
    assert codes(f'param a0 = [0, 0]\n{doubled}') == ['G032']
    doubled = '\n'.join(f'param a{i + 1} = a{i} + a{i}' for i in range(60))
    assert codes(f'param a0 = "text"\n{doubled}') == ['G035']


@pytest.mark.parametrize('expression, code', [
    ('y and x', 'G207'), ('not y', 'G207'), ('y % 2', 'G207'), ('y or 1', 'G207'), ('1 and y % 2', 'G207'),
    ('y if x else 1', 'G208'), ('y if y > 0 else x', 'G208'), ('y in [1]', 'G207'), ('0 < y < 1', 'G207'),
    ('y > 0 and x > 0', 'G207'), ('not (y > 0)', 'G207'), ('y.shape', 'G110'),
    ('max(y, x)', 'G308'), ('max(y, 0)', 'G308'), ('sum(y, 1)', 'G308'), ('max([y, x])', 'G308'),
    ('relu(3)', 'G308'),
    ('relu()', 'G306'), ('relu(y, y)', 'G306'), ('softmax(y, axs=1)', 'G306'), ('dropout(y, foo=1)', 'G306'),
    ('maximum(1, 0)', 'G308'), ('detach(3)', 'G308'), ('grad(a, 2 * x)', 'G215'), ('eval(x)', 'G306'),
    ('eval(m)', 'G107'), ('m.linear_2(x)', 'G316'), ('reverse_gradient(y, y)', 'G214'), ('one_hot(t, y)', 'G214'),
    ('F(y)', 'G106'), ('chainer(y)', 'G106'), ('print(y)', 'G106'), ('array(y)', 'G106'), ('Linear(3)', 'G305'),
    ('Normal()', 'G305'), ('y + Constant(0)', 'G305'), ('Adam()', 'G106'), ('forget(y)', 'G310'), ('m', 'G107'),
    ('relu', 'G107'), ('y(x)', 'G108'), ('(relu)(y) + x(y)', 'G108'), ('[m][0]', 'G107'), ('y["a"]', 'G204'),
    ('y[0.5]', 'G204'), ('y[::0]', 'G204'), ('y[0..1]', 'G206'), ('relu(split_axis(y, 2, axis=1))', 'G303'),
    ('split_axis(y, 2, axis=1) + 1', 'G303'), ('"text"', 'G307'), ('true', 'G307'), ('none', 'G307'),
    ('[y]', 'G307'),
    ('(y, x)', 'G307'), ('zz', 'G101'), ('o', 'G301'),
])
def test_expressions_that_are_refused(expression, code):
    found = diagnostics(f'output o = {expression}')
    assert [pair[0] for pair in found] == [code]


@pytest.mark.parametrize('expression', [
    'y + 1', '2 * y ** 2 / 3 - -y', '+y', 'sum(y)', 'sum(y, axis=1)', 'sum([y, x[:, :2], 1])', 'mean([y, y, y])',
    'max(y, axis=1)', 'y[:, 0]', 'y[-1]', 'y[:, ::-1]', 'y[:batch_size // 2]', 'reshape(y, (batch_size, 2))',
    'concat([y, x], axis=1)', 'concat(split_axis(y, 2, axis=1), axis=1)', 'stack([y, y])', '3',
    '1.5 if true else y',
    'y * min(2, 3)', 'cast(t, "float32") * 2', 'm(x=x)', 'dropout(y, ratio=0.3)', 'relu(y)[:, 0]',
    'pad(y, 1, "constant", constant_values=0.5)', 'exp(y) + exp(1)', 'split_axis(y, 2, axis=1)[0]',
    'expand_dims(t, 1)',
    'y * (1 == 1)', 'clip(y, 0.0, 1.0)', 'add(y, y, y)', 'linear_interpolate(sigmoid(y), y, y)',
    'y > 0', '1 < y', 'y != x[:, :2]', 'where(y > 0, y, 0)', 'where(t == 1, 0.5, 1)', 'maximum(y, 0)', 'minimum(1, y)',
    't * 2', '-t', 't / 2', 'argmax(y, axis=1) + 1', 't[0:1] * 2', 'reshape(t, (-1, 1)) - 1', 'detach(y)', 'grad(a, x)',
    'eval(m)(x)', 'quiet(m)(x)', 'epoch * y', 'progress * iteration', 'm.linear_1(x)', 'reverse_gradient(y, epoch)',
    'one_hot(t, 3)', 'ones_like(y, dtype="int32")', 'zeros_like(t)', 'arange(3)', 'history(y, size=3)', 'shape(y, 1)',
    'grad(mean(y), x)', 'm.linear_1(x) * (0.5 if epoch > 3 else 1)', 'y * max(epoch, 2) ** sqrt(progress)',
])
def test_expressions_that_are_fine(expression):
    assert codes(f'output o = {expression}') == []


@pytest.mark.parametrize('more', ['y -> n -> z', 't -> n -> z', 'u = t\nz = n(u)', 'z = n(y) + expand_dims(n(t), 1)'])
def test_integers_are_followed_into_models(more):
    import graphdsl
    program = f'{BASE}model n(v) -> w {{ w = v * 0.5 }}\n{more}\noutput z'
    x, t = numpy.ones((2, 3), 'f'), numpy.array([1, 0], 'i')
    graph = graphdsl.compile(program)
    z = graph.outputs({'x': x, 't': t})['z'].array
    y = graph.models['m'](x).array
    expected = {'y': y * 0.5, 't': t * 0.5, 'u': t * 0.5}.get(more[0], y * 0.5 + t[:, None] * 0.5)
    assert z.dtype == 'f' and numpy.allclose(z, expected)


def test_literals_of_different_kinds_differ():
    """Else models that should differ would share a class."""
    assert len({Literal(None, 1), Literal(None, 1.0), Literal(None, True), Literal(None, '1')}) == 4
    assert Literal(None, 0.0) != Literal(None, -0.0)
    assert Literal(None, math.inf) == Literal(None, math.inf)


def test_models_of_one_shape_share_a_class_and_others_do_not():
    import graphdsl
    source = graphdsl.compile('''
        input x: float32[3]
        for i in 0..3 {
            model n[i] = Linear(2, nobias=i == 0)
            x -> n[i] -> y[i]
            loss l[i] = mean(y[i])
        }
        optimizer SGD() owns n[*]
    ''').source
    assert source.count('class N') == 2
