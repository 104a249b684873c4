"""What SIGKILL does to runs: kills some at random moments, lets them go on, and compares what they come to.

    uv run python benchmarks/kill.py --runs 50

Every second kill comes while a snapshot is being written: the folder of results is watched for the file that is to
become one. The command line alone is used, and nothing of the product is slowed down or told of the kill.
"""
from __future__ import annotations

import collections
import json
import os
import random
import signal
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import click
import numpy

import graphdsl.compiled  # noqa: F401 (what takes time to import is there when processes fork)
from graphdsl.cli import main as graphdsl_main

# Momenta, batch normalization, dropout, noise, a pool, a follower, states, a schedule, two streams, an early stop that
# comes within the run; validation values move it.
PLAIN = '''
data flowers { train = iris(split="train"); test = iris(split="test"); batch 16 }
data wines { train = wine(split="train"); batch 11 }
input x: float32[4], t: int32 from flowers
input u: float32[13], _ from wines
noise z: float32[2] ~ normal(0, 1)
noise coin ~ uniform(0, 1)
noise order: int32 ~ permutation(batch_size) from wines

block dense(width) = Linear(width, nobias=true) -> BatchNormalization(width) -> relu
model net = dense(8) -> dropout(0.3) -> Linear(3)
model other = dense(8) -> Linear(2)
model generator = Linear(4) -> tanh
model critic = Linear(6) -> leaky_relu -> Linear(1)
model average follows net decay 0.9
model target follows critic every 3 iterations

x -> net -> y
z -> generator -> fake
old = history(fake, size=20)
loss kl = softmax_cross_entropy(y, t)
loss consistency = k * mean((net(x) - average(x)) ** 2)
loss wide = mean(other(u) ** 2)
loss rare = mean(other(u[order]) ** 2) when coin < 0.5
loss judge = mean(softplus(-critic(x))) + mean(softplus(critic(old)))
loss fool = mean(softplus(-target(fake)))
metric accuracy = accuracy(y, t)

state k = 0.1
next k = min(1.0, k + 0.1 * kl)
state n = 0
next n after critic = n + 1

optimizer net = Adam(alpha=0.01) owns net
optimizer other = MomentumSGD(lr=0.05) owns other { skip nonfinite }
optimizer generator = RMSprop(lr=0.01) owns generator minimizes fool
optimizer critic = Adam(alpha=0.01) owns critic minimizes judge { hook WeightDecay(1e-3) }
schedule net.alpha = 0.01 * 0.99 ** n * (1 - 0.5 * progress)

step main { update net, other when n % 3 != 2 }
step critic on the same batch repeat 1 + n % 2 { update critic }
step generator { update generator }
train {
    iterations 90; seed 3
    evaluate every 7 iterations; log every 5 iterations; snapshot every 2 iterations
    stop when validation/kl stalls for 12 evaluations
}
'''
# The state of a recurrent link, and a stream that is a sequence.
RECURRENT = '''
data play { train = sequence(text("play.txt", split="train")); test = sequence(text("play.txt", split="test")) }
input now: int32, following: int32 from play
model reader = EmbedID(30, 8) -> dropout(0.2) -> LSTM(12) -> Linear(30)
now -> reader -> y
loss nats = softmax_cross_entropy(y, following)
optimizer adam = Adam(alpha=5e-3) owns reader { hook GradientClipping(5) }
step main unroll 5 { update adam }
train {
    batch 4; iterations 60; seed 1
    evaluate every 20 iterations; log every 5 iterations; snapshot every 1 iteration
}
'''
GRAPHS = {'plain': PLAIN, 'recurrent': RECURRENT}
LETTERS = 'abcdefghijklmnop qrstuvwxyz.,\n'
# What tells when a run was made, and is another in each.
_OF_THE_CLOCK = ('elapsed_time', 'json', '_log')
_FINISHED, _KILLED = 'finished', 'killed'


@dataclass
class Counts:
    """What happened to the runs.

    Attributes:
        kills: By when they came: ``'before'`` the first snapshot, ``'between'`` snapshots, ``'within'`` the writing
            of a file, which is left unfinished then.
        differing: Sentences on runs that came to something else.
    """

    kills: dict[str, int] = field(default_factory=collections.Counter)
    differing: list[str] = field(default_factory=list)


@click.command()
@click.option('--runs', default=50, show_default=True, help='How many runs.')
@click.option('--kills', default=3, show_default=True, help='How often each is killed at most.')
@click.option('--seed', default=0, show_default=True, help='Of the moments.')
def main(runs: int, kills: int, seed: int) -> None:
    """Kills runs, lets them go on, and compares them with one that was not killed."""
    with tempfile.TemporaryDirectory() as folder:
        counts = kill_runs(Path(folder), runs, kills, random.Random(seed))
    print(f'{runs} runs, {sum(counts.kills.values())} kills:',
          ', '.join(f'{number} {when}' for when, number in counts.kills.items()))
    print('\n'.join(counts.differing) or 'all came to the same, bit for bit')
    raise SystemExit(1 if counts.differing else 0)


def kill_runs(folder: Path, runs: int, kills: int, moments: random.Random) -> Counts:
    """Kills runs and compares what they come to.

    Args:
        folder: Where they are.
        runs: How many; the graphs take turns.
        kills: How often each is killed at most.
        moments: Draws the moments.
    """
    counts, whole, graphs = Counts(), {}, tuple(GRAPHS)
    letters = random.Random(0)
    (folder / 'play.txt').write_text(''.join(letters.choice(LETTERS) for _ in range(4000)))
    for name in graphs:
        path = folder / f'{name}.graph'
        path.write_text(GRAPHS[name])
        start = time.monotonic()
        outcome, status = run(path, folder / name, lambda: None)
        assert (outcome, status) == (_FINISHED, 0), (folder / f'{name}.out').read_text()
        whole[name] = time.monotonic() - start
    for number in range(runs):
        name = graphs[number % len(graphs)]
        out = folder / f'{name}-{number}'
        for left in reversed(range(kills + 1)):
            after = moments.uniform(0, whole[name])
            within = bool((number // len(graphs) + left) % 2)
            outcome, status = run(folder / f'{name}.graph', out, _Moment(out, after, within) if left else lambda: None)
            if outcome == _FINISHED:
                break
            counts.kills['within' if any(out.glob('.*.part')) else 'between' if any(out.glob('snapshot_iter_*'))
                         else 'before'] += 1
        if status:
            counts.differing.append(f'{out.name} ended with {status}: {_output(out)[-2000:]}')
            continue
        counts.differing += [f'{out.name}: {problem}' for problem in differences(folder / name, out)]
    return counts


class _Moment:
    """Tells when to kill: after some seconds, and then, if wanted, not before a snapshot is being written."""

    def __init__(self, out: Path, seconds: float, within: bool):
        self._out = out
        self._time = time.monotonic() + seconds
        self._within = within

    def __call__(self) -> bool:
        if time.monotonic() < self._time:
            return False
        if not self._within:
            return True
        try:
            return any(name.endswith('.part') for name in os.listdir(self._out))
        except FileNotFoundError:
            return False


def run(path: Path, out: Path, is_time: Callable[[], Optional[bool]]) -> tuple[str, int]:
    """Trains, or goes on where there is a snapshot, in a process of its own.

    Args:
        path: The graph.
        out: Folder of the results.
        is_time: Says whether to kill it now.

    Returns:
        What became of it, and its exit status.
    """
    arguments = ['compile', '--run', str(path), '--out', str(out)]
    if any(out.glob('snapshot_iter_*')):
        arguments.append('--resume')
    process = os.fork()
    if not process:
        _end_with(arguments, out)
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return _FINISHED, os.waitstatus_to_exitcode(status)
        if is_time():
            os.kill(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            # It may have ended by itself just now.
            return (_KILLED, 0) if os.WIFSIGNALED(status) else (_FINISHED, os.waitstatus_to_exitcode(status))
        time.sleep(1e-4)


def _end_with(arguments: list[str], out: Path) -> None:
    """Runs the command line, and ends this process with its status."""
    status = 99
    try:
        output = os.open(out.with_suffix('.out'), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(output, 1)
        os.dup2(output, 2)
        try:
            graphdsl_main(arguments, prog_name='graphdsl')
        except SystemExit as end:
            status = end.code or 0
    finally:
        os._exit(status)


def _output(out: Path) -> str:
    return out.with_suffix('.out').read_text()


def differences(whole: Path, out: Path) -> Iterator[str]:
    """Yields how a run came to something else than another."""
    left = [path.name for path in out.iterdir() if path.name.endswith('.part')]
    if left:
        yield f'{left} are left over'
    if {path.name for path in whole.iterdir()} != {path.name for path in out.iterdir()}:
        yield f'it has {sorted(path.name for path in out.iterdir())}'
        return
    if _log(whole) != _log(out):
        yield 'its log is another'
    ours, theirs = ({path.name: _entries(path) for path in folder.glob('snapshot_iter_*')} for folder in (out, whole))
    for snapshot, entries in theirs.items():
        if set(entries) != set(ours[snapshot]):
            yield f'{snapshot} has other entries'
            continue
        wrong = [name for name, array in entries.items() if not _same(array, ours[snapshot][name])]
        if wrong:
            yield f'{snapshot} differs in {wrong}'


def _same(one: numpy.ndarray, other: numpy.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def _entries(path: Path) -> dict[str, numpy.ndarray]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    with numpy.load(path, allow_pickle=True) as file:
        return {name: file[name] for name in file.files if not name.endswith(_OF_THE_CLOCK)}


def _log(out: Path) -> list[dict[str, Any]]:
    entries = json.loads((out / 'log').read_text())
    return [{name: value for name, value in entry.items() if name != 'elapsed_time'} for entry in entries]


if __name__ == '__main__':
    main()
