"""The rules about noise and random numbers: kinds, rows, dtypes, generators of their own."""
import chainer
import numpy
import pytest
from chainer.datasets import TupleDataset

import graphdsl
from graphdsl.runtime.seeds import random_state
from rules import Calls, Counted, U, X, arrays, assert_same, compiled, everything, iterate

PLAIN = """
input x: float32[3]
model net = Linear(2)
x -> net -> y
loss cost = mean((y - 1) ** 2)
optimizer net = SGD(lr=0.1) owns net
"""


def seen(declaration, value='z', rows=4, seed=0, iterations=1, extra=''):
    """What a noise is in each of some iterations, in the model `probe`."""
    graph = compiled(f"""
        input x: float32[3]
        noise {declaration}
        {extra}
        model probe = Linear(2)
        x -> probe -> y
        loss cost = mean(y) + 0 * mean(look({value}))
        import look from "lab"
        optimizer probe = SGD(lr=0.1) owns probe
        """, bind={'look': look})
    record.clear()
    iterate(graph.updater(Counted(X, batch=rows), seed=seed), iterations)
    return list(record)


record = []


def look(v):
    """Notes what it is called on; returns the sum."""
    record.append(v)
    return chainer.Variable(numpy.asarray(numpy.sum(getattr(v, 'array', v)), dtype='f'))


KINDS = {
    'z: float32[2, 5] ~ normal(1, 0.5)': lambda s, n: s.normal(1, 0.5, (n, 2, 5)),
    'z: float32 ~ normal(0, 1)': lambda s, n: s.normal(0, 1, (n,)),
    'z: float64[3] ~ uniform(-2, 3)': lambda s, n: s.uniform(-2, 3, (n, 3)),
    'z: float32[6] ~ bernoulli(0.25)': lambda s, n: s.random_sample((n, 6)) < 0.25,
    'z: bool[6] ~ bernoulli(0.25)': lambda s, n: s.random_sample((n, 6)) < 0.25,
    'z: int32 ~ categorical(7)': lambda s, n: s.randint(7, size=(n,)),
    'z: int32[4] ~ categorical([0.2, 0.5, 0.3])': lambda s, n: s.choice(3, size=(n, 4), p=[0.2, 0.5, 0.3]),
    'z: int32[5] ~ permutation(5)': lambda s, n: numpy.array([s.permutation(5) for _ in range(n)]),
    'z: int32 ~ permutation(batch_size)': lambda s, n: s.permutation(n),
}


@pytest.mark.parametrize('declaration', list(KINDS))
def test_kinds_of_noise(declaration):
    """With as many rows as the minibatch, in the declared dtype; floats are variables, others bare arrays."""
    state = random_state(3, 'noise/z')
    values = seen(declaration, seed=3, iterations=2)
    dtype = numpy.dtype(declaration.split()[1].split('[')[0])
    assert len(values) == 2
    for value in values:
        assert isinstance(value, chainer.Variable) == (dtype.kind == 'f')
        array = value.array if dtype.kind == 'f' else value
        expected = KINDS[declaration](state, 4)
        assert array.dtype == dtype and array.shape == expected.shape
        numpy.testing.assert_array_equal(array, expected.astype(dtype))


@pytest.mark.parametrize('distribution, draw', [
    ('normal(1, 2)', lambda s: s.normal(1, 2)),
    ('uniform(0, 1)', lambda s: s.uniform(0, 1)),
    ('bernoulli(0.5)', lambda s: s.random_sample() < 0.5),
    ('categorical(3)', lambda s: s.randint(3)),
])
def test_noise_without_a_type_is_one_number_per_draw(distribution, draw):
    """A Python number that goes with numbers."""
    state = random_state(0, 'noise/z')
    values = seen(f'z ~ {distribution}', '2 * z', iterations=3)
    assert all(type(value) is float for value in values)
    assert values == [pytest.approx(2 * draw(state)) for _ in range(3)]


def test_rows_are_those_of_the_minibatch_of_its_stream():
    """`from` names it; the first stream is the default."""
    graph = compiled("""
        import points from "lab"
        data small { train = points(); batch 2 }
        data large { train = points(); batch 6 }
        input x: float32[3] from small
        input u: float32[3] from large
        noise a: float32[3] ~ normal(0, 1)
        noise b: float32[3] ~ normal(0, 1) from large
        model net = Linear(2)
        model left = Linear(2)
        model right = Linear(2)
        loss one = mean(net(x)) + mean(net(u))
        loss two = mean(left(a))
        loss three = mean(right(b))
        optimizer Adam() owns net
        optimizer Adam() owns left
        optimizer Adam() owns right
        """, bind={'points': lambda: None})
    calls = Calls(graph)
    with calls:
        iterate(graph.updater({'small': Counted(X, batch=2), 'large': Counted(U, batch=5)}))
    assert calls.inputs['left'][0].shape == (2, 3)
    assert calls.inputs['right'][0].shape == (5, 3)


def test_a_noise_that_two_values_read_is_drawn_once_a_run():
    values = seen('z: float32[2] ~ normal(0, 1)', 'z + look(z) * 0')
    assert len(values) == 2
    numpy.testing.assert_array_equal(values[0].array, values[1].array)


def test_families_of_noise():
    """Every member is a noise with a generator of its own."""
    declaration = 'z[0]: float32[2] ~ normal(0, 1)\nnoise z[1]: float32[2] ~ normal(0, 1)'
    for i in range(2):
        value, = seen(declaration, f'z[{i}] + 0 * z[{1 - i}]')
        expected = random_state(0, f'noise/z[{i}]').normal(0, 1, (4, 2)).astype('f')
        numpy.testing.assert_array_equal(value.array, expected)


# Generators

POOLED = """
input x: float32[3]
noise z: float32[2] ~ normal(0, 1)
model generator = Linear(3)
model critic = Linear(1)
z -> generator -> fake
old = history(fake, size=5)
x -> critic -> real
old -> critic -> judged
fake -> critic -> now
loss judge = mean(softplus(-real)) + mean(softplus(judged))
loss fool = mean(softplus(-now))
optimizer critic = SGD(lr=0.1) owns critic minimizes judge
optimizer generator = SGD(lr=0.1) owns generator minimizes fool
"""


@pytest.mark.parametrize('extra, more', [
    ('noise w: float32[2] ~ normal(0, 1)\nmodel other = Linear(2)\nloss third = mean(other(w))\n'
     'optimizer other = SGD(lr=0.1) owns other\n', {}),
    ('older = history(2 * x, size=3)\nmodel other = Linear(2)\nloss third = mean(other(older))\n'
     'optimizer other = SGD(lr=0.1) owns other\n', {}),
], ids=['noise', 'pool'])
def test_another_noise_or_pool_disturbs_no_other(extra, more):
    found = []
    for text in (POOLED, POOLED + extra):
        graph = compiled(text)
        iterate(graph.updater(Counted(X), seed=4), 6)
        found.append({name: array for name, array in everything(graph).items() if not name.startswith('other')})
    assert_same(*found)


def test_another_stream_disturbs_no_other(tmp_path):
    """The order of a stream's examples comes from the seed and its name alone."""
    text = """
        import points, others from "lab"
        data first { train = points() }
        %s
        input x: float32[3] from first
        noise z: float32[3] ~ normal(0, 1)
        model net = Linear(2)
        loss cost = mean((net(x + z) - 1) ** 2)
        optimizer net = SGD(lr=0.1) owns net
        train { batch 4; iterations 7; seed 3 }
        """
    extra = """
        data second { train = others() }
        input u: float32[3] from second
        """
    another = """
        model other = Linear(2)
        loss third = mean(other(u))
        optimizer other = SGD(lr=0.1) owns other
        """
    bind = {'points': lambda: TupleDataset(X.astype('f')), 'others': lambda: TupleDataset(U.astype('f'))}
    found = []
    for i, (data, more) in enumerate((('', ''), (extra, another))):
        graph = compiled(text % data + more, bind=bind)
        graph.trainer(str(tmp_path / str(i)), progress=False).run(show_loop_exception_msg=False)
        found.append({name: array for name, array in everything(graph).items() if not name.startswith('other')})
    assert_same(*found)


def test_seeds_differ():
    """Another seed, another noise; the same seed, the same."""
    first, again, other = (seen('z: float32[2] ~ normal(0, 1)', seed=seed)[0].array for seed in (1, 1, 2))
    numpy.testing.assert_array_equal(first, again)
    assert not (first == other).any()


def test_the_seed_of_the_file_is_the_default():
    graphs = []
    for seed, given in ((7, None), (0, 7)):
        graph = compiled(POOLED + f'train {{ seed {seed} }}\n')
        iterate(graph.updater(Counted(X), seed=given), 3)
        graphs.append(everything(graph))
    assert_same(*graphs)


def test_noise_leaves_the_global_generator_alone():
    graph = compiled(POOLED)
    numpy.random.seed(3)
    expected = numpy.random.RandomState(3).random_sample()
    iterate(graph.updater(Counted(X)), 4)
    assert numpy.random.random_sample() == expected


# history

class ByHand:
    """A pool as in CycleGAN's public code, with lists."""

    def __init__(self, size, state):
        self.size, self.state, self.kept = size, state, []

    def __call__(self, batch):
        found = []
        for example in batch:
            if len(self.kept) < self.size:
                self.kept.append(example)
                found.append(example)
            elif self.state.random_sample() < 0.5:
                k = self.state.randint(self.size)
                found.append(self.kept[k])
                self.kept[k] = example
            else:
                found.append(example)
        return numpy.array(found)


def test_history():
    graph = compiled(POOLED)
    pool = ByHand(5, random_state(2, 'history/old'))
    calls = Calls(graph)
    updater = graph.updater(Counted(X), seed=2)
    z = random_state(2, 'noise/z')
    for _ in range(6):
        fake = graph.models['generator'](z.normal(0, 1, (4, 2)).astype('f')).array
        calls.inputs.clear()
        with calls:
            iterate(updater)
        real, *others = calls.inputs['critic']
        expected = pool(fake)
        assert any((other == expected).all() for other in others) and any((other == fake).all() for other in others)
    assert len(pool.kept) == 5


@pytest.mark.usefixtures('float64')
def test_history_is_detached():
    """What comes out has no way back, even if it went in just now."""
    graph = compiled("""
        input x: float64[3]
        model net = Linear(3)
        x -> net -> y
        old = history(y, size=100)
        loss cost = mean(y) + mean(old ** 2)
        optimizer net = SGD(lr=1.0) owns net
        """)
    before = arrays(graph.models['net'])
    iterate(graph.updater(Counted(X)))
    after = arrays(graph.models['net'])
    numpy.testing.assert_allclose(before['linear_1/b'] - after['linear_1/b'], numpy.full(3, 1 / 3), rtol=1e-5)


def test_history_is_pushed_once_per_run_and_not_in_evaluation():
    """However many values read it; in evaluation it is the value itself."""
    graph = compiled("""
        input x: float32[3]
        model net = Linear(3)
        x -> net -> y
        old = history(x, size=6)
        loss cost = mean(net(old)) + mean(old ** 2)
        metric size = mean(old)
        loss other = mean(y)
        optimizer net = SGD(lr=0.1) owns net
        """)
    pool = ByHand(6, random_state(0, 'history/old'))
    updater = graph.updater(Counted(X), seed=0)
    for i in range(5):
        with chainer.no_backprop_mode():
            size = graph.reports({'x': U[:4].astype('f')})['size']
        assert float(size.array) == pytest.approx(U[:4].mean(), rel=1e-5)
        report, = iterate(updater)
        assert report['size'] == pytest.approx(pool(X[i * 4 % 12:][:4]).mean(), rel=1e-4)


def test_a_pool_in_a_step_that_does_not_need_it_is_not_pushed():
    graph = compiled(POOLED + 'step generator { update generator }\nstep critic when iteration == 3 '
                              '{ update critic }\n')
    calls = Calls(graph)
    updater = graph.updater(Counted(X), seed=0)
    with calls:
        iterate(updater, 4)
    assert calls.counts == {'generator': 4 + 1, 'critic': 4 + 2}
    # The pool was empty, so its first minibatch comes out as it went in.
    judged = calls.inputs['critic'][-1]
    with chainer.no_backprop_mode():
        drawn = graph.models['generator'](calls.inputs['generator'][-1]).array
    numpy.testing.assert_array_equal(judged, drawn)


def test_a_permutation_that_does_not_fit_is_an_error():
    with pytest.raises(graphdsl.GraphError, match='permutation'):
        seen('z: int32 ~ permutation(5)')
