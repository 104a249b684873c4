"""Plots of a log.

Chainer's PlotReport draws the reports it is told of in one figure, with pyplot, from values of its own that it needs a
snapshot for. Here the names are known only when they are reported, a family is one picture, and the log is all it
takes.
"""
from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

from graphdsl.training.names import COUNTS, base_of, evaluation_of, family_of, is_statistic

#: Points of a curve, and pictures of a figure, at most.
_POINTS, _PANELS = 500, 24
_COLUMNS, _WIDTH, _HEIGHT = 3, 4.4, 2.9
_COLORS = ('#3465a4', '#d9730d', '#2e8540', '#a4343a', '#75507b', '#8f6b32', '#4b8f8c', '#5c5c5c')
#: How many times as large as the smallest value the largest has to be for a logarithmic scale.
_SPREAD = 50


@dataclass(frozen=True)
class Curve:
    """A report over the iterations.

    Attributes:
        label: What it is called in the legend.
        points: Iterations and values.
        is_member: Whether it is one of a family.
    """

    label: str
    points: tuple[tuple[float, float], ...]
    is_member: bool = False


@dataclass(frozen=True)
class Panel:
    """What is drawn over each other.

    Attributes:
        title: The report, or the family.
        curves: In the order of the legend; the members of a family before their mean.
    """

    title: str
    curves: tuple[Curve, ...]


def panels(log: Sequence[Mapping[str, Any]], losses: Iterable[str]) -> dict[str, list[Panel]]:
    """Sorts what was reported into figures.

    Args:
        log: Entries of Chainer's log.
        losses: Names of the losses.

    Returns:
        Pictures by figure: ``losses``, ``metrics``, ``states`` for states and rates, ``statistics``.
    """
    names = [name for name in dict.fromkeys(name for entry in log for name in entry) if name not in COUNTS]
    evaluated = {family_of(base_of(name)) for name in names if evaluation_of(name)}
    losses = set(map(family_of, losses))
    figures: dict[str, dict[str, list[str]]] = {'losses': {}, 'metrics': {}, 'states': {}, 'statistics': {}}
    for name in names:
        title = family_of(base_of(name))
        if is_statistic(name):
            figures['statistics'].setdefault(name.split('/', 1)[1], []).append(name)
        else:
            kind = 'losses' if title in losses else 'metrics' if title in evaluated else 'states'
            figures[kind].setdefault(title, []).append(name)
    return {kind: [_panel(title, members, log) for title, members in titles.items()]
            for kind, titles in figures.items() if titles}


def _panel(title: str, names: Sequence[str], log: Sequence[Mapping[str, Any]]) -> Panel:
    sets: dict[str, list[str]] = {}
    for name in names:
        label = family_of(name.split('/')[0]) if is_statistic(name) else evaluation_of(name) or 'training'
        sets.setdefault(label, []).append(name)
    curves: list[Curve] = []
    for label, members in sets.items():
        if len(members) > 1:
            curves += [Curve(label, _points([name], log), is_member=True) for name in members]
        curves.append(Curve(label, _points(members, log)))
    return Panel(title, tuple(curves))


def _points(names: Sequence[str], log: Sequence[Mapping[str, Any]]) -> tuple[tuple[float, float], ...]:
    """Returns a curve, or the mean of a family; of a long one, the means of as many pieces as are drawn."""
    points = []
    for entry in log:
        values = [entry[name] for name in names if name in entry]
        if values:
            points.append((entry['iteration'], sum(values) / len(values)))
    size = -(-len(points) // _POINTS)
    if size < 2:
        return tuple(points)
    pieces = (points[i:i + size] for i in range(0, len(points), size))
    return tuple((piece[-1][0], sum(y for _, y in piece) / len(piece)) for piece in pieces)


def draw(panels: Sequence[Panel]) -> tuple[bytes, bytes]:
    """Draws a figure.

    Args:
        panels: Its pictures.

    Returns:
        A PNG file and an SVG file.
    """
    # What takes time to import and not every run needs. pyplot, whose state is the user's, is not used.
    from matplotlib import style
    from matplotlib.figure import Figure

    shown = panels[:_PANELS]
    columns = min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    with style.context(['default', _STYLE]):
        figure = Figure(figsize=(_WIDTH * columns, _HEIGHT * rows), layout='constrained')
        for place, panel in enumerate(shown, 1):
            _draw(figure.add_subplot(rows, columns, place), panel)
        if len(panels) > len(shown):
            figure.supxlabel(f'{len(panels) - len(shown)} more are in the log', fontsize=9)
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format='png', dpi=110)
        figure.set_layout_engine('none')        # they are laid out
        figure.savefig(svg, format='svg')
    return png.getvalue(), svg.getvalue()


_STYLE = {'font.size': 9, 'axes.titlesize': 10, 'axes.spines.top': False, 'axes.spines.right': False,
          'axes.grid': True, 'grid.color': '#dddddd', 'grid.linewidth': 0.6, 'axes.edgecolor': '#888888',
          'svg.fonttype': 'none', 'svg.hashsalt': 'graphdsl', 'font.family': 'sans-serif'}


def _draw(axes, panel: Panel) -> None:
    labels = list(dict.fromkeys(curve.label for curve in panel.curves))
    for curve in panel.curves:
        color = _COLORS[labels.index(curve.label) % len(_COLORS)]
        x, y = zip(*curve.points)
        marker = 'o' if len(x) < 2 else None
        if curve.is_member:
            axes.plot(x, y, color=color, linewidth=0.7, alpha=0.45, marker=marker, markersize=2)
        else:
            axes.plot(x, y, color=color, linewidth=1.8, marker=marker, markersize=4, label=curve.label)
    if _spreads(y for curve in panel.curves for _, y in curve.points):
        axes.set_yscale('log')
    axes.set_title(panel.title, loc='left')
    axes.set_xlabel('iteration')
    axes.ticklabel_format(axis='x', style='plain')
    axes.locator_params(axis='x', nbins=6, integer=True)
    if labels != ['training']:
        axes.legend(frameon=False, fontsize=8)


def _spreads(values: Iterable[float]) -> bool:
    """Says whether values need a logarithmic scale, and can have one."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > _SPREAD * min(finite)
