"""Running statistics: a model's move only in a step that updates an optimizer of it."""
from __future__ import annotations

from typing import Iterable, Sequence

from graphdsl.semantics import catalog
from graphdsl.semantics.computation import Assignment, ChainType, Key
from graphdsl.semantics.graph import Graph
from graphdsl.semantics.paths import links
from graphdsl.plan.demands import Demand
from graphdsl.plan.plan import ALWAYS, NEVER, Guard, either


def quiet_models(graph: Graph, forward: Iterable[Assignment], demands: Sequence[Demand]
                 ) -> tuple[tuple[Key, Guard], ...]:
    """Returns the models that a run calls and may have to leave alone, each with when their statistics do move."""
    owned: dict[Key, Guard] = {}
    for demand in demands:
        for model in {unit.model for unit in demand.owns}:
            owned[model] = either(owned.get(model, NEVER), demand.guard)
    called = {model for assignment in forward for model in assignment.models}
    return tuple((model.key, owned.get(model.key, NEVER)) for model in graph.models
                 if model.key in called and not model.is_frozen and has_statistics(model.chain)
                 and owned.get(model.key, NEVER) != ALWAYS)


def has_statistics(chain: ChainType) -> bool:
    """Says whether a chain may keep statistics: nobody knows what is in an imported link."""
    return any(not link.module or catalog.has_statistics(link.name) for link in links(chain))
