"""The tools of the benchmarks count what can be counted by hand."""
import subprocess
import sys
from pathlib import Path

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import measure  # noqa: E402
from benchmarks.programs import PROGRAMS  # noqa: E402
from benchmarks.programs.program import variants  # noqa: E402


def test_nodes_of_one_layer():
    """Backward, the layer runs a function for each of its weights, its bias and its input."""
    layer, x = L.Linear(3, 2), chainer.Variable(numpy.ones((4, 3), 'f'))

    def run():
        layer.cleargrads()
        F.sum(layer(x)).backward()

    nodes = measure.count_nodes(run)
    assert nodes == (2, 2, 1 + 3)      # the gradient of a sum is broadcast


@pytest.mark.parametrize('name, backward', [('usual', 2 * 11), ('without', 9 + 2 * 2)])
def test_nodes_of_two_heads(name, backward):
    """A loss passes 9 nodes of the trunk and 2 of its head."""
    program, = (p for p in PROGRAMS if p.name == 'strips-cnn-2')
    nodes = measure.count_nodes(variants(program, batch=2)[name].updater.update)
    assert (nodes.forward, nodes.backward) == (9 + 2 * 2, backward)


def test_peak_memory_sees_arrays():
    """Two arrays at once, both gone at the end."""
    kept = []

    def run():
        kept[:] = [numpy.ones(500_000, 'f')]
        numpy.ones(250_000, 'f')

    # The old array of 2 MB dies only when the new one is there.
    assert measure.peak_memory(run) == pytest.approx(2e6, rel=0.01)


def test_every_variant_is_timed_in_every_round():
    calls = []
    times = measure.interleaved({name: lambda name=name: calls.append(name) for name in 'abc'}, rounds=4)
    assert {name: len(seconds) for name, seconds in times.items()} == {'a': 4, 'b': 4, 'c': 4}
    assert ''.join(calls[-12:]) == 'abcbcacababc'


def test_command(tmp_path):
    table = tmp_path / 'table.md'
    command = [sys.executable, 'benchmarks/run.py', 'strips-mlp-1', '--rounds', '1', '-o', str(table)]
    printed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line for line in table.read_text(encoding='utf-8').splitlines() if line.startswith('|')]
    assert printed.splitlines() == rows and [row.split()[1] for row in rows[2:]] == ['strips-mlp-1', 'strips-mlp-16']
