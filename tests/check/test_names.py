"""What is unused, and what hides something of the same name."""
import pytest
from programs import BASE, check, codes, diagnostics

from graphdsl.diagnostics import Source


def places(more, **options):
    """Returns the text at the places of all diagnostics."""
    source = Source(BASE + more)
    return [source[place.span] for diagnostic in check(source.text, **options)[1] for place in diagnostic.places]


@pytest.mark.parametrize('more, name', [
    ('param k = 3', 'k'), ('param k = 3\nparam j = 4\noutput o = j * y', 'k'),
    ('block b(k, j) = leaky_relu(j)\ny -> b(1, 2) -> o\noutput o', 'k'),
    ('block b(k) (v) -> w { w = v }\ny -> b(1) -> o\noutput o', 'k'),
    ('data d { train = iris() }\ndata e { train = digits() }\nnoise z: float32[2] ~ normal(0, 1) from d\n'
     'metric far = mean(z)', 'e'),
])
def test_unused_declarations(more, name):
    assert diagnostics(more) == [('G130', name)]


@pytest.mark.parametrize('more', [
    'param k = 3\nparam j = k\noutput o = y * j', 'param k = 3\nif false { output o = y * k }',
    'param k = 3\nfor i in 0..k { output o[i] = y }', 'param k = 3\nif k > 4 { }', 'param k = 2\noutput o[k] = y',
    'param k = 3\ninput u: float32[k]\noutput u',
    'param k = 3\nmodel n follows m every k iterations\nx -> n -> z\noutput z',
    'param k = 0.1\nstate s = k\nnext s = s + 1', 'param k = 0.1\nschedule p.lr = k\nmodel n = Linear(2)\n'
    'loss b = mean(n(x))\noptimizer p = SGD() owns n', 'param k = 3\ntrain { epochs k }',
    'param k = 1\noutput o = y[:, k]',
    'param k = 3\ndata d { train = digits(seed=k) }', 'param k = 3\nnoise z: float32[2] ~ normal(0, k)\noutput z',
    'param k = 3\nmodel n = Linear(2, initialW=Normal(k))\nloss b = mean(n(x))\noptimizer SGD() owns n',
    'param k = 3\nmodel n(v) -> w { weight s: float32[k] = 0.0; w = v + sum(s) }\nloss b = mean(n(y))\n'
    'optimizer SGD() owns n', 'param k = 3\nblock b(j=k) (v) -> w { w = j * v }\noutput o = y\ny -> b -> p\noutput p',
    'param k = 2\nx -> relu -> split_axis(3, axis=1) -> h[0..k + 1]\noutput o = sum(h[*])',
])
def test_used_params(more):
    assert codes(more) == []


def test_an_import_that_nothing_uses():
    bind = {'f': abs, 'g': abs}
    assert diagnostics('import f, g from "lab"\noutput o = f(y)', bind=bind) == [('G130', 'g')]
    assert codes('import f from "lab"\nblock b = f\ny -> b -> o\noutput o', bind=bind) == []
    assert codes('import f from "lab"\ndata d { train = f }', bind={'f': lambda: ()}) == []


@pytest.mark.parametrize('more', [
    'param k = 3\noutput o = y * kk', 'y -> relu -> z\noutput o = zz', 'param k = 3\nfrozen k',
    'data d { train = iris() }\ninput u: float32[4] from e', 'state s = 0.0\nnext ss = s',
    'model n = Linear(2)\noutput o = nn(x)', 'block b = relu\noutput o = bb(x)',
])
def test_what_a_broken_statement_could_use_is_not_called_unused(more):
    assert not {'G130', 'G132', 'G151', 'G152'} & set(codes(more))


def test_states_that_nothing_moves():
    assert diagnostics('state s = 0.5\noutput o = s * y') == [('G132', 's')]
    assert codes('state s = 0.5\nnext s = s + 1') == []
    family = 'for i in 0..2 { state s[i] = 0.5; output o[i] = s[i] * y }\nnext s[1] = 2'
    assert diagnostics(family) == [('G132', 's[i]')]


@pytest.mark.parametrize('more', [
    'model relu = Linear(2)\ny -> relu -> z\nmodel n = Linear(2) -> relu\nz -> n -> w\nloss b = mean(w)\n'
    'optimizer SGD() owns relu, n',
    'model relu = Linear(2)\ny -> relu -> z\nblock n(v) -> w { w = 2 * relu(v) }\nz -> n -> w\nloss b = mean(w)\n'
    'optimizer SGD() owns relu',
])
def test_a_model_with_the_name_of_a_function_that_a_body_calls(more):
    assert diagnostics(more) == [('G131', 'relu')]
    assert places(more) == ['relu']


@pytest.mark.parametrize('more', [
    # The name of the file is meant wherever it is called.
    'model relu = Linear(2)\ny -> relu -> z\nloss b = mean(z)\noptimizer SGD() owns relu',
    'block swish(v) -> w { w = v * sigmoid(v) }\nmodel n = Linear(2) -> swish\nloss b = mean(n(y))\n'
    'optimizer SGD() owns n',
    'model n(v) -> w { layer lstm = Linear(2); v -> lstm -> w }\nloss b = mean(n(y))\noptimizer SGD() owns n',
    # A value and a callable are different things.
    'relu = tanh(y)\noutput o = relu(relu)', 'model n(relu) -> w { w = relu + 1 }\noutput o = n(y)',
    'param softmax = 3\noutput o = softmax(y) * softmax',
    # Bodies see no values from outside, so a name is free there.
    'model n(y) -> x { x = 2 * y }\noutput o = n(y)', 'block b(y) -> t { t = 2 * y }\noutput o = b(y)',
    # Data blocks, optimizers and steps have names of their own.
    'data y { train = digits() }', 'model n = Linear(2)\nloss b = mean(n(y))\noptimizer y = SGD() owns n\n'
    'optimizer o = SGD() owns p\nmodel p = Linear(2)\nloss c = mean(p(y))',
])
def test_names_that_may_be_used_again(more):
    assert not set(codes(more)) - {'G409'}


def test_an_imported_function_may_stand_in_for_one_of_chainer():
    assert codes('import relu from "lab"\nmodel n = Linear(2) -> relu\nloss b = mean(n(y))\noptimizer SGD() owns n',
                 bind={'relu': abs}) == []


@pytest.mark.parametrize('more, text', [
    ('model eval = Linear(2)', 'eval'), ('model quiet[0] = Linear(2)', 'quiet[0]'), ('block eval = relu', 'eval'),
    ('model n(v) -> w { layer quiet = Linear(2); v -> Linear(2) -> w }\nx -> n -> o', 'quiet'),
    ('import eval from "lab"', 'eval'),
])
def test_nothing_to_call_has_the_name_of_a_mode(more, text):
    assert ('G109', text) in diagnostics(more)


@pytest.mark.parametrize('more, text', [
    ('param k = 3\nblock b(k) = leaky_relu(k)', 'k'), ('param k = 3\nmodel n(k) -> w { w = k }', 'k'),
    ('param k = 3\nmodel n(v) -> w { k = v; w = k }', 'k'), ('param k = 3\nfor k in 0..2 { }', 'k'),
    ('for k in 0..2 { model n[k](k) -> w { w = k } }', 'k'),
    ('block b(k) (v) -> w { k = v; w = k }\ny -> b(1) -> o', 'k'),
    ('block b = relu\nmodel n(v) -> w { layer b = Linear(2); v -> b -> w }', 'b'),
    ('model n(v) -> w { weight v: float32[1] = 0.0; w = v }', 'v'),
    ('model n(v) -> w, w { w = v }', 'w'), ('input k: float32, k: float32', 'k'),
    ('input k: float32\nnoise k ~ normal(0, 1)', 'k'),
    ('state k = 1.0\nloss k = mean(y)', 'k'), ('data d { train = iris() }\ndata d { train = iris() }', 'd'),
    ('data d { train = iris(); train = iris() }', 'train'), ('step s { update o }\nstep s { update o }', 's'),
    ('optimizer o = SGD() owns m\noptimizer o = SGD() owns m', 'o'),
])
def test_what_would_hide_a_param_or_another_name_is_refused_with_both_places(more, text):
    source = Source(BASE + more)
    found = [d for d in check(source.text)[1] if d.code == 'G102']
    assert [source[d.span] for d in found] == [text]
    (place,) = found[0].places
    assert source[place.span].startswith(text) and place.span.start < found[0].span.start


def test_a_name_that_each_turn_of_a_loop_binds():
    _, (found,) = check(BASE + 'for i in 0..3 { y -> relu -> h }')
    assert 'h[i]' in found.help and not found.places


def test_a_loss_is_found_among_very_many_names():
    outputs = '\n'.join(f'output o_{i} = y' for i in range(1200))
    assert codes(f'{outputs}\nmodel n = Linear(2)\nloss b = mean(n(x))\noptimizer SGD() owns n minimizes 2 * b') == []
