"""Running statistics: a model's move only in a step that updates an optimizer of it."""
from __future__ import annotations

from typing import Iterable, Mapping, Sequence

from graphdsl.semantics import catalog
from graphdsl.semantics.computation import Assignment, ChainType, Key
from graphdsl.semantics.paths import links
from graphdsl.plan.demands import Demand
from graphdsl.plan.plan import ALWAYS, NEVER, Guard, either


def quiet_models(with_statistics: Mapping[Key, int], forward: Iterable[Assignment], demands: Sequence[Demand]
                 ) -> tuple[tuple[Key, Guard], ...]:
    """Returns the models that a run calls and may have to leave alone, each with when their statistics do move.

    Args:
        with_statistics: Models that may keep statistics and are not frozen, each with its place in the file.
        forward: What the run computes.
        demands: Of the optimizers that it updates.
    """
    owned: dict[Key, Guard] = {}
    for demand in demands:
        for unit in demand.owns:
            owned[unit.model] = either(owned.get(unit.model, NEVER), demand.guard)
    called = {model for assignment in forward for model in assignment.models if model in with_statistics}
    return tuple((model, owned.get(model, NEVER)) for model in sorted(called, key=with_statistics.__getitem__)
                 if owned.get(model, NEVER) != ALWAYS)


def has_statistics(chain: ChainType) -> bool:
    """Says whether a chain may keep statistics: nobody knows what is in an imported link."""
    return any(not link.module or catalog.has_statistics(link.name) for link in links(chain))
