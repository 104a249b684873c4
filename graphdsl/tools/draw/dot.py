"""A picture in Graphviz's language."""
from __future__ import annotations

import html
import itertools
from typing import Iterator, Mapping, Union

from graphdsl.tools.draw.colors import ARROW, DATA, FROZEN, GREY, PALE, SMALL, TEXT, WHITE, fill, line
from graphdsl.tools.draw.picture import Edge, Node, Picture

_FONT = 'Helvetica,Arial,sans-serif'

Attributes = Mapping[str, Union[str, float]]

_KINDS: Mapping[str, Attributes] = {
    'input': {'style': 'rounded,filled', 'fillcolor': DATA, 'color': SMALL},
    'noise': {'style': 'rounded,filled,dashed', 'fillcolor': DATA, 'color': SMALL},
    'model': {'style': 'filled', 'penwidth': 1.4},
    'value': {'shape': 'plaintext', 'fontsize': 9, 'fontcolor': SMALL, 'margin': '0.03,0.01', 'height': 0.2},
    'function': {'shape': 'plaintext', 'fontsize': 10, 'margin': '0.05,0.03', 'height': 0.2},
    'loss': {'style': 'filled', 'fillcolor': TEXT, 'color': TEXT, 'fontcolor': WHITE},
    'metric': {'style': 'rounded', 'color': GREY, 'fontsize': 10, 'margin': '0.08,0.04', 'height': 0.3},
    'output': {'shape': 'rarrow', 'style': 'filled', 'fillcolor': WHITE, 'color': SMALL, 'fontsize': 10,
               'margin': '0.12,0.06'},
}


def render(picture: Picture) -> str:
    """Writes a picture as a ``digraph``."""
    return '\n'.join(['digraph {', *(f'    {text}' for text in _body(picture)), '}']) + '\n'


def _body(picture: Picture) -> Iterator[str]:
    yield 'graph ' + _list({'rankdir': 'LR', 'nodesep': 0.2, 'ranksep': 0.3, 'fontname': _FONT, 'fontsize': 11,
                            'bgcolor': WHITE, 'pad': 0.1})
    yield 'node ' + _list({'shape': 'box', 'fontname': _FONT, 'fontsize': 12, 'fontcolor': TEXT, 'height': 0.4,
                           'width': 0.1, 'margin': '0.14,0.07'})
    yield 'edge ' + _list({'color': ARROW, 'arrowsize': 0.7})
    for node in picture.nodes:
        yield f'{node.name} {_list(_node(node))}'
    yield from _columns(picture)
    for edge in picture.edges:
        attributes = _edge(edge, picture.step is not None)
        yield f'{edge.tail} -> {edge.head}' + (f' {_list(attributes)}' if attributes else '')
    if picture.optimizers or picture.caption:
        yield f'label=<{_legend(picture)}>'


def _columns(picture: Picture) -> Iterator[str]:
    """Puts data on the left and losses on the right."""
    heads = {edge.head for edge in picture.edges}
    tails = {edge.tail for edge in picture.edges}
    for rank, kinds, inner in (('source', ('input', 'noise'), heads), ('sink', ('loss',), tails)):
        names = [node.name for node in picture.nodes if node.kind in kinds and node.name not in inner]
        if names:
            yield f'{{ rank={rank}; {"; ".join(names)} }}'


def _node(node: Node) -> dict[str, Union[str, float]]:
    found: dict[str, Union[str, float]] = dict(_KINDS[node.kind])
    small = SMALL if node.kind != 'loss' else PALE
    if node.kind == 'model':
        colors = [fill(place) for place in node.owners] or [FROZEN]
        found.update(fillcolor=':'.join(colors), color=line(node.owners[0]) if node.owners else GREY)
        if len(colors) > 1:
            found['style'] = 'striped'
        if node.moves:
            found['penwidth'] = 3
    if not node.runs:
        small = PALE
        found.update(color=PALE, fontcolor=PALE, fillcolor=WHITE)
    title = f'<b>{_escaped(node.title)}</b>' if node.kind in ('model', 'loss') else _escaped(node.title)
    detail = f'<br/><font point-size="9" color="{small}">{_escaped(node.detail)}</font>' if node.detail else ''
    found['label'] = f'<{title}{detail}>'
    return found


def _edge(edge: Edge, is_step: bool) -> dict[str, Union[str, float]]:
    found: dict[str, Union[str, float]] = {'dir': 'none'} if edge.is_line else {}
    if not edge.runs:
        found['color'] = PALE
    elif edge.is_cut:
        found['style'] = 'dashed'
    elif edge.has_gradient and is_step:
        found['penwidth'] = 2.2
    elif edge.is_aside:
        found.update(color=GREY, arrowsize=0.5)
    return found


def _legend(picture: Picture) -> str:
    """Returns the optimizers in their colours, and the caption, as a table."""
    numbers = itertools.count()
    rows = [[_cell(text, next(numbers)) for text in row] for row in picture.legend()] or [[]]
    if picture.caption:
        rows[-1].append(f'<td><font point-size="9" color="{SMALL}">{_escaped(picture.caption)}</font></td>')
    lines = ''.join(f'<tr>{"".join(row)}</tr>' for row in rows)
    return f'<table border="0" cellspacing="6" cellpadding="4">{lines}</table>'


def _cell(text: str, place: int) -> str:
    return (f'<td bgcolor="{fill(place)}" color="{line(place)}" border="1"><font point-size="9">{_escaped(text)}'
            '</font></td>')


def _list(attributes: Attributes) -> str:
    return '[' + ', '.join(f'{name}={_value(value)}' for name, value in attributes.items()) + ']'


def _value(value: Union[str, float]) -> str:
    if isinstance(value, str):
        return value if value.startswith('<') else f'"{value}"'     # labels are the only text of a file
    return str(value)


def _escaped(text: str) -> str:
    # Graphviz takes a backslash for the beginning of an escape such as \N, in this kind of label too.
    return html.escape(text).replace('\\', '\\\\')
