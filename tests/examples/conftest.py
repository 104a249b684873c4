"""Fixtures of the tests of the examples."""
import chainer
import numpy
import pytest


@pytest.fixture
def float64():
    """Parameters in double precision, so that only a wrong gradient can differ by more than rounding."""
    with chainer.using_config('dtype', numpy.float64):
        yield
