"""The whole pipeline: text to tree to graph to plan to better plan to Python to a program."""
from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional, Union

from graphdsl.diagnostics import Diagnostic, GraphError, Source, Span, in_order, mistake
from graphdsl.limits import Limits, with_room


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
        limits: What the file may come to.
        given: Names of the params that the caller set.
    """

    source: Source
    tree: Any
    graph: Any
    plan: Any
    module: Any
    imported: Mapping[str, Any]
    warnings: tuple[Diagnostic, ...]
    limits: Limits = Limits()
    given: tuple[str, ...] = ()


def translate(source: Source, params: Mapping[str, Any] = (), bind: Mapping[str, Any] = (),
              folder: Optional[str] = None, allow_imports: Iterable[str] = (), no_passes: Iterable[str] = (),
              limits: Limits = Limits()) -> Compilation:
    """Runs all phases up to the generated module; nothing of the file is executed but the imports that are allowed.

    Args:
        source: The text.
        params: Values of params by name.
        bind: Objects that imports stand for, by name.
        folder: What paths of the file are relative to; None leaves them as they are.
        allow_imports: Modules that the file may import.
        no_passes: Optimisations to leave out, of :data:`graphdsl.plan.passes.PASSES`.
        limits: What the file may come to.

    Raises:
        GraphError: With all errors that were found.
        ValueError: If there is no such pass.
    """
    return with_room(limits, _translate, source, params, bind, folder, allow_imports, no_passes, limits)


def _translate(source: Source, params: Mapping[str, Any], bind: Mapping[str, Any], folder: Optional[str],
               allow_imports: Iterable[str], no_passes: Iterable[str], limits: Limits) -> Compilation:
    from graphdsl.syntax.parse import parse_what_is_right
    parsed = parse_what_is_right(source, limits)
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
        parsed.tree, params, Allowed(dict(bind), frozenset(allow_imports), folder), limits,
        Doubts(source, parsed) if parsed.diagnostics else None)
    if graph is None:
        raise GraphError(in_order([*parsed.diagnostics, *diagnostics]), source)
    first_plan = plan(graph)
    _check_steps(first_plan, source, limits)
    update_plan = optimized(first_plan, frozenset(no_passes))
    module = emit(update_plan, source, bind, folder)
    return Compilation(source, parsed.tree, graph, update_plan, module, imported, diagnostics, limits,
                       tuple(params))


def _check_steps(plan: Any, source: Source, limits: Limits) -> None:
    """Refuses a plan whose steps together compute more than is planned in short time."""
    total, spans = 0, {step.name: step.span for step in plan.graph.steps}
    for step in plan.steps:
        total += len(step.forward)
        if total > limits.calls:
            wrong = mistake('G041', f'the steps compute more than {limits.calls:,} values in an iteration',
                            spans.get(step.name, Span(0, 0)),
                            reason=f'{total:,} up to this step', help=limits.advice('calls', total))
            raise GraphError([wrong.diagnostic], source)


def check_all(compilation: Compilation) -> tuple[Diagnostic, ...]:
    """Returns all that is odd or wrong with a file that compiles, shapes included."""
    from graphdsl.shapes.check import examine
    return in_order([*compilation.warnings, *with_room(compilation.limits, examine, compilation).diagnostics])


def read(path: Union[str, os.PathLike], limits: Limits = Limits()) -> Source:
    """Reads a graph file.

    Raises:
        GraphError: If it cannot be read, is no regular file, is too large or is not UTF-8.
    """
    name = os.fspath(path)
    try:
        about = os.stat(path)
        # A pipe would be waited for, and a device may have no end.
        if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
            wrong = mistake('G039', f'{name} is no regular file', Span(0, 0), help='name a file that has an end')
            raise GraphError([wrong.diagnostic], Source('', name))
        if about.st_size > limits.file_size:
            wrong = mistake('G030', f'{name} is too large: it has {about.st_size:,} bytes', Span(0, 0),
                            help=limits.advice('file_size', about.st_size))
            raise GraphError([wrong.diagnostic], Source('', name))
        return Source(Path(path).read_bytes().decode('utf-8-sig'), name)
    except OSError as error:
        problem = f'{name} cannot be read: {error.strerror}'
    except UnicodeDecodeError as error:
        problem = f'{name} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}'
    wrong = mistake('G010', problem, Span(0, 0), help='name an existing .graph file, text in UTF-8')
    raise GraphError([wrong.diagnostic], Source('', name))


def phase(source: Source, name: str, params: Mapping[str, Any] = (), folder: Optional[str] = None,
          allow_imports: Iterable[str] = (), no_passes: Iterable[str] = (), limits: Limits = Limits()) -> str:
    """Returns what a phase makes of a file, as text.

    Args:
        source: The text.
        name: ``'tree'``, ``'graph'``, ``'plan'`` or ``'python'``.
        params: Values of params by name.
        folder: What paths of the file are relative to.
        allow_imports: Modules that the file may import.
        no_passes: Optimisations to leave out.
        limits: What the file may come to.

    Raises:
        GraphError: With all errors that were found up to this phase.
    """
    return with_room(limits, _phase, source, name, params, folder, allow_imports, no_passes, limits)


def _phase(source: Source, name: str, params: Mapping[str, Any], folder: Optional[str], allow_imports: Iterable[str],
           no_passes: Iterable[str], limits: Limits) -> str:
    from graphdsl.dump import dump
    from graphdsl.syntax.parse import parse

    if name == 'tree':
        return dump(parse(source, limits))
    compilation = _translate(source, params, {}, folder, allow_imports, no_passes, limits)
    if name == 'graph':
        return dump(compilation.graph)
    if name == 'plan':
        return json.dumps(compilation.plan.as_dict(), indent=2) + '\n'
    return compilation.module.text
