"""Times variants of one iteration side by side.

Times are process CPU time with one BLAS thread, variants interleaved, as medians of paired ratios: what else the
machine does then falls on all of them alike.
"""
from __future__ import annotations

import os

os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
os.environ.setdefault('OMP_NUM_THREADS', '1')

import statistics
import time
from typing import Callable, Mapping


def interleaved(variants: Mapping[str, Callable[[], None]], rounds: int, warmup: int = 3) -> dict[str, list[float]]:
    """Runs variants in turn.

    Args:
        variants: A function that does one iteration, by name.
        rounds: How often each is timed.
        warmup: How often each runs before.

    Returns:
        Seconds of each round, by name.
    """
    for run in variants.values():
        for _ in range(warmup):
            run()
    times: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    for i in range(rounds):
        # The order turns, so that no variant always runs on the caches that another left.
        for name in names[i % len(names):] + names[:i % len(names)]:
            start = time.process_time()
            variants[name]()
            times[name].append(time.process_time() - start)
    return times


def ratio(times: Mapping[str, list[float]], slow: str, fast: str) -> float:
    """Returns the median of one variant's times over another's, round by round."""
    return statistics.median(a / b for a, b in zip(times[slow], times[fast]))
