"""Runs that are killed with SIGKILL, also while a snapshot is written, and go on, come to what others come to."""
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import kill  # noqa: E402


def test_killed_runs_come_to_the_same(tmp_path):
    counts = kill.kill_runs(tmp_path, runs=4, kills=1, moments=random.Random(1))
    assert not counts.differing, '\n'.join(counts.differing)
    assert counts.kills['within']
