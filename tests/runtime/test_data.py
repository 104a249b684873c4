import copy
import inspect
import pickle
import subprocess
import sys

import chainer
import numpy
import pytest

from graphdsl.runtime import data
from graphdsl.runtime.data.split import part

SETS = {'iris': (150, 4), 'wine': (178, 13), 'breast_cancer': (569, 30), 'diabetes': (442, 10)}


def tiles(strips):
    """The 8x8 images that strips are made of, as bytes."""
    images = strips.arrays[0]
    return {images[i, 0, :, j:j + 8].tobytes() for i in range(len(images)) for j in range(0, images.shape[3], 8)}


def known_digits():
    from sklearn.datasets import load_digits
    bunch = load_digits()
    return {(image / 16).astype('f').tobytes(): label for image, label in zip(bunch.images, bunch.target)}


# Columns

def test_an_example_is_a_tuple_with_one_value_per_column():
    columns = data.Columns([numpy.arange(6).reshape(3, 2), numpy.array([7, 8, 9])])
    assert len(columns) == 3
    x, t = columns[1]
    assert x.tolist() == [2, 3] and t == 8
    assert type(columns[1]) is tuple
    assert columns[-1][1] == 9
    assert [t for _, t in columns] == [7, 8, 9]
    assert columns.columns is None


def test_slices_and_lists_of_places_give_lists_of_examples():
    columns = data.Columns({'x': numpy.arange(5), 't': numpy.arange(5) * 10})
    assert columns[1:4] == [(1, 10), (2, 20), (3, 30)]
    assert columns[::-2] == [(4, 40), (2, 20), (0, 0)]
    assert columns[5:] == []
    assert columns[[3, -1]] == columns[numpy.array([3, 4])] == [(3, 30), (4, 40)]
    assert columns.columns == ('x', 't')


@pytest.mark.parametrize('index', [3, -4, [3]])
def test_an_example_beyond_the_end(index):
    with pytest.raises(IndexError):
        data.Columns([numpy.arange(3)])[index]


def test_columns_do_not_change():
    array = numpy.zeros((3, 2))
    columns = data.Columns([array])
    with pytest.raises(AttributeError):
        columns.columns = ('x',)
    with pytest.raises(AttributeError):
        del columns.arrays
    with pytest.raises(ValueError, match='read-only'):
        columns[0][0][0] = 1
    array[0] = 1  # the owner's array stays as it was


def test_columns_can_be_sent_to_another_process():
    columns = data.Columns({'x': numpy.arange(3)}, classes={'x': ('a', 'b', 'c')})
    for twin in (pickle.loads(pickle.dumps(columns)), copy.deepcopy(columns)):
        assert twin.columns == ('x',) and twin.classes == {'x': ('a', 'b', 'c')} and twin[1:] == [(1,), (2,)]


@pytest.mark.parametrize('arrays, message', [
    ([], 'at least one column'),
    ({}, 'at least one column'),
    ([[]], 'no examples'),
    ({'x': [1, 2], 't': [1]}, 'different lengths: x 2, t 1'),
    ([[1, 2], 3], 'different lengths: 0 2, 1 is a single number'),
])
def test_columns_that_make_no_dataset(arrays, message):
    with pytest.raises(data.DataError, match=message):
        data.Columns(arrays)


def test_columns_show_what_they_hold():
    assert repr(data.digits(strip=2)) == '<Columns of 6000 examples, 0: float32[1, 8, 16], 1: int32[2]>'
    assert repr(data.Columns({'x': numpy.zeros(2, 'f')})) == '<Columns of 2 examples, x: float32>'


@pytest.mark.parametrize('source', ['digits', *SETS])
def test_iterators_and_converters_of_chainer_take_them(source):
    dataset = data.SOURCES[source]()
    iterator = chainer.iterators.SerialIterator(dataset, 32, shuffle=False)
    batch = chainer.dataset.concat_examples(iterator.next())
    for array, column in zip(batch, dataset.arrays):
        assert array.dtype == column.dtype
        numpy.testing.assert_array_equal(array, column[:32])


def test_other_datasets_of_chainer_take_them():
    columns = data.Columns([numpy.arange(10)])
    first, second = chainer.datasets.split_dataset_random(columns, 7, seed=0)
    assert sorted(x for x, in first[:] + second[:]) == list(range(10))
    assert chainer.datasets.TransformDataset(columns, lambda example: example[0] + 1)[2:4] == [3, 4]


# The split

def test_a_split_is_every_example_once():
    content = [numpy.arange(103)]
    train, test = part('train', content), part('test', content)
    assert sorted([*train, *test]) == list(range(103)) == part('all', content).tolist()
    assert test.tolist() == list(range(2, 103, 5))


def test_a_shuffled_split_is_every_example_once_too():
    content = [numpy.arange(100)]
    train, test, again = (part(split, content, shuffle=True) for split in ('train', 'test', 'test'))
    assert sorted([*train, *test]) == list(range(100))
    assert len(test) == 20 and test.tolist() == again.tolist() == sorted(test)
    assert len(set(test % 5)) == 5, 'no rhythm'


@pytest.mark.parametrize('shuffle', [False, True])
def test_equal_examples_are_on_one_side(shuffle):
    content = [numpy.arange(300) % 100, numpy.arange(300) % 50]
    train, test = part('train', content, shuffle=shuffle), part('test', content, shuffle=shuffle)
    assert not set(train % 100) & set(test % 100)
    assert len(test) == 60


def test_examples_are_equal_if_all_their_columns_are():
    content = [numpy.arange(100) % 2, numpy.arange(100)]
    assert len(part('test', content)) == 20


@pytest.mark.parametrize('shuffle', [False, True])
def test_every_class_gives_a_fifth(shuffle):
    classes = numpy.random.RandomState(1).permutation(numpy.repeat([3, 0, 7], [500, 50, 10]))
    test = part('test', [numpy.arange(560)], classes, shuffle)
    assert [numpy.count_nonzero(classes[test] == c) for c in (3, 0, 7)] == [100, 10, 2]


def test_the_classes_of_examples_that_occur_twice():
    content = numpy.r_[numpy.zeros(40, int), numpy.arange(60)]
    test = part('test', [content], content % 5)
    assert sorted(numpy.bincount(content[test] % 5)) == [2, 2, 2, 3, 3]


def test_a_split_of_too_few():
    with pytest.raises(data.DataError, match='too few different examples to split: 2'):
        part('train', [numpy.array([4, 5, 4, 5])])


# scikit-learn's sets

@pytest.mark.parametrize('strip, split, images, labels', [
    (None, 'train', (1438, 1, 8, 8), (1438,)),
    (None, 'test', (359, 1, 8, 8), (359,)),
    (None, 'all', (1797, 1, 8, 8), (1797,)),
    (1, 'train', (1438, 1, 8, 8), (1438, 1)),
    (2, 'train', (6000, 1, 8, 16), (6000, 2)),
    (4, 'test', (1000, 1, 8, 32), (1000, 4)),
])
def test_digits_have_the_shapes_that_they_promise(strip, split, images, labels):
    x, t = data.digits(strip=strip, split=split).arrays
    assert (x.shape, x.dtype) == (images, 'f')
    assert (t.shape, t.dtype) == (labels, 'i')
    assert x.min() == 0 and x.max() == 1
    assert set(t.ravel()) == set(range(10))


def test_digits_meet_inputs_by_order():
    assert data.digits(strip=4).columns is None


@pytest.mark.parametrize('strip', [1, 3])
def test_the_labels_of_a_strip_go_from_left_to_right(strip):
    known = known_digits()
    for x, t in data.digits(strip=strip, examples=50):
        assert [known[x[0, :, 8 * i:8 * i + 8].tobytes()] for i in range(strip)] == t.tolist()


def test_no_digit_is_in_both_training_and_test_strips():
    known = set(known_digits())
    train = tiles(data.digits(strip=4)) | tiles(data.digits(strip=3, seed=5)) | tiles(data.digits())
    test = tiles(data.digits(strip=4, split='test')) | tiles(data.digits(strip=2, split='test', seed=1))
    assert not train & test
    assert train | test == known
    assert tiles(data.digits(split='all')) == known


def test_digits_that_occur_twice_are_on_one_side(monkeypatch):
    import sklearn.datasets
    bunch = sklearn.datasets.load_digits()
    bunch.images[900:1700] = bunch.images[100:900]
    monkeypatch.setattr(sklearn.datasets, 'load_digits', lambda: bunch)
    train, test = (tiles(data.digits(strip=4, split=split, examples=4000)) for split in ('train', 'test'))
    assert not train & test
    assert len(train | test) == 997


def test_each_class_of_digits_gives_a_fifth():
    whole, test = (numpy.bincount(data.digits(split=split).arrays[1]) for split in ('all', 'test'))
    assert abs(test - whole / 5).max() < 1


def test_all_digits_come_equally_often_at_each_place():
    x, _ = data.digits(strip=3, split='test', examples=2 * 359 + 100).arrays
    for place in range(3):
        _, counts = numpy.unique(x[..., 8 * place:8 * place + 8].reshape(len(x), -1), axis=0, return_counts=True)
        assert len(counts) == 359 and set(counts) == {2, 3}


def test_the_seed_draws_other_strips():
    x, again, other = (data.digits(strip=4, seed=seed).arrays[0] for seed in (0, 0, 1))
    numpy.testing.assert_array_equal(x, again)
    assert (x != other).any()
    places = {x[..., 8 * i:8 * i + 8].tobytes() for i in range(4)}
    assert len(places) == 4, 'each place has an order of its own'


def test_the_number_of_strips():
    assert len(data.digits(strip=4, examples=17)) == 17
    assert len(data.digits(examples=3000)) == 3000
    assert data.digits(examples=5)[0][1].shape == ()


@pytest.mark.parametrize('split', ['train', 'test', 'all'])
def test_classes_of_digits_are_kept_with_their_labels(split):
    whole = data.digits(split=split).arrays
    x, t = data.digits(split=split, classes=[7, 5]).arrays
    wanted = (whole[1] == 5) | (whole[1] == 7)
    numpy.testing.assert_array_equal(x, whole[0][wanted])
    numpy.testing.assert_array_equal(t, whole[1][wanted])


def test_strips_of_a_few_classes():
    assert set(data.digits(strip=3, classes=[0, 9]).arrays[1].ravel()) == {0, 9}
    assert tiles(data.digits(strip=3, classes=[0, 9])) == tiles(data.digits(classes=[0, 9]))
    assert len(data.digits(classes=[1], examples=17)) == 17


@pytest.mark.parametrize('limit, counts', [(100, {10}), (25, {2, 3}), (4, {0, 1})])
def test_a_limit_takes_the_same_number_of_each_class(limit, counts):
    x, t = data.digits(limit=limit).arrays
    assert len(t) == limit and set(numpy.bincount(t, minlength=10)) == counts
    known = known_digits()
    assert [known[image.tobytes()] for image in x] == t.tolist()
    assert tiles(data.digits(limit=limit)) < tiles(data.digits())


def test_a_limit_beside_classes():
    assert numpy.bincount(data.digits(classes=[2, 5], limit=9).arrays[1])[[2, 5]].tolist() == [5, 4]
    sizes = numpy.bincount(data.digits(split='test').arrays[1])
    counts = numpy.bincount(data.digits(split='test', limit=357).arrays[1])
    assert counts.sum() == 357 and sizes.sum() == 359 and (sizes >= counts).all(), 'classes run out'
    assert len(data.digits(classes=[3], limit=10 ** 6)) == numpy.bincount(data.digits().arrays[1])[3]


def test_a_smaller_limit_takes_some_of_a_larger_one():
    few, more = (tiles(data.digits(limit=limit)) for limit in (20, 50))
    assert few < more
    images, _ = data.digits(limit=20).arrays
    places = [i for i, image in enumerate(data.digits().arrays[0]) if image.tobytes() in few]
    assert len(places) == len(images) and max(places) - min(places) > 1000, 'of many writers'


@pytest.mark.parametrize('arguments, message', [
    ({'classes': []}, r'classes is \[\]; give a list of digits'),
    ({'classes': 3}, 'classes is 3; give a list'),
    ({'classes': [3, 10]}, 'one of classes is 10; digits are 0 to 9'),
    ({'classes': ['3']}, "one of classes is '3'; it is a whole number from 0"),
    ({'limit': 0}, 'limit is 0; it is a whole number from 1'),
    ({'limit': 9, 'strip': 2}, 'limit is for digits that come once each; examples gives the number'),
    ({'limit': 9, 'examples': 20}, 'limit is for digits that come once each'),
    ({'strip': 0}, 'strip is 0; it is a whole number from 1'),
    ({'strip': 1.5}, 'strip is 1.5'),
    ({'strip': True}, 'strip is True'),
    ({'examples': 0}, 'examples is 0'),
    ({'seed': -1}, 'seed is -1; it is a whole number from 0'),
    ({'split': 'tset'}, "split is 'tset'; it is one of 'train', 'test', 'all'"),
])
def test_arguments_of_digits_that_mean_nothing(arguments, message):
    with pytest.raises(data.DataError, match=message):
        data.digits(**arguments)


@pytest.mark.parametrize('name', SETS)
def test_tables_have_the_shapes_that_they_promise(name):
    size, width = SETS[name]
    for split in ('train', 'test', 'all'):
        dataset = getattr(data, name)(split)
        features, target = dataset.arrays
        assert (features.shape[1:], features.dtype) == ((width,), 'f')
        assert (target.shape[1:], target.dtype) == ((), 'f' if name == 'diabetes' else 'i')
        assert dataset.columns is None
    assert len(getattr(data, name)('train')) + len(getattr(data, name)('test')) == size == len(dataset)
    assert len(getattr(data, name)('test')) == pytest.approx(size / 5, abs=1)


@pytest.mark.parametrize('name', SETS)
def test_tables_are_standardised_by_their_training_part(name):
    train, test, whole = (getattr(data, name)(split).arrays for split in ('train', 'test', 'all'))
    for column in range(2 if name == 'diabetes' else 1):
        numpy.testing.assert_allclose(train[column].mean(axis=0), 0, atol=1e-5)
        numpy.testing.assert_allclose(train[column].std(axis=0), 1, atol=1e-5)
        assert abs(test[column].mean(axis=0)).max() > 1e-3
        assert set(map(bytes, numpy.concatenate([train[column], test[column]]))) == set(map(bytes, whole[column]))
    assert not set(map(bytes, train[0])) & set(map(bytes, test[0]))


@pytest.mark.parametrize('name', ['iris', 'wine', 'breast_cancer'])
def test_each_class_of_a_table_gives_a_fifth(name):
    whole, test = (numpy.bincount(getattr(data, name)(split).arrays[1]) for split in ('all', 'test'))
    assert abs(test - whole / 5).max() <= 1
    assert len(getattr(data, name)().classes[1]) == len(whole)


def test_names_of_classes():
    assert data.iris().classes == {1: ('setosa', 'versicolor', 'virginica')}


def test_a_table_by_another_split():
    for name in SETS:
        with pytest.raises(data.DataError, match="split is 'valid'"):
            getattr(data, name)('valid')


# The package

@pytest.mark.parametrize('name', ['digits', *SETS])
def test_sources_leave_the_global_random_state_alone_and_repeat_themselves(name):
    arguments = {'strip': 4} if name == 'digits' else {}
    numpy.random.seed(3)
    expected = numpy.random.random()
    numpy.random.seed(3)
    first = data.SOURCES[name](**arguments)
    assert numpy.random.random() == expected
    again = data.SOURCES[name](**arguments)
    for a, b in zip(first.arrays, again.arrays):
        numpy.testing.assert_array_equal(a, b)


def test_sources_stand_under_their_names():
    assert set(data.SOURCES) == set(
        'digits iris wine breast_cancer diabetes npz csv images text mnist fashion_mnist kuzushiji_mnist cifar10'
        ' cifar100 svhn ptb_words'.split())
    for name, source in data.SOURCES.items():
        assert source is getattr(data, name)
        assert 'split' in inspect.signature(source).parameters
        assert source.__doc__


def test_paths_are_arguments_of_their_sources():
    for name, source in data.SOURCES.items():
        parameters = list(inspect.signature(source).parameters)
        paths = data.PATH_ARGUMENTS.get(name, ())
        assert set(paths) == {'path', 'like'} & set(parameters)
        assert not paths or paths[0] == parameters[0]


def test_scikit_learn_is_imported_when_it_is_needed():
    code = 'import sys, graphdsl.runtime.data; print("sklearn" in sys.modules)'
    assert subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True,
                          check=True).stdout == 'False\n'


def test_an_error_says_what_is_wrong_and_what_to_do():
    error = data.DataError('there is no a.npz', help='write one')
    assert str(error) == 'there is no a.npz; write one'
    assert (error.message, error.help) == ('there is no a.npz', 'write one')
    assert str(data.DataError('too few')) == 'too few'
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
