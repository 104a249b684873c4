"""Files that would run code, never end, or unpack to more than there is memory for."""
import os
import pickle
import threading
import zipfile

import chainer
import chainer.links as L
import numpy
import pytest

import graphdsl
from graphdsl.runtime.data import DataError, csv, images, npz, text
from graphdsl.runtime.weights import load

GRAPH = '''
input x: float32[3], t: int32
model m = Linear(2)
x -> m -> y
loss a = softmax_cross_entropy(y, t)
optimizer Adam() owns m
'''


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def bombs(folder, name):
    """Returns a file whose entry would make the folder ``exploded``."""
    array = numpy.empty((), object)
    array[()] = Bomb(folder / 'exploded')
    numpy.savez(folder / 'bomb.npz', **{name: array, 'b': numpy.zeros(2, 'f')})
    return folder / 'bomb.npz'


def test_the_bomb_explodes(tmp_path):
    """The tests below would notice."""
    numpy.load(bombs(tmp_path, 'W'), allow_pickle=True)['W']
    assert (tmp_path / 'exploded').exists()


@pytest.mark.parametrize('read', [
    lambda path: load(L.Linear(3, 2), path), lambda path: load(L.Linear(2), path), lambda path: npz(path),
    lambda path: npz(path, x='W'), lambda path: graphdsl.load_snapshot(path, L.Linear(3, 2)),
])
def test_nothing_of_a_pickle_runs(read, tmp_path):
    path = bombs(tmp_path, 'W')
    with pytest.raises(DataError, match='Python object'):
        read(path)
    assert not (tmp_path / 'exploded').exists()


@pytest.mark.parametrize('read', [lambda path: load(L.Linear(3, 2), path), npz, csv, images, text,
                                  lambda path: graphdsl.load_snapshot(path, L.Linear(3, 2))])
def test_a_pickle_in_place_of_a_file(read, tmp_path):
    path = tmp_path / 'net.npz'
    path.write_bytes(pickle.dumps(Bomb(tmp_path / 'exploded')))
    with pytest.raises(DataError):
        read(path)
    assert not (tmp_path / 'exploded').exists()


def trainer(out):
    data = chainer.datasets.TupleDataset(numpy.zeros((4, 3), 'f'), numpy.zeros(4, 'i'))
    graph = graphdsl.compile(GRAPH)
    iterator = chainer.iterators.SerialIterator(data, 2)
    return graph, chainer.training.Trainer(graph.updater(iterator), (3, 'iteration'), str(out))


def test_a_snapshot_is_loaded_as_by_chainer(tmp_path):
    graph, saved = trainer(tmp_path)
    saved.run()
    chainer.serializers.save_npz(tmp_path / 'snapshot.npz', saved)
    found = []
    for load_into in (chainer.serializers.load_npz, graphdsl.load_snapshot):
        other, loaded = trainer(tmp_path)
        load_into(tmp_path / 'snapshot.npz', loaded)
        assert loaded.updater.iteration == 3
        serializer = chainer.serializers.DictionarySerializer()
        serializer.save(loaded.updater)
        found.append(serializer.target)
    chainers, ours = found
    assert chainers.keys() == ours.keys()
    for name in ours:
        numpy.testing.assert_array_equal(chainers[name], ours[name], name)


def test_what_is_not_set_is_loaded(tmp_path):
    """Chainer saves None, as a pickle, for a parameter without a shape."""
    chainer.serializers.save_npz(tmp_path / 'net.npz', L.Linear(2))
    loaded = L.Linear(2)
    graphdsl.load_snapshot(tmp_path / 'net.npz', loaded)
    assert not loaded.W.is_initialized and loaded.b.is_initialized


@pytest.mark.parametrize('read', [lambda path: load(L.Linear(3, 2), path), npz, csv, text,
                                  lambda path: graphdsl.load_snapshot(path, L.Linear(3, 2))])
def test_a_pipe_is_not_waited_for(read, tmp_path):
    path = tmp_path / 'pipe'
    os.mkfifo(path)
    ended = []

    def attempt():
        with pytest.raises(DataError, match='no regular file'):
            read(path)
        ended.append(True)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(20)
    assert ended


def test_a_graph_in_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / 'pipe.graph'
    os.mkfifo(path)
    with pytest.raises(graphdsl.GraphError, match='G039'):
        graphdsl.compile_file(path)


def test_links_are_followed(tmp_path):
    (tmp_path / 'real.csv').write_text('x\n1\n2\n')
    (tmp_path / 'link.csv').symlink_to(tmp_path / 'real.csv')
    assert len(csv(tmp_path / 'link.csv')) == 2


def test_weights_that_unpack_to_far_more_than_fits(tmp_path, monkeypatch):
    chainer.serializers.save_npz(tmp_path / 'net.npz', L.Linear(3, 2))
    with zipfile.ZipFile(tmp_path / 'bomb.npz', 'w', zipfile.ZIP_DEFLATED) as file:
        for name, shape in (('W', (10_000_000,)), ('b', (2,))):
            with file.open(name + '.npy', 'w') as entry:
                numpy.save(entry, numpy.zeros(shape, 'f'))
    assert (tmp_path / 'bomb.npz').stat().st_size < 100_000
    load(L.Linear(3, 2), tmp_path / 'net.npz')
    monkeypatch.setattr(numpy.lib.npyio.NpzFile, '__getitem__', None)       # nothing is unpacked
    with pytest.raises(DataError, match='40,000,128 bytes, and 6 numbers are wanted'):
        load(L.Linear(3, 2), tmp_path / 'bomb.npz')


def test_an_array_that_claims_to_be_huge(tmp_path):
    with zipfile.ZipFile(tmp_path / 'huge.npz', 'w') as file:
        with file.open('x.npy', 'w') as entry:
            numpy.lib.format.write_array_header_1_0(entry, {'descr': '<f4', 'fortran_order': False,
                                                            'shape': (2 ** 50,)})
    with pytest.raises(DataError, match='more memory|damaged'):
        npz(tmp_path / 'huge.npz')
