"""The rules about streams of minibatches: several of them, their sizes, clocks and sources."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator

import graphdsl
from graphdsl.runtime.data import Columns
from graphdsl.runtime.seeds import random_state
from rules import Calls, Counted, T, U, X, assert_parameters, compiled, descend, everything, iterate, twins, variable

pytestmark = pytest.mark.usefixtures('float64')

TWO = """
import long, short from "lab"
data first { train = long(); test = long(); batch 4 }
data second { train = short(); batch 3 }
input x: float64[3], t: int32 from first
input u: float64[3] from second
model net = Linear(2)
x -> net -> y
u -> net -> q
loss a = softmax_cross_entropy(y, t)
loss b = mean(q ** 2)
optimizer net = SGD(lr=0.1) owns net
train { batch 2; seed 5; iterations 8 }
"""
SHORT = U[:7]


def long():
    return TupleDataset(X, T)


def short():
    return TupleDataset(SHORT)


BIND = {'long': long, 'short': short}


def test_streams_of_different_lengths_and_batch_sizes():
    """12 examples by 4 and 7 by 3: each stream goes round by itself, with full minibatches."""
    graph = compiled(TWO, bind=BIND)
    theirs = twins(graph)
    calls = Calls(graph)
    updater = graph.updater({'first': Counted(X, T), 'second': Counted(SHORT, batch=3)})
    with calls:
        reports = iterate(updater, 6)
    assert updater.epoch == 2
    endless = numpy.concatenate([SHORT] * 3)
    for i in range(6):
        x, t = variable(X[4 * i % 12:][:4]), T[4 * i % 12:][:4]
        u = variable(endless[3 * i:3 * i + 3])
        a = F.softmax_cross_entropy(theirs['net'](x), t)
        b = F.mean(theirs['net'](u) ** 2)
        assert reports[i] == pytest.approx({'a': float(a.array), 'b': float(b.array)})
        descend([a + b], [theirs['net']], 0.1)
    assert {len(x) for x in calls.inputs['net'][1::2]} == {3}
    assert_parameters(graph, theirs)


def test_the_order_of_examples_comes_from_the_seed_and_the_stream(tmp_path):
    """Shuffled anew in every epoch by the generator of the stream; minibatches are full across epochs."""
    graph = compiled(TWO, bind=BIND)
    trainer = graph.trainer(str(tmp_path), progress=False)
    calls = Calls(graph)
    with calls:
        for _ in range(8):
            trainer.updater.update()
    for place, (name, data, batch) in enumerate([('first', X, 4), ('second', SHORT, 3)]):
        iterator = SerialIterator(list(range(len(data))), batch, order_sampler=chainer.iterators.ShuffleOrderSampler(
            random_state(5, name)))
        for x in calls.inputs['net'][place::2]:
            numpy.testing.assert_array_equal(x, data[iterator.next()])


def test_another_seed_another_order(tmp_path):
    found = []
    for seed in (None, 5, 6):
        graph = compiled(TWO, bind=BIND)
        updater = graph.trainer(str(tmp_path), progress=False, seed=seed).updater
        iterate(updater, 3)
        found.append(everything(graph)['net/linear_1/W'])
    numpy.testing.assert_array_equal(found[0], found[1])
    assert not numpy.array_equal(found[0], found[2])


def test_the_first_block_is_the_clock():
    """`get_iterator('main')` answers with it, and its examples count epochs."""
    text = TWO.replace('data first { train = long(); test = long(); batch 4 }\n', '').replace(
        'batch 3 }', 'batch 3 }\ndata first { train = long(); batch 4 }')
    graph = compiled(text, bind=BIND)
    first, second = Counted(X, T), Counted(SHORT, batch=3)
    updater = graph.updater({'first': first, 'second': second})
    assert updater.get_iterator('main') is second
    iterate(updater, 5)
    assert updater.epoch == 2 and updater.epoch_detail == pytest.approx(15 / 7)


def test_batch_is_the_streams_own_or_that_of_train(tmp_path):
    graph = compiled(TWO.replace('; batch 3', ''), bind=BIND)
    updater = graph.trainer(str(tmp_path), progress=False).updater
    assert updater.get_iterator('first').batch_size == 4
    assert updater.get_iterator('second').batch_size == 2


def test_columns_are_matched_by_name_where_there_are_names():
    graph = compiled("""
        input t: int32, x: float64[3]
        model net = Linear(2)
        x -> net -> y
        loss cost = softmax_cross_entropy(y, t)
        optimizer net = SGD(lr=0.1) owns net
        """)
    theirs = twins(graph)
    iterate(graph.updater(SerialIterator(Columns({'x': X, 'other': U, 't': T}), 4, shuffle=False)))
    descend([F.softmax_cross_entropy(theirs['net'](variable(X[:4])), T[:4])], [theirs['net']], 0.1)
    assert_parameters(graph, theirs)


def test_columns_that_are_not_wanted():
    """`_` in the order of the columns."""
    graph = compiled("""
        input _, x: float64[3], _
        model net = Linear(2)
        loss cost = mean(net(x) ** 2)
        optimizer net = SGD(lr=0.1) owns net
        """)
    theirs = twins(graph)
    iterate(graph.updater(Counted(U, X, T)))
    descend([F.mean(theirs['net'](variable(X[:4])) ** 2)], [theirs['net']], 0.1)
    assert_parameters(graph, theirs)


def test_a_minibatch_that_does_not_fit_is_an_error():
    graph = compiled(TWO, bind=BIND)
    with pytest.raises(graphdsl.GraphError, match='x'):
        iterate(graph.updater({'first': Counted(X[:, :2], T), 'second': Counted(SHORT, batch=3)}))


def test_a_file_without_data_is_compiled_and_embedded():
    graph = compiled('input x: float64[3]\nmodel net = Linear(2)\nloss cost = mean(net(x))\n'
                     'optimizer net = SGD(lr=0.1) owns net\n')
    iterate(graph.updater(Counted(X)))
    with pytest.raises(ValueError):
        graph.trainer()


LANES = """
import letters from "lab"
data text { train = sequence(letters()); test = sequence(letters()); batch 3 }
input now: int32, following: int32 from text
model net = EmbedID(30, 4) -> LSTM(4) -> Linear(30)
now -> net -> y
loss cost = softmax_cross_entropy(y, following)
optimizer net = SGD(lr=0.1) owns net
step main unroll 2 { update net }
train { iterations 4 }
"""


def test_sequence(tmp_path):
    """One long array as parallel lanes of (item, next item), read in order."""
    letters = numpy.random.RandomState(0).randint(30, size=25).astype('i')
    graph = compiled(LANES, bind={'letters': lambda: letters})
    updater = graph.trainer(str(tmp_path), progress=False).updater
    iterator = updater.get_iterator('main')
    seen = [[(int(a), int(b)) for a, b in iterator.next()] for _ in range(6)]
    for lane in range(3):
        items = [step[lane] for step in seen]
        start = next(i for i in range(24) if (letters[i], letters[i + 1]) == items[0]
                     and all((letters[i + k], letters[i + k + 1]) == items[k] for k in range(6)))
        assert start == lane * 8


def test_the_same_batch_of_several_streams():
    """Each stream's latest; what the second step needs beyond is drawn for it."""
    graph = compiled(TWO + """
        step one { update net for a }
        step two on the same batch repeat 2 { update net }
        """, bind=BIND)
    first, second = Counted(X, T), Counted(SHORT, batch=3)
    calls = Calls(graph)
    updater = graph.updater({'first': first, 'second': second})
    with calls:
        iterate(updater, 2)
    assert (first.draws, second.draws) == (2, 2)
    for i in range(2):
        x1, x2, u2, x3, u3 = calls.inputs['net'][5 * i:5 * i + 5]
        for x in (x1, x2, x3):
            numpy.testing.assert_array_equal(x, X[4 * i:4 * i + 4])
        for u in (u2, u3):
            numpy.testing.assert_array_equal(u, numpy.concatenate([SHORT, SHORT])[3 * i:3 * i + 3])


def test_several_streams_in_accumulate():
    """A new minibatch of each for every run."""
    graph = compiled(TWO + 'step one accumulate 2 { update net }\n', bind=BIND)
    first, second = Counted(X, T), Counted(SHORT, batch=3)
    theirs = twins(graph)
    report, = iterate(graph.updater({'first': first, 'second': second}))
    net = theirs['net']
    a = [F.softmax_cross_entropy(net(variable(X[i:i + 4])), T[i:i + 4]) for i in (0, 4)]
    b = [F.mean(net(variable(SHORT[i:i + 3])) ** 2) for i in (0, 3)]
    assert report == pytest.approx({'a': float(sum(a).array) / 2, 'b': float(sum(b).array) / 2})
    descend([0.5 * (sum(a) + sum(b))], [net], 0.1)
    assert_parameters(graph, theirs)


def test_epochs_end_a_run_by_the_clock(tmp_path):
    """11 examples by 4: epochs end in iterations 3, 6 and 9 (11 / 4 = 2.75)."""
    graph = compiled(TWO.replace('iterations 8', 'epochs 3; log every 1 epoch'),
                     bind={'long': lambda: TupleDataset(X[:11], T[:11]), 'short': short})
    trainer = graph.trainer(str(tmp_path), progress=False)
    trainer.run(show_loop_exception_msg=False)
    assert [entry['iteration'] for entry in trainer.get_extension('LogReport').log] == [3, 6, 9]


def test_options_take_the_place_of_the_files(tmp_path):
    graph = compiled(TWO, bind=BIND)
    trainer = graph.trainer(str(tmp_path), progress=False, length=(3, 'iteration'))
    trainer.run(show_loop_exception_msg=False)
    assert trainer.updater.iteration == 3
