import chainer
import numpy
import pytest
from chainer.dataset import concat_examples

import graphdsl
from graphdsl.runtime import data
from graphdsl.runtime.batches import convert_batch, examples
from graphdsl.runtime.settings import Input

WORDS = [[1, 2, 3], [4], [5, 6]]
PADDED = [[1, 2, 3], [4, -1, -1], [5, 6, -1]]


def column(name='w', dtype='int32', shape=(None,), pad=-1):
    return Input(name, dtype, shape, 'main', pad)


def convert(batch, *inputs, columns=None, converter=concat_examples):
    return convert_batch(batch, converter, None, columns, inputs)


def words(dtype='i'):
    return [numpy.array(word, dtype) for word in WORDS]


LABEL = Input('t', 'int32', (), 'main')


# Padding

def test_a_ragged_column_is_padded_to_its_longest_example():
    w, t = convert(list(zip(words(), [7, 8, 9])), column(), LABEL)
    assert w.tolist() == PADDED and w.dtype == 'i'
    assert t.tolist() == [7, 8, 9]


def test_every_minibatch_has_its_own_length():
    for chosen, width in (([0, 1], 3), ([1, 2], 2), ([1, 1], 1)):
        w, = convert([(words()[i],) for i in chosen], column())
        assert w.shape == (2, width)


def test_examples_may_be_tuples_dictionaries_or_single_arrays():
    for batch, columns in (([(t, w) for t, w in zip([7, 8, 9], words())], ('t', 'w')),
                           ([{'t': t, 'w': w, 'u': 0} for t, w in zip([7, 8, 9], words())], None)):
        w, t = convert(batch, column(), LABEL, columns=columns)
        assert w.tolist() == PADDED and t.tolist() == [7, 8, 9]
    assert convert(words(), column())[0].tolist() == PADDED
    assert convert([(word,) for word in WORDS], column())[0].tolist() == PADDED, 'lists'


def test_every_column_has_its_own_padding():
    floats = [numpy.array(word, 'f') for word in WORDS]
    w, f, plain = convert(list(zip(words(), floats, numpy.zeros((3, 2), 'f'))), column(),
                          column('f', 'float32', pad=0.5), Input('x', 'float32', (2,), 'main'))
    assert w.tolist() == PADDED
    assert f.array.tolist() == [[1, 2, 3], [4, 0.5, 0.5], [5, 6, 0.5]] and not f.requires_grad
    assert plain.shape == (3, 2)


def test_axes_of_any_length_beside_others():
    arrays = [numpy.full((length, 2, height), length, 'f') for length, height in ((3, 1), (1, 4))]
    x, = convert([(array,) for array in arrays], column('x', 'float32', (None, 2, None), 0))
    expected = numpy.zeros((2, 3, 2, 4), 'f')
    expected[0, :, :, :1], expected[1, :1] = 3, 1
    numpy.testing.assert_array_equal(x.array, expected)


@pytest.mark.parametrize('given', ['uint8', 'int64', 'bool'])
def test_what_fills_up_has_the_declared_dtype(given):
    w, = convert([(word,) for word in words(given)], column(pad=-1))
    assert w.dtype == 'i' and w[1].tolist() == [bool(4) if given == 'bool' else 4, -1, -1]
    f, = convert([(word,) for word in words(given)], column(dtype='float64', pad=0.5))
    assert f.dtype == 'd' and f.array[1, 1] == 0.5


def test_examples_of_one_length_need_no_padding():
    same = [(word[:1],) for word in words()]
    for pad in (-1, None):
        assert convert(same, column(pad=pad))[0].tolist() == [[1], [4], [5]]
    with pytest.raises(data.DataError, match=r"examples of 'w' in one minibatch have the shapes \[1\] and \[3\]; "
                                             r'say what fills up the shorter ones: `int32\[\?\] pad 0`'):
        convert([(word,) for word in words()], column(pad=None))


def test_a_ragged_column_that_is_not_wanted():
    _, t = convert(list(zip(words(), [7, 8, 9])), column('_', pad=None), LABEL)
    assert t.tolist() == [7, 8, 9]


def test_a_converter_of_the_users_own_is_trusted():
    def converter(batch, device=None):
        return concat_examples(batch, device, padding=0)
    w, = convert([(word,) for word in words()], column(), converter=converter)
    assert w[1].tolist() == [4, 0, 0]


def test_lines_of_a_text(tmp_path):
    (tmp_path / 'a.txt').write_text('ab\na\nbab\n')
    w, = convert(data.text(tmp_path / 'a.txt', unit='line')[:], column())
    assert w.tolist() == [[1, 2, -1], [1, -1, -1], [2, 1, 2]]


def test_a_graph_that_reads_lines(tmp_path):
    """What fills up is ignored by the embedding, so a long neighbour changes nothing."""
    (tmp_path / 'a.txt').write_text('ab\na\nbab\nb\n' * 5)
    (tmp_path / 'a.graph').write_text('''
        data lines { train = text("a.txt", unit="line"); batch 4 }
        input w: int32[?] pad -1 from lines
        model bag = EmbedID(10, 3, ignore_label=-1) -> sum(axis=1)
        w -> bag -> y
        loss e = mean(y ** 2)
        output bag = y
        optimizer SGD() owns bag
    ''')
    graph = graphdsl.compile_file(tmp_path / 'a.graph')
    trainer = graph.trainer(out=str(tmp_path), length=(3, 'iteration'), progress=False)
    before = graph.models['bag'].embedid_1.W.array.copy()
    trainer.run(show_loop_exception_msg=False)
    weights = graph.models['bag'].embedid_1.W.array
    assert (before != weights).any(axis=1).tolist() == [False, True, True] + 7 * [False]
    w, = convert(data.text(tmp_path / 'a.txt', unit='line')[:4], column())
    expected = [weights[[1, 2]].sum(axis=0), weights[1], weights[[2, 1, 2]].sum(axis=0), weights[2]]
    numpy.testing.assert_allclose(graph.outputs({'w': w})['bag'].array, expected, rtol=1e-6)


@pytest.mark.parametrize('i, batch, message', [
    (column(), [numpy.zeros((2, 2), 'i')], r"'w' is declared as int32\[\?\], and an example .* the shape \[2, 2\]"),
    (column(shape=(None, 3)), [numpy.zeros((1, 3), 'i'), numpy.zeros((2, 2), 'i')],
     r"declared as int32\[\?, 3\], and an example of the data has the shape \[2, 2\]"),
    (column(), [numpy.zeros(2, 'f'), numpy.zeros(1, 'f')], "'w' is declared as int32, and the data is float32"),
    (column(), [(0, 1), (2, 3)], 'the data has 2 columns, and 1 is declared; name every column in order'),
])
def test_data_that_does_not_fit_a_ragged_input(i, batch, message):
    with pytest.raises(data.DataError, match=message):
        convert(batch, i)


def test_a_missing_ragged_column():
    with pytest.raises(data.DataError, match="the data has no column 'w'; its columns are 'x'"):
        convert([{'x': 1}], column())


# Without ragged columns

def test_columns_are_stacked_cast_and_checked():
    x, t = convert([(numpy.zeros(2), 1), (numpy.ones(2), 2)], Input('x', 'float32', (2,), 'main'), LABEL)
    assert isinstance(x, chainer.Variable) and (x.shape, x.dtype, x.requires_grad) == ((2, 2), 'f', False)
    assert (t.tolist(), t.dtype) == ([1, 2], 'i')
    with pytest.raises(data.DataError, match=r"'x' is declared as float32\[3\], and an example .* shape \[2\]"):
        convert([(numpy.zeros(2),)], Input('x', 'float32', (3,), 'main'))


def test_two_examples_of_zeros():
    values = examples([column(), column('x', 'float32', (3, None)), LABEL, column('_')])
    assert {name: value.shape for name, value in values.items()} == {'w': (2, 8), 'x': (2, 3, 8), 't': (2,)}
    assert isinstance(values['x'], chainer.Variable) and values['w'].dtype == 'i'
