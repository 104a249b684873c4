"""Large and deep programs: checked in time that grows with their size, or refused."""
import re
import resource
import signal
import sys
import time
from pathlib import Path

import numpy
import pytest
from programs import BASE, check, codes
from test_growth import lines_run

import graphdsl
from graphdsl.diagnostics import GraphError, Source, render
from graphdsl.driver import translate
from graphdsl.limits import Limits, descriptions


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


def test_the_documentation_has_all_limits():
    page = (Path(__file__).parents[2] / 'docs' / 'limits.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| `(\w+)` \| ([\d,]+)(?: \(([\d,]+) at most\))? \| (.*?) \|', page, re.MULTILINE)
    found = {name: (default, most, what) for name, default, most, what in rows}
    assert found == {name: (f'{getattr(Limits(), name):,}', f'{about["most"]:,}' if about['most'] else '',
                            about['what']) for name, about in descriptions().items()}


@pytest.mark.parametrize('option, message', [
    ('speed=3', "there is no limit 'speed'; there are file_size, depth"), ('depth', 'NAME=NUMBER; there are file_size'),
    ('depth=many', 'NAME=NUMBER'), ('depth=-1', 'NAME=NUMBER'), ('depth=0', 'from 1 upwards'), ('=3', 'no limit'),
    ('depth=1001', 'at most 1,000'), ('bits=' + '9' * 5000, 'NAME=NUMBER'), ('depth=1.5', 'NAME=NUMBER'),
])
def test_wrong_options(option, message, command):
    status, _, err = command('check', '--limit', option, 'a.graph')
    assert status == 2 and message in ' '.join(err.split())


DEEP = {
    'sums': 'output o = ' + ' + '.join(['y'] * 500), 'calls': f'output o = {nested("relu", 150)}',
    'loops': 'for _ in 0..1 { ' * 300 + 'output o = y' + '}' * 300,
    'blocks': 'block a0 = relu\n' + '\n'.join(f'block a{i + 1} = a{i}' for i in range(300)) + '\noutput o = a300(y)',
}


@pytest.mark.parametrize('more', DEEP.values(), ids=DEEP)
def test_a_raised_limit_of_depth_holds(more):
    """It compiles, Python reads the module, and it computes what it should, whatever is left of the stack."""
    with pytest.raises(GraphError, match='G009|G031'):
        graphdsl.compile(BASE + more)
    before = sys.getrecursionlimit()
    graph = graphdsl.compile(BASE + more, limits=Limits(depth=1000, blocks=1000))
    assert sys.getrecursionlimit() == before
    x = numpy.full((1, 3), 0.1, 'f')
    y = graph.models['m'](x).array
    wanted = {'sums': 500 * y, 'calls': y.clip(0), 'loops': y, 'blocks': y.clip(0)}
    name = next(name for name, text in DEEP.items() if text == more)
    assert numpy.allclose(graph.outputs({'x': x})['o'].array, wanted[name], rtol=1e-4)


# Small files that took long, or much memory: each is refused, or done, after little work.
SMALL = {
    'selections': 'for i in 0..3000 { v[i] = y * i; loss b[i] = mean(sum(v[*])) }',
    'two indices': 'for i in 0..300 { for j in 0..300 { v[i, j] = y * i } }\noutput o = sum(v[*, 0])',
    'minimizes': 'for i in 0..1500 { model n[i] = Linear(2); y -> n[i] -> z[i]; loss b[i] = mean(z[i]) }\n'
                 'for i in 0..1500 { optimizer Adam() owns n[i] minimizes b[*] }',
    'lists': '\n'.join(['param p0 = [1]', *(f'param p{i + 1} = p{i} + p{i}' for i in range(60))]),
    'lists in lists': '\n'.join(['param p0 = [1]', *(f'param p{i + 1} = [p{i}, p{i}]' for i in range(60))]),
    'later params': '\n'.join(f'param p{i} = p{i + 1}' for i in range(2000)),
    'deep lists': '\n'.join(['param p0 = [1]', *(f'param p{i + 1} = [p{i}]' for i in range(700))]),
    'list in a loop': '\n'.join(['param p0 = [1]', *(f'param p{i + 1} = p{i} + p{i}' for i in range(14))])
                      + '\nfor i in 0..20000 { if sum(p14) < 0 { } }',
    'blocks of two': 'block a0(k) = Linear(2)\n' + '\n'.join(
        f'block a{i + 1}(k) = a{i}(2 * k) -> a{i}(2 * k + 1)' for i in range(38)) + '\ny -> a38(1) -> z\noutput z',
    'blocks with loops': 'block a(k)(v) -> w { h[0] = v; for i in 0..5000 { h[i + 1] = h[i] + 1 }; w = h[5000] }\n'
                         'for i in 0..100 { y -> a(i) -> z[i]; output z[i] }',
    'else if': 'for i in 0..9000 { if false { }' + ' else if i < 0 { }' * 80 + ' }',
    'loops in loops': ''.join(f'for i{k} in 0..2 {{ ' for k in range(40)) + '}' * 40,
    'string': '\n'.join(['param p0 = "ab"', *(f'param p{i + 1} = p{i} + p{i}' for i in range(60))]),
    'digits': 'param p = ' + '9' * 400_000,
    'exponent': 'param p = 10 ** 10 ** 10 ** 10',
    'product': '\n'.join(['param p0 = 2', *(f'param p{i + 1} = p{i} * p{i}' for i in range(60))]),
}


@pytest.mark.parametrize('more', SMALL.values(), ids=SMALL)
def test_small_files_take_little_work(more):
    work = lines_run(lambda: graphdsl.check(BASE + more))
    assert work < 8_000_000


@pytest.mark.parametrize('text', [
    '\r\n' * 200_000, '\n#' * 200_000, '\n \t' * 130_000, ';' * 9000, '#' + 'x' * 490_000, '\n' * 100_000 + '$',
    ' \n' * 100_000 + '-> x', 'x ' + '#\n' * 100_000 + '-> m -> q', '"' * 100_001, 'param p = "' + 'a\\\\' * 100_000,
    '$' * 400_000, '\0' * 400_000, 'a' * 400_000, 'y = [' * 20_000, '(' * 300_000, '1_' * 200_000,
    '1e' + '9' * 400_000, 'param p = "' + r'\n' * 200_000 + '"', 'output ' + 'ab' * 100_000,
    ';'.join(f'output o{i} = u{i}' for i in range(9000)),
], ids=range(20))
def test_text_is_read_in_little_time(text):
    """Regular expressions go over it once, messages show a part of it. The limit is generous: it takes seconds."""
    start = time.process_time()
    found = graphdsl.check(text)
    shown = [render(one, Source(text)) for one in found[:100]]
    assert time.process_time() - start < 20
    assert sum(map(len, shown)) < 500_000


def test_parameters_are_refused_before_there_is_memory_for_them():
    for model in ('Linear(10 ** 12)', 'Linear(3, 10 ** 13)', 'Linear(100000) -> Linear(100000)',
                  'BatchNormalization(10 ** 12)'):
        with pytest.raises(GraphError, match='G036'):
            graphdsl.compile(BASE.replace('Linear(2)', f'{model} -> Linear(2)'))
    graphdsl.compile(BASE, limits=Limits(parameters=8))
    with pytest.raises(GraphError, match='more than 7 parameters'):
        graphdsl.compile(BASE, limits=Limits(parameters=7))


def test_parameters_of_many_kinds_are_counted_once():
    """A weight of 3 * 2 and a bias of 2; gains, shifts, means and variances of 2 each; a table of 5 * 2."""
    text = BASE.replace('Linear(2)', 'Linear(3, 2) -> BatchNormalization(2)').replace('owns m', 'owns m, e') \
        + 'model e = EmbedID(5, 2)\nt -> e -> z\nloss b = mean(z)'
    graphdsl.compile(text, limits=Limits(parameters=8 + 8 + 10))
    with pytest.raises(GraphError, match='G036'):
        graphdsl.compile(text, limits=Limits(parameters=8 + 8 + 10 - 1))


def test_vgg_is_no_larger_than_allowed():
    """Simonyan and Zisserman give 138 million parameters for their configuration D."""
    assert 138_357_544 < Limits().parameters


def test_memory_is_guarded(tmp_path, command):
    path = tmp_path / 'a.graph'
    path.write_text(f'{BASE}output o = tile(y, (1, 10 ** 9))')
    status, _, err = command('plan', '--limit', 'memory=500', path)
    assert status == 1 and 'G735' in err
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_time_is_guarded(tmp_path, command):
    path = tmp_path / 'a.graph'
    path.write_text(BASE.replace('optimizer', 'optimizer o =') + 'step s repeat 10 ** 12 { update o }')
    status, _, err = command('plan', '--limit', 'seconds=1', path)
    assert status == 1 and 'G038' in err
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)


@pytest.mark.parametrize('count', ['repeat 10 ** 12', 'unroll 10 ** 9', 'accumulate 10 ** 9'])
def test_what_is_repeated_is_tried_for_a_while(count):
    text = BASE.replace('optimizer', 'optimizer o =') + f'step s {count} {{ update o }}'
    assert lines_run(lambda: graphdsl.compile(text)) < 4_000_000


def test_many_noises_are_no_repetition():
    """The first iteration is tried to its end, where something is wrong that only the run can tell."""
    noises = ''.join(f'noise n{i}: float32[2] ~ normal(0, 1)\n' for i in range(300))
    total = ', '.join(f'mean(n{i})' for i in range(300))
    text = noises + BASE.replace('optimizer SGD(lr=0.1)', f'loss b = mean(y) * sum([{total}])\n'
                                 'optimizer SGD(lr=10 ** 30)')
    with pytest.raises(GraphError, match='G738'):
        graphdsl.compile(text)
