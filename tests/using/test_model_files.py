"""Weights of all models, and of one, in files that Chainer writes and reads."""
import pickle

import chainer
import chainer.links as L
import numpy
import pytest
from chainer.serializers import load_npz, save_npz

import graphdsl
from graphdsl.runtime.data import DataError

GRAPH = '''
param width = 5
data flowers {
    train = iris(split="train")
    test = iris(split="test")
}
input x: float32[4], t: int32 from flowers
model trunk = Linear(width) -> BatchNormalization(width) -> tanh
model old follows trunk decay 0.5
x -> trunk -> h
for i in 0..2 {
    model head[i] = Linear(3)
    h -> head[i] -> y[i]
    loss cost[i] = softmax_cross_entropy(y[i], t)
    optimizer Adam() owns head[i]
}
x -> eval(old) -> before
loss near = mean((h - before) ** 2)
optimizer Adam() owns trunk
train {
    batch 30
    epochs 1
}
'''


def compiled(seed=0, text=GRAPH, **params):
    numpy.random.seed(seed)
    return graphdsl.compile(text, params=params)


def trained(seed=0):
    graph = compiled(seed)
    iterator = chainer.iterators.SerialIterator(graph.datasets()['flowers']['train'], 30)
    updater = graph.updater(iterator)
    updater.update()
    return graph


def read(path):
    with numpy.load(path) as file:
        return dict(file)


def entries(link):
    serializer = chainer.serializers.DictionarySerializer()
    serializer.save(link)
    return {name: numpy.array(value) for name, value in serializer.target.items()}


def assert_equal(a, b):
    a, b = entries(a), entries(b)
    assert a.keys() == b.keys()
    for name in a:
        numpy.testing.assert_array_equal(a[name], b[name], name)


def assert_all_equal(a, b):
    for name, model in a.models.items():
        assert_equal(model, b.models[name])


def all_entries(graph):
    return {name: entries(model) for name, model in graph.models.items()}


@pytest.fixture
def whole(tmp_path):
    graph = trained()
    graph.save_weights(tmp_path / 'all.npz')
    return graph, tmp_path / 'all.npz'


def test_all_models_move_in_one_file(whole):
    graph, file = whole
    other = compiled(1)
    other.load_weights(file)
    assert_all_equal(graph, other)
    assert [name for name in entries(other.models['trunk']) if name.endswith('/avg_mean')]


def test_chainer_reads_a_model_out_of_the_whole(whole):
    graph, file = whole
    head = chainer.Chain(linear_1=L.Linear(5, 3))
    load_npz(str(file), head, 'head[1]/')
    assert_equal(head, graph.models['head[1]'])


def test_a_model_alone_is_what_chainer_writes(whole, tmp_path):
    graph, _ = whole
    graph.save_weights(tmp_path / 'ours.npz', model='trunk')
    save_npz(str(tmp_path / 'chainers.npz'), graph.models['trunk'])
    ours, chainers = (read(tmp_path / name) for name in ('ours.npz', 'chainers.npz'))
    assert list(ours) == list(chainers)
    for name in ours:
        numpy.testing.assert_array_equal(ours[name], chainers[name])
        assert ours[name].dtype == chainers[name].dtype


def test_chainer_reads_a_model_alone(whole, tmp_path):
    graph, _ = whole
    graph.save_weights(tmp_path / 'head.npz', model='head[0]')
    head = chainer.Chain(linear_1=L.Linear(5, 3))
    load_npz(str(tmp_path / 'head.npz'), head)
    assert_equal(head, graph.models['head[0]'])


def test_a_model_of_a_chainer_program_is_read(tmp_path):
    head = chainer.Chain(linear_1=L.Linear(5, 3))
    save_npz(str(tmp_path / 'head.npz'), head)
    graph = compiled()
    before = all_entries(graph)
    graph.load_weights(tmp_path / 'head.npz', model='head[1]')
    assert_equal(head, graph.models['head[1]'])
    for name in ('trunk', 'old', 'head[0]'):
        for entry, value in entries(graph.models[name]).items():
            numpy.testing.assert_array_equal(value, before[name][entry])


def test_a_model_called_like_its_own_child(tmp_path):
    class Net(chainer.Chain):
        def __init__(self):
            super().__init__(net=L.Linear(4, 3))

        def forward(self, x):
            return self.net(x)
    text = '''
input x: float32[4], t: int32
import Net from "lab"
model net = Net()
x -> net -> y
loss cost = softmax_cross_entropy(y, t)
optimizer Adam() owns net
'''
    graphs = [graphdsl.compile(text, bind={'Net': Net}) for _ in range(2)]
    save_npz(str(tmp_path / 'net.npz'), graphs[0].models['net'])
    graphs[1].load_weights(tmp_path / 'net.npz', model='net')
    assert_all_equal(*graphs)


@pytest.mark.parametrize('model', [None, 'trunk'])
def test_a_snapshot_of_a_run_is_read(tmp_path, model):
    graph = compiled()
    trainer = graph.trainer(out=str(tmp_path), length=(4, 'iteration'), progress=False)
    trainer.run()
    save_npz(str(tmp_path / 'snapshot'), trainer)
    other = compiled(1)
    other.load_weights(tmp_path / 'snapshot', model)
    for name in other.models if model is None else [model]:
        assert_equal(graph.models[name], other.models[name])


def test_float64_is_read_into_float32(whole, tmp_path):
    graph, file = whole
    wide = {name: array.astype('d') if array.dtype.kind == 'f' else array for name, array in read(file).items()}
    numpy.savez(tmp_path / 'wide.npz', **wide)
    other = compiled(1)
    other.load_weights(tmp_path / 'wide.npz')
    assert_all_equal(graph, other)


def test_models_that_the_graph_lacks_are_left_alone(whole, tmp_path):
    graph, file = whole
    numpy.savez(tmp_path / 'more.npz', **read(file), **{'critic/linear_1/W': numpy.zeros(3)})
    other = compiled(1)
    other.load_weights(tmp_path / 'more.npz')
    assert_all_equal(graph, other)


# What does not fit

class Harmful:
    def __reduce__(self):
        return pytest.fail, ('a pickle was run',)


def changed(file, target, **changes):
    """Writes a file again, without the entries whose value is None."""
    arrays = {**read(file), **{name.replace('__', '/'): value for name, value in changes.items()}}
    with open(target, 'wb') as stream:
        numpy.savez(stream, **{name: array for name, array in arrays.items() if array is not None})
    return target


def objects(value):
    array = numpy.empty((), object)
    array[()] = value
    return array


@pytest.mark.parametrize('changes, message', [
    ({'trunk__linear_1__W': None}, "`trunk` lacks 'linear_1/W'; is it of a run with other params?"),
    ({'head[1]__linear_1__W': None, 'head[1]__linear_1__b': None}, '`head[1]` is not in it'),
    ({'head[1]__linear_1__b': numpy.zeros(4, 'f')},
     "`head[1]` has 'linear_1/b' as float32[4], not float32[3]; is it of a run with other params?"),
    ({'trunk__linear_1__b': numpy.array(['a'] * 5)}, "`trunk` has 'linear_1/b' as <U1[5], not float32[5]"),
    ({'trunk__linear_2__b': numpy.zeros(4, 'f')}, "`trunk` has 'linear_2/b' there, and not in the graph"),
    ({'old__linear_1__W': objects(Harmful())}, "`old` has a Python object as 'linear_1/W', which might run code"),
    ({'old__linear_1__W': objects(None)}, "`old` has no value for 'linear_1/W'"),
    ({'old__linear_1__W': numpy.zeros(10 ** 8, 'b')}, "`old` has 'linear_1/W' as int8[100000000], not float32[5, 4]")])
def test_what_does_not_fit_is_told_and_nothing_is_loaded(whole, tmp_path, changes, message):
    _, file = whole
    other = compiled(1)
    before = all_entries(other)
    with pytest.raises(DataError) as caught:
        other.load_weights(changed(file, tmp_path / 'changed.npz', **changes))
    assert 'changed.npz does not fit: ' + message in str(caught.value)
    assert_all_equal_to(before, other)


def assert_all_equal_to(before, graph):
    for name, values in before.items():
        for entry, value in entries(graph.models[name]).items():
            numpy.testing.assert_array_equal(value, values[entry])


def test_all_differences_are_told(whole):
    _, file = whole
    with pytest.raises(DataError) as caught:
        compiled(width=7).load_weights(file)
    text = str(caught.value)
    assert '`trunk` has' in text and '`head[0]` has' in text and 'more; is it of a run' in text


@pytest.mark.parametrize('content, message', [
    (None, 'there is no '), (b'', ' is no npz file'), (b'PK\3\4 and so on', ' is no npz file'),
    (pickle.dumps(Harmful()), ' is no npz file')])
def test_files_that_are_none(tmp_path, content, message):
    if content is not None:
        (tmp_path / 'weights.npz').write_bytes(content)
    with pytest.raises(DataError, match=message):
        compiled().load_weights(tmp_path / 'weights.npz')


def test_a_single_array_is_no_npz_file(tmp_path):
    numpy.save(tmp_path / 'weights.npy', numpy.zeros(3))
    with pytest.raises(DataError, match='is no npz file'):
        compiled().load_weights(tmp_path / 'weights.npy')


def test_every_half_written_and_damaged_file_is_refused(whole, tmp_path):
    _, file = whole
    content = file.read_bytes()
    other = compiled(1)
    before = all_entries(other)
    random = numpy.random.RandomState(0)
    for place in random.randint(len(content), size=60):
        for damaged in (content[:place], content[:place] + bytes([content[place] ^ 255]) + content[place + 1:]):
            (tmp_path / 'damaged.npz').write_bytes(damaged)
            try:
                other.load_weights(tmp_path / 'damaged.npz')
            except DataError:
                assert_all_equal_to(before, other)
            else:       # a byte that says nothing, such as the date
                assert_all_equal(whole[0], other)
                other = compiled(1)


def test_a_file_of_one_model_is_no_file_of_all(tmp_path):
    graph = compiled()
    graph.save_weights(tmp_path / 'head.npz', model='head[0]')
    with pytest.raises(DataError, match=r"the file of a single model, such as 'head\[0\]': say which"):
        graph.load_weights(tmp_path / 'head.npz')


def test_a_file_of_another_model(whole, tmp_path):
    graph, file = whole
    graph.save_weights(tmp_path / 'head.npz', model='head[0]')
    with pytest.raises(DataError, match=r"`trunk` lacks .*; it is a file of 'head\[0\]'"):
        graph.load_weights(tmp_path / 'head.npz', model='trunk')
    numpy.savez(tmp_path / 'other.npz', a=numpy.zeros(3))
    with pytest.raises(DataError, match="`trunk` is not in it; .*; at the top it has 'a'"):
        graph.load_weights(tmp_path / 'other.npz')


@pytest.mark.parametrize('act', ['save_weights', 'load_weights'])
def test_a_model_that_is_not_there(whole, act):
    graph, file = whole
    with pytest.raises(DataError, match=r"no model 'head'; there are 'trunk', 'old', 'head\[0\]', 'head\[1\]'"):
        getattr(graph, act)(file, model='head')


def test_a_file_that_cannot_be_written_is_as_it_was(whole, tmp_path):
    graph, _ = whole
    with pytest.raises(OSError):
        graph.save_weights(tmp_path / 'nowhere' / 'all.npz')


class Caching(chainer.Chain):
    """A link whose persistent value is not set."""

    def __init__(self):
        super().__init__()
        self.add_persistent('cache', None)
        with self.init_scope():
            self.inner = chainer.links.Linear(4, 3)

    def forward(self, x):
        return self.inner(x)


def test_values_that_are_not_set(tmp_path):
    """Chainer writes None for them; it is the only Python object that is saved and read."""
    text = GRAPH[:GRAPH.index('model')] + '''
        import Caching from "lab"
        model net = Caching()
        x -> net -> y
        loss kl = softmax_cross_entropy(y, t)
        optimizer Adam() owns net
    '''
    graphs = [graphdsl.compile(text, bind={'Caching': Caching}) for _ in range(2)]
    graphs[0].save_weights(tmp_path / 'w.npz')
    graphs[1].load_weights(tmp_path / 'w.npz')
    assert_all_equal(*graphs)
    assert graphs[1].models['net'].caching_1.cache is None
