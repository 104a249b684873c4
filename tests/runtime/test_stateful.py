import io

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

from graphdsl.runtime.stateful import cut, reset, serialize, set_aside, set_state, state_of

LINKS = {
    'LSTM': lambda: L.LSTM(3, 4),
    'StatefulGRU': lambda: L.StatefulGRU(3, 4),
    'StatefulMGU': lambda: L.StatefulMGU(3, 4),
    'StatefulPeepholeLSTM': lambda: L.StatefulPeepholeLSTM(3, 4),
    'StatefulZoneoutLSTM': lambda: L.StatefulZoneoutLSTM(3, 4, c_ratio=0, h_ratio=0),
}


class Own(chainer.Chain):
    """A recurrent link of somebody's own whose state starts from zeros rather than None."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.inner = L.LSTM(3, 3)
            self.bias = chainer.Parameter(numpy.ones(3, 'f'))
        self.reset_state()

    def reset_state(self):
        self.inner.reset_state()
        self.memory = chainer.Variable(numpy.zeros((2, 3), 'f'))

    def forward(self, x):
        self.memory = F.tanh(self.memory + self.inner(x) + self.bias)
        return self.memory


LINKS['Own'] = Own


def words(n):
    return numpy.random.RandomState(1).normal(size=(n, 2, 3)).astype('f')


@pytest.fixture(params=LINKS)
def model(request):
    return chainer.Chain(rnn=LINKS[request.param](), head=L.Linear(3, 2))


def run(model, xs):
    return [model.rnn(x).array.copy() for x in xs]


def assert_equal(a, b):
    for x, y in zip(a, b):
        numpy.testing.assert_array_equal(x, y)


def test_a_state_is_given_back(model):
    xs = words(4)
    run(model, xs[:2])
    state = state_of(model)
    assert state and all(isinstance(value, chainer.Variable) for value in state.values())
    assert all(key.startswith('/rnn/') for key in state)
    after = run(model, xs[2:])
    set_state(model, state)
    assert_equal(run(model, xs[2:]), after)
    assert not any(isinstance(value, chainer.Parameter) for value in state.values())


def test_reset_starts_anew(model):
    xs = words(2)
    first = run(model, xs)
    reset(model)
    assert_equal(run(model, xs), first)


def test_a_state_of_the_start_resets(model):
    start = state_of(model)
    first = run(model, words(2))
    set_state(model, start)
    assert_equal(run(model, words(2)), first)


def test_set_aside_starts_from_zero_and_gives_back(model):
    xs = words(4)
    start = run(model, xs[:2])
    after_all = run(model, xs[2:])
    reset(model)
    run(model, xs[:2])
    before = state_of(model)
    with pytest.raises(KeyError), set_aside({'net': model}):
        assert_equal(run(model, xs[:2]), start)
        raise KeyError
    assert all(state_of(model)[key] is value for key, value in before.items())
    assert_equal(run(model, xs[2:]), after_all)


def test_cut_keeps_values_and_loses_history(model):
    x, later = chainer.Variable(words(1)[0]), words(2)[1]
    run(model, [x])
    before = state_of(model)
    model.cleargrads()
    cut(model)
    after = state_of(model)
    assert after.keys() == before.keys()
    for key, value in after.items():
        assert value.creator is None and not value.requires_grad
        numpy.testing.assert_array_equal(value.array, before[key].array)
    F.sum(model.rnn(chainer.Variable(later))).backward()
    assert x.grad is None


def test_without_a_cut_gradients_pass(model):
    x = chainer.Variable(words(1)[0])
    model.rnn(x)
    F.sum(model.rnn(words(2)[1])).backward()
    assert x.grad.any()


def saved(*models):
    serializer = chainer.serializers.DictionarySerializer()
    serialize(serializer['states'], {f'net[{i}]': model for i, model in enumerate(models)})
    file = io.BytesIO()
    numpy.savez(file, **serializer.target)
    file.seek(0)
    return file


def loaded(file, *models):
    with numpy.load(file, allow_pickle=False) as npz:
        serialize(chainer.serializers.NpzDeserializer(npz)['states'],
                  {f'net[{i}]': model for i, model in enumerate(models)})


def test_a_loaded_state_goes_on(model):
    xs, other = words(4), model.copy(mode='copy')
    run(model, xs[:2])
    file = saved(model)
    expected = run(model, xs[2:])
    reset(other)
    loaded(file, other)
    assert all(value.creator is None for value in state_of(other).values())
    assert_equal(run(other, xs[2:]), expected)


def test_a_state_that_was_not_there_is_reset(model):
    plain = L.Linear(3, 2)
    reset(model)
    file = saved(plain, model)
    first = run(model, words(2))
    loaded(file, plain, model)
    assert_equal(run(model, words(2)), first)


def test_a_model_that_is_itself_stateful():
    link = L.LSTM(3, 4)
    link(words(1)[0])
    assert sorted(state_of(link)) == ['/c', '/h']
    file, h = saved(link), link.h.array.copy()
    reset(link)
    assert link.h is None and state_of(link) == {}
    loaded(file, link)
    numpy.testing.assert_array_equal(link.h.array, h)


def test_a_model_without_states():
    link = L.BatchNormalization(3)
    link(words(1)[0])
    assert state_of(link) == {}
    with set_aside({'net': link}):
        cut(link)
    loaded(saved(link), link)
