"""What it costs to show a run in place on a terminal.

    uv run python benchmarks/live.py

The same updater runs with the view and without it, in turn, on a pseudo-terminal that another process reads.
"""
from __future__ import annotations

import measure  # first: it sets the number of BLAS threads

import os
import pty
import time
from typing import TextIO

import numpy
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator
from chainer.training import Trainer, extensions

import graphdsl
from graphdsl.training.live import LiveView
from overhead import GRAPH as MLP
from programs import strips
from programs.program import BATCH

ROUNDS = 40
#: Seconds of a round, some refreshes long.
ROUND = 1.0
ITERATIONS = 10 ** 6


def main() -> None:
    terminal = opened_terminal()
    print('| program | shown / not shown | share of the view | not shown, ms |\n| --- | --: | --: | --: |')
    random = numpy.random.RandomState(0)
    digits = TupleDataset(random.rand(1024, 64).astype('f'), random.randint(0, 10, 1024).astype('i'))
    print(row('mlp', graphdsl.compile(MLP), {'main': digits}, terminal), flush=True)
    for name, trunk in (('mlp', strips.MLP), ('cnn', strips.CNN)):
        for count in (4, 16):
            graph = graphdsl.compile(strips.GRAPH.replace('TRUNK', trunk), params={'count': count})
            print(row(f'strips-{name}-{count}', graph, strips.datasets(count, 'float32'), terminal), flush=True)


def opened_terminal() -> TextIO:
    """Returns a terminal whose output is read by another process."""
    master, slave = pty.openpty()
    if os.fork() == 0:
        os.close(slave)
        try:
            while os.read(master, 65536):
                pass
        except OSError:         # the benchmark has ended
            pass
        os._exit(0)
    os.close(master)
    return open(slave, 'w', encoding='utf-8')


def row(name: str, graph: graphdsl.CompiledGraph, datasets: dict, terminal: TextIO) -> str:
    """Measures a graph; returns the line of the table."""
    iterators = {stream: SerialIterator(dataset, BATCH, shuffle=False) for stream, dataset in datasets.items()}
    trainer = Trainer(graph.updater(iterators), (ITERATIONS, 'iteration'))
    trainer.extend(extensions.LogReport(), trigger=(1, 'epoch'))
    view = LiveView(name, (ITERATIONS, 'iteration'), terminal)
    view.initialize(trainer)
    step(trainer)
    trainer.get_extension('LogReport').log.append({key: 1.0 for key in trainer.observation})
    start = time.perf_counter()
    for _ in range(5):
        step(trainer)
    block = max(int(5 * ROUND / (time.perf_counter() - start)), 1)
    within = [0.0]

    def shown() -> None:
        for _ in range(block):
            step(trainer)
            start = time.process_time()
            view(trainer)
            within[0] += time.process_time() - start

    times = measure.interleaved({'shown': shown, 'not shown': lambda: plain(trainer, block)}, ROUNDS)
    view.finalize()
    milliseconds = 1e3 * numpy.median(times['not shown']) / block
    share = within[0] / ((ROUNDS + measure.WARMUP) / ROUNDS * sum(times['shown']))
    return f'| {name} | {measure.ratio(times, "shown", "not shown"):.3f} | {share:.2%} | {milliseconds:.1f} |'


def plain(trainer: Trainer, block: int) -> None:
    for _ in range(block):
        step(trainer)


def step(trainer: Trainer) -> None:
    """Does an iteration, as a Trainer does."""
    trainer.observation = {}
    with trainer.reporter.scope(trainer.observation):
        trainer.updater.update()


if __name__ == '__main__':
    main()
