"""A graph as a picture: boxes and arrows as data, before a library lays them out."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

_IN_A_ROW, _MOST_ROWS = 5, 4


@dataclass(frozen=True)
class Node:
    """A box.

    Attributes:
        name: Unique within the picture.
        kind: ``'input'``, ``'noise'``, ``'model'``, ``'value'`` (what a model gives), ``'function'``, ``'loss'``,
            ``'metric'`` or ``'output'``.
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
        is_cut: Whether gradients could flow back along it, and none does.
        has_gradient: Whether gradients flow back along it.
        runs: Whether the step that is shown computes what flows.
        is_aside: Whether it leads to no loss.
        is_line: Whether it goes on at its head, a value, without an arrowhead.
    """

    tail: str
    head: str
    is_cut: bool = False
    has_gradient: bool = False
    runs: bool = True
    is_aside: bool = False
    is_line: bool = False


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

    def legend(self) -> list[list[str]]:
        """Returns the optimizers in rows, as many as fit below a picture; their colours are in the same order."""
        shown = list(self.optimizers[:_IN_A_ROW * _MOST_ROWS])
        return [shown[i:i + _IN_A_ROW] for i in range(0, len(shown), _IN_A_ROW)]

    @property
    def caption(self) -> str:
        """What the signs of this picture mean, where it has any that are not plain."""
        has_cut = any(edge.is_cut and edge.runs for edge in self.edges)
        if self.step is None:
            return 'dashed: no gradient flows back' if has_cut else ''
        signs = ['bold: gradients flow back', *(['dashed: they are cut'] if has_cut else []), 'pale: not run']
        return f'step {self.step} ({"; ".join(signs)})'
