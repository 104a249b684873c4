"""A picture in Mermaid's language, which many sites and editors draw where it stands."""
from __future__ import annotations

from typing import Iterator

from graphdsl.tools.draw.colors import DATA, FROZEN, GREY, PALE, TEXT, WHITE, fill, line
from graphdsl.tools.draw.picture import Edge, Node, Picture

_BRACKETS = {'input': ('([', '])'), 'noise': ('([', '])'), 'model': ('[', ']'), 'value': ('[', ']'),
             'function': ('[', ']'), 'loss': ('[', ']'), 'metric': ('(', ')'), 'output': ('>', ']')}


def render(picture: Picture) -> str:
    """Writes a picture as a ``flowchart``."""
    return '\n'.join(['flowchart LR', *(f'    {text}' for text in _body(picture))]) + '\n'


def _body(picture: Picture) -> Iterator[str]:
    for node in picture.nodes:
        opening, closing = _BRACKETS[node.kind]
        yield f'{node.name}{opening}"{_label(node)}"{closing}'
    for edge in picture.edges:
        yield f'{edge.tail} {_arrow(edge, picture.step is not None)} {edge.head}'
    for node in picture.nodes:
        yield f'style {node.name} {_style(node)}'


def _label(node: Node) -> str:
    detail = f'<br/><small>{_escaped(node.detail)}</small>' if node.detail else ''
    return _escaped(node.title) + detail


def _arrow(edge: Edge, is_step: bool) -> str:
    if edge.is_cut or not edge.runs:
        return '-.-' if edge.is_line else '-.->'
    if is_step and edge.has_gradient:
        return '===' if edge.is_line else '==>'
    return '---' if edge.is_line else '-->'


def _style(node: Node) -> str:
    if not node.runs:
        return f'fill:{WHITE},stroke:{PALE},color:{PALE}'
    if node.kind in ('function', 'value'):
        return 'fill:none,stroke:none'
    if node.kind == 'loss':
        return f'fill:{TEXT},stroke:{TEXT},color:{WHITE}'
    if node.kind != 'model':
        return f'fill:{DATA if node.kind in ("input", "noise") else WHITE},stroke:{GREY},color:{TEXT}'
    if not node.owners:
        return f'fill:{FROZEN},stroke:{GREY},color:{TEXT}'
    width = ',stroke-width:3px' if node.moves else ''
    return f'fill:{fill(node.owners[0])},stroke:{line(node.owners[0])},color:{TEXT}{width}'


def _escaped(text: str) -> str:
    return ''.join(c if c.isalnum() or c in ' _,.~:+-=/()' else f'#{ord(c)};' for c in text)
