"""A character language model as a careful Chainer user writes it, and lanes of a sequence."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator
from chainer.training import StandardUpdater


def lanes(batch=4, length=3000, repeat=True):
    """Reads one sequence at several places at once.

    It is a dataset in which the examples stand in the order in which they are read, for a plain iterator.
    """
    random = numpy.random.RandomState(0)
    items = (numpy.arange(length) * 7 % 30 + random.randint(10, size=length)).astype(numpy.int32)
    each = (length - 1) // batch
    place = (numpy.arange(batch) * each + numpy.arange(each)[:, None]).ravel()
    return SerialIterator(TupleDataset(items[place], items[place + 1]), batch, repeat=repeat, shuffle=False)


class Reader(chainer.Chain):

    def __init__(self, characters, units):
        super().__init__()
        with self.init_scope():
            self.embedid_1 = L.EmbedID(characters, units)
            self.lstm_1 = L.LSTM(units, units)
            self.linear_1 = L.Linear(units, characters)

    def forward(self, x):
        return self.linear_1(self.lstm_1(self.embedid_1(x)))


class TruncatedUpdater(StandardUpdater):
    """Backpropagates through the last minibatches, and cuts the history behind them."""

    def __init__(self, iterator, characters, units, unroll=35):
        self.reader = Reader(characters, units)
        self.models = {'reader': self.reader}
        self.unroll = unroll
        optimizer = chainer.optimizers.Adam(alpha=5e-3).setup(self.reader)
        optimizer.add_hook(chainer.optimizer_hooks.GradientClipping(5))
        super().__init__(iterator, optimizer)

    def update_core(self):
        total = 0
        right = 0
        for _ in range(self.unroll):
            x, t = self.converter(self.get_iterator('main').next(), self.device)
            y = self.reader(x)
            total += F.softmax_cross_entropy(y, t)
            right += F.accuracy(y, t).array
        self.reader.cleargrads()
        total.backward()
        total.unchain_backward()
        self.get_optimizer('main').update()
        nats = total.array / self.unroll
        chainer.report({'nats': nats, 'bits': nats / numpy.log(2), 'accuracy': right / self.unroll})


def evaluated(reader, iterator):
    """The mean loss on a sequence that is read from a state of zeros; the reader keeps its own."""
    copy = reader.copy(mode='copy')
    copy.lstm_1.reset_state()
    losses = []
    with chainer.using_config('train', False), chainer.no_backprop_mode():
        for batch in iterator:
            x, t = chainer.dataset.concat_examples(batch)
            losses.append(F.softmax_cross_entropy(copy(x), t).array)
    return numpy.mean(losses)
