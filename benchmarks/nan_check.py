"""What it costs to check that losses and gradients are finite, before they move a weight.

    uv run python benchmarks/nan_check.py

Two updaters of one graph take turns on the same models, one with the check and one without.
"""
from __future__ import annotations

import measure  # first: it sets the number of BLAS threads

import numpy
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator

import graphdsl
from overhead import GRAPH as MLP
from programs import dcgan, strips
from programs.program import BATCH

ROUNDS = 200
BLOCK = 10


def main() -> None:
    print('| program | checked / unchecked | unchecked, ms |\n| --- | --: | --: |')
    random = numpy.random.RandomState(0)
    digits = TupleDataset(random.rand(1024, 64).astype('f'), random.randint(0, 10, 1024).astype('i'))
    print(row('mlp', graphdsl.compile(MLP), {'main': digits}, BLOCK), flush=True)
    for name, trunk in (('mlp', strips.MLP), ('cnn', strips.CNN)):
        for count in (4, 16):
            graph = graphdsl.compile(strips.GRAPH.replace('TRUNK', trunk), params={'count': count})
            print(row(f'strips-{name}-{count}', graph, strips.datasets(count, 'float32'), 1), flush=True)
    for program in dcgan.PROGRAMS:
        print(row(program.name, graphdsl.compile(program.graph), program.datasets('float32'), 1), flush=True)


def row(name: str, graph: graphdsl.CompiledGraph, datasets: dict, block: int) -> str:
    """Measures a graph; returns the line of the table."""
    def variant(nan_check: bool):
        iterators = {stream: SerialIterator(dataset, BATCH, shuffle=False) for stream, dataset in datasets.items()}
        updater = graph.updater(iterators, nan_check=nan_check)

        def run() -> None:
            for _ in range(block):
                updater.update()
        return run

    times = measure.interleaved({'checked': variant(True), 'unchecked': variant(False)}, ROUNDS)
    milliseconds = 1e3 * numpy.median(times['unchecked']) / block
    return f'| {name} | {measure.ratio(times, "checked", "unchecked"):.3f} | {milliseconds:.1f} |'


if __name__ == '__main__':
    main()
