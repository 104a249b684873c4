"""Programs that Hypothesis writes: valid ones are accepted and run, spoiled ones are accepted or diagnosed.

A few hundred of each are tried by default, the same in every run. The environment variable ``GRAPHDSL_FUZZ`` gives
another number, and other programs in each run::

    GRAPHDSL_FUZZ=10000 uv run pytest tests/fuzz -x
"""
import os

import chainer
import numpy
import pytest
from fuzz.mutants import mutants
from fuzz.programs import programs
from fuzz.running import Hang, iterate, limited, little_memory
from hypothesis import HealthCheck, Phase, given, settings

import graphdsl
from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import translate
from graphdsl.emit.module import emit
from graphdsl.plan.passes import PASSES, optimized
from graphdsl.plan.planner import plan
from graphdsl.syntax.format import format_source
from graphdsl.syntax.parse import parse

# Zeros and random numbers divide and overflow as they like; that is NumPy's to say.
pytestmark = pytest.mark.filterwarnings('ignore::RuntimeWarning')

_COUNT = int(os.environ.get('GRAPHDSL_FUZZ', 0))
_SECONDS = 20


def examples(count):
    """Settings for so many programs by default."""
    return settings(max_examples=_COUNT or count, deadline=None, derandomize=not _COUNT, database=None,
                    suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate, Phase.shrink])


@examples(200)
@given(programs())
def test_a_valid_program_runs(program):
    with chainer.using_config('dtype', numpy.dtype(program.real)):
        assert [d for d in graphdsl.check(program.text) if d.severity == 'error'] == []
    compilation = translate(Source(program.text))
    assert_formatted(program.text)
    for name in PASSES:
        module = emit(optimized(plan(compilation.graph), {name}), Source(program.text))
        compile(module.text, 'module', 'exec')
    reported = trained(program)
    if program.real == 'float64':
        for name, value in trained(program, no_passes=list(PASSES)).items():
            numpy.testing.assert_allclose(reported[name], value, rtol=1e-6, atol=1e-6, err_msg=name)


def assert_formatted(text):
    """Checks that the formatter keeps what a program means, and has nothing to do a second time."""
    formatted = format_source(Source(text))
    assert parse(Source(formatted)) == parse(Source(text))
    assert format_source(Source(formatted)) == formatted


def trained(program, **options):
    """Trains a program for two iterations; returns what is reported of each."""
    with chainer.using_config('dtype', numpy.dtype(program.real)), limited(_SECONDS):
        numpy.random.seed(0)
        reports = iterate(graphdsl.compile(program.text, **options), 2)
    return {f'{i}/{name}': value for i, report in enumerate(reports) for name, value in report.items()}


@pytest.fixture
def run(command, tmp_path):
    """Returns a function that runs a command line on a text, and checks how it ends."""
    path = tmp_path / 'program.graph'

    def ended(text, *arguments):
        path.write_text(text, encoding='utf-8', newline='')
        with limited(_SECONDS):
            status, out, err = command(*(path if word == 'FILE' else word for word in arguments))
        if 'MemoryError' in err:
            raise Hang(err)     # no limit on the sizes of inputs and noise yet
        assert status in (0, 1), err
        assert 'Traceback' not in err and (status == 0 or 'error[' in err), err
        return status

    return ended


@examples(300)
@given(program=mutants())
def test_a_mutant_is_fine_or_diagnosed(program, run):
    status = run(program.text, 'check', 'FILE')
    found = diagnostics(program.text)
    assert status == int(any(d.severity == 'error' for d in found))
    if status == 0:
        run(program.text, 'compile', 'FILE')
        assert_formatted(program.text)
        try:
            with little_memory(), chainer.using_config('dtype', numpy.dtype(program.real)):
                status = run(program.text, 'plan', 'FILE')
                with limited(_SECONDS):
                    iterate(graphdsl.compile(program.text))
        except GraphError as error:
            assert_good(error.diagnostics, error.source.text)
        except (Hang, MemoryError):
            pass                # a large model, or a step that is repeated as often as was asked for
        else:
            assert status == 0


@examples(20)
@given(program=programs(runs=True))
def test_a_program_with_data_is_trained_by_the_command_line(program, run, tmp_path):
    assert run(program.text, 'compile', '--run', 'FILE', '--iterations', '2', '--out', tmp_path / 'out') == 0


def diagnostics(text):
    with limited(_SECONDS):
        found = graphdsl.check(text)
    assert_good(found, text)
    return found


def assert_good(found, text):
    """Checks that diagnostics have a message, and stand within the text, in order."""
    assert list(found) == sorted(found, key=lambda d: d.span.start)
    for one in found:
        assert one.message and one.code
        assert 0 <= one.span.start <= one.span.end <= len(text)
        assert all(0 <= place.span.start <= place.span.end <= len(text) for place in one.places)
