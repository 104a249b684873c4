"""Distillation against its hand-written counterpart."""
import chainer
import numpy
import pytest

import graphdsl
from compare import (
    EXAMPLES, arrays, check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order)
from handwritten_distill import DistillUpdater, Teacher


@pytest.fixture
def in_examples(monkeypatch):
    """Paths in a string that is compiled start at the current folder."""
    monkeypatch.chdir(EXAMPLES)


@pytest.mark.usefixtures('float64', 'in_examples')
@pytest.mark.parametrize('share', [0.5, 1.0, 0.0])
def test_same(share):
    """The student gets the gradient of both losses; the teacher has dropout, which is off."""
    graph = compile_float64('distill', share=share)
    theirs = DistillUpdater(in_order(digits()), share=share)
    copy_weights(graph, theirs.models)
    check_same(graph.updater(in_order(digits())), theirs, graph, theirs.models)


def test_the_teacher_is_the_one_of_the_file_and_stays_so(tmp_path):
    graph = graphdsl.compile_file(EXAMPLES / 'distill.graph')
    with numpy.load(EXAMPLES / 'teacher.npz') as file:
        expected = dict(file)
    for trained in (False, True):
        if trained:
            graph.trainer(out=str(tmp_path), length=(5, 'iteration'), progress=False).run()
        for path, array in arrays(graph.models['teacher']).items():
            numpy.testing.assert_array_equal(array, expected[path])
            assert array.dtype == 'f'
    assert list(graph.optimizers) == ['student']


def test_the_teacher_is_good():
    """What the comment says of teacher.npz."""
    from graphdsl.runtime import data
    teacher = Teacher()
    chainer.serializers.load_npz(EXAMPLES / 'teacher.npz', teacher)
    x, t = chainer.dataset.concat_examples(data.digits(split='test')[:])
    with chainer.using_config('train', False):
        assert chainer.functions.accuracy(teacher(x), t).array > 0.98


def test_teacher_runs(tmp_path):
    check_runs('teacher', tmp_path, 5)


def test_runs(tmp_path):
    last = check_runs('distill', tmp_path, 20)
    assert last['validation/teacher_accuracy'] > 0.98


def test_resume(tmp_path):
    check_resume('distill', tmp_path, 7, 12)
