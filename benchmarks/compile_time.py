"""How long graphs of growing size take to compile, phase by phase, and how much memory.

    uv run python benchmarks/compile_time.py [SHAPE...] [--most N] [--limit SECONDS] [--no-memory]

Without shapes, all of them. Times are process CPU seconds of one run, `compile()` being Python's own of the generated
module; memory is the peak of allocations in a second run, without `compile()`, which takes about five times as much.
Columns with × give the factor from the row above: sizes grow by 10, so what is linear shows as 10, and as less while
fixed costs dominate.
"""
from __future__ import annotations

import argparse
import gc
import signal
import time
import tracemalloc
from typing import Callable, Iterator

from graphdsl.diagnostics import Source
from graphdsl.emit.module import emit
from graphdsl.plan.passes import optimized
from graphdsl.plan.planner import plan
from graphdsl.semantics.checker import check
from graphdsl.syntax.parse import parse

SIZES = (10, 100, 1000, 10_000)
PHASES = ('parse', 'check', 'plan', 'emit', 'compile()')

BASE = 'input x: float32[4], t: int32\n'


def lines(pattern: str, n: int) -> str:
    """Returns a line for each number below n; `#` stands for the number, `@` for the next."""
    return ''.join(pattern.replace('#', str(i)).replace('@', str(i + 1)) + '\n' for i in range(n))


def heads(n: int) -> str:
    """Heads of one trunk, each with a loss, a metric, an output and an optimizer, unrolled from `for`."""
    return f'''
input x: float32[4], t: int32[{n}]
model trunk = Linear(8) -> relu
x -> trunk -> h
for i in 0..{n} {{
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    metric accuracy[i] = accuracy(y[i], t[:, i])
    output label[i] = argmax(y[i], axis=1)
    optimizer Adam() owns head[i]
}}
optimizer Adam() owns trunk
'''


def written_heads(n: int) -> str:
    """The same, without metrics and outputs, with every line written out."""
    return (f'input x: float32[4], t: int32[{n}]\nmodel trunk = Linear(8) -> relu\nx -> trunk -> h\n' + lines(
        'model head# = Linear(10)\nh -> head# -> y#\nloss digit# = softmax_cross_entropy(y#, t[:, #])\n'
        'optimizer Adam() owns head#', n) + 'optimizer Adam() owns trunk\n')


def edges(n: int) -> str:
    """A chain of values, every edge written out."""
    return (BASE + 'model trunk = Linear(4)\nx -> trunk -> v0\n' + lines('v# -> tanh -> v@', n)
            + f'loss l = mean(v{n})\noptimizer Adam() owns trunk\n')


def layers(n: int) -> str:
    """One model of many stages."""
    stages = '\n    -> '.join(['Linear(4)', 'relu'] * (n // 2))
    return f'{BASE}model net = {stages}\nx -> net -> y\nloss l = mean(y)\noptimizer Adam() owns net\n'


def models(n: int) -> str:
    """A chain of models of one optimizer: `h[i] -> layer[i] -> h[i + 1]`."""
    return f'''{BASE}
h[0] = x
for i in 0..{n} {{ model layer[i] = Linear(4) -> relu; h[i] -> layer[i] -> h[i + 1] }}
loss l = mean(h[{n}])
optimizer Adam() owns layer[*]
'''


def owners(n: int) -> str:
    """A chain of models with an optimizer each."""
    return models(n).replace('optimizer Adam() owns layer[*]',
                             f'for i in 0..{n} {{ optimizer Adam() owns layer[i] }}')


def losses(n: int) -> str:
    """√n losses, each minimized by √n optimizers."""
    root = round(n ** 0.5)
    return f'''{BASE}
for i in 0..{root} {{
    model part[i] = Linear(4)
    x -> part[i] -> p[i]
    optimizer Adam() owns part[i]
}}
total = sum(p[*])
for i in 0..{root} {{ loss l[i] = mean(total * (i + 1)) }}
'''


def weighted_losses(n: int) -> str:
    """√n losses of all models, each model with weights of its own: nothing can be shared."""
    root = round(n ** 0.5)
    return f'''{BASE}
for i in 0..{root} {{
    model part[i] = Linear(4)
    x -> part[i] -> p[i]
    optimizer Adam() owns part[i] {{ for j in 0..{root} {{ minimizes (i + j + 1) * l[j] }} }}
}}
total = sum(p[*])
for i in 0..{root} {{ loss l[i] = mean(total * (i + 1)) }}
'''


def steps(n: int) -> str:
    """Steps that update one optimizer each, of heads of one trunk."""
    return f'''
input x: float32[4], t: int32[{n}]
model trunk = Linear(8) -> relu
x -> trunk -> h
for i in 0..{n} {{
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    optimizer head[i] = Adam() owns head[i]
    step turn[i] {{ update head[i] }}
}}
frozen trunk
'''


def conditions(n: int) -> str:
    """Heads whose losses have conditions of their own."""
    return heads(n).replace("t[:, i])\n    metric", "t[:, i]) when iteration % (i + 2) == 0\n    metric")


def terms(n: int) -> str:
    """A sum of many terms, written as a list."""
    return (BASE + 'model trunk = Linear(4)\nx -> trunk -> y\n' + lines('a# = mean(y) * #', n) + 'loss l = sum(['
            + ', '.join(f'a{i}' for i in range(n)) + '])\noptimizer Adam() owns trunk\n')


def blocks(n: int) -> str:
    """Models that are the same block of blocks, nested ten deep."""
    return (BASE + 'block b0 = Linear(4) -> relu\n' + ''.join(
        f'block b{i + 1} = b{i} -> b{i} -> tanh\n' if i % 3 == 0 else f'block b{i + 1} = b{i} -> tanh\n'
        for i in range(10)) + f'''
h[0] = x
for i in 0..{n} {{ model layer[i] = b10; h[i] -> layer[i] -> h[i + 1] }}
loss l = mean(h[{n}])
optimizer Adam() owns layer[*]
''')


def states(n: int) -> str:
    """Heads, and a state for each that follows its loss."""
    return heads(n) + f'''
for i in 0..{n} {{
    state s[i] = 0.0
    next s[i] = 0.9 * s[i] + 0.1 * digit[i]
}}
'''


SHAPES: dict[str, Callable[[int], str]] = {one.__name__: one for one in (
    heads, written_heads, edges, layers, models, owners, losses, weighted_losses, steps, conditions, terms, blocks,
    states)}


def phases(text: str) -> Iterator[None]:
    """Runs the phases of :func:`graphdsl.driver.translate`, and Python's own, one at a time."""
    source = Source(text)
    tree = parse(source)
    yield
    graph, diagnostics, _ = check(tree)
    if graph is None:
        raise SystemExit('\n'.join(d.message for d in diagnostics))
    yield
    planned = optimized(plan(graph))
    yield
    module = emit(planned, source, {}, None)
    yield
    compile(module.text, '<graph>', 'exec')
    yield


def seconds(text: str) -> list[float]:
    """Returns how long each phase takes."""
    times = [time.process_time()]
    for _ in phases(text):
        times.append(time.process_time())
    return [after - before for before, after in zip(times, times[1:])]


def megabytes(text: str) -> float:
    """Returns the peak of what the phases of graphdsl allocate."""
    gc.collect()
    tracemalloc.start()
    try:
        for _ in zip(PHASES[:-1], phases(text)):
            pass
        return tracemalloc.get_traced_memory()[1] / 2 ** 20
    finally:
        tracemalloc.stop()


def row(*cells: str) -> None:
    print('|', ' | '.join(cells), '|', flush=True)


def measure(name: str, most: int, with_memory: bool, limit: int) -> None:
    """Prints the rows of a shape, up to the first size that takes too long."""
    before = None
    for size in SIZES:
        if size > most:
            return
        text = SHAPES[name](size)
        signal.alarm(limit)
        try:
            times = seconds(text)
            signal.alarm(0)
            memory = megabytes(text) if with_memory else 0.0
        except TimeoutError:
            return row(name, f'{size:,}', *[''] * len(PHASES), f'over {limit}', '', '', '')
        finally:
            signal.alarm(0)
        now = sum(times), memory
        growth = ['', ''] if before is None else [f'{a / b:.1f}' if b else '' for a, b in zip(now, before)]
        row(name, f'{size:,}', *(f'{t:.3f}' for t in times), f'{now[0]:.3f}', growth[0], f'{memory:.1f}', growth[1])
        before = now


def out_of_time(*_) -> None:
    raise TimeoutError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('shapes', nargs='*', metavar='SHAPE', help=', '.join(SHAPES))
    parser.add_argument('--most', type=int, default=SIZES[-1], metavar='N', help='the largest size')
    parser.add_argument('--limit', type=int, default=120, metavar='SECONDS', help='that a graph may take')
    parser.add_argument('--no-memory', action='store_true', help='time only')
    arguments = parser.parse_args()
    signal.signal(signal.SIGALRM, out_of_time)
    seconds(heads(2))       # imports, and the tables of the parser
    row('shape', 'size', *PHASES, 'total', '×', 'MB', '×')
    row('---', *['---:'] * (len(PHASES) + 5))
    for name in arguments.shapes or SHAPES:
        measure(name, arguments.most, not arguments.no_memory, arguments.limit)


if __name__ == '__main__':
    main()
