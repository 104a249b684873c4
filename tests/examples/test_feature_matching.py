"""Feature matching against its hand-written counterpart."""
import pytest

from compare import check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order
from handwritten_feature_matching import FeatureMatchingUpdater


@pytest.mark.usefixtures('float64')
def test_same():
    """The trunk moves for two of the three losses that run through it, a tenth of one of them."""
    graph = compile_float64('feature_matching')
    theirs = FeatureMatchingUpdater(in_order(digits()))
    copy_weights(graph, theirs.models)
    check_same(graph.updater(in_order(digits()), seed=0), theirs, graph, theirs.models)


def test_runs(tmp_path):
    """Guessing the mean image would cost 0.073."""
    assert check_runs('feature_matching', tmp_path, 80)['validation/reconstruction'] < 0.073


def test_resume(tmp_path):
    check_resume('feature_matching', tmp_path, 10, 26)
