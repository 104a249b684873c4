import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer.serializers import save_npz

from graphdsl.runtime.data import DataError
from graphdsl.runtime.weights import load


def model(hidden=4, seed=None):
    if seed is not None:
        numpy.random.seed(seed)
    net = chainer.Chain(a=L.Linear(3, hidden), bn=L.BatchNormalization(hidden), b=L.Linear(hidden, 2))
    for parameter in net.params():
        parameter.array[...] = numpy.random.normal(size=parameter.shape)
    net.bn(numpy.random.normal(size=(5, hidden)).astype('f'))
    net.bn.N = 3
    return net


def entries(link):
    serializer = chainer.serializers.DictionarySerializer()
    serializer.save(link)
    return {name: numpy.array(value) for name, value in serializer.target.items()}


def assert_equal(a, b):
    a, b = entries(a), entries(b)
    assert a.keys() == b.keys()
    for name in a:
        numpy.testing.assert_array_equal(a[name], b[name], name)


def test_a_model_is_loaded(tmp_path):
    saved, loaded = model(), model()
    loaded.bn.N = 0
    save_npz(tmp_path / 'net.npz', saved)
    arrays = [parameter.array for parameter in loaded.params()]
    loaded.cleargrads()
    loaded.a.W.grad = numpy.ones_like(loaded.a.W.array)
    load(loaded, tmp_path / 'net.npz')
    assert_equal(saved, loaded)
    assert all(parameter.array is array for parameter, array in zip(loaded.params(), arrays))
    assert (loaded.a.W.grad == 1).all() and loaded.b.W.grad is None and loaded.a.W.requires_grad


@pytest.mark.parametrize('at', ['encoder', 'encoder/', '/encoder/'])
def test_a_part_of_a_file_is_loaded(tmp_path, at):
    whole = chainer.Chain(encoder=model(), decoder=model())
    save_npz(str(tmp_path / 'net.npz'), whole)
    loaded = model()
    load(loaded, str(tmp_path / 'net.npz'), at)
    assert_equal(whole.encoder, loaded)


def test_a_snapshot_of_a_trainer_is_loaded(tmp_path):
    saved = model()
    chain = chainer.Chain(net=saved)
    chain.forward = lambda x: F.sum(saved.b(saved.bn(saved.a(x))) ** 2)
    iterator = chainer.iterators.SerialIterator(numpy.ones((8, 3), 'f'), 4)
    updater = chainer.training.StandardUpdater(iterator, chainer.optimizers.Adam().setup(chain))
    trainer = chainer.training.Trainer(updater, (2, 'iteration'), out=str(tmp_path))
    trainer.extend(chainer.training.extensions.snapshot(filename='snapshot'))
    trainer.run()
    save_npz(tmp_path / 'snapshot.npz', trainer)
    loaded = model()
    load(loaded, tmp_path / 'snapshot.npz', at='updater/model:main/net')
    assert_equal(saved, loaded)
    with pytest.raises(DataError) as error:
        load(model(), tmp_path / 'snapshot.npz')
    assert "at 'updater/model:main/net/'" in error.value.help


def test_what_is_missing_is_said(tmp_path):
    save_npz(tmp_path / 'net.npz', chainer.Chain(a=L.Linear(3, 4), c=L.Linear(4, 2)))
    net = model()
    before = entries(net)
    with pytest.raises(DataError) as error:
        load(net, tmp_path / 'net.npz')
    assert "net.npz does not fit: it lacks " in error.value.message
    assert all(repr(name) in error.value.message for name in ('b/W', 'b/b', 'bn/avg_mean', 'bn/N', 'bn/gamma'))
    assert "'a/W'" not in error.value.message
    assert error.value.help == "the file has the prefixes 'a/', 'c/'"
    assert all((value == before[name]).all() for name, value in entries(net).items())


def test_other_shapes_are_said(tmp_path):
    save_npz(tmp_path / 'net.npz', chainer.Chain(x=model(hidden=1)))
    with pytest.raises(DataError) as error:
        load(model(hidden=4), tmp_path / 'net.npz', at='x')
    assert 'x/a/W is float32[1, 3], not float32[4, 3]' in error.value.message
    assert 'x/bn/avg_var is float32[1], not float32[4]' in error.value.message
    assert 'lacks' not in error.value.message


def test_a_prefix_that_is_not_there(tmp_path):
    net = model()
    save_npz(tmp_path / 'net.npz', net)
    with pytest.raises(DataError) as error:
        load(net, tmp_path / 'net.npz', at='encoder')
    assert "it lacks 'encoder/a/W'" in error.value.message
    assert error.value.help == 'all its entries stand at no prefix'


def test_partly_takes_what_fits(tmp_path):
    saved, net = model(), model()
    saved.b.W.array = numpy.zeros((7, 4), 'f')
    saved.b.b.array = numpy.zeros(7, 'f')
    before = entries(net)
    save_npz(tmp_path / 'net.npz', saved)
    load(net, tmp_path / 'net.npz', partly=True)
    for name, value in entries(net).items():
        expected = before[name] if name.startswith('b/') else entries(saved)[name]
        numpy.testing.assert_array_equal(value, expected, name)


def test_partly_needs_one_entry(tmp_path):
    save_npz(tmp_path / 'net.npz', chainer.Chain(z=L.Linear(3, 4)))
    for link in (model(), chainer.Chain()):
        with pytest.raises(DataError, match='does not fit'):
            load(link, tmp_path / 'net.npz', partly=True)


def test_the_uninitialized_takes_its_shape_from_the_file(tmp_path):
    saved, net = L.Linear(3, 4), L.Linear(None, 4)
    save_npz(tmp_path / 'net.npz', saved)
    load(net, tmp_path / 'net.npz')
    assert_equal(saved, net)


def test_other_floats_are_cast_and_floats_are_not_made_integers(tmp_path):
    net = L.Linear(2, 2)
    W = numpy.random.normal(size=(2, 2))
    numpy.savez(tmp_path / 'net.npz', W=W, b=numpy.arange(2))
    load(net, tmp_path / 'net.npz')
    assert net.W.dtype == numpy.float32 and net.b.array.tolist() == [0, 1]
    numpy.testing.assert_array_equal(net.W.array, W.astype('f'))
    bn = {**entries(L.BatchNormalization(2)), 'N': numpy.array(1.5)}
    numpy.savez(tmp_path / 'bn.npz', **bn)
    with pytest.raises(DataError, match=r'N is float64\[\], not int'):
        load(L.BatchNormalization(2), tmp_path / 'bn.npz')


def test_objects_are_not_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ('unpickled',))

    numpy.savez(tmp_path / 'net.npz', W=numpy.array([Trap()]), b=numpy.zeros(2, 'f'))
    for partly in (False, True):
        with pytest.raises(DataError, match="'W' in .*net.npz is no array of numbers but a Python object"):
            load(L.Linear(2, 2), tmp_path / 'net.npz', partly=partly)


def test_a_damaged_entry_is_said(tmp_path):
    save_npz(tmp_path / 'net.npz', L.Linear(50, 50), compression=False)
    content = bytearray((tmp_path / 'net.npz').read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / 'net.npz').write_bytes(content)
    with pytest.raises(DataError, match="'W' in .*net.npz cannot be read"):
        load(L.Linear(50, 50), tmp_path / 'net.npz')


def test_files_that_are_none(tmp_path):
    numpy.save(tmp_path / 'a.npy', numpy.zeros(3))
    (tmp_path / 'b.npz').write_text('weights')
    (tmp_path / 'c.npz').write_bytes(b'')
    save_npz(tmp_path / 'd.npz', model())
    (tmp_path / 'd.npz').write_bytes((tmp_path / 'd.npz').read_bytes()[:200])
    for name in ('a.npy', 'b.npz', 'c.npz', 'd.npz'):
        with pytest.raises(DataError, match=f'{name} is no npz file'):
            load(model(), tmp_path / name)
    with pytest.raises(DataError, match='there is no .*e.npz'):
        load(model(), tmp_path / 'e.npz')
