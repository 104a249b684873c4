"""Params: defaults, choices, and what the caller sets."""
import numpy
import pytest
from programs import BASE, check, codes, graph

import graphdsl


def value(default, given, choices=''):
    return dict(graph(f'param p = {default} {choices}', params={'p': given}).params)['p']


@pytest.mark.parametrize('default, given, expected', [
    ('4', 6, 6), ('4', '6', 6), ('4', '-6', -6), ('4', '2 * 3', 6), ('4', '1_000', 1000), ('0.5', 2, 2.0),
    ('0.5', '2', 2.0),
    ('0.5', '1e-3', 0.001), ('true', False, False), ('true', 'false', False), ('"a"', 'b', 'b'), ('"a"', '3', '3'),
    ('"a"', '', ''), ('[1, 2]', [3], [3]), ('[1, 2]', '[3, 4]', [3, 4]), ('[1, 2]', (3, 4), [3, 4]),
    ('(1, 2)', '[3]', (3,)),
    ('none', 3, 3), ('none', 'none', None), ('none', '"text"', 'text'), ('4', numpy.int64(6), 6),
    ('0.5', numpy.float32(0.25), 0.25), ('0.5', float('inf'), float('inf')), ('[1]', [numpy.int32(3)], [3]),
])
def test_values_that_fit(default, given, expected):
    found = value(default, given)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize('default, given', [
    ('4', 0.5), ('4', '0.5'), ('4', True), ('4', 'true'), ('4', 'six'), ('4', ''), ('4', '6; model q = Linear(2)'),
    ('4', '6\nparam q = 3'), ('4', '6 of 6'), ('4', '__import__("os")'), ('4', 'y'), ('4', None), ('4', object()),
    ('4', [1]),
    ('4', 10 ** 2000), ('4', '1e999'), ('4', '(' * 500), ('0.5', 10 ** 400), ('true', 1), ('"a"', 3), ('[1]', 'x'),
    ('[1]', [object()]), ('none', {1: 2}), ('none', 1j), ('none', {1}), ('"a"', 'x' * 200_000),
])
def test_values_that_do_not_fit(default, given):
    found = codes(f'param p = {default}\noutput o = y', params={'p': given})
    assert found in (['G212'], ['G202'], ['G034'], ['G035'])


def test_choices():
    assert value('"a"', 'b', 'of "a", "b"') == 'b'
    assert value('0.5', 1, 'of 0.5, 1') == 1.0
    assert codes('param p = "a" of "a", "b"', params={'p': 'c'}) == ['G212']
    assert codes('param p = "c" of "a", "b"') == ['G213']
    assert codes('param p = 1 of 1, 2', params={'p': True}) == ['G212']


def test_a_param_that_is_not_there():
    assert codes(params={'p': 3}) == ['G211']
    _, (found,) = check(f'param count = 3{BASE}', {'counts': 3})
    assert found.help == 'did you mean `count`?'


def test_defaults_use_earlier_lines():
    assert dict(graph('param p = 2\nparam q = p * 3').params) == {'p': 2, 'q': 6}
    assert dict(graph('param p = 2\nparam q = p * 3', params={'p': 5}).params) == {'p': 5, 'q': 15}
    assert codes('param q = p * 3\nparam p = 2') == ['G101']
    assert codes('param p = p') == ['G101']
    assert codes('param p = y') == ['G201']


def test_one_mistake_is_reported_once():
    """Whoever uses a param that is wrong has nothing new to say."""
    params = 'param p = 1 / 0\nparam q = p + 1\n'
    assert codes(f'{params}for i in 0..q {{ output o[i] = y * p }}\nmodel n = Linear(p)\ny -> n -> z') == ['G202']


def test_params_reach_everything():
    graph_ = graphdsl.compile('''
        param n = 2
        param rate = 0.1
        input x: float32[n + 1]
        for i in 0..n {
            model m[i] = Linear(n)
            x -> m[i] -> y[i]
            loss a[i] = mean(y[i]) * rate
            optimizer SGD(lr=rate) owns m[i]
        }
        train { batch 4 * n; epochs n; log every n iterations }
    ''', params={'n': 3, 'rate': 0.5})
    assert list(graph_.models) == ['m[0]', 'm[1]', 'm[2]']
    assert graph_.models['m[2]'].linear_1.W.shape == (3, 4)
    assert graph_.optimizers['m[0]'].lr == 0.5
    assert graph_.settings.batch == 12 and graph_.settings.length == (3, 'epoch')
