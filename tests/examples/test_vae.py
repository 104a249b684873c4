"""A variational autoencoder against its hand-written counterpart."""
import pytest

from compare import check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order
from handwritten_vae import VAEUpdater


@pytest.mark.usefixtures('float64')
def test_same():
    """Over five epochs, so that the weight of the KL term rises."""
    graph = compile_float64('vae')
    theirs = VAEUpdater(in_order(digits()))
    copy_weights(graph, theirs.models)
    check_same(graph.updater(in_order(digits())), theirs, graph, theirs.models)
    assert theirs.epoch == 5


def test_runs(tmp_path):
    """Guessing even odds for every pixel would cost 44.4 nats."""
    assert check_runs('vae', tmp_path, 60)['validation/bound'] < 40


def test_resume(tmp_path):
    check_resume('vae', tmp_path, 10, 26)
