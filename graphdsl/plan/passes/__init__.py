"""Optimisations: each makes another plan of a plan, with equal results and less work."""
from __future__ import annotations

from typing import Callable, Collection, Mapping

from graphdsl.plan.passes.cut import cut
from graphdsl.plan.passes.joint import joint
from graphdsl.plan.passes.reuse import reuse
from graphdsl.plan.passes.routing import routing
from graphdsl.plan.passes.stacking import stacking
from graphdsl.plan.plan import Plan

#: In the order in which they run: what is reused decides on what has a history, and that on what can be stacked.
PASSES: Mapping[str, Callable[[Plan], Plan]] = {
    'joint': joint, 'routing': routing, 'reuse': reuse, 'cut': cut, 'stacking': stacking}


def optimized(plan: Plan, without: Collection[str] = ()) -> Plan:
    """Runs all passes but some.

    Args:
        plan: A plan as :func:`graphdsl.plan.planner.plan` makes it.
        without: Names of the passes that are left out.

    Raises:
        ValueError: If there is no such pass.
    """
    unknown = sorted(set(without) - set(PASSES))
    if unknown:
        raise ValueError(f'there is no pass {unknown[0]!r}: passes are {", ".join(PASSES)}')
    for name, run in PASSES.items():
        if name not in without:
            plan = run(plan)
    return plan
