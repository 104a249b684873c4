import os

import chainer
import numpy
import pytest

from graphdsl.runtime import data

FLOWERS = '''length,width,petals,species
5.1,3.5,4,setosa
7.0,3.25,3,versicolor

6.5,2,6,setosa
'''


@pytest.fixture
def write(tmp_path):
    def write(text, name='a.csv'):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode('utf-8'))
        return path
    return write


@pytest.fixture
def save(tmp_path):
    def save(**arrays):
        numpy.savez(tmp_path / 'a.npz', **arrays)
        return str(tmp_path / 'a.npz')
    return save


# npz

def test_the_arrays_of_a_file_are_columns_by_their_names(save):
    dataset = data.npz(save(x=numpy.arange(6.).reshape(3, 2), t=numpy.array([True, False, True])))
    assert dataset.columns == ('x', 't')
    assert [array.dtype for array in dataset.arrays] == ['d', '?']
    x, t = chainer.dataset.concat_examples(dataset[:])
    assert x.tolist() == [[0, 1], [2, 3], [4, 5]] and t.tolist() == [True, False, True]


def test_arrays_can_be_chosen_and_renamed(save):
    path = save(x_train=numpy.zeros((3, 2), 'f'), y_train=numpy.arange(3), x_test=numpy.zeros((1, 2)), note='hi')
    dataset = data.npz(path, t='y_train', x='x_train')
    assert dataset.columns == ('t', 'x') and len(dataset) == 3


def test_a_split_of_arrays(save):
    path = save(x=numpy.arange(50), t=numpy.arange(50) * 2)
    train, test = data.npz(path, split='train'), data.npz(path, split='test')
    assert (len(train), len(test)) == (40, 10)
    assert sorted(train[:] + test[:]) == data.npz(path)[:] == [(i, 2 * i) for i in range(50)]
    assert train.columns == ('x', 't')


@pytest.mark.parametrize('arrays, columns, message', [
    ({'x': numpy.array([{}, []], dtype=object)}, {}, "'x' of .*a.npz holds Python objects.*array of numbers"),
    ({'x': numpy.array(['a'])}, {}, "'x' of .*a.npz is not an array of numbers"),
    ({'x': numpy.zeros(2, 'F')}, {}, 'is not an array of numbers'),
    ({'x': numpy.zeros(2), 't': numpy.zeros(3)}, {}, 'a.npz: the columns have different lengths: x 2, t 3; ch'),
    ({'x': numpy.zeros(2), 'scale': 3}, {}, 'scale is a single number'),
    ({'x': numpy.zeros((0, 2))}, {}, 'a.npz: there are no examples'),
    ({}, {}, 'a.npz: a dataset needs at least one column'),
    ({'x': numpy.zeros(2)}, {'t': 'y'}, "a.npz has no array 'y'; it has 'x'"),
    ({'x': numpy.zeros(2)}, {'t': ['x']}, r"column t is \['x'\]; give the name of one array"),
    ({'x': numpy.zeros(2)}, {'split': 'half'}, "split is 'half'"),
])
def test_arrays_that_make_no_dataset(save, arrays, columns, message):
    with pytest.raises(data.DataError, match=message):
        data.npz(save(**arrays), **columns)


def test_objects_are_no_obstacle_to_other_arrays(save):
    assert len(data.npz(save(x=numpy.zeros(2), names=numpy.array([{}, []], dtype=object)), x='x')) == 2


def test_files_that_are_not_npz(write, save, tmp_path):
    with pytest.raises(data.DataError, match='there is no .*b.npz; paths in a graph file start at its own folder'):
        data.npz(tmp_path / 'b.npz')
    with pytest.raises(data.DataError, match='cannot be read: Is a directory'):
        data.npz(tmp_path)
    for content in (b'', b'hello'):
        with pytest.raises(data.DataError, match='b.npz is not an npz file; write one'):
            data.npz(write(content, 'b.npz'))
    with open(tmp_path / 'b.npz', 'wb') as file:
        numpy.save(file, numpy.zeros(3))
    with pytest.raises(data.DataError, match='b.npz is not an npz file'):
        data.npz(tmp_path / 'b.npz')
    with pytest.raises(data.DataError, match='3 is not a path'):
        data.npz(3)


def test_a_damaged_array(write, save):
    with open(save(x=numpy.arange(1000)), 'rb') as file:
        content = bytearray(file.read())
    content[600] ^= 255
    with pytest.raises(data.DataError, match="array 'x' of .*b.npz is damaged"):
        data.npz(write(bytes(content), 'b.npz'))


# csv

def test_the_header_names_the_columns(write):
    dataset = data.csv(write('a,b\n1,2.5\n3,4\n'))
    assert dataset.columns == ('a', 'b')
    assert [array.dtype for array in dataset.arrays] == ['i', 'f']
    assert dataset[:] == [(1, 2.5), (3, 4)]


def test_columns_are_chosen_renamed_and_joined(write):
    dataset = data.csv(write(FLOWERS), x=['width', 'length'], t='species', n='petals', labels='species')
    assert dataset.columns == ('x', 't', 'n')
    x, t, n = chainer.dataset.concat_examples(dataset[:])
    numpy.testing.assert_array_equal(x, numpy.array([[3.5, 5.1], [3.25, 7], [2, 6.5]], 'f'))
    assert (x.dtype, t.dtype, n.dtype) == ('f', 'i', 'i')
    assert t.tolist() == [0, 1, 0] and n.tolist() == [4, 3, 6]
    assert dataset.classes == {'species': ('setosa', 'versicolor')}


def test_a_vector_of_one_element_is_no_scalar(write):
    path = write(FLOWERS)
    assert data.csv(path, x=['length'], y='length').arrays[0].shape == (3, 1)
    assert data.csv(path, x=['length'], y='length').arrays[1].shape == (3,)


def test_a_vector_is_of_integers_if_all_its_columns_are(write):
    path = write('a,b,c,d\n1,2,3.0,5000000000\n')
    for names, dtype in ((['a', 'b'], 'i'), (['a', 'c'], 'f'), (['a', 'd'], 'q'), (['c', 'd'], 'f')):
        assert data.csv(path, x=names).arrays[0].dtype == dtype


def test_several_labels_in_one_vector(write):
    dataset = data.csv(write('left,right\nb,x\na,y\nc,x\n'), t=['left', 'right'], labels=['right', 'left'])
    assert dataset.arrays[0].tolist() == [[1, 0], [0, 1], [2, 0]] and dataset.arrays[0].dtype == 'i'
    assert dataset.classes == {'left': ('a', 'b', 'c'), 'right': ('x', 'y')}


@pytest.mark.parametrize('cells, classes', [
    (['10', '9', '-1', '9'], ('-1', '9', '10')),
    (['10', '9', 'x'], ('10', '9', 'x')),
    (['b', 'B', 'é', 'a'], ('B', 'a', 'b', 'é')),
])
def test_classes_are_sorted(write, cells, classes):
    dataset = data.csv(write('t\n' + '\n'.join(cells) + '\n'), labels=['t'])
    assert dataset.classes['t'] == classes
    assert [classes[i] for i in dataset.arrays[0]] == cells


def test_a_test_file_is_numbered_like_its_training_file(write):
    train, test = write('t\nc\na\nb\n', 'train.csv'), write('t\nc\n', 'test.csv')
    assert data.csv(test, labels='t').arrays[0].tolist() == [0]
    assert data.csv(test, labels='t', like=train).arrays[0].tolist() == [2]
    with pytest.raises(data.DataError, match="train.csv, line 3, column 't': 'a' does not occur in .*test.csv"):
        data.csv(train, labels='t', like=test)
    with pytest.raises(data.DataError, match='there is no .*none.csv'):
        data.csv(test, labels='t', like=test.parent / 'none.csv')


def test_a_split_of_lines_takes_the_same_share_of_each_label(write):
    path = write('x,t\n' + ''.join(f'{i},{"rare" if i < 10 else "common"}\n' for i in range(100)))
    train, test = (data.csv(path, split=split, labels='t') for split in ('train', 'test'))
    assert [numpy.bincount(part.arrays[1]).tolist() for part in (train, test)] == [[72, 8], [18, 2]]
    assert sorted(train.arrays[0].tolist() + test.arrays[0].tolist()) == list(range(100))
    assert test.classes == {'t': ('common', 'rare')}


def test_equal_lines_are_on_one_side(write):
    path = write('x\n' + ''.join(f'{i % 20}\n' for i in range(100)))
    train, test = (set(data.csv(path, split=split).arrays[0]) for split in ('train', 'test'))
    assert len(train) == 16 and len(test) == 4 and not train & test


@pytest.mark.parametrize('text, delimiter', [
    ('a;b\n1;2\n', ';'), ('a\tb\n1\t2\n', '\t'), ('\ufeffa,b\r\n1,2\r\n', ','), (' a , "b"\n 1 , "2"', ','),
    ('\n\na,b\n\n1,2\n \n', ','),
])
def test_the_many_ways_to_write_a_file(write, text, delimiter):
    dataset = data.csv(write(text), delimiter=delimiter)
    assert dataset.columns == ('a', 'b') and dataset[:] == [(1, 2)]


@pytest.mark.parametrize('text, arguments, message', [
    ('a,b\n1,2\n\n3,x\n', {}, "a.csv, line 4, column 'b': 'x' is not a finite number; .*labels='b'"),
    ('a,b\n1,\n', {}, "line 2, column 'b': the cell is empty; fill it"),
    ('a\n"1\n2"\n', {}, r"line 3, column 'a': '1\\n2' is not a finite number"),
    ('a\nnan\n', {}, "'nan' is not a finite number"),
    ('a\n1\n-inf\n', {}, "line 3, column 'a': '-inf' is not a finite number"),
    ('a\n1e39\n', {}, "'1e39' is not"),
    ('a\n' + '9' * 40 + '\n', {}, "'9+' is not"),
    ('a\n2020_01\n', {}, "'2020_01' is not"),
    ('a,b\n1,2\n3\n', {}, 'line 3: 1 cells, but there are 2 columns; is the delimiter another one'),
    ('a,b\n1,2,3\n', {}, 'line 2: 3 cells, but there are 2 columns; a cell with a delimiter in it needs quotes'),
    ('a,b,a\n1,2,3\n', {}, "line 1: column 3 is one more 'a'"),
    ('a,\n1,2\n', {}, 'line 1: column 2 has no name'),
    ('1,2\n3,4\n', {}, 'line 1: numbers where the names of the columns should be; put a line with'),
    ('', {}, 'a.csv is empty'),
    ('a,b\n', {}, 'a.csv has no examples below'),
    ('a\n"1\n', {}, 'line 2: .*; is a quote missing'),
    (b'a\n\xff\n', {}, 'a.csv is not text in UTF-8'),
    ('a,b\n1,2\n', {'x': 'c'}, "a.csv has no column 'c'; it has 'a', 'b'"),
    ('a,b\n1,2\n', {'x': ['a', 'c']}, "no column 'c'"),
    ('a,b\n1,2\n', {'x': 3}, 'column x is 3; give the name of a column'),
    ('a,b\n1,2\n', {'x': []}, r'column x is \[\]'),
    ('a,b\n1,2\n', {'x': ['a', 1]}, r"column x is \['a', 1\]"),
    ('a,b\n1,2\n', {'labels': 3}, 'labels is 3'),
    ('a,b\n1,2\n', {'x': 'a', 'labels': 'b'}, "labels names 'b', but no column is made of it"),
    ('a,b\n1,\n', {'labels': 'b'}, "column 'b': the cell is empty"),
    ('a,b\n1,2\n', {'like': 'a.csv'}, 'like numbers labels, and there are none'),
    ('a,b\n1,2\n', {'delimiter': ';;'}, "delimiter is ';;'"),
    ('a,b\n1,2\n', {'delimiter': 3}, 'delimiter is 3'),
    ('a,b\n1,2\n', {'split': 'half'}, "split is 'half'"),
])
def test_files_that_make_no_dataset(write, text, arguments, message):
    with pytest.raises(data.DataError, match=message):
        data.csv(write(text), **arguments)


def test_columns_that_nobody_reads_may_hold_anything(write):
    assert data.csv(write('id,a\nx,1\n,2\n'), x='a')[:] == [(1,), (2,)]


def test_the_same_column_twice(write):
    assert data.csv(write('a,b\n1,2\n'), x=['a', 'a', 'b'], y='a').arrays[0].tolist() == [[1, 1, 2]]


def test_a_missing_file(tmp_path):
    with pytest.raises(data.DataError, match='there is no .*none.csv'):
        data.csv(tmp_path / 'none.csv')
    with pytest.raises(data.DataError, match='cannot be read: Is a directory'):
        data.csv(os.fspath(tmp_path))
