"""The mean teacher against its hand-written counterpart."""
import numpy
import pytest

from compare import (
    arrays, check_resume, check_runs, check_same, compile_float64, copy_weights, digits, in_order)
from handwritten_mean_teacher import MeanTeacherUpdater


@pytest.mark.usefixtures('float64')
@pytest.mark.parametrize('weight', [2.0, 0.0])
def test_same(weight):
    """Gradients for the student, an average for the teacher, running statistics for both."""
    graph = compile_float64('mean_teacher', weight=weight)
    theirs = MeanTeacherUpdater(in_order(digits(40)), in_order(digits(32)), iterations=30, weight=weight)
    copy_weights(graph, theirs.models)
    streams = {'unlabelled': in_order(digits(40)), 'labelled': in_order(digits(32))}
    check_same(graph.updater(streams, seed=0, length=(30, 'iteration')), theirs, graph, theirs.models)


@pytest.mark.usefixtures('float64')
def test_the_teacher_starts_as_the_student():
    models = compile_float64('mean_teacher').models
    student = arrays(models['student'])
    for path, array in arrays(models['teacher']).items():
        numpy.testing.assert_array_equal(array, student[path])


def test_runs(tmp_path):
    """Both are evaluated, the teacher nowhere else."""
    last = check_runs('mean_teacher', tmp_path, 20)
    assert 'validation/teacher_accuracy' in last and 'teacher_accuracy' not in last


def test_resume(tmp_path):
    check_resume('mean_teacher', tmp_path, 3, 6)
