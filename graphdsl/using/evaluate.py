"""The losses and metrics of a graph."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional

from graphdsl.compiled import CompiledGraph
from graphdsl.runtime import stateful
from graphdsl.runtime.arrays import scalar
from graphdsl.runtime.data import DataError
from graphdsl.using.data import Arrays, Data, device_of
from graphdsl.using.predict import said_left_out


@dataclass(frozen=True)
class Evaluation:
    """What was computed.

    Attributes:
        values: Averages over the examples, by the names of losses and metrics.
        left_out: Of each that was not computed, the inputs that were not there.
    """

    values: Mapping[str, float]
    left_out: Mapping[str, tuple[str, ...]]


def evaluate(graph: CompiledGraph, data: Data, batch: Optional[int] = None, seed: Optional[int] = None) -> Evaluation:
    """Computes the averages that a run reports as ``validation/NAME``.

    Args:
        graph: The graph.
        data: What it reads; of each stream all inputs, or none.
        batch: Rows of a minibatch. By default, as in training; of arrays one, where a model has a state that goes on
            from one call to the next.
        seed: Of the noise; None takes the file's.

    Raises:
        DataError: If no loss or metric can be computed, or the rows do not fit together.
        GraphError: If the data do not fit the inputs, or something goes wrong at a line of the graph.
    """
    if not graph.plan.evaluation:
        raise DataError('the graph has no losses and no metrics', 'write `metric NAME = EXPRESSION` in it')
    if batch is None and isinstance(data, Arrays) and stateful.is_stateful(graph.models):
        batch = 1
    iterators = data.iterators(batch)
    left_out = {}
    for computation in graph.plan.evaluation:
        inputs = [i.name for i in graph.inputs if i.stream in computation.sources and i.name != '_']
        missing = data.lacks(inputs) or [s for s in computation.sources if s not in iterators]
        if missing:
            left_out.update({str(key): tuple(missing) for key in computation.results})
    if len(left_out) == sum(len(computation.results) for computation in graph.plan.evaluation):
        raise DataError('no loss or metric can be computed: ' + said_left_out(left_out))
    found = graph.evaluator(iterators, 'evaluation', device=device_of(graph), seed=seed).evaluate()
    return Evaluation({name.partition('/')[2]: float(scalar(value)) for name, value in found.items()}, left_out)
