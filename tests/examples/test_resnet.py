"""A residual network against its hand-written counterpart."""
import pytest

from compare import check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order
from handwritten_resnet import ResNetUpdater


@pytest.mark.usefixtures('float64')
@pytest.mark.parametrize('depth', [1, 3])
def test_same(depth):
    """Blocks of blocks, running statistics, weight decay, and a learning rate that is halved on the way."""
    graph = compile_float64('resnet', depth=depth, width=8)
    theirs = ResNetUpdater(in_order(digits()), depth, width=8)
    copy_weights(graph, theirs.models)
    check_same(graph.updater(in_order(digits())), theirs, graph, theirs.models, iterations=24)
    assert graph.optimizers['sgd'].lr == theirs.get_optimizer('main').lr == 0.05


def test_runs(tmp_path):
    last = check_runs('resnet', tmp_path, 8, depth=1, width=8)
    assert {'kl', 'accuracy', 'validation/kl', 'validation/accuracy'} <= set(last)


def test_resume(tmp_path):
    check_resume('resnet', tmp_path, 3, 6, depth=1, width=8)
