"""Large and deep programs: checked in time that grows with their size, or refused."""
import time

import pytest
from programs import BASE, check, codes

import graphdsl
from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import translate


def seconds(text, **params):
    start = time.process_time()
    translate(Source(text), params)
    return time.process_time() - start


HEADS = '''
param count = 1
input x: float32[4], t: int32[count]
model trunk = Linear(8) -> relu
x -> trunk -> h
for i in 0..count {
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    metric accuracy[i] = accuracy(y[i], t[:, i])
    output label[i] = argmax(y[i], axis=1)
    optimizer Adam() owns head[i]
}
optimizer Adam() owns trunk
'''
CHAIN = '''
param count = 1
input x: float32[4]
model trunk(x) -> y {
    x -> Linear(4) -> h[0]
    for i in 0..count { layer l[i] = Linear(4); h[i] -> l[i] -> relu -> h[i + 1] }
    y = h[count]
}
x -> trunk -> v[0]
for i in 0..count { v[i] -> tanh -> v[i + 1] }
loss a = mean(v[count])
loss b = mean(sum(v[*]))
optimizer Adam() owns trunk
'''


@pytest.mark.parametrize('text', [HEADS, CHAIN], ids=['heads', 'chain'])
def test_time_grows_with_size(text):
    seconds(text, count=10)
    few, many = seconds(text, count=150), seconds(text, count=1200)
    assert many < 3 * 8 * max(few, 0.05), (few, many)
    assert many < 8


@pytest.mark.parametrize('more', [
    'for i in 0..10 ** 30 { }', 'for i in 0..1000000 { for j in 0..1000000 { } }',
    'for i in 0..500 { for j in 0..500 { for k in 0..500 { if false { } } } }',
    'y -> separate -> p[0..10 ** 15]', 'for i in 0..2000 { for j in 0..2000 { output o[i, j] = y } }',
])
def test_what_unrolls_to_too_much(more):
    assert codes(more) == ['G209']


@pytest.mark.parametrize('stage', ['relu', 'Linear(2)'])
def test_blocks_that_double(stage):
    blocks = f'block a0 = {stage}\n' + '\n'.join(f'block a{i + 1} = a{i} -> a{i}' for i in range(38))
    assert set(codes(f'{blocks}\nmodel n = a38\ny -> n -> z')) == {'G033'}


def nested(function, depth, inner='y'):
    return f'{function}(' * depth + inner + ')' * depth


@pytest.mark.parametrize('expression', [
    nested('relu', 60), nested('', 60), '-' * 80 + 'y', ' + '.join(['y'] * 90),
    '[' * 80 + '1' + ']' * 80 + '[0]' * 5,
])
def test_what_is_nested_deeply(expression):
    """It is fine or refused, whatever is left of Python's stack."""
    for room in (0, 200, 500):
        try:
            descend(room, lambda: graphdsl.compile(f'{BASE}output o = sum([y, mean({expression})])'))
        except GraphError as error:
            assert {d.code for d in error.diagnostics} <= {'G009', 'G308', 'G203'}


def descend(levels, action):
    return action() if levels == 0 else descend(levels - 1, action)


@pytest.mark.parametrize('depth', [2000, 20_000])
def test_what_is_nested_too_deeply(depth):
    with pytest.raises(GraphError, match='G009'):
        translate(Source(f'{BASE}output o = {nested("relu", depth)}'))


@pytest.mark.parametrize('count, depth', [(3, 60), (38, 1), (38, 10), (60, 1)])
def test_blocks_within_blocks(count, depth):
    blocks = 'block a0(v) -> w { w = tanh(v) }\n' + '\n'.join(
        f'block a{i + 1}(v) -> w {{ w = {nested("relu", depth, f"a{i}(v)")} }}' for i in range(count))
    for uses in (f'output o = a{count}(y)', '\n'.join(f'output o{i} = a{i}(y)' for i in range(count + 1))):
        graph, diagnostics = check(f'{BASE}{blocks}\n{uses}')
        assert graph is not None or {d.code for d in diagnostics if d.severity == 'error'} <= {'G009', 'G031'}
        if graph is not None:
            translate(Source(f'{BASE}{blocks}\n{uses}'))


def test_a_block_that_contains_itself():
    assert codes('block a = a -> relu\ny -> a -> z\noutput z') == ['G312']
    assert codes('block a(n) = b(n - 1)\nblock b(n) = a(n)\ny -> a(3) -> z\noutput z') == ['G312']
    body = 'block a(v) -> w { v -> Linear(2) -> u; w = a(u) }\n'
    assert codes(f'{body}model n = a\ny -> n -> z\noutput z') == ['G312']


def test_a_long_edge():
    assert codes('y -> ' + 'relu -> ' * 5000 + 'z\noutput z') == []
