"""A character language model against its hand-written counterpart."""
import numpy
import pytest

from compare import (
    EXAMPLES, assert_close, check_resume, check_runs, check_same, compile_float64, copy_weights)
from handwritten_char_lm import TruncatedUpdater, evaluated, lanes

SIZES = {'characters': 40, 'units': 12}


@pytest.mark.usefixtures('float64')
def test_same():
    """Truncated backpropagation through time: the state goes on, the history is cut after every update."""
    graph = compile_float64('char_lm', **SIZES)
    theirs = TruncatedUpdater(lanes(), **SIZES)
    copy_weights(graph, theirs.models)
    ours = graph.updater(lanes())
    check_same(ours, theirs, graph, theirs.models)
    assert ours.epoch_detail == theirs.epoch_detail == pytest.approx(20 * 35 * 4 / 2996)


@pytest.mark.usefixtures('float64')
def test_the_state_goes_on():
    """An iteration begins with the state that the last one ended with."""
    graph = compile_float64('char_lm', **SIZES)
    theirs = TruncatedUpdater(lanes(), **SIZES)
    copy_weights(graph, theirs.models)
    ours = graph.updater(lanes())
    for _ in range(3):
        ours.update()
        theirs.update()
    lstm = graph.models['reader'].lstm_1
    assert_close(lstm.h.array, theirs.reader.lstm_1.h.array, 1e-8, 'h')
    assert_close(lstm.c.array, theirs.reader.lstm_1.c.array, 1e-8, 'c')
    assert lstm.h.creator is None and lstm.c.creator is None


@pytest.mark.usefixtures('float64')
def test_evaluation_begins_with_zeros_and_leaves_the_state_alone():
    graph = compile_float64('char_lm', **SIZES)
    theirs = TruncatedUpdater(lanes(), **SIZES)
    copy_weights(graph, theirs.models)
    ours = graph.updater(lanes())
    for updater in (ours, theirs):
        updater.update()
    lstm = graph.models['reader'].lstm_1
    before = lstm.h.array.copy()
    report = graph.evaluator(lanes(batch=6, length=500, repeat=False)).evaluate()
    expected = evaluated(theirs.reader, lanes(batch=6, length=500, repeat=False))
    assert_close(report['validation/nats'], expected, 1e-8, 'nats')
    assert_close(report['validation/bits'], expected / numpy.log(2), 1e-8, 'bits')
    numpy.testing.assert_array_equal(lstm.h.array, before)


def test_runs(tmp_path):
    """On the play: three updates know more than nothing, which is a guess among 100 characters."""
    last = check_runs('char_lm', tmp_path, 3, units=16)
    assert last['validation/bits'] < numpy.log2(100)


@pytest.fixture
def pangrams(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('the quick brown fox jumps over the lazy dog\n' * 200)
    return str(path)


def test_any_text(tmp_path, pangrams):
    check_runs('char_lm', tmp_path, 2, units=16, path=pangrams)


@pytest.mark.parametrize('first', [1, 3])
def test_resume(tmp_path, pangrams, first):
    """The state of the reader and the place in the text are part of a snapshot."""
    check_resume('char_lm', tmp_path, first, 5, units=16, path=pangrams)


def test_the_text_is_a_whole_play():
    text = (EXAMPLES / 'shakespeare.txt').read_text(encoding='ascii')
    assert text.startswith('SAMPSON:') and text.endswith('Juliet and her Romeo.\n')
    assert len(set(text)) == 61
