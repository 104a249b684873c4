"""Lays pictures out without Graphviz: grandalf finds the places, matplotlib draws."""
from __future__ import annotations

import io
from typing import Any, Mapping, NamedTuple

import matplotlib
from grandalf import graphs
from grandalf.graphs import Graph, Vertex
from grandalf.layouts import SugiyamaLayout
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from graphdsl.tools.draw.colors import ARROW, DATA, FROZEN, GREY, PALE, SMALL, TEXT, WHITE, fill, line
from graphdsl.tools.draw.picture import Edge, Node, Picture

# In points: sizes of text, the space around the text of a box, between columns, rows and at the rim.
_SIZES = {'model': 12, 'loss': 12, 'input': 12, 'noise': 12, 'function': 10, 'metric': 10, 'output': 10, 'value': 9}
_SMALL, _PADDING, _COLUMNS, _ROWS, _RIM, _LEGEND = 9, 7, 34, 12, 10, 22
_LEADING = 1.3


class _Text(NamedTuple):
    """A line of text."""

    text: str
    size: float
    color: str = TEXT
    weight: str = 'normal'

    @property
    def width(self) -> float:
        """Its width in points."""
        path = TextPath((0, 0), self.text.replace('$', r'\$'), self.size, prop=FontProperties(weight=self.weight))
        return path.get_extents().x1 if len(path.vertices) else 0


class _View:
    """A box, which grandalf sees turned by a right angle, as it lays out from top to bottom."""

    def __init__(self, node: Node):
        self.node = node
        color = PALE if not node.runs else WHITE if node.kind == 'loss' else SMALL if node.kind == 'value' else TEXT
        self.lines = [_Text(node.title, _SIZES[node.kind], color,
                            'bold' if node.kind in ('model', 'loss') else 'normal')]
        if node.detail:
            self.lines.append(_Text(node.detail, _SMALL, color if node.kind == 'loss' or not node.runs else SMALL))
        padding = 3 if node.kind in ('value', 'function') else _PADDING
        self.width = max(one.width for one in self.lines) + 2 * padding
        self.height = _LEADING * sum(one.size for one in self.lines) + padding
        self.w, self.h = self.height, self.width
        self.xy = (0.0, 0.0)

    @property
    def x(self) -> float:
        """The middle, from left to right."""
        return self.xy[1]

    @property
    def y(self) -> float:
        """The middle, from the top downwards."""
        return self.xy[0]


class _Way:
    """The way of an arrow, which grandalf finds."""

    def __init__(self, edge: Edge, tail: _View, head: _View):
        self.edge, self.tail, self.head = edge, tail, head
        self.between: list[tuple[float, float]] = []

    def setpath(self, points: list[tuple[float, float]]) -> None:
        """Takes the way from middle to middle, with a point in each column that it passes."""
        self.between = points[1:-1]

    def path(self, columns: Mapping[float, float]) -> Path:
        """Returns the way as lines within columns and curves between them.

        Args:
            columns: Half the width of each, by its middle.
        """
        tail, head = self.tail, self.head
        right = 1 if head.x >= tail.x else -1
        points = [(tail.x + right * tail.width / 2, tail.y), (tail.x + right * columns[tail.x], tail.y)]
        for y, x in self.between:
            points += [(x - right * columns[x], y), (x + right * columns[x], y)]
        points += [(head.x - right * columns[head.x], head.y), (head.x - right * head.width / 2, head.y)]
        vertices, codes = points[:1], [Path.MOVETO]
        for i, (x, y) in enumerate(points[1:]):
            before = vertices[-1]
            if i % 2:
                vertices += [((before[0] + x) / 2, before[1]), ((before[0] + x) / 2, y), (x, y)]
                codes += [Path.CURVE4] * 3
            elif abs(x - before[0]) > 0.1:      # the head of an arrow needs a direction
                vertices.append((x, y))
                codes.append(Path.LINETO)
        return Path(vertices, codes)


class _Link(graphs.Edge):
    """An edge of a graph; its data is a number, by which sets have it at the same place every time."""

    def __hash__(self) -> int:
        return self.data


class _Layout(SugiyamaLayout):
    """A layout with the losses in the last column, as far as nothing comes after them."""

    def rank_all(self, roots: list[Vertex], optimize: bool = False) -> None:
        super().rank_all(roots, optimize)
        last = len(self.layers) - 1
        for vertex in self.g.sV:
            rank = self.grx[vertex].rank
            if vertex.data.kind == 'loss' and rank < last and not vertex.e_out():
                self.layers[rank].remove(vertex)
                self.layers[last].append(vertex)
                self.grx[vertex].rank = last


def render(picture: Picture, format: str) -> bytes:
    """Draws a picture as a file in one of matplotlib's formats."""
    views, ways = _laid_out(picture)
    columns = {view.x: 0.0 for view in views}
    for view in views:
        columns[view.x] = max(columns[view.x], view.width / 2)
    rows = [*picture.legend(), *([[picture.caption]] if picture.caption else [])]
    texts = [[_Text(text, _SMALL) for text in row] for row in rows]
    widths = [sum(one.width + 2 * _PADDING for one in row) for row in texts]
    width = max([*(view.x + view.width / 2 for view in views), *widths], default=0)
    height = max([*(view.y + view.height / 2 for view in views), *(y for way in ways for y, _ in way.between)],
                 default=0)
    bottom = height + _LEGEND * len(rows)
    with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': 'graphdsl', 'pdf.fonttype': 42}):
        figure = Figure(figsize=((width + 2 * _RIM) / 72, (bottom + 2 * _RIM) / 72), facecolor=WHITE)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(-_RIM, width + _RIM), ylim=(bottom + _RIM, -_RIM))
        axes.set_axis_off()
        for way in ways:
            axes.add_patch(_arrow(way, columns, picture.step is not None))
        for view in views:
            _draw(axes, view)
        place = 0
        for i, row in enumerate(texts):
            x, y = (width - widths[i]) / 2, height + _LEGEND * (i + 0.7)
            for one in row:
                if i < len(rows) - bool(picture.caption):
                    _box(axes, x + 2, y - 8, one.width + 2 * _PADDING - 4, 16, fc=fill(place), ec=line(place))
                    place += 1
                _write(axes, one, x + one.width / 2 + _PADDING, y)
                x += one.width + 2 * _PADDING
        file = io.BytesIO()
        metadata = {'svg': {'Date': None}, 'pdf': {'CreationDate': None}}.get(format)
        figure.savefig(file, format=format, metadata=metadata, dpi=200)
    return file.getvalue()


def _laid_out(picture: Picture) -> tuple[list[_View], list[_Way]]:
    """Returns boxes and arrows at their places, the parts of a graph that hang together below each other."""
    vertices = {node.name: Vertex(node) for node in picture.nodes}
    for vertex in vertices.values():
        vertex.view = _View(vertex.data)
    links = []
    for edge in picture.edges:
        if edge.tail != edge.head:
            link = _Link(vertices[edge.tail], vertices[edge.head], data=len(links))
            link.view = _Way(edge, link.v[0].view, link.v[1].view)
            links.append(link)
    top = 0.0
    for part in Graph(list(vertices.values()), links).C:
        layout = _Layout(part)
        layout.xspace, layout.yspace = _ROWS, _COLUMNS
        layout.init_all()
        for dummy in (one for one in layout.grx if one not in part.sV):
            dummy.view.w = dummy.view.h = 4
        layout.draw(10)
        top = _ROWS + _shift(top, [vertex.view for vertex in part.sV], [link.view for link in part.sE])
    return [vertex.view for vertex in vertices.values()], [link.view for link in links]


def _shift(top: float, views: list[_View], ways: list[_Way]) -> float:
    """Moves a part downwards so that it begins at some height; returns where it ends."""
    passed = [y for way in ways for y, _ in way.between]
    shift = top - min([*(view.y - view.height / 2 for view in views), *passed])
    for view in views:
        view.xy = (view.y + shift, view.x)
    for way in ways:
        way.between = [(y + shift, x) for y, x in way.between]
    return shift + max([*(view.y + view.height / 2 - shift for view in views), *passed])


def _arrow(way: _Way, columns: Mapping[float, float], is_step: bool) -> FancyArrowPatch:
    edge = way.edge
    color = PALE if not edge.runs else GREY if edge.is_aside else ARROW
    width = 2.2 if edge.runs and edge.has_gradient and is_step else 1
    return FancyArrowPatch(path=way.path(columns), arrowstyle='-' if edge.is_line else '-|>', mutation_scale=9,
                           color=color, linewidth=width, linestyle=(0, (4, 3)) if edge.is_cut and edge.runs else '-')


def _draw(axes: Any, view: _View) -> None:
    """Draws a box and what stands in it."""
    node, left, top = view.node, view.x - view.width / 2, view.y - view.height / 2
    if node.kind not in ('value', 'function'):
        if node.kind == 'model':
            colors = [fill(place) for place in node.owners] or [FROZEN]
            rim = line(node.owners[0]) if node.owners else GREY
        else:
            colors, rim = {'loss': ([TEXT], TEXT), 'input': ([DATA], SMALL), 'noise': ([DATA], SMALL)}.get(
                node.kind, ([WHITE], GREY))
        if not node.runs:
            colors, rim = [WHITE], PALE
        for i, color in enumerate(colors):
            part = view.width / len(colors)
            _box(axes, left + i * part, top, part, view.height, fc=color, ec='none')
        _box(axes, left, top, view.width, view.height, fc='none' if node.kind in ('model', 'loss') else colors[0],
             ec=rim, linewidth=3 if node.moves else 1.2, linestyle=(0, (4, 3)) if node.kind == 'noise' else '-',
             boxstyle='square,pad=0' if node.kind in ('model', 'loss', 'output') else 'round,pad=0,rounding_size=5')
    y = view.y - _LEADING * sum(one.size for one in view.lines) / 2
    for one in view.lines:
        _write(axes, one, view.x, y + _LEADING * one.size / 2)
        y += _LEADING * one.size


def _box(axes: Any, left: float, top: float, width: float, height: float, boxstyle: str = 'square,pad=0',
         **style: Any) -> None:
    axes.add_patch(FancyBboxPatch((left, top), width, height, boxstyle=boxstyle, **style))


def _write(axes: Any, one: _Text, x: float, y: float) -> None:
    axes.text(x, y, one.text, size=one.size, color=one.color, weight=one.weight, ha='center', va='center_baseline',
              parse_math=False)
