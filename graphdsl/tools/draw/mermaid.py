"""A picture in Mermaid's language, which many sites and editors draw where it stands."""
from __future__ import annotations

from typing import Iterator

from graphdsl.tools.draw.colors import GREY, PALE, fill, line
from graphdsl.tools.draw.picture import Edge, Node, Picture

_BRACKETS = {'input': ('([', '])'), 'noise': ('([', '])'), 'model': ('[', ']'), 'function': ('[', ']'),
             'loss': ('{{', '}}'), 'metric': ('(', ')'), 'output': ('>', ']')}


def render(picture: Picture) -> str:
    """Writes a picture as a ``flowchart``."""
    return '\n'.join(['flowchart LR', *(f'    {text}' for text in _body(picture))]) + '\n'


def _body(picture: Picture) -> Iterator[str]:
    for node in picture.nodes:
        opening, closing = _BRACKETS[node.kind]
        yield f'{node.name}{opening}"{_label(node)}"{closing}'
    for edge in picture.edges:
        label = f'|"{_escaped(edge.label)}"|' if edge.label else ''
        yield f'{edge.tail} {_arrow(edge, picture.step is not None)}{label} {edge.head}'
    for node in picture.nodes:
        style = _style(node)
        if style:
            yield f'style {node.name} {style}'


def _label(node: Node) -> str:
    detail = f'<br/><small>{_escaped(node.detail)}</small>' if node.detail else ''
    return _escaped(node.title) + detail


def _arrow(edge: Edge, is_step: bool) -> str:
    if edge.is_cut or not edge.runs:
        return '-.->'
    return '==>' if is_step and edge.has_gradient else '-->'


def _style(node: Node) -> str:
    if not node.runs:
        return f'fill:#ffffff,stroke:{PALE},color:{PALE}'
    if node.kind == 'function':
        return 'fill:none,stroke:none'
    if node.kind != 'model':
        return ''
    if not node.owners:
        return f'fill:#e4e4e4,stroke:{GREY},color:#1a1a1a'
    width = ',stroke-width:3px' if node.moves else ''
    return f'fill:{fill(node.owners[0])},stroke:{line(node.owners[0])},color:#1a1a1a{width}'


def _escaped(text: str) -> str:
    return ''.join(c if c.isalnum() or c in ' _,.~:+-=/()' else f'#{ord(c)};' for c in text)
