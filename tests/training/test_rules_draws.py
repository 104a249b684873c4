"""The rules about what a run draws: minibatches, noise, and what is used again."""
import numpy
import pytest

from rules import Calls, Counted, GAME, T, U, X, compiled, iterate, minibatch

pytestmark = pytest.mark.usefixtures('float64')


def test_noise_alone_draws_no_data():
    """It has as many rows as a minibatch of its stream, which nobody drew; nor does the clock move."""
    text = GAME + 'step generator { update generator }\nstep critic when iteration >= 2 { update critic }\n'
    graph = compiled(text)
    calls, iterator = Calls(graph), Counted(X, batch=5)
    updater = graph.updater(iterator)
    with calls:
        iterate(updater, 2)
    assert iterator.draws == 0 and updater.epoch_detail == 0
    assert [z.shape for z in calls.inputs['generator']] == [(5, 2), (5, 2)]
    iterate(updater)
    assert iterator.draws == 1


def test_a_step_draws_from_the_streams_whose_inputs_it_needs_and_no_other():
    graph = compiled("""
        data labelled { train = points(); batch 4 }
        data unlabelled { train = points(); batch 3 }
        import points from "lab"
        input x: float64[3], t: int32 from labelled
        input u: float64[3] from unlabelled
        model net = Linear(2)
        x -> net -> y
        u -> net -> q
        loss a = softmax_cross_entropy(y, t)
        loss b = mean(q ** 2)
        optimizer net = SGD(lr=0.1) owns net
        step first repeat 3 { update net for a }
        step second { update net for b }
        step both when iteration == 1 { update net }
        """, bind={'points': lambda: None})
    labelled, unlabelled = Counted(X, T), Counted(U, batch=3)
    updater = graph.updater({'labelled': labelled, 'unlabelled': unlabelled})
    iterate(updater)
    assert (labelled.draws, unlabelled.draws) == (3, 1)
    iterate(updater)
    assert (labelled.draws, unlabelled.draws) == (7, 3)


def test_every_draw_advances_the_clock():
    """12 examples, 3 draws of 4 an iteration: an epoch each."""
    graph = compiled(GAME + 'step critic repeat 3 { update critic }\nstep generator { update generator }\n')
    updater = graph.updater(Counted(X))
    iterate(updater, 2)
    assert updater.epoch == 2 and updater.epoch_detail == 2.0


def test_on_the_same_batch_reuses_data_and_noise():
    """And draws what is missing: here the noise n."""
    text = GAME.replace('x -> critic', 'x + n -> critic') + 'noise n: float64[3] ~ normal(0, 1)\n'
    steps = 'step generator {{ update generator }}\nstep critic {} {{ update critic }}\n'
    noises = {}
    for clause in ('', 'on the same batch', 'on the same data'):
        graph = compiled(text + steps.format(clause))
        calls, iterator = Calls(graph), Counted(X)
        updater = graph.updater(iterator)
        with calls:
            iterate(updater, 2)
        assert iterator.draws == 2
        noises[clause] = calls.inputs['generator']
    for clause in ('', 'on the same data'):
        assert not (noises[clause][0] == noises[clause][1]).any()
    z = noises['on the same batch']
    numpy.testing.assert_array_equal(z[0], z[1])
    numpy.testing.assert_array_equal(z[2], z[3])
    assert not (z[1] == z[2]).any()


@pytest.mark.parametrize('clause, draws', [('', 2), ('on the same batch', 1), ('on the same data', 1)])
def test_on_the_same_batch_or_data_reuses_minibatches(clause, draws):
    """Of this iteration only."""
    graph = compiled("""
        input x: float64[3]
        model net = Linear(2)
        x -> net -> y
        loss a = mean(y ** 2)
        loss b = mean(y)
        optimizer net = SGD(lr=0.1) owns net
        step first { update net for a }
        step second %s { update net for b }
        """ % clause)
    calls, iterator = Calls(graph), Counted(X)
    updater = graph.updater(iterator)
    with calls:
        iterate(updater, 3)
    assert iterator.draws == 3 * draws
    for i, x in enumerate(calls.inputs['net']):
        numpy.testing.assert_array_equal(x, minibatch(i if draws == 2 else i // 2).array)


def test_the_latest_draw_is_reused():
    """After three repetitions that is the third."""
    graph = compiled(GAME + 'step critic repeat 3 { update critic }\n'
                            'step generator on the same batch { update generator }\n', no_passes=['reuse'])
    calls = Calls(graph)
    updater = graph.updater(Counted(X))
    with calls:
        iterate(updater)
    z = calls.inputs['generator']
    assert len(z) == 4 and not (z[0] == z[1]).any() and not (z[1] == z[2]).any()
    numpy.testing.assert_array_equal(z[2], z[3])


def test_on_the_same_batch_draws_what_is_missing():
    """The first step of an iteration has nothing to reuse."""
    graph = compiled(GAME + 'step critic on the same batch { update critic }\n'
                            'step generator on the same batch { update generator }\n', no_passes=['reuse'])
    calls, iterator = Calls(graph), Counted(X)
    updater = graph.updater(iterator)
    with calls:
        iterate(updater, 2)
    z = calls.inputs['generator']
    assert iterator.draws == 2
    numpy.testing.assert_array_equal(z[0], z[1])
    assert not (z[1] == z[2]).any()


def test_repetitions_on_the_same_batch_share_it():
    graph = compiled(GAME + 'step generator { update generator }\n'
                            'step critic on the same batch repeat 3 { update critic }\n')
    calls, iterator = Calls(graph), Counted(X)
    updater = graph.updater(iterator)
    with calls:
        iterate(updater)
    assert iterator.draws == 1
    assert all((z == calls.inputs['generator'][0]).all() for z in calls.inputs['generator'])


def test_dropout_is_always_fresh():
    graph = compiled("""
        input x: float64[3]
        model last = Linear(1, nobias=true)
        x -> dropout(0.5) -> d
        d -> last -> y
        loss a = mean(y ** 2)
        loss b = mean(y)
        optimizer last = SGD(lr=0.1) owns last
        step first { update last for a }
        step second on the same batch { update last for b }
        """)
    calls = Calls(graph)
    numpy.random.seed(0)
    updater = graph.updater(Counted(X))
    with calls:
        iterate(updater)
    first, second = calls.inputs['last']
    assert ((first == 0) != (second == 0)).any()
