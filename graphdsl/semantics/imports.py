"""Imports: objects of the user's own, which only come in where the runner allows it."""
from __future__ import annotations

import contextlib
import importlib
import keyword
import re
import sys
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional

from graphdsl.semantics import catalog
from graphdsl.semantics.suggestions import unknown
from graphdsl.diagnostics import mistake
from graphdsl.syntax import nodes

_MODULE = re.compile(r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)*', re.ASCII)


@dataclass(frozen=True)
class Allowed:
    """What a file may import.

    Attributes:
        bind: Objects by name; no module is imported for these.
        modules: Modules that may be imported.
        folder: Folder of the file, whose modules can be imported too.
    """

    bind: Mapping[str, Any]
    modules: frozenset[str] = frozenset()
    folder: Optional[str] = None


def check_module(statement: nodes.Import) -> bool:
    """Returns True for the name of a module.

    Raises:
        Mistake: If it is none.
    """
    if not _MODULE.fullmatch(statement.module.value):
        raise mistake('G123', f'{statement.module.value!r} is no name of a module', statement.module.span,
                      reason='names with dots between them are',
                      help='such as "lab.nets"')
    return True


def resolve(name: nodes.Name, statement: nodes.Import, allowed: Allowed) -> Any:
    """Returns what a file imports under a name.

    Raises:
        Mistake: If it is not allowed, is not there, or cannot be used.
    """
    if keyword.iskeyword(name.name):
        raise mistake('G109', f'`{name.name}` cannot be imported', name.span, reason='this word is reserved in Python',
                      help='give it another name in its module')
    module = statement.module.value
    if name.name in allowed.bind:
        thing = allowed.bind[name.name]
    elif module in allowed.modules:
        thing = _imported(name, statement, allowed.folder)
    else:
        raise mistake('G121', f'`{name.name}` comes from the module {module!r}, which may not be imported', name.span,
                      reason='a graph file runs no code that was not allowed',
                      help=f'allow it with `--allow-import {module}` or `allow_imports=["{module}"]`, or bind the name '
                           f'from Python: `bind={{"{name.name}": ...}}`')
    problem = catalog.import_problem(thing)
    if problem:
        raise mistake('G124', f'what is bound to `{name.name}` cannot be used', name.span, reason=problem,
                      help='import functions and classes; numbers are written as `param`')
    return thing


def _imported(name: nodes.Name, statement: nodes.Import, folder: Optional[str]) -> Any:
    module = statement.module.value
    try:
        with _searching(folder):
            found = importlib.import_module(module)
    except (Exception, SystemExit) as error:        # to end the program here would end it as if all were fine
        raise mistake('G124', f'the module {module!r} cannot be imported', statement.module.span,
                      reason=f'{type(error).__name__}: {error}'.rstrip(': '), help='modules are found beside the graph '
                      'file, and where Python looks for them') from error
    if not hasattr(found, name.name):
        raise mistake('G124', f'the module {module!r} has no `{name.name}`', name.span,
                      **unknown(name.name, name.span, list(vars(found)), 'import what the module defines'))
    return getattr(found, name.name)


@contextlib.contextmanager
def _searching(folder: Optional[str]) -> Iterator[None]:
    """Lets modules be found beside the graph file, after all others: nobody allowed a `random.py` that lies there."""
    before = list(sys.path)
    if folder is not None:
        sys.path.append(folder)
    try:
        yield
    finally:
        sys.path[:] = before
