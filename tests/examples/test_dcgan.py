"""A DCGAN against its hand-written counterpart."""
import pytest

from compare import check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order
from handwritten_dcgan import DCGANUpdater


@pytest.mark.usefixtures('float64')
def test_same():
    """Weights, and running statistics that only their own model's step may move."""
    graph = compile_float64('dcgan')
    theirs = DCGANUpdater(in_order(digits()))
    copy_weights(graph, theirs.models)
    check_same(graph.updater(in_order(digits()), seed=0), theirs, graph, theirs.models)


def test_runs(tmp_path):
    last = check_runs('dcgan', tmp_path, 12)
    assert {'judgement', 'fool', 'energy', 'validation/energy'} <= set(last)


def test_resume(tmp_path):
    check_resume('dcgan', tmp_path, 3, 6)
