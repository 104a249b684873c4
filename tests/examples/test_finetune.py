"""Fine-tuning against its hand-written counterpart."""
import numpy
import pytest

import graphdsl
from compare import (
    EXAMPLES, arrays, check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order)
from handwritten_finetune import ThawUpdater


@pytest.mark.usefixtures('float64')
@pytest.mark.parametrize('thaw', [0, 2, 3])
def test_same(thaw, monkeypatch):
    """The head alone, then both; an epoch has 4 iterations."""
    monkeypatch.chdir(EXAMPLES)
    graph = compile_float64('finetune', thaw=thaw)
    theirs = ThawUpdater(in_order(digits()), thaw)
    copy_weights(graph, theirs.models)
    check_same(graph.updater(in_order(digits())), theirs, graph, theirs.models)
    assert graph.optimizers['head'].t == 20 and graph.optimizers['trunk'].t == 20 - 4 * thaw


def test_the_trunk_stays_until_it_thaws(tmp_path):
    graph = graphdsl.compile_file(EXAMPLES / 'finetune.graph', params={'thaw': 2})
    with numpy.load(EXAMPLES / 'trunk.npz') as file:
        loaded = dict(file)
    trainer = graph.trainer(out=str(tmp_path), length=(10, 'iteration'), progress=False)     # 30 examples, by 10
    moved = []
    for _ in range(9):
        trunk = arrays(graph.models['trunk'])
        assert set(trunk) == set(loaded)
        moved.append(any((array != loaded[path]).any() for path, array in trunk.items()))
        trainer.updater.update()
    assert moved == [False] * 7 + [True] * 2


def test_pretrain_runs(tmp_path):
    check_runs('pretrain', tmp_path, 5)


def test_runs(tmp_path):
    last = check_runs('finetune', tmp_path, 9)
    assert {'kl', 'validation/kl', 'new/accuracy'} <= set(last)


@pytest.mark.parametrize('first', [4, 7])
def test_resume(tmp_path, first):
    """From a snapshot before and after the thaw."""
    check_resume('finetune', tmp_path, first, 10, thaw=2)
