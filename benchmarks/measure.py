"""Times, memory and function nodes of one iteration of several variants.

Import this before NumPy: it sets the number of BLAS threads.
"""
from __future__ import annotations

import os

for _variable in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ[_variable] = '1'

import gc  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import tracemalloc  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Callable, Mapping, NamedTuple  # noqa: E402

import chainer  # noqa: E402
import numpy  # noqa: E402
from chainer import _backprop, function_node  # noqa: E402

WARMUP = 5
BACKWARD_LOOPS = (_backprop._backprop_to_all.__code__, function_node._backprop.__code__)


def interleaved(variants: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Times variants in turn, in process CPU time.

    What else the machine does falls on all of them alike. The order turns, so that no variant always runs on the
    caches that another left. Garbage is collected between the iterations, not in them.

    Args:
        variants: A function that does one iteration, by name.
        rounds: How often each is timed.

    Returns:
        Seconds of each round, by name.
    """
    for run in variants.values():
        for _ in range(WARMUP):
            run()
    times: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        for i in range(rounds):
            turn = i % len(names)
            for name in names[turn:] + names[:turn]:
                start = time.process_time()
                variants[name]()
                times[name].append(time.process_time() - start)
            gc.collect()
    finally:
        gc.enable()
        gc.unfreeze()
    return times


def ratio(times: Mapping[str, list[float]], slow: str, fast: str) -> float:
    """Returns the median of one variant's times over another's, round by round."""
    return statistics.median(a / b for a, b in zip(times[slow], times[fast]))


def peak_memory(run: Callable[[], None]) -> int:
    """Returns how many bytes more than at its start an iteration holds at its peak, arrays of NumPy included."""
    tracemalloc.start()
    try:
        for _ in range(WARMUP):
            run()
        gc.collect()
        tracemalloc.reset_peak()
        start, _ = tracemalloc.get_traced_memory()
        run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - start


class Nodes(NamedTuple):
    """Numbers of function nodes.

    Attributes:
        forward: Functions that ran, outside of backward passes.
        backward: Functions that were differentiated.
        derivatives: Functions that ran within backward passes: gradients of weights and of inputs, and their sums.
    """

    forward: int
    backward: int
    derivatives: int


def count_nodes(run: Callable[[], None]) -> Nodes:
    """Counts the function nodes of an iteration."""
    with _Counter() as counter:
        run()
    return Nodes(counter.forward, counter.backward, counter.derivatives)


class _Counter(chainer.FunctionHook):

    name = 'benchmark counter'

    def __init__(self) -> None:
        super().__init__()
        self.forward = self.backward = self.derivatives = 0

    def forward_postprocess(self, function, in_data) -> None:
        if _in_backward_pass():
            self.derivatives += 1
        else:
            self.forward += 1

    def backward_postprocess(self, function, in_data, out_grad) -> None:
        self.backward += 1


def _in_backward_pass() -> bool:
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code in BACKWARD_LOOPS:
            return True
        frame = frame.f_back
    return False


def machine() -> str:
    """Describes what the times were taken on, in one line."""
    return (f'{_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, NumPy {numpy.__version__}, '
            f'Chainer {chainer.__version__}, {_blas()}')


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        lines = []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def _blas() -> str:
    import threadpoolctl
    found = [library for library in threadpoolctl.threadpool_info() if library['user_api'] == 'blas']
    return ', '.join(f"{library['internal_api']} {library['version']} ({library.get('architecture')}, "
                     f"threads: {library['num_threads']})" for library in found) or 'an unknown BLAS'
