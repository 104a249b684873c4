"""The whole pipeline: text to tree to graph to plan to better plan to Python to a program."""
from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional, Union

from graphdsl.diagnostics import Diagnostic, GraphError, Source, Span, in_order, mistake


@dataclass(frozen=True)
class Compilation:
    """What each phase made of a file.

    Attributes:
        source: The text.
        tree: Syntax tree, of :mod:`graphdsl.syntax.nodes`.
        graph: Checked graph, of :mod:`graphdsl.semantics.graph`.
        plan: Update plan, of :mod:`graphdsl.plan.plan`.
        module: Generated module, of :mod:`graphdsl.emit.module`.
        imported: What the file imports, by name.
        warnings: What is odd and not wrong.
    """

    source: Source
    tree: Any
    graph: Any
    plan: Any
    module: Any
    imported: Mapping[str, Any]
    warnings: tuple[Diagnostic, ...]


def translate(source: Source, params: Mapping[str, Any] = (), bind: Mapping[str, Any] = (),
              folder: Optional[str] = None, allow_imports: Iterable[str] = (), no_passes: Iterable[str] = ()
              ) -> Compilation:
    """Runs all phases up to the generated module; nothing of the file is executed but the imports that are allowed.

    Args:
        source: The text.
        params: Values of params by name.
        bind: Objects that imports stand for, by name.
        folder: What paths of the file are relative to; None leaves them as they are.
        allow_imports: Modules that the file may import.
        no_passes: Optimisations to leave out, of :data:`graphdsl.plan.passes.PASSES`.

    Raises:
        GraphError: With all errors that were found.
        ValueError: If there is no such pass.
    """
    from graphdsl.syntax.parse import parse_what_is_right
    parsed = parse_what_is_right(source)
    if parsed.diagnostics and not parsed.tree.statements:       # nothing is left to check
        raise GraphError(parsed.diagnostics, source)

    # These import Chainer.
    from graphdsl.semantics.checker import check
    from graphdsl.semantics.doubt import Doubts
    from graphdsl.semantics.imports import Allowed
    from graphdsl.emit.module import emit
    from graphdsl.plan.passes import optimized
    from graphdsl.plan.planner import plan

    graph, diagnostics, imported = check(
        parsed.tree, params, Allowed(dict(bind), frozenset(allow_imports), folder),
        Doubts(source, parsed) if parsed.diagnostics else None)
    if graph is None:
        raise GraphError(in_order([*parsed.diagnostics, *diagnostics]), source)
    update_plan = optimized(plan(graph), frozenset(no_passes))
    module = emit(update_plan, source, bind, folder)
    return Compilation(source, parsed.tree, graph, update_plan, module, imported, diagnostics)


def read(path: Union[str, os.PathLike]) -> Source:
    """Reads a graph file.

    Raises:
        GraphError: If it cannot be read or is not UTF-8.
    """
    name = os.fspath(path)
    try:
        return Source(Path(path).read_bytes().decode('utf-8-sig'), name)
    except OSError as error:
        problem = f'{name} cannot be read: {error.strerror}'
    except UnicodeDecodeError as error:
        problem = f'{name} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}'
    wrong = mistake('G010', problem, Span(0, 0), help='name an existing .graph file, text in UTF-8')
    raise GraphError([wrong.diagnostic], Source('', name))


def phase(source: Source, name: str, params: Mapping[str, Any] = (), folder: Optional[str] = None,
          allow_imports: Iterable[str] = (), no_passes: Iterable[str] = ()) -> str:
    """Returns what a phase makes of a file, as text.

    Args:
        source: The text.
        name: ``'tree'``, ``'graph'``, ``'plan'`` or ``'python'``.
        params: Values of params by name.
        folder: What paths of the file are relative to.
        allow_imports: Modules that the file may import.
        no_passes: Optimisations to leave out.

    Raises:
        GraphError: With all errors that were found up to this phase.
    """
    from graphdsl.dump import dump
    from graphdsl.syntax.parse import parse

    if name == 'tree':
        return dump(parse(source))
    compilation = translate(source, params, folder=folder, allow_imports=allow_imports, no_passes=no_passes)
    if name == 'graph':
        return dump(compilation.graph)
    if name == 'plan':
        return json.dumps(compilation.plan.as_dict(), indent=2) + '\n'
    return compilation.module.text
