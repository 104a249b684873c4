"""A picture in Graphviz's language."""
from __future__ import annotations

from typing import Iterator, Mapping, Union

from graphdsl.tools.draw.colors import GREY, PALE, fill, line
from graphdsl.tools.draw.picture import Edge, Node, Picture

_TEXT = '#1a1a1a'
_FONT = 'Helvetica,Arial,sans-serif'

Attributes = Mapping[str, Union[str, float]]

_KINDS: Mapping[str, Attributes] = {
    'input': {'shape': 'box', 'style': 'rounded,filled', 'fillcolor': '#f4f4f4', 'color': '#5a5a5a'},
    'noise': {'shape': 'box', 'style': 'rounded,filled,dashed', 'fillcolor': '#f4f4f4', 'color': '#5a5a5a'},
    'model': {'shape': 'box', 'style': 'filled', 'penwidth': 1.4},
    'function': {'shape': 'plaintext', 'fontsize': 10, 'margin': '0.05,0.03', 'height': 0.2},
    'loss': {'shape': 'hexagon', 'style': 'filled', 'fillcolor': '#ffffff', 'color': _TEXT, 'margin': '0.04,0.02'},
    'metric': {'shape': 'box', 'style': 'rounded', 'color': PALE, 'fontsize': 10, 'margin': '0.08,0.04', 'height': 0.3},
    'output': {'shape': 'rarrow', 'style': 'filled', 'fillcolor': '#ffffff', 'color': '#5a5a5a', 'fontsize': 10,
               'margin': '0.12,0.06'},
}


def render(picture: Picture) -> str:
    """Writes a picture as a ``digraph``."""
    return '\n'.join(['digraph {', *(f'    {text}' for text in _body(picture)), '}']) + '\n'


def _body(picture: Picture) -> Iterator[str]:
    yield f'graph {_list(dict(rankdir="LR", nodesep=0.25, ranksep=0.55, fontname=_FONT, fontsize=11, bgcolor="white"))}'
    yield f'node {_list(dict(fontname=_FONT, fontsize=12, fontcolor=_TEXT, height=0.4, margin="0.14,0.07"))}'
    yield f'edge {_list(dict(fontname=_FONT, fontsize=9, fontcolor="#5a5a5a", color="#3a3a3a", arrowsize=0.7))}'
    for node in picture.nodes:
        yield f'{node.name} {_list(_node(node))}'
    yield from _columns(picture)
    for edge in picture.edges:
        yield f'{edge.tail} -> {edge.head} {_list(_edge(edge, picture.step is not None))}'
    if picture.optimizers:
        yield f'label=<{_legend(picture)}>'


def _columns(picture: Picture) -> Iterator[str]:
    """Puts data on the left and losses on the right."""
    for rank, kinds in (('source', ('input', 'noise')), ('sink', ('loss',))):
        names = [node.name for node in picture.nodes if node.kind in kinds]
        if rank == 'source':
            heads = {edge.head for edge in picture.edges}
            names = [name for name in names if name not in heads]
        else:
            tails = {edge.tail for edge in picture.edges}
            names = [name for name in names if name not in tails]
        if names:
            yield f'{{ rank={rank}; {"; ".join(names)} }}'


def _node(node: Node) -> dict[str, Union[str, float]]:
    found: dict[str, Union[str, float]] = dict(_KINDS[node.kind])
    title = f'<b>{_escaped(node.title)}</b>' if node.kind in ('model', 'loss') else _escaped(node.title)
    detail = f'<br/><font point-size="9" color="#5a5a5a">{_escaped(node.detail)}</font>' if node.detail else ''
    if node.kind == 'model':
        colors = [fill(place) for place in node.owners] or ['#e4e4e4']
        found.update(fillcolor=':'.join(colors), color=line(node.owners[0]) if node.owners else GREY)
        if node.moves:
            found['penwidth'] = 3
    if not node.runs:
        found.update(color=PALE, fontcolor=PALE, fillcolor='#ffffff')
        detail = detail.replace('#5a5a5a', PALE)
    found['label'] = f'<{title}{detail}>'
    return found


def _edge(edge: Edge, is_step: bool) -> dict[str, Union[str, float]]:
    found: dict[str, Union[str, float]] = {'label': edge.label} if edge.label else {}
    if not edge.runs:
        found.update(color=PALE, fontcolor=PALE)
    elif edge.is_cut:
        found.update(style='dashed')
    elif edge.has_gradient and is_step:
        found.update(penwidth=2.2)
    if edge.is_aside and edge.runs:
        found.update(color=GREY, arrowsize=0.5)
    return found


def _legend(picture: Picture) -> str:
    cells = ''.join(f'<td bgcolor="{fill(i)}" color="{line(i)}" border="1"><font point-size="9">{_escaped(text)}</font>'
                    '</td>' for i, text in enumerate(picture.optimizers))
    return f'<table border="0" cellspacing="6" cellpadding="4"><tr>{cells}</tr></table>'


def _list(attributes: Attributes) -> str:
    return '[' + ', '.join(f'{name}={_value(value)}' for name, value in attributes.items()) + ']'


def _value(value: Union[str, float]) -> str:
    if isinstance(value, str):
        return value if value.startswith('<') else '"' + value.replace('\\', '\\\\').replace('"', '\\"') + '"'
    return str(value)


def _escaped(text: str) -> str:
    return text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
