"""The benchmarks compare like with like: updaters by hand compute what the compiled graph computes."""
import functools
import sys
from pathlib import Path

import chainer
import numpy
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.programs import PROGRAMS  # noqa: E402
from benchmarks.programs.program import variants, weights  # noqa: E402

SAME_BUT_LARGER = ('strips-cnn-5', 'strips-cnn-8', 'strips-cnn-16', 'strips-mlp-16')
CHOSEN = [program for program in PROGRAMS if program.name not in SAME_BUT_LARGER]
PAIRS = [(program, name) for program in CHOSEN
         for name, compared in [('best', True), ('usual', program.same), ('without', program.passes)] if compared]


@functools.lru_cache(maxsize=None)
def trained(program):
    """Weights of a graph before training, and those of all variants after it, in double precision."""
    with chainer.using_config('dtype', numpy.float64):
        made = variants(program, 'float64', batch=24)
        before = {path: array.copy() for path, array in weights(made['ours'].models).items()}
        for variant in made.values():
            for _ in range(3):      # more than 50 examples: the pools of images are full
                variant.updater.update()
    return before, {name: weights(variant.models) for name, variant in made.items()}


@pytest.mark.parametrize('program, name', PAIRS, ids=[f'{program.name}-{name}' for program, name in PAIRS])
def test_same_weights(program, name):
    _, after = trained(program)
    if name not in after:
        pytest.skip('the compiler has no such switch')
    for path, array in after['ours'].items():
        # What people write moves running averages also in steps that are none of the model's own.
        if name != 'usual' or '/avg_' not in path:
            scale = abs(array).max() or 1
            off = abs(after[name][path] - array).max() / scale
            assert off < 1e-10, f'{path} is {off:.1e} off'


@pytest.mark.parametrize('program', CHOSEN, ids=lambda program: program.name)
def test_what_learns_moves(program):
    before, after = trained(program)
    for path, array in after['ours'].items():
        if not path.endswith('/N'):
            frozen = program.name == 'frozen_trunk' and path.startswith('trunk/')
            assert frozen == numpy.array_equal(array, before[path]), path
