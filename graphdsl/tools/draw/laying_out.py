"""Lays pictures out: with Graphviz where there is one, else with grandalf and matplotlib."""
from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from typing import Optional

from graphdsl.tools.draw import dot
from graphdsl.tools.draw.picture import Picture

#: Seconds that Graphviz may take.
TIME_LIMIT = 60
#: Boxes and arrows of the largest picture, with Graphviz and without.
MOST, MOST_PLAIN = 4000, 400

_MORE_THAN_SVG = re.compile(rb'\A.*?(?=<svg)|<title>.*?</title>\n?', re.DOTALL)


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
    size, command = len(picture.nodes) + len(picture.edges), _graphviz(format)
    if size > MOST:
        raise LayoutError(f'{size:,} boxes and arrows are too many for a picture')
    if command is None and size > MOST_PLAIN:
        raise LayoutError(f"{size:,} boxes and arrows need Graphviz: pip install 'graphdsl[draw]'")
    if command is not None:
        content = _output(command, dot.render(picture).encode('utf-8'))
    else:
        from graphdsl.tools.draw import plain
        content = plain.render(picture, format)
    # Without titles, which are shown where a mouse rests, and without what only a file of its own may have.
    return _MORE_THAN_SVG.sub(b'', content) if format == 'svg' else content


def _output(command: list[str], text: bytes) -> bytes:
    """Returns what Graphviz makes of a text."""
    try:
        return subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True,
                              timeout=TIME_LIMIT).stdout
    except subprocess.TimeoutExpired:
        raise LayoutError(f'Graphviz takes more than {TIME_LIMIT} s') from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode('utf-8', 'replace').strip().splitlines()
        raise LayoutError(f'Graphviz fails: {said[-1] if said else f"status {error.returncode}"}') from None


def _graphviz(format: str) -> Optional[list[str]]:
    """Returns a command that lays a text out: the Graphviz that is installed, or the one that comes with pygraphviz."""
    program = shutil.which('dot')
    if program is not None:
        return [program, f'-T{format}', *_ARGUMENTS.get(format, ())]
    if importlib.util.find_spec('pygraphviz') is not None:
        return [sys.executable, '-c', _PYGRAPHVIZ, format, *_ARGUMENTS.get(format, ())]
    return None


_ARGUMENTS = {'png': ['-Gdpi=200']}

# In a process of its own, as it can be ended, and Fontconfig writes warnings to whatever standard error is.
_PYGRAPHVIZ = '''
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode('utf-8'))
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog='dot', args=' '.join(sys.argv[2:])))
'''
