"""Which names may be bound, and what they stand for."""
import pytest
from programs import codes, diagnostics, graph

from graphdsl.semantics.computation import Key


@pytest.mark.parametrize('more', [
    'metric accuracy = accuracy(y, t)',
    'param m = 3\noutput o = y * m',
    'for m in 1..3 { output o[m] = y * m }',
    'model x = Linear(2)\ny -> x -> z\nloss b = mean(z)\noptimizer SGD() owns x',
    'param own = 0.1\nmodel n = Linear(2)\ny -> n -> z\nloss b = mean(z)\noptimizer own = SGD(lr=own) owns n',
    'model relu = Linear(2)\ny -> relu -> z\nloss b = mean(z)\noptimizer SGD() owns relu',
    'for i in 0..2 { output o[i] = y }\nfor i in 0..2 { output p[i] = y }',
    'block twice(y) -> z { z = 2 * y }\ny -> twice -> o\noutput o',
])
def test_callables_and_values_live_apart(more):
    assert codes(more) == []


@pytest.mark.parametrize('more, text', [
    ('y = relu(x)', 'y'),
    ('input x: float32', 'x'),
    ('loss a = mean(y)', 'a'),
    ('for i in 0..2 { y -> relu -> h }', 'h'),
    ('param y = 3', 'y'),
    ('param k = 1\nparam k = 2', 'k'),
    ('for y in 0..2 { }', 'y'),
    ('param k = 1\nfor k in 0..2 { }', 'k'),
    ('for i in 0..2 { for i in 0..2 { } }', 'i'),
    ('for i in 0..2 { }\ni = relu(y)', 'i'),
    ('model m = Linear(3)', 'm'),
    ('block m = relu', 'm'),
    ('block act = relu\nblock act = tanh', 'act'),
    ('block act(k, k) = relu', 'k'),
    ('block act(v, v) -> w { w = v }', 'v'),
    ('param k = 3\nblock act(k) = leaky_relu(k)', 'k'),
    ('block act(k) (k) -> w { w = k }\ny -> act(3) -> z', 'k'),
    ('block act = relu\nmodel n(v) -> w { layer act = Linear(2); v -> act -> w }\ny -> n -> z', 'act'),
])
def test_every_name_is_bound_once(more, text):
    found = [pair for pair in diagnostics(more) if pair[0] == 'G102']
    assert ('G102', text) in found


def test_both_places_are_shown_the_first_one_first():
    from programs import BASE, check
    _, (found,) = check(BASE + 'y = relu(x)\n')
    (place,) = found.places
    assert place.span.start < found.span.start


def test_a_second_binding_makes_no_second_mistake():
    assert codes('x -> relu -> y') == ['G102']
    assert codes('model n(v) -> w { v -> Linear(2) -> v; w = v }\ny -> n -> z') == ['G102']


@pytest.mark.parametrize('more', [
    'y -> relu -> _', '_, h = split_axis(y, 2, axis=1)\noutput h', 'input _, u: float32\noutput u',
    'for _ in 0..2 { y -> relu -> _ }', 'for _ in 0..2 { for _ in 0..2 { y -> relu -> _ } }',
])
def test_an_underscore_discards(more):
    assert codes(more) == []


@pytest.mark.parametrize('more', [
    'output o = _', 'loss _ = mean(y)', 'metric _ = mean(y)', 'model _ = Linear(2)', 'param _ = 3',
    'y -> relu -> _[0]',
    'block _ = relu', 'for _ in 0..2 { output o[_] = y }', 'model n(_) -> w { w = 1 }', 'import _ from "lab"',
    'model n(v) -> w { layer _ = Linear(2); v -> Linear(2) -> w }\ny -> n -> z',
])
def test_an_underscore_names_nothing(more):
    assert 'G109' in codes(more)


@pytest.mark.parametrize('name', ['batch_size', 'iteration', 'epoch', 'progress'])
@pytest.mark.parametrize('statement', [
    '{} = relu(y)', 'param {} = 3', 'input {}: float32', 'for {} in 0..2 {{ }}'])
def test_numbers_of_the_step_keep_their_names(name, statement):
    assert 'G109' in codes(statement.format(name))


def test_names_of_python_itself_are_refused():
    assert codes('__import__ = relu(y)') == ['G109']
    assert 'G109' in codes('model __class__ = Linear(2)')
    assert 'G109' in codes('for __i in 0..2 { }')


@pytest.mark.parametrize('more, text', [
    ('y -> relu -> tanh', 'tanh'), ('y -> relu -> m', 'm'), ('y -> relu -> Linear', 'Linear'),
    ('block act = relu\ny -> relu -> act', 'act'), ('y -> split_axis(2, axis=1) -> o, m', 'm'),
])
def test_an_edge_must_not_end_in_a_callable(more, text):
    assert ('G302', text) in diagnostics(more)


def test_parts_have_stable_names_from_class_and_order():
    model = graph('''
        block two = Linear(4) -> Linear(5)
        model n(v) -> w {
            layer last = Linear(2)
            layer linear_2 = Linear(2)
            v -> Linear(3) -> two -> two -> linear_2 -> Linear(3) -> last -> w
        }
        y -> n -> z
        loss b = mean(z)
        optimizer SGD() owns n
    ''').models[1]
    names = [part.name for part in model.chain.parts]
    assert names == ['last', 'linear_2', 'linear_1', 'two_1', 'two_2', 'linear_3']


@pytest.mark.parametrize('layer', ['forward', 'xp', 'class', 'params', 'h_0', '_params'])
def test_layers_do_not_spoil_their_chain(layer):
    import graphdsl
    text = f'''
        input x: float32[3]
        model n(x) -> y {{
            layer h[0] = Linear(2)
            layer {layer} = Linear(3)
            x -> {layer} -> h[0] -> y
        }}
        x -> n -> y
        loss a = mean(y)
        optimizer SGD() owns n
    '''
    chain = graphdsl.compile(text).models['n']
    assert sorted(p.shape for p in chain.params()) == [(2,), (2, 3), (3,), (3, 3)]


def test_the_values_of_a_file_in_order():
    found = graph('z = relu(w)\nw = tanh(y)\noutput z')
    assert [a.results for a in found.assignments] == [(Key('y'),), (Key('a'),), (Key('w'),), (Key('z'),)]
