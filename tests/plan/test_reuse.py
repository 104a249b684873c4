"""What a step takes over from a step before, and that it makes no difference."""
import sys
from pathlib import Path

import chainer
import numpy
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / 'training'))

from rules import Calls, Counted, U, X, assert_same, compiled, everything, iterate  # noqa: E402

NETS = """
input x: float64[3], u: float64[3]
noise z: float64[2] ~ normal(0, 1)
state k = 0.5
block plain(n) = Linear(n) -> tanh
block normal(n) = Linear(n) -> BatchNormalization(n) -> tanh
block random(n) = Linear(n) -> dropout(0.5)
model generator = KIND(3)
model critic = Linear(3) -> tanh -> Linear(1, nobias=true)
model other = Linear(2)
z -> generator -> fake
x -> critic -> real
fake -> critic -> judged
scaled = fake * k
scaled -> critic -> weighted
loss judge = mean(softplus(-real)) + mean(softplus(judged)) + mean(weighted ** 2)
loss fool = mean(softplus(-judged)) + mean(weighted)
loss rest = mean(broadcast_to(real ** 2, (batch_size, 2)) * other(fake) ** 2)
optimizer critic = MomentumSGD(lr=0.1) owns critic minimizes judge
optimizer generator = Adam() owns generator minimizes fool
optimizer other = SGD(lr=0.1) owns other minimizes rest
"""
CRITIC, GENERATOR, OTHER = (f'{{ update {name} }}\n' for name in ('critic', 'generator', 'other'))
# The kind of generator, steps and more, and what each step takes over.
CASES = {
    'the generator has not moved': (
        'plain', f'step a {CRITIC} step b on the same batch {GENERATOR} step c {OTHER}', {'b': 'fake scaled'}),
    'the critic has moved': (
        'plain', f'step a {GENERATOR} step b on the same batch {CRITIC} step c on the same batch {OTHER}',
        {'b': '', 'c': 'fake'}),
    'from two steps': (
        'plain', f'step a {OTHER} step b on the same batch {CRITIC} step c on the same batch {GENERATOR}',
        {'b': 'fake real', 'c': 'fake scaled'}),
    'statistics move once, for their own step': (
        'normal', f'step a {CRITIC} step b on the same batch {GENERATOR} step c {OTHER}', {'b': 'fake scaled'}),
    'statistics that move for a third step': (
        'normal', f'step a {CRITIC} step b on the same batch {OTHER} step c on the same batch {GENERATOR}',
        {'b': 'fake', 'c': 'fake scaled'}),
    'statistics that only sometimes move': (
        'normal', f'step a {CRITIC} step b on the same batch when iteration % 2 == 0 {GENERATOR} step c {OTHER}',
        {'b': ''}),
    'statistics that would move in every repetition': (
        'normal', f'step a repeat 2 {CRITIC} step b on the same batch {GENERATOR} step c {OTHER}', {'b': ''}),
    'from the latest repetition': (
        'plain', f'step a repeat 3 {CRITIC} step b on the same batch {GENERATOR} step c {OTHER}', {'b': 'fake scaled'}),
    'into repetitions that move it': (
        'plain', f'step a {CRITIC} step b on the same batch repeat 2 {GENERATOR} step c {OTHER}', {'b': ''}),
    'into repetitions that move something else': (
        'plain', f'step a {CRITIC} step b on the same batch repeat 2 {OTHER} step c {GENERATOR}', {'b': 'fake'}),
    'fresh noise': (
        'plain', f'step a {CRITIC} step b {GENERATOR} step c {OTHER}', {'b': '', 'c': ''}),
    'fresh noise on the same data': (
        'plain', f'step a {OTHER} step b on the same data {CRITIC} step c on the same data {GENERATOR}',
        {'b': 'real', 'c': ''}),
    'drawn anew in between': (
        'plain', f'step a {CRITIC} step b {OTHER} step c on the same batch {GENERATOR}', {'c': 'fake'}),
    'dropout': (
        'random', f'step a {CRITIC} step b on the same batch {GENERATOR} step c {OTHER}', {'b': ''}),
    'a state that moves after the step': (
        'plain', f'step a {CRITIC} step b on the same batch {GENERATOR} step c {OTHER} next k after a = 0.9 * k + 0.01',
        {'b': 'fake'}),
    'a state that moves after the iteration': (
        'plain', f'step a {CRITIC} step b on the same batch {GENERATOR} step c {OTHER} next k = 0.9 * k + 0.01',
        {'b': 'fake scaled'}),
    'not from a step that only sometimes runs': (
        'plain', f'step a when iteration % 2 == 0 {CRITIC} step b on the same batch {GENERATOR} step c {OTHER}',
        {'b': ''}),
    'not from several minibatches': (
        'plain', f'step a accumulate 2 {CRITIC} step b on the same batch {GENERATOR} step c {OTHER}', {'b': ''}),
}


@pytest.fixture(autouse=True)
def float64():
    with chainer.using_config('dtype', numpy.float64):
        yield


def written(kind, steps):
    for word in ('step', 'next'):
        steps = steps.replace(f' {word} ', f'\n{word} ')
    return NETS.replace('KIND', kind) + steps


@pytest.mark.parametrize('kind, steps, taken', CASES.values(), ids=CASES)
def test_what_is_taken_over(kind, steps, taken):
    graph = compiled(written(kind, steps))
    for step in graph.plan.steps:
        if step.name in taken:
            found = [str(key) for one in step.reused for key in one.operation.assignment.results]
            assert sorted(found) == sorted(taken[step.name].split())


@pytest.mark.parametrize('kind, steps, taken', CASES.values(), ids=CASES)
def test_results_are_the_same(kind, steps, taken):
    found = []
    for no_passes in [], ['reuse']:
        graph = compiled(written(kind, steps), no_passes=no_passes)
        updater = graph.updater(Counted(X, U), seed=3)
        numpy.random.seed(1)
        found.append((iterate(updater, 5), everything(graph)))
    (reports, arrays), (expected_reports, expected_arrays) = found
    assert_same(arrays, expected_arrays, 1e-10)
    for ours, theirs in zip(reports, expected_reports):
        assert ours == pytest.approx(theirs, rel=1e-10)


def test_a_value_that_is_taken_over_is_computed_once():
    kind, steps, _ = CASES['from two steps']
    graph = compiled(written(kind, steps))
    updater, calls = graph.updater(Counted(X, U)), Calls(graph)
    with calls:
        iterate(updater)
    # The critic in step a on one value, in step b on two more, and in step c on two as it is then.
    assert calls.counts == {'generator': 1, 'critic': 1 + 2 + 2, 'other': 1}


def test_a_point_of_differentiation_is_not_taken_over():
    """`grad` needs the very variable that its step computes from."""
    text = """
input x: float64[3]
model net = Linear(3) -> tanh
model critic = Linear(3) -> tanh -> Linear(1)
x -> net -> h
h -> critic -> p
slope = grad(p, h)
loss size = mean(critic(h) ** 2)
loss steep = mean(slope ** 2)
optimizer net = SGD(lr=0.1) owns net minimizes steep
optimizer critic = SGD(lr=0.1) owns critic minimizes size
step a { update critic }
step b on the same batch { update net }
"""
    arrays = []
    for no_passes in [], ['reuse']:
        graph = compiled(text, no_passes=no_passes)
        iterate(graph.updater(Counted(X)), 3)
        arrays.append(everything(graph))
        assert not graph.plan.steps[1].reused
    assert_same(*arrays, 1e-12)


FAMILY = """
input x: float64[3], u: float64[3]
model m = Linear(3) -> tanh
model c = Linear(3) -> tanh
model d = Linear(3) -> tanh
x -> m -> g
for i in 0..2 { h[i] = tanh(g * (i + 1)) }
loss a = mean((c(h[0]) + c(h[1]) - u) ** 2)
p = d(h[0])
loss b = mean(p ** 2)
metric mp = mean(p * h[1])
loss f = mean(h[1] ** 3)
optimizer oc = SGD(lr=0.1) owns c minimizes a
optimizer od = SGD(lr=0.1) owns d minimizes b
optimizer om = SGD(lr=0.1) owns m minimizes f
step s1 { update oc }
step s2 on the same batch { update od }
step s3 on the same batch { update om }
"""
COIN = """
input x: float64[3], u: float64[3]
noise coin ~ uniform(0, 1)
model g = Linear(3) -> tanh
model c = Linear(3) -> tanh
x -> g -> h
hh = h * coin
y = c(hh)
loss a = mean((y - u) ** 2)
loss b = mean(hh ** 2) + mean(y ** 3)
optimizer og = SGD(lr=0.1) owns g minimizes b
optimizer oc = SGD(lr=0.1) owns c minimizes a
step s1 { update oc }
step s2 on the same batch when coin < 0.7 { update og }
"""


@pytest.mark.parametrize('text', [FAMILY, COIN], ids=['members of a family', 'noise that a condition draws'])
def test_what_looks_the_same_and_is_not(text):
    """A step in between has members of a family for itself; a condition draws its noise anew."""
    arrays = []
    for no_passes in [], ['reuse']:
        graph = compiled(text, no_passes=no_passes)
        iterate(graph.updater(Counted(X, U), seed=1), 5)
        arrays.append(everything(graph))
    assert_same(*arrays, 1e-10)
