"""Shapes before training: those of plain Chainer, each mistake at its stage, and no trace left anywhere."""
import random
import resource

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import graphdsl
from graphdsl.diagnostics import Source
from graphdsl.driver import translate
from graphdsl.limits import Limits
from graphdsl.shapes.check import examine
from graphdsl.shapes.trace import Place
from graphdsl.shapes.types import ArrayType, symbolic
from graphdsl.tools import shape_table

HEAD = 'input x: float32[{shape}], t: int32\n'
TAIL = '\nx -> net -> y\nloss a = mean(y) + 0 * mean(cast(t, "float32"))\noptimizer SGD() owns net\n'


def examined(text, limits=Limits(), **options):
    return examine(translate(Source(text), limits=limits), **options)


def types(text):
    """Returns the types of the values of a graph, as text by name."""
    compilation = translate(Source(text))
    rows = shape_table.rows(compilation, examine(compilation, wants_types=True))
    return {name: str(kind) for row in rows for name, kind in zip(row.names, row.types)}


def found(text):
    """Returns pairs of code and underlined text."""
    source = Source(text)
    return [(d.code, source[d.span]) for d in graphdsl.check(text)]


# Against Chainer

@st.composite
def networks(draw):
    """A row of stages: the text of each, the text with one size too large if it has a size, and what it calls."""
    image = draw(st.booleans())
    shape = (draw(st.integers(1, 3)), draw(st.integers(2, 9)), draw(st.integers(2, 9))) if image else \
        (draw(st.integers(1, 5)),)
    first, stages = shape, []
    for _ in range(draw(st.integers(1, 5))):
        x = numpy.zeros((3, *shape), 'f')
        kinds = ['linear', 'relu', 'norm'] + (['conv', 'pool'] if len(shape) == 3 else [])
        kind = draw(st.sampled_from(kinds))
        if kind == 'linear':
            size, out = int(numpy.prod(shape)), draw(st.integers(1, 6))
            stage = f'Linear({size}, {out})', f'Linear({size + 1}, {out})', L.Linear(size, out)
        elif kind == 'norm':
            stage = (f'BatchNormalization({shape[0]})', f'BatchNormalization({shape[0] + 1})',
                     L.BatchNormalization(shape[0]))
        elif kind == 'conv':
            ksize, pad, stride = draw(st.sampled_from([(1, 0, 1), (3, 1, 1), (3, 1, 2), (2, 0, 1)]))
            if min(shape[1:]) < 2:
                continue
            out, rest = draw(st.integers(1, 4)), f'ksize={ksize}, pad={pad}, stride={stride}'
            stage = (f'Convolution2D({shape[0]}, {out}, {rest})', f'Convolution2D({shape[0] + 1}, {out}, {rest})',
                     L.Convolution2D(shape[0], out, ksize=ksize, pad=pad, stride=stride))
        elif kind == 'pool':
            stage = 'max_pooling_2d(2)', None, lambda x: F.max_pooling_2d(x, 2)
        else:
            stage = 'relu', None, F.relu
        stages.append(stage)
        with chainer.using_config('train', False):
            shape = stage[2](x).shape[1:]
    assume(any(mutant is not None for _, mutant, _ in stages))
    return first, stages


def program(shape, texts):
    return HEAD.format(shape=', '.join(map(str, shape))) + 'model net = ' + ' -> '.join(texts) + TAIL


@given(networks())
@settings(max_examples=60, deadline=None)
def test_shapes_are_those_of_chainer(network):
    shape, stages = network
    result = examined(program(shape, [text for text, _, _ in stages]), wants_types=True)
    assert not result.diagnostics
    for rows in (2, 5):
        x = numpy.zeros((rows, *shape), 'f')
        for i, (_, _, call) in enumerate(stages):
            with chainer.using_config('train', False):
                x = call(x)
            kind = result.types[Place(('net',), 0, i)]
            kind = kind if isinstance(kind, ArrayType) else kind[0]
            assert kind.dtype == x.dtype.name
            assert tuple(rows if n == 'B' else n for n in kind.shape) == x.shape


@given(networks(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_wrong_size_is_found_at_its_stage(network, data):
    shape, stages = network
    sized = [i for i, (_, mutant, _) in enumerate(stages) if mutant is not None]
    wrong = data.draw(st.sampled_from(sized))
    texts = [stages[i][1] if i == wrong else text for i, (text, _, _) in enumerate(stages)]
    text = program(shape, texts)
    diagnostic, = graphdsl.check(text)
    start = text.index('model net = ') + len('model net = ') + sum(len(t) + len(' -> ') for t in texts[:wrong])
    assert (diagnostic.span.start, diagnostic.span.end) == (start, start + len(texts[wrong]))
    assert diagnostic.code in ('G705', 'G706', 'G708') and diagnostic.severity == 'error'


# The batch axis

@pytest.mark.parametrize('more, name, expected', [
    ('v = x', 'v', 'float32[B, 2]'),
    ('v = reshape(x, (-1,))', 'v', 'float32[2 B]'),
    ('v = x[:1]', 'v', 'float32[1, 2]'),
    ('v = x[1:]', 'v', 'float32[B - 1, 2]'),
    ('x -> split_axis(2, axis=0) -> v, w', 'v', 'float32[B / 2, 2]'),
    ('v = expand_dims(x, 2) * expand_dims(x, 1)', 'v', 'float32[B, 2, 2]'),
    ('v = matmul(x, x, transb=true)', 'v', 'float32[B, B]'),
    ('v = transpose(x)', 'v', 'float32[2, B]'),
    ('v = mean(x)', 'v', 'float32'),
])
def test_axes_of_the_batch(more, name, expected):
    base = 'input x: float32[2]\nmodel m = Linear(2)\nx -> m -> y\nloss a = mean(y)\noptimizer SGD() owns m\n'
    assert types(f'{base}{more}\nmetric u = mean({name})\n')[name] == expected


def test_axes_of_any_length():
    base = 'input w: int32[?] pad -1\nmodel m = EmbedID(10, 3, ignore_label=-1)\nw -> m -> e\n' \
           'loss a = mean(e)\noptimizer SGD() owns m\n'
    assert types(base)['e'] == 'float32[B, ?, 3]'
    diagnostic, = graphdsl.check(f'{base}loss b = mean(matmul(e, e))')
    assert diagnostic.notes[0].startswith('`e` is float32[B, ?, 3]: it comes from `w` (int32[?], line 1)')


def test_an_axis_is_guessed_where_more_examples_fail():
    assert str(symbolic(ArrayType('int32', (2, 2)), None)) == 'int32[B, 2]'


def test_what_works_for_even_minibatches_is_no_mistake():
    assert found('input x: float32[3]\nmodel m = Linear(2)\nx -> m -> split_axis(2, axis=0) -> p, q\n'
                 'loss a = mean(p * q)\noptimizer SGD() owns m\n') == []


# All mistakes of a file, and nothing that only follows from them

SEVERAL = '''
input x: float32[1, 8, 8], t: int32[1], z: float32[3]
model trunk(v) -> u, w {
    v -> Convolution2D(4, ksize=3) -> relu -> f
    f -> Linear(7, 5) -> u
    f -> Linear(6) -> w
    late = u + w
}
model side = Linear(4)
x -> trunk -> h, g
loss a = mean(h) + mean(g)
z -> side -> s
loss b = softmax_cross_entropy(s, t)
loss c = mean(s - z)
metric wide = relu(s)
optimizer SGD() owns trunk, side
'''


def test_all_mistakes_at_once():
    assert [one for one in found(SEVERAL) if one[0] > 'G700'] == [
        ('G705', 'Linear(7, 5)'), ('G710', 'softmax_cross_entropy(s, t)'), ('G712', 's - z'),
        ('G702', 'metric wide = relu(s)')]


def test_compiling_tells_the_same():
    with pytest.raises(graphdsl.GraphError) as error:
        graphdsl.compile(SEVERAL)
    checked = [d for d in graphdsl.check(SEVERAL) if d.code > 'G700']
    assert [d for d in error.value.diagnostics if d.code > 'G700'] == checked


def test_members_of_a_family_are_told_of_once():
    heads = 'input x: float32[3]\nfor i in 0..5 { model m[i] = Linear(4, 2); x -> m[i] -> y[i] }\n' \
            'loss a = mean(sum(y[*]))\noptimizer SGD() owns m[*]\n'
    assert found(heads) == [('G705', 'Linear(4, 2)')]


def test_models_of_one_class_have_places_of_their_own():
    text = 'input x: float32[3]\nmodel m[0] = Linear(2)\nmodel m[1] = Linear(2)\nx -> m[0] -> y\n' \
           'expand_dims(mean(x, axis=1), 1) -> m[1] -> z\nmean(x, axis=1) -> m[1] -> u\n' \
           'loss a = mean(y) + mean(z) + mean(u)\noptimizer SGD() owns m[*]\n'
    diagnostic, = graphdsl.check(text)
    assert diagnostic.code == 'G707' and text.count('\n', 0, diagnostic.span.start) == 2


def test_parameters_that_look_like_a_column_and_a_row():
    """With two examples, the weights and bias of `Linear(1, 2)` do."""
    assert found('input x: float32[1]\nmodel m = Linear(2)\nx -> m -> y\nloss a = mean(y)\n'
                 'optimizer SGD() owns m\n') == []


# What a value comes from

def test_notes_name_inputs_and_models():
    text = '''input x: float32[4], z: float32[3]
noise n: float32[2] ~ normal(0, 1)
model f = Linear(5)
model g = Linear(9, 1)
x -> f -> relu -> h
concat([h, n], axis=1) -> g -> y
loss a = mean(y) + 0 * mean(z)
optimizer SGD() owns f, g
'''
    diagnostic, = graphdsl.check(text)
    assert diagnostic.notes == ('what `concat([h, n], axis=1)` gives is float32[B, 7]: it comes from `x` (float32[4], '
                                'line 1) and `n` (float32[2], line 2) through `f`',)


# Nothing is left of it

def test_imported_functions_run_and_leave_generators_alone():
    calls = []

    def noisy(v):
        calls.append(v.shape)
        return v * float(numpy.random.uniform()) * random.random()

    text = 'import noisy from "nowhere"\n' + program((3,), ['Linear(4)', 'noisy'])
    states = numpy.random.get_state()[1].tolist(), random.getstate()
    assert graphdsl.check(text, bind={'noisy': noisy}) == ()
    assert calls and (numpy.random.get_state()[1].tolist(), random.getstate()) == states


def test_no_initializer_is_called_and_chainer_is_as_before():
    class Initializer(chainer.Initializer):
        def __init__(self):
            super().__init__()

        def __call__(self, array):
            raise AssertionError

    before = chainer.initializers.generate_array, L.Linear.forward, chainer.Parameter.__init__, F.linear
    text = 'import Mine from "nowhere"\n' + program((3,), ['Linear(4, initialW=Mine())'])
    assert graphdsl.check(text, bind={'Mine': Initializer}) == ()
    assert (chainer.initializers.generate_array, L.Linear.forward, chainer.Parameter.__init__, F.linear) == before
    assert L.Linear(3, 4)(numpy.ones((2, 3), 'f')).array.std() > 0


def test_files_of_weights_and_data_are_not_read():
    assert found('data d { train = csv("nowhere.csv") }\ninput x: float32[3] from d\n'
                 'model m = Linear(2) load "nowhere.npz"\nmodel n = Linear(1)\nx -> m -> n -> y\nfrozen m\n'
                 'loss a = mean(y)\noptimizer SGD() owns n\n') == []


def test_large_parameters_take_no_memory():
    text = program((3,), ['Linear(20_000)', *['Linear(20_000, 20_000)'] * 4])      # 6.4 GB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert examined(text, limits=Limits(parameters=2 * 10 ** 9)).diagnostics == ()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def test_what_zeros_divide_by_is_no_mistake():
    assert found('input x: float32[3]\nmodel m = Linear(2)\nx -> m -> y\nstate s = 1.0\nloss a = mean(y)\n'
                 'next s = s / a\nmetric r = 1 / a\noptimizer SGD() owns m\n') == []


# The table

def test_the_table_as_data():
    compilation = translate(Source(HEAD.format(shape='1, 8, 8') + 'model net = Convolution2D(4, ksize=3) -> Linear(2)'
                                   + TAIL))
    rows = {tuple(row['names']): row for row in shape_table.as_data(compilation, examine(compilation, True))}
    assert rows['x',] == {'line': 1, 'kind': 'input', 'names': ['x'], 'parameters': None, 'stages': [],
                          'types': [{'dtype': 'float32', 'shape': ['B', 1, 8, 8]}]}
    assert rows['net',]['parameters'] == 4 * 9 + 4 + 2 * 4 * 36 + 2
    assert [(stage['names'], stage['types'], stage['parameters']) for stage in rows['net',]['stages']] == [
        (['Convolution2D(4, ksize=3)'], [{'dtype': 'float32', 'shape': ['B', 4, 6, 6]}], 40),
        (['Linear(2)'], [{'dtype': 'float32', 'shape': ['B', 2]}], 290)]
    assert rows['a',]['kind'] == 'loss' and rows['a',]['types'] == [{'dtype': 'float32', 'shape': []}]


def test_the_table_folds_families():
    compilation = translate(Source('input x: float32[3]\nfor i in 0..4 { model m[i] = Linear(2); x -> m[i] -> y[i] }\n'
                                   'loss a = mean(sum(y[*]))\noptimizer SGD() owns m[*]\n'))
    table = shape_table.render(compilation, examine(compilation, wants_types=True))
    assert 'model m[0..4]' in table and '4 x 8' in table
    assert 'y[0..4]' in table and table.count('float32[B, 2]') == 2


def test_a_loss_over_no_elements_is_no_mistake_of_ours():
    """Its gradient divides by 0, while the gradients of the first iteration are looked at."""
    graphdsl.compile('input x: float32[3]\nmodel m = Linear(0)\nx -> m -> y\nloss a = mean_squared_error(relu(y), y)\n'
                     'optimizer SGD() owns m\n')
