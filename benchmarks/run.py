"""Measures the programs, each as a graph and written by hand.

    uv run python benchmarks/run.py
    uv run python benchmarks/run.py strips-mlp dcgan --rounds 20 -o table.md

Times are taken in this process; memory and nodes are counted in a second one, as counting takes time.
"""
from __future__ import annotations

import measure  # first: it sets the number of BLAS threads

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any, Iterable, Sequence

from programs import PROGRAMS
from programs.program import Program, variants

HEADER = ('program', 'usual / ours', 'ours / best', 'ours, ms', 'usual / unstacked',
          'peak MB: usual', 'ours', 'best', 'nodes: usual', 'ours', 'best')
EXPLANATION = """`usual` is the updater that people write, `best` the fastest one that we know to write by hand in
Chainer, `ours` the compiled graph, and `unstacked` the graph compiled without stacking of heads. Times are process CPU
time with one BLAS thread, variants interleaved; ratios are medians of {rounds} paired ratios. Peak MB is how much more
an iteration holds than at its start. Nodes are the functions that ran forward + those that were differentiated, and in
brackets the functions that this took."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('programs', nargs='*', metavar='NAME', help='programs, or what their names begin with')
    parser.add_argument('--rounds', type=int, default=60, help='how often each variant is timed (default: 60)')
    parser.add_argument('-o', '--output', help='file for the table')
    parser.add_argument('--count', action='store_true', help='print memory and nodes only, as JSON')
    arguments = parser.parse_args()
    unknown = [name for name in arguments.programs if not any(p.name.startswith(name) for p in PROGRAMS)]
    if unknown or arguments.rounds < 1:
        parser.error(f'there is no program {unknown[0]!r}' if unknown else '--rounds must be at least 1')
    chosen = [p for p in PROGRAMS
              if not arguments.programs or any(p.name.startswith(name) for name in arguments.programs)]
    if arguments.count:
        print(json.dumps({program.name: counts(program) for program in chosen}))
        return
    counted = json.loads(subprocess.run([sys.executable, __file__, '--count', *(p.name for p in chosen)],
                                        check=True, stdout=subprocess.PIPE).stdout)
    print(table_row(HEADER), table_row(['---', *['--:'] * (len(HEADER) - 1)]), sep='\n')
    rows = []
    for program in chosen:
        rows.append(row(program, arguments.rounds, counted[program.name]))
        print(table_row(rows[-1]), flush=True)
    if arguments.output:
        with open(arguments.output, 'w', encoding='utf-8') as file:
            file.write(document(rows, arguments.rounds))


def counts(program: Program) -> dict[str, Any]:
    """Returns peak memory and nodes of each variant."""
    found = {}
    for name, variant in variants(program).items():
        peak = measure.peak_memory(variant.updater.update)
        found[name] = {'peak': peak, 'nodes': measure.count_nodes(variant.updater.update)}
    return found


def row(program: Program, rounds: int, counted: dict[str, Any]) -> list[str]:
    """Times a program, and returns its row of the table."""
    updates = {name: variant.updater.update for name, variant in variants(program).items()}
    times = measure.interleaved(updates, rounds)

    def ratio(slow: str, fast: str) -> str:
        return f'{measure.ratio(times, slow, fast):.2f}' if slow in times and fast in times else ''

    names = ('usual', 'ours', 'best')
    milliseconds = 1e3 * statistics.median(times['ours'])
    return [program.name, ratio('usual', 'ours'), ratio('ours', 'best'), f'{milliseconds:.1f}',
            ratio('usual', 'without'),
            *(f'{counted[name]["peak"] / 1e6:.2f}' for name in names),
            *('{} + {} ({})'.format(*counted[name]['nodes']) for name in names)]


def document(rows: Iterable[Sequence[str]], rounds: int) -> str:
    """Returns the text of a file of results."""
    lines = ['# Results', '', '    uv run python benchmarks/run.py', '',
             EXPLANATION.format(rounds=rounds), '', f'Measured on {measure.machine()}.', '',
             table_row(HEADER), table_row(['---', *['--:'] * (len(HEADER) - 1)]), *map(table_row, rows)]
    return '\n'.join(lines) + '\n'


def table_row(cells: Iterable[str]) -> str:
    return f'| {" | ".join(cells)} |'


if __name__ == '__main__':
    main()
