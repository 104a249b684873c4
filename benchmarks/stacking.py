"""N linear heads on one value: one by one, and as one. Read from it when heads are stacked.

    uv run python benchmarks/stacking.py
"""
from __future__ import annotations

import measure  # first: it sets the number of BLAS threads

import statistics
from itertools import product
from typing import Callable, Sequence

import chainer
import chainer.functions as F
import chainer.links as L
import numpy

from graphdsl.runtime import stacked_linear, stacked_softmax_cross_entropy

HEADS = (2, 3, 5, 8, 16, 64)
# More outputs of all examples together than these take long and say nothing new.
MOST = 2 ** 22


def one_by_one(h: chainer.Variable, t: numpy.ndarray, heads: Sequence[L.Linear],
               others: Sequence[chainer.Variable]) -> None:
    losses = [F.softmax_cross_entropy(head(h), t[:, i]) for i, head in enumerate(heads)]
    chainer.grad(losses, [parameter for head in heads for parameter in head.params()] + list(others), set_grad=True)


def as_one(h: chainer.Variable, t: numpy.ndarray, heads: Sequence[chainer.Chain],
           others: Sequence[chainer.Variable]) -> None:
    y = stacked_linear(h, heads)
    chainer.grad([stacked_softmax_cross_entropy(y, t).whole], [*y.weights, *others], set_grad=True)
    y.share_gradients()


def variants(count: int, size: int, out: int, batch: int) -> dict[str, Callable[[], None]]:
    """Makes passes forward and backward through heads and losses.

    Args:
        count: Number of heads.
        size: Inputs of each.
        out: Outputs of each.
        batch: Number of examples.
    """
    random = numpy.random.RandomState(0)
    heads = [L.Linear(size, out) for _ in range(count)]
    h = chainer.Variable(random.randn(batch, size).astype('f'))
    t = random.randint(0, out, (batch, count)).astype('i')
    chains = [chainer.Sequential(head) for head in heads]
    return {'separate': lambda: one_by_one(h, t, heads, [h]), 'stacked': lambda: as_one(h, t, chains, [h])}


def main() -> None:
    print('Forward and backward through linear heads and their losses: how many times as long as stacked, one by one\n')
    print('| inputs | outputs | batch |' + ''.join(f' {count} heads |' for count in HEADS))
    print('| --: | --: | --: |' + ' --: |' * len(HEADS))
    for size, out, batch in product((32, 256, 2048), (1, 10, 100, 1000), (1, 64, 512)):
        cells = []
        for count in HEADS:
            if count * out * max(batch, size) > MOST:
                cells.append('')
                continue
            times = measure.interleaved(variants(count, size, out, batch), rounds=11)
            ratio = statistics.median(a / b for a, b in zip(times['separate'], times['stacked']))
            cells.append(f'{ratio:.2f}')
        print('| ' + ' | '.join(map(str, (size, out, batch, *cells))) + ' |', flush=True)


if __name__ == '__main__':
    main()
