"""The work of each phase grows with the size of a graph, counted in lines of Python that run, and never recurses."""
import sys

import pytest
from programs import BASE, check, codes

from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import Compilation
from graphdsl.emit.module import emit
from graphdsl.limits import Limits
from graphdsl.plan.passes import PASSES
from graphdsl.plan.planner import plan
from graphdsl.shapes.check import examine
from graphdsl.syntax.parse import parse

HEADS = '''
input x: float32[4], t: int32[{n}]
model trunk = Linear(8) -> relu
x -> trunk -> h
for i in 0..{n} {{
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i]) when iteration % 2 == 0
    metric accuracy[i] = accuracy(y[i], t[:, i])
    output label[i] = argmax(y[i], axis=1)
    optimizer head[i] = Adam(alpha=0.01) owns head[i]
}}
optimizer trunk = Adam() owns trunk
'''
STEPS = HEADS + '''
for i in 0..{n} {{
    step turn[i] {{ update head[i] }}
    state s[i] = 0.0
    next s[i] after turn[i] = 0.9 * s[i] + digit[i]
    schedule head[i].alpha = 0.01 * (1 - progress)
}}
step all {{ update trunk; for i in 0..{n} {{ update head[i] }} }}
'''
MODELS = '''
input x: float32[4]
h[0] = x
for i in 0..{n} {{ model layer[i] = Linear(4) -> relu; h[i] -> layer[i] -> h[i + 1] }}
loss l = mean(h[{n}])
optimizer Adam() owns layer[*]
'''
COPIES = MODELS + '''
model copy[{n}] = Linear(4)
for i in 0..{n} {{ model copy[i] like copy[i + 1] }}
c[0] = x
for i in 0..{n} {{ c[i] -> copy[i] -> c[i + 1] }}
loss k = mean(c[{n}])
frozen copy[{n}]
optimizer Adam() owns copy[0..{n}]
'''
LAYERS = '''
input x: float32[4]
model net(x) -> y {{
    h[0] = x
    for i in 0..{n} {{ layer l[i] = Linear(4); h[i] -> l[i] -> relu -> h[i + 1] }}
    y = h[{n}]
}}
x -> net -> y
loss l = mean(y)
optimizer Adam() owns net
'''
# Where no walk remembers what it has seen, each turn doubles the work.
DIAMONDS = BASE + '''
state s = 0.0
v[0] = iteration + 1
w[0] = a * 1
for i in 0..{n} {{
    v[i + 1] = (v[i] + 1) * (v[i] + 2)
    p[i] = w[i] * 2
    q[i] = w[i] * 3
    w[i + 1] = p[i] + q[i]
}}
metric big = v[{n}]
metric bigger = w[{n}]
next s = v[{n}] + w[{n}]
'''
# Each model is called with a float first and then with an integer, later in the file than what takes its result.
KINDS = '''
input x: float32[4], t: int32[4]
for i in 0..{n} {{ model m[i](v, w) -> u {{ v -> Linear(4) -> f; u = f * w }}; (x, x) -> m[i] -> early[i] }}
late[0] = t
for i in 0..{n} {{ (x, late[i]) -> m[i] -> late[i + 1] }}
loss l = mean(late[{n}]) + mean(sum(early[*]))
optimizer Adam() owns m[*]
'''
# Steps that share a trunk and some noise, and carry more than one thing along.
AGAIN = '''
input x: float32[4], t: int32[{n}]
model trunk = Linear(8) -> relu
frozen trunk
x -> trunk -> h
state level = 1.0
for i in 0..{n} {{
    noise z[i]: float32[8] ~ normal(0, 1)
    model head[i] = Linear(10) -> BatchNormalization(10) -> relu
    model slow[i] follows head[i] decay 0.9
    (h + z[i]) * level -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    loss size[i] = mean(y[i]) when iteration % (i + 2) == 0
    metric far[i] = mean(y[i] - slow[i](h))
    optimizer head[i] = Adam(alpha=0.01) owns head[i]
    state s[i] = 0.0
    next s[i] after turn[i] = 0.9 * s[i] + digit[i]
}}
step turn[0] {{ update head[0] }}
for i in 1..{n} {{ step turn[i] on the same batch {{ update head[i] }} }}
'''
SHAPES = {name: text for name, text in globals().items() if name.isupper() and name not in ('BASE', 'PASSES')}


def lines_run(action):
    """Returns how many lines of graphdsl's Python an action runs, those of each turn of a loop anew."""
    count = 0

    def local(frame, event, argument):
        nonlocal count
        count += event == 'line'
        return local

    def trace(frame, event, argument):
        return local if frame.f_globals.get('__name__', '').startswith('graphdsl.') else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def work(phase, text):
    """Returns how many lines a phase runs for a program."""
    graph, diagnostics = check(text)
    assert graph is not None, diagnostics
    if phase == 'check':
        return lines_run(lambda: check(text))
    if phase == 'plan':
        return lines_run(lambda: plan(graph))
    planned = plan(graph)
    if phase == 'shapes':
        source = Source(text)
        compilation = Compilation(source, None, graph, planned, emit(planned, source), {}, ())
        return lines_run(lambda: examine(compilation))
    for name, run in PASSES.items():
        if name == phase:
            return lines_run(lambda: run(planned))
        planned = run(planned)
    return lines_run(lambda: emit(planned, Source(text)))


@pytest.mark.parametrize('phase', ['check', 'plan', *PASSES, 'emit', 'shapes'])
@pytest.mark.parametrize('name', SHAPES)
def test_the_work_is_linear(name, phase):
    if (name, phase) == ('AGAIN', 'reuse'):
        pytest.skip('steps that share something are compared in pairs')
    size = 3 if name == 'DIAMONDS' else 20      # which might grow as 2 ** n
    small, *found = [work(phase, SHAPES[name].format(n=n)) for n in (4, size, 2 * size, 4 * size)]
    once, twice, four_times = found
    assert four_times - twice == pytest.approx(2 * (twice - once), rel=0.01, abs=20)


def test_a_file_is_parsed_in_linear_time():
    def work(n):
        text = BASE + ''.join(f'v{i} = y * {i}\nv{i} -> relu -> w{i}\n' for i in range(n))
        return lines_run(lambda: parse(Source(text)))

    work(1)
    assert work(40) - work(20) == pytest.approx(2 * (work(20) - work(10)), rel=0.01)


@pytest.mark.parametrize('name', ['MODELS', 'COPIES', 'LAYERS'])
def test_long_chains(name):
    """They are longer than Python's stack is deep."""
    n = sys.getrecursionlimit() + 500
    graph, _ = check(SHAPES[name].format(n=n), limits=Limits(calls=100_000))
    step, = plan(graph).steps
    calls = [callee for one in step.forward for callee in one.assignment.callees]
    assert len(calls) >= n or len(graph.models[0].chain.parts) == n


def test_long_sums():
    many = sys.getrecursionlimit() + 500
    more = f'for i in 0..{many} {{ state s[i] = 0.0; next s[i] = s[i] + a }}\n'
    members = ', '.join(f's[{i}]' for i in range(many))
    assert codes(f'{more}loss b = mean(y) + sum([a, {members}])\nloss c = mean(sum([{", ".join(["y"] * many)}]))') == []


def test_a_sum_that_is_nested_too_deeply():
    """Python itself cannot compile much longer ones."""
    with pytest.raises(GraphError, match=r'G009(.|\n)*sum\(\[a, b, c\]\)'):
        parse(Source('z = ' + ' + '.join(['y'] * 5000)))
