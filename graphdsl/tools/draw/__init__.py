"""Pictures of graphs: data on the left, losses on the right, a box per model in the colour of its optimizer."""
from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from graphdsl.diagnostics import GraphError
from graphdsl.driver import Compilation
from graphdsl.files import replace_by
from graphdsl.limits import with_room
from graphdsl.shapes.check import Examination, examine
from graphdsl.tools.draw import dot, mermaid
from graphdsl.tools.draw.folding import folded_picture
from graphdsl.tools.draw.laying_out import LayoutError, laid_out
from graphdsl.tools.draw.picture import Picture
from graphdsl.tools.draw.sketch import Sketch

__all__ = ['FORMATS', 'Drawing', 'LayoutError', 'draw', 'format_of']

#: Kinds of files: pictures, and texts for Graphviz and Mermaid.
FORMATS = ('svg', 'png', 'pdf', 'dot', 'mmd')


@dataclass(frozen=True)
class Drawing:
    """A picture of a graph, which notebooks show as it is.

    Args:
        picture: Its boxes and arrows.
    """

    picture: Picture

    @functools.cached_property
    def svg(self) -> str:
        """The picture as an SVG document.

        Raises:
            LayoutError: If it cannot be laid out.
        """
        return laid_out(self.picture, 'svg').decode('utf-8')

    def content(self, format: str) -> bytes:
        """Returns what belongs into a file.

        Args:
            format (str): One of :data:`FORMATS`.

        Raises:
            LayoutError: If it cannot be laid out.
        """
        if format in ('dot', 'mmd'):
            return (dot if format == 'dot' else mermaid).render(self.picture).encode('utf-8')
        return self.svg.encode('utf-8') if format == 'svg' else laid_out(self.picture, format)

    def save(self, path: Union[str, os.PathLike]) -> None:
        """Writes the picture to a file.

        Args:
            path: Ends in ``.svg``, ``.png``, ``.pdf``, ``.dot`` or ``.mmd``.

        Raises:
            ValueError: If it ends in something else.
            LayoutError: If it cannot be laid out.
            OSError: If it cannot be written.
        """
        replace_by(path, self.content(format_of(path)))

    def _repr_svg_(self) -> Optional[str]:
        try:
            return self.svg
        except LayoutError:
            return None


def format_of(path: Union[str, os.PathLike]) -> str:
    """Returns one of :data:`FORMATS`, by the end of a path.

    Raises:
        ValueError: If it ends in something else.
    """
    format = Path(path).suffix[1:].lower()
    if format not in FORMATS:
        raise ValueError(f'{os.fspath(path)!r} does not end in ' + ', '.join(f'.{one}' for one in FORMATS))
    return format


def draw(compilation: Compilation, step: Optional[str] = None, found: Optional[Examination] = None) -> Drawing:
    """Draws a graph.

    Args:
        compilation: What the phases made of its file.
        step (str): The step to show: what it runs, and where gradients flow. None for the whole iteration.
        found: What its run on zeros has shown, types included, where there was one already.

    Raises:
        ValueError: If there is no such step.
        GraphError: If its shapes are wrong.
    """
    if found is None:
        found = with_room(compilation.limits, examine, compilation, True)
    if any(diagnostic.severity == 'error' for diagnostic in found.diagnostics):
        raise GraphError(found.diagnostics, compilation.source) from found.cause
    steps = [one.name for one in compilation.plan.steps]
    if step is not None and step not in steps:
        raise ValueError(f'there is no step {step!r}; there are ' + ', '.join(map(repr, steps)))
    return Drawing(folded_picture(Sketch(compilation.plan, compilation.source, found.types), step))
