"""Routing: a loss is differentiated with respect to what an optimizer moves by it, and nothing else.

What it merely passes through on its way, such as the critic in the generator's step, gets no gradients of its weights.
"""
from __future__ import annotations

from dataclasses import replace

from graphdsl.plan.plan import Plan


def routing(plan: Plan) -> Plan:
    """Leaves out the gradients that nobody uses."""
    return replace(plan, steps=tuple(
        replace(step, backward=tuple(replace(one, unused=()) for one in step.backward)) for step in plan.steps))
