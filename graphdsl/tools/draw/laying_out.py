"""Lays pictures out: with Graphviz where there is one, else with grandalf and matplotlib."""
from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from typing import Optional

from graphdsl.tools.draw import dot
from graphdsl.tools.draw.picture import Picture

#: Seconds that Graphviz may take.
TIME_LIMIT = 60
#: Boxes and arrows of the largest picture.
MOST = 4000


class LayoutError(RuntimeError):
    """A picture cannot be laid out."""


def laid_out(picture: Picture, format: str) -> bytes:
    """Returns a picture as a file.

    Args:
        picture: The boxes and arrows.
        format (str): ``'svg'``, ``'png'`` or ``'pdf'``.

    Raises:
        LayoutError: If it is too large, or Graphviz fails.
    """
    size = len(picture.nodes) + len(picture.edges)
    if size > MOST:
        raise LayoutError(f'{size:,} boxes and arrows are too many for a picture')
    command = _graphviz(format)
    if command is None:
        from graphdsl.tools.draw import plain
        return plain.render(picture, format)
    try:
        return subprocess.run(command, input=dot.render(picture).encode('utf-8'), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=True, timeout=TIME_LIMIT).stdout
    except subprocess.TimeoutExpired:
        raise LayoutError(f'Graphviz takes more than {TIME_LIMIT} s for {size:,} boxes and arrows') from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode('utf-8', 'replace').strip().splitlines()
        raise LayoutError(f'Graphviz fails: {said[-1] if said else f"status {error.returncode}"}') from None


def _graphviz(format: str) -> Optional[list[str]]:
    """Returns a command that lays a text out: the Graphviz that is installed, or the one that comes with pygraphviz."""
    program = shutil.which('dot')
    if program is not None:
        return [program, f'-T{format}']
    if importlib.util.find_spec('pygraphviz') is not None:
        return [sys.executable, '-c', _PYGRAPHVIZ, format]
    return None


# In a process of its own, as it can be ended, and Fontconfig writes warnings to whatever standard error is.
_PYGRAPHVIZ = '''
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode('utf-8'))
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog='dot'))
'''
