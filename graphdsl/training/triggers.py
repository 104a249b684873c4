"""Triggers that are no part of a snapshot.

Chainer's own are, and a snapshot fits only a run that has the same ones. What a run shows of itself may be another
thing when it goes on.
"""
from __future__ import annotations


def always(trainer) -> bool:
    """Fires after every iteration."""
    return True


def never(trainer) -> bool:
    """Fires after none: for what is done before the first iteration, and after the last."""
    return False
