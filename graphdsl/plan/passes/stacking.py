"""Stacking."""
from __future__ import annotations

from graphdsl.plan.plan import Plan


def stacking(plan: Plan) -> Plan:
    return plan
