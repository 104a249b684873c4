"""A graph with weights from files: the options of the commands that use one."""
from __future__ import annotations

import contextlib
import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, Optional

import click

from graphdsl.cli.arguments import allow_option, file_argument, limit_option, set_option
from graphdsl.limits import Limits, with_room

if TYPE_CHECKING:
    from graphdsl.compiled import CompiledGraph


@dataclass(frozen=True)
class Loaded:
    """What is asked for: a graph, and where its weights are.

    Attributes:
        file: The graph file.
        params: Values of its params.
        allow_imports: Modules that it may import.
        limits: What it may come to.
        weights: Models, None for all, and the files that they are loaded from, in this order.
    """

    file: str
    params: Mapping[str, str]
    allow_imports: tuple[str, ...]
    limits: Limits
    weights: tuple[tuple[Optional[str], str], ...]

    def graph(self) -> CompiledGraph:
        """Compiles the graph and loads its weights.

        Raises:
            GraphError: If there is anything wrong with the graph.
            click.ClickException: If the weights cannot be loaded.
        """
        from graphdsl.compiled import CompiledGraph
        from graphdsl.driver import read, translate
        from graphdsl.guard import guarded
        from graphdsl.runtime.seeds import set_seed

        source = read(self.file, self.limits)
        folder = os.path.dirname(os.path.abspath(self.file))
        with guarded(self.limits, source):
            compilation = translate(source, self.params, {}, folder, self.allow_imports, limits=self.limits)
        set_seed(compilation.graph.train.seed)
        with guarded(self.limits, source, is_timed=False):
            graph = with_room(self.limits, CompiledGraph, compilation)
        with saying_what_is_wrong():
            for model, path in self.weights:
                graph.load_weights(path, model)
        if self.weights:
            self._warn_of_the_rest(graph)
        return graph

    def _warn_of_the_rest(self, graph: CompiledGraph) -> None:
        """Says which models no weights were given for."""
        given = {model for model, _ in self.weights}
        rest = [] if None in given else [str(model.key) for model in graph.plan.graph.models
                                         if str(model.key) not in given and model.load is None]
        if rest:
            click.echo(f'no weights are given for {", ".join(f"`{name}`" for name in rest)}: initial ones are taken',
                       err=True)


@contextlib.contextmanager
def saying_what_is_wrong() -> Iterator[None]:
    """Says in a line what is wrong with data, or with weights."""
    from graphdsl.runtime.data.errors import DataError
    try:
        yield
    except DataError as error:
        raise click.ClickException(str(error)) from None


def loaded_options(command: Callable, needs_weights: bool = True) -> Callable:
    """Adds the arguments of a graph with weights to a command, which gets them as ``loaded``, a :class:`Loaded`."""
    @functools.wraps(command)
    def with_graph(*arguments: Any, file: str, params: dict[str, str], allow_imports: tuple[str, ...], limits: Limits,
                   weights: tuple[tuple[Optional[str], str], ...], **given: Any) -> Any:
        return command(*arguments, loaded=Loaded(file, params, allow_imports, limits, weights), **given)

    for option in (limit_option, allow_option, set_option, _weights_option(needs_weights), file_argument):
        with_graph = option(with_graph)
    return with_graph


def _weights_option(is_required: bool) -> Callable:
    return click.option(
        '--weights', metavar='[MODEL=]FILE', multiple=True, required=is_required,
        callback=lambda context, parameter, values: _weights(values),
        help='Load the weights: of all models from a file of them or a snapshot of a run, or of a single one. May be '
        'repeated.')


def _weights(values: Iterable[str]) -> tuple[tuple[Optional[str], str], ...]:
    return tuple(map(_one, values))


def _one(value: str) -> tuple[Optional[str], str]:
    model, sign, path = value.partition('=')
    if not sign or os.path.exists(value):
        return None, value
    if not model or not path:
        raise click.BadParameter(f'{value!r} is neither FILE nor MODEL=FILE')
    return model.strip(), path
