"""CycleGAN against its hand-written counterpart."""
import pytest

from compare import check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order
from handwritten_cyclegan import CycleGANUpdater


@pytest.mark.usefixtures('float64')
@pytest.mark.parametrize('weight', [10.0, 1.0])
def test_same(weight):
    """Four models in two steps: gradients, running statistics, pools that swap, learning rates that fall."""
    graph = compile_float64('cyclegan', weight=weight)
    theirs = CycleGANUpdater(in_order(digits(32)), in_order(digits(40)), iterations=24, weight=weight)
    copy_weights(graph, theirs.models)
    streams = {'images': in_order(digits(32)), 'negatives': in_order(digits(40))}
    ours = graph.updater(streams, seed=0, length=(24, 'iteration'))
    check_same(ours, theirs, graph, theirs.models)
    for name, optimizer in theirs.get_all_optimizers().items():
        assert graph.optimizers[name].alpha == pytest.approx(optimizer.alpha)
        assert optimizer.alpha == pytest.approx(1e-3 * 10 / 24)     # that of the last of 20 iterations


def test_runs(tmp_path):
    """Both streams are evaluated, together and alone, and learning rates are reported."""
    last = check_runs('cyclegan', tmp_path, 10)
    assert {'validation/judged_x', 'validation/cycle_y', 'validation/off_x', 'translators.alpha'} <= set(last)


def test_resume(tmp_path):
    check_resume('cyclegan', tmp_path, 2, 4)
