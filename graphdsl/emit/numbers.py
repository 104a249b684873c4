"""Variables for the numbers of a run: counters and states."""
from __future__ import annotations

from typing import Iterable

from graphdsl.semantics.computation import Expression, Reference, RunningNumber, walk
from graphdsl.semantics.graph import Graph
from graphdsl.emit.expressions import write_families
from graphdsl.emit.names import Identifiers
from graphdsl.emit.writer import Writer


def bind_numbers(writer: Writer, graph: Graph, names: Identifiers, expressions: Iterable[Expression]) -> None:
    """Writes a variable for each counter and state that some expressions read; the minibatch is none of them."""
    nodes = list(walk(*expressions))
    running = dict.fromkeys(n.name for n in nodes if isinstance(n, RunningNumber) and n.name != 'batch_size')
    for name in running:
        writer.line(f'{name} = numbers[{name!r}]')
    read = {n.key for n in nodes if isinstance(n, Reference) and n.key in graph.state_places}
    states = [graph.states[i] for i in sorted(map(graph.state_places.__getitem__, read))]
    write_families(writer, names, [state.key for state in states])
    for state in states:
        writer.line(f'{names.value(state.key)} = numbers[{str(state.key)!r}]')
