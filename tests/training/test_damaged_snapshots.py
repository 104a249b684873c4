"""Damaged snapshots: whatever byte is wrong, it is found, or what is loaded is what was saved."""
import random
import warnings

import numpy
import pytest
from click.testing import CliRunner

from graphdsl.cli import main
from graphdsl.training.snapshots import Writer, damage_of, entries_of

GRAPH = """
data flowers { train = iris(split="train") }
input x: float32[4], t: int32 from flowers
model net = Linear(3)
x -> net -> y
loss kl = softmax_cross_entropy(y, t)
optimizer Adam() owns net
train { batch 60; iterations 4; snapshot every 2 iterations }
"""
ARRAYS = {f'updater/model:{name}/W': numpy.random.RandomState(0).rand(5, i + 1) for i, name in enumerate('abcdefgh')}


@pytest.fixture
def snapshot(tmp_path):
    Writer()('snapshot_iter_1', str(tmp_path), ARRAYS)
    return tmp_path / 'snapshot_iter_1'


def is_found_or_harmless(path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')     # of names that are there twice
        if damage_of(path) is not None:
            return True
    entries = entries_of(path)
    return set(entries) == set(ARRAYS) and all(numpy.array_equal(entries[name], ARRAYS[name]) for name in ARRAYS)


def test_a_good_one(snapshot):
    assert damage_of(snapshot) is None and is_found_or_harmless(snapshot)


def test_any_byte(snapshot):
    """Each byte of the list of entries at the end, and some of each that stand before."""
    moments, content = random.Random(0), snapshot.read_bytes()
    listed = content.index(b'PK\x01\x02')
    for place in [*moments.sample(range(listed), 500), *range(listed, len(content))]:
        for mask in (1 << moments.randrange(8), 0xff):
            damaged = bytearray(content)
            damaged[place] ^= mask
            snapshot.write_bytes(damaged)
            assert is_found_or_harmless(snapshot), (place, mask)


def test_any_length(snapshot):
    """A part of it, and a part of it followed by zeros, as a file system may leave it."""
    content = snapshot.read_bytes()
    for size in range(0, len(content), 7):
        for rest in (b'', bytes(len(content) - size)):
            snapshot.write_bytes(content[:size] + rest)
            assert content[:size] + rest == content or damage_of(snapshot) is not None


def test_an_entry_that_is_lost_without_a_wrong_checksum(tmp_path):
    """Moments of Adam that are taken for a comment: the snapshot before is used, and both are named."""
    (tmp_path / 'a.graph').write_text(GRAPH)
    arguments = ['compile', '--run', str(tmp_path / 'a.graph'), '--out', str(tmp_path / 'out')]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    broken = tmp_path / 'out' / 'snapshot_iter_4'
    content = bytearray(broken.read_bytes())
    at = content.rindex(b'updater/optimizer:net/linear_1/W/m.npy')
    listed = content.rindex(b'PK\x01\x02', 0, at)
    end = content.index(b'PK\x01\x02', at)
    before = content.rindex(b'PK\x01\x02', 0, listed)
    content[before + 32:before + 34] = (end - listed).to_bytes(2, 'little')
    broken.write_bytes(content)
    with numpy.load(broken, allow_pickle=True) as file:
        assert 'updater/optimizer:net/linear_1/W/m' not in file.files
    result = CliRunner().invoke(main, [*arguments, '--resume'])
    assert result.exit_code == 0, result.output
    assert 'snapshot_iter_4 is broken' in result.output and 'snapshot_iter_2 is taken instead' in result.output
