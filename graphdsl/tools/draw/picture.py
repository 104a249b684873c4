"""A graph as a picture: boxes and arrows as data, before a library lays them out."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Node:
    """A box.

    Attributes:
        name: Unique within the picture.
        kind: ``'input'``, ``'noise'``, ``'model'``, ``'function'``, ``'loss'``, ``'metric'`` or ``'output'``.
        title: What it is called; families as ``head[*]``.
        detail: What stands below the title, perhaps nothing.
        owners: Places of the optimizers that own it, or parts of it, in :attr:`Picture.optimizers`.
        is_frozen: Whether no optimizer may move it.
        runs: Whether the step that is shown runs it.
        moves: Whether the step that is shown updates it.
    """

    name: str
    kind: str
    title: str
    detail: str = ''
    owners: tuple[int, ...] = ()
    is_frozen: bool = False
    runs: bool = True
    moves: bool = False


@dataclass(frozen=True)
class Edge:
    """An arrow.

    Attributes:
        label: Names of the values that flow, and their shape where it is known.
        is_cut: Whether gradients could flow back along it, and none does.
        has_gradient: Whether gradients flow back along it.
        runs: Whether the step that is shown computes what flows.
        is_aside: Whether it leads to no loss.
    """

    tail: str
    head: str
    label: str = ''
    is_cut: bool = False
    has_gradient: bool = False
    runs: bool = True
    is_aside: bool = False


@dataclass(frozen=True)
class Picture:
    """Boxes and arrows, sources first.

    Attributes:
        title: Of the graph, and of the step that is shown.
        optimizers: Each as the legend shows it.
        step: The step that is shown; None for the whole iteration.
    """

    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    optimizers: tuple[str, ...]
    step: Optional[str] = None
