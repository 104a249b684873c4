from urllib.error import URLError

import chainer
import numpy
import pytest

from graphdsl.runtime import data

IMAGES = ['mnist', 'fashion_mnist', 'kuzushiji_mnist', 'cifar10', 'cifar100', 'svhn']


@pytest.fixture
def calls(monkeypatch):
    """Puts datasets of its own in the place of Chainer's, and notes how they are called."""
    calls = []

    def getter(name, parts):
        def get(**options):
            calls.append((name, options))
            return parts
        return get

    for name in IMAGES:
        parts = tuple(chainer.datasets.TupleDataset(numpy.full((4, 2), i, 'f'), numpy.arange(4)) for i in range(2))
        monkeypatch.setattr(chainer.datasets, 'get_' + name, getter(name, parts))
    words = tuple(numpy.arange(10 * i, 10 * i + 5, dtype='i') for i in range(3))
    monkeypatch.setattr(chainer.datasets, 'get_ptb_words', getter('ptb_words', words))
    return calls


@pytest.mark.parametrize('name', IMAGES)
def test_each_split_is_the_one_that_chainer_gives(calls, name):
    for split, value in (('train', 0), ('test', 1)):
        x, t = getattr(data, name)(split=split)[3]
        assert x.tolist() == [value, value] and t == 3
    assert getattr(data, name)()[0][0][0] == 0
    assert {called for called, _ in calls} == {name}


def test_the_number_of_axes_is_chainers_own_unless_asked_for(calls):
    data.mnist(), data.mnist(ndim=3), data.cifar10(), data.cifar100(ndim=1), data.svhn()
    assert calls == [('mnist', {'ndim': 1}), ('mnist', {'ndim': 3}), ('cifar10', {'ndim': 3}),
                     ('cifar100', {'ndim': 1}), ('svhn', {})]


def test_words_are_one_long_column(calls):
    for split, first in (('train', 0), ('validation', 10), ('test', 20)):
        words = data.ptb_words(split=split)
        assert words.columns is None and len(words.arrays) == 1
        assert words[:2] == [(first,), (first + 1,)]


@pytest.mark.parametrize('call, message', [
    (lambda: data.mnist(split='validation'), "split is 'validation'; it is one of 'train', 'test'"),
    (lambda: data.ptb_words(split='valid'), "split is 'valid'; it is one of 'train', 'validation', 'test'"),
    (lambda: data.fashion_mnist(ndim=4), 'ndim is 4; it is one of 1, 2, 3'),
    (lambda: data.cifar10(ndim=2), 'ndim is 2; it is one of 1, 3'),
])
def test_a_wrong_argument_is_found_before_anything_is_downloaded(calls, call, message):
    with pytest.raises(data.DataError, match=message):
        call()
    assert not calls


@pytest.mark.parametrize('error', [URLError('no route to host'), OSError('no route to host'),
                                   RuntimeError('no route to host')])
@pytest.mark.parametrize('name', [*IMAGES, 'ptb_words'])
def test_without_a_network(monkeypatch, name, error):
    def get(**options):
        raise error

    monkeypatch.setattr(chainer.datasets, 'get_' + name, get)
    with pytest.raises(data.DataError) as caught:
        getattr(data, name)()
    assert caught.value.message.startswith(f'{name} is not on this machine and cannot be downloaded: ')
    assert 'no route to host' in caught.value.message
    assert 'copy ' + chainer.dataset.get_dataset_root() in caught.value.help
    assert caught.value.__cause__ is error


def test_chainer_reads_what_is_on_this_machine(monkeypatch, tmp_path):
    monkeypatch.setattr('chainer.dataset.download._dataset_root', str(tmp_path))
    folder = tmp_path / 'pfnet' / 'chainer' / 'mnist'
    folder.mkdir(parents=True)
    for name, size in (('train', 6), ('test', 3)):
        numpy.savez(folder / f'{name}.npz', x=numpy.full((size, 784), 255, 'u1'), y=numpy.arange(size, dtype='u1'))
    dataset = data.mnist('test', ndim=3)
    x, t = chainer.dataset.concat_examples(dataset[:])
    assert (x.shape, x.dtype, x.max()) == ((3, 1, 28, 28), 'f', 1)
    assert (t.tolist(), t.dtype) == ([0, 1, 2], 'i')
