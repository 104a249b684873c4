"""Domain adaptation against its hand-written counterpart, and against central differences."""
import math

import numpy
import pytest

from compare import (
    assert_close, check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order,
    numerical_gradient, recorded_gradients)
from handwritten_dann import DANNUpdater


def streams():
    return {'labelled': in_order(digits(32)), 'shifted': in_order(digits(40))}


@pytest.mark.usefixtures('float64')
@pytest.mark.parametrize('strength', [0.3, 0.0])
def test_same(strength):
    """The gradient that is reversed grows with the epochs of the first stream."""
    graph = compile_float64('dann', strength=strength)
    theirs = DANNUpdater(*streams().values(), epochs=6, strength=strength)
    copy_weights(graph, theirs.models)
    check_same(graph.updater(streams(), length=(6, 'epoch')), theirs, graph, theirs.models)


@pytest.mark.usefixtures('float64')
def test_the_trunk_works_against_the_judge():
    """What the trunk descends is the label's loss less a share of the judge's; the judge descends its own."""
    graph = compile_float64('dann')
    updater = graph.updater(streams(), length=(10, 'iteration'))
    for _ in range(4):
        updater.update()
    share = 0.3 * (2 / (1 + math.exp(-4)) - 1)
    (x, t), (u, s) = [[numpy.stack(column) for column in zip(*examples)]
                      for examples in (digits(32)[:8], digits(40)[32:])]
    before = {name: parameter.array.copy() for name, parameter in parameters(graph)}
    with recorded_gradients(updater, graph.models) as gradients:
        updater.update()
    for name, parameter in parameters(graph):
        parameter.array[...] = before[name]

    def losses():
        values = graph.reports({'x': x, 't': t, 'u': u, 's': s})
        return values['label'].array, values['domain'].array

    own = {
        'trunk': lambda: losses()[0] - share * losses()[1],
        'reader': lambda: losses()[0],
        'judge': lambda: losses()[1],
    }
    for name, parameter in parameters(graph):
        expected = dict(numerical_gradient(own[name.split('/')[0]], parameter.array, places=4, step=1e-6))
        got, = gradients[name]
        assert_close([got[index] for index in expected], list(expected.values()), 1e-5, name)


def parameters(graph):
    return [(model + path, p) for model, chain in graph.models.items() for path, p in chain.namedparams()]


def test_runs(tmp_path):
    """Labels of the second scanner are used in evaluation only."""
    last = check_runs('dann', tmp_path, 20)
    assert 'validation/target' in last and 'target' not in last


def test_resume(tmp_path):
    check_resume('dann', tmp_path, 3, 6)
