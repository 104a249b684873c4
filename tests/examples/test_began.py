"""A BEGAN against its hand-written counterpart."""
import pytest

from compare import check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order
from handwritten_began import BEGANUpdater


@pytest.mark.usefixtures('float64')
def test_same():
    """With a fast balance, so that the state is seen in the weights."""
    graph = compile_float64('began', rate=2.0)
    theirs = BEGANUpdater(in_order(digits()), rate=2.0)
    copy_weights(graph, theirs.models)
    check_same(graph.updater(in_order(digits()), seed=0), theirs, graph, theirs.models)
    assert 0 < theirs.k < 1


def test_runs(tmp_path):
    last = check_runs('began', tmp_path, 60)
    assert last['validation/convergence'] < 0.4


def test_resume(tmp_path):
    """The state goes on as well."""
    check_resume('began', tmp_path, 10, 26, rate=2.0)
