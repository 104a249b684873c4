"""The law of one owner, and which optimizer minimizes what."""
import pytest
from programs import TWO, check


def found(more, program=TWO):
    _, diagnostics = check(program + more)
    return [d.code for d in diagnostics]


def terms(more, program=TWO):
    """The losses that each optimizer minimizes, with their weights."""
    graph, diagnostics = check(program + more)
    assert graph is not None, diagnostics
    return {one.name: {str(term.loss): term.weight for term in one.terms} for one in graph.optimizers}


def test_without_minimizes_every_loss_that_is_reached():
    more = 'optimizer Adam() owns left\noptimizer Adam() owns right'
    assert terms(more) == {'left': {'a': 1, 'b': 1}, 'right': {'b': 1}}
    assert terms('optimizer both = Adam() owns left, right') == {'both': {'a': 1, 'b': 1}}


def test_a_loss_that_one_optimizer_names_is_for_those_that_name_it():
    more = 'optimizer Adam() owns left\noptimizer Adam() owns right minimizes 0.5 * b'
    assert terms(more) == {'left': {'a': 1}, 'right': {'b': 0.5}}
    more = 'optimizer Adam() owns left minimizes a, b * 3\noptimizer Adam() { owns right; minimizes -2 * b }'
    assert terms(more) == {'left': {'a': 1, 'b': 3}, 'right': {'b': -2}}


def test_terms_are_in_the_order_of_the_losses():
    graph, _ = check(TWO + 'optimizer Adam() owns left, right minimizes b, a')
    assert [str(term.loss) for term in graph.optimizers[0].terms] == ['a', 'b']


def test_losses_of_a_family_and_names_of_optimizers():
    program = '''
    input x: float32[3]
    for i in 0..3 {
        model head[i] = Linear(2)
        x -> head[i] -> y[i]
        loss l[i] = mean(y[i])
    }
    '''
    together = terms('optimizer Adam() owns head[*]', program)
    assert together == {'head[0]_head[1]_head[2]': {'l[0]': 1, 'l[1]': 1, 'l[2]': 1}}
    line = 'for j in i..i + 1 { owns head[j]; minimizes l[j:j + 1] }'
    more = f'for i in 0..3 {{ optimizer own[i] = Adam() {{ {line} }} }}'
    assert terms(more, program) == {f'own[{i}]': {f'l[{i}]': 1} for i in range(3)}


def test_a_loss_of_losses():
    assert found('loss c = a + 2 * b\noptimizer Adam() owns left, right minimizes c') == ['G403', 'G403']


@pytest.mark.parametrize('more, codes', [
    ('optimizer Adam() owns left, right\noptimizer other = Adam() owns right', ['G401']),
    ('optimizer Adam() owns left, left, right', ['G401']),
    ('optimizer Adam() owns left', ['G402']),
    ('optimizer o = Adam() owns left\noptimizer o = Adam() owns right', ['G102']),
    ('optimizer Adam() owns left, right minimizes a', ['G403']),
    ('optimizer Adam() owns left minimizes b\noptimizer Adam() owns right', ['G403', 'G404']),
    ('optimizer Adam() owns left\noptimizer Adam() owns right minimizes a', ['G406']),
    ('optimizer Adam() owns left, right minimizes a, b, a', ['G405']),
    ('optimizer Adam() owns left, right minimizes a, b, h', ['G405']),
    ('optimizer Adam() owns left, right minimizes a, b, b / 2', ['G405']),
    ('optimizer Adam() owns left, right minimizes a, mean(y)', ['G405']),
    ('optimizer Adam() owns left, right minimizes a, c', ['G101']),
    ('optimizer Adam()', ['G407']),
    ('optimizer Adam() owns middle', ['G408']),
    ('optimizer Adam() owns x', ['G408']),
    ('optimizer Adam() owns left[0]', ['G105']),
    ('optimizer Adam() owns left.linear_2, right', ['G316']),
    ('optimizer Adam() owns left.linear_1.W, right', ['G316']),
    ('optimizer Adam() owns left except left.linear_1', ['G407']),
    ('optimizer Adam() owns left except right', ['G412']),
    ('optimizer Adam() owns left, right minimizes b\nfrozen left', ['G403', 'G413']),
    ('', ['G410']),
    ('optimizer Adam() owns left, right { hook WeightDecay(0.1); hook WeightDecay(0.2) }', ['G411']),
    ('optimizer Adam() owns left, right { hook Weightdecay(0.1) }', ['G106']),
    ('optimizer Adam() owns left, right { hook Clip(-1, 1) }', []),
    ('optimizer Adam() owns left, right { skip nonfinite }', []),
    ('optimizer Adam(alpha=h) owns left, right', ['G201']),
    ('optimizer Adam(alpha=HeNormal()) owns left, right', ['G305']),
    ('optimizer Linear(3) owns left, right', ['G106']),
    ('optimizer Adam() owns left, right minimizes 10 ** 400 * a, b', ['G202']),
])
def test_what_is_refused(more, codes):
    assert found(more) == codes


def test_models_without_parameters():
    act = 'model act = relu\ny -> act -> z\noutput z\n'
    assert found(act + 'optimizer Adam() owns left, right') == []
    assert found(act + 'optimizer Adam() owns left, right, act') == []
    assert found(act + 'optimizer Adam() owns left, right\noptimizer Adam() owns act') == ['G409']


VAE = '''
input x: float32[3]
model encoder(x) -> mu, ln_var {
    layer shared = Linear(4)
    x -> shared -> tanh -> h
    h -> Linear(2) -> mu
    h -> Linear(2) -> ln_var
}
'''


@pytest.mark.parametrize('more, parts', [
    ('x -> encoder -> mu, ln_var\nloss a = gaussian_kl_divergence(mu, ln_var)', []),
    ('x -> encoder -> mu, _\nloss a = mean(mu)', ['linear_2']),
    ('x -> encoder -> _, v\nloss a = mean(v)', ['linear_1']),
    ('x -> encoder -> mu, v\nloss a = mean(mu)\nmetric b = mean(v)', ['linear_2']),
    ('x -> encoder -> mu, _\n2 * x -> encoder -> _, v\nloss a = mean(mu)\nloss b = mean(v)', []),
    ('x -> encoder -> gaussian -> z\nloss a = mean(z)', []),
    ('loss a = mean(gaussian(split_axis(mu, 2, axis=1)[0], v[:, 0:1]))\nx -> encoder -> mu, v', []),
])
def test_parts_that_no_loss_reaches(more, parts):
    _, diagnostics = check(f'{VAE}{more}\noptimizer Adam() owns encoder')
    messages = [d.message for d in diagnostics if d.code == 'G404']
    assert len(messages) == bool(parts) and all(f'`{part}`' in messages[0] for part in parts)


def test_parts_within_blocks_that_no_loss_reaches():
    program = '''
    input x: float32[3]
    block two(x) -> p, q { x -> Linear(2) -> p; x -> Linear(2) -> q }
    model m(x) -> y { x -> two -> y, _ }
    x -> m -> y
    loss a = mean(y)
    optimizer Adam() owns m
    '''
    _, (diagnostic,) = check(program)
    assert diagnostic.code == 'G404' and '`two_1.linear_2` of `m`' in diagnostic.message


def test_another_ones_loss_does_not_train_a_part():
    program = VAE + '''
    x -> encoder -> mu, v
    model judge = Linear(1)
    v -> judge -> s
    loss a = mean(mu)
    loss b = mean(s)
    optimizer Adam() owns encoder minimizes a
    optimizer Adam() owns judge minimizes b
    '''
    _, (diagnostic,) = check(program)
    assert diagnostic.code == 'G404' and 'linear_2' in diagnostic.message


def test_what_nothing_uses():
    assert found('optimizer Adam() owns left, right\ny -> relu -> z') == ['G151']
    assert found('optimizer Adam() owns left, right\nmodel third = Linear(2)') == ['G152']
    assert found('optimizer Adam() owns left, right\nblock act = relu') == ['G152']
    assert found('optimizer Adam() owns left, right\nmetric a') == ['G153']
    twice = 'metric z = mean(y)\nmetric z\noutput y\noutput y'
    assert found(f'optimizer Adam() owns left, right\n{twice}') == ['G153', 'G153']
    assert found('optimizer Adam() owns left, right\nblock act = rellu') == ['G106']
    assert found('optimizer Adam() owns left\ny -> relu -> z') == ['G402']
