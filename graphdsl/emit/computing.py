"""Writes what is computed without training: evaluation and prediction."""
from __future__ import annotations

import itertools
from typing import Iterable, Mapping, Sequence

from graphdsl.semantics.computation import Key, Reference
from graphdsl.semantics.graph import Graph
from graphdsl.diagnostics import Span
from graphdsl.emit.chains import Chains
from graphdsl.emit.expressions import Expressions, write_assignment, write_families
from graphdsl.emit.layout import write_dictionary, write_wrapped
from graphdsl.emit.names import Identifiers, identifier, index_text
from graphdsl.emit.numbers import bind_numbers
from graphdsl.emit.writer import Writer
from graphdsl.plan.history import points
from graphdsl.plan.plan import Computation, Operation


def write_computations(verb: str, computations: Sequence[Computation], what: str, graph: Graph, writer: Writer,
                       chains: Chains, spans: Mapping[Key, Span]) -> None:
    """Writes a function that makes functions of a minibatch, by the streams or inputs that each needs.

    Args:
        verb (str): What the functions are called: ``'evaluate'``.
        computations: What each of them computes.
        what (str): What they compute, and by what they are found, for readers.
        graph: The graph.
        writer: Where to.
        chains: The classes and functions that are written.
        spans: Where each value is bound.
    """
    writer.lines('', '')
    maker = {'evaluate': 'make_evaluations', 'predict': 'make_predictions'}[verb]
    with writer.block(f'def {maker}(models, numbers):'):
        writer.line(f'"""Returns the functions that compute {what} that they need."""')
        names = chains.identifiers()
        bind_models(writer, names, [model for computation in computations for one in computation.forward
                                    for model in one.assignment.models])
        frozen = {model.key: 'runtime.evaluating({})' for model in graph.models if model.is_frozen}
        functions = []
        for computation in computations:
            suffix = '' if len(computations) == 1 else ''.join(f'_{source}' for source in computation.sources)
            function = names.get('function', verb + suffix, identifier(verb + suffix))
            functions.append(f'{tuple(computation.sources)!r}: {function}')
            writer.line()
            with writer.block(f'def {function}(batch):'):
                _write(computation, graph, writer, names, chains, spans, frozen)
        if functions:
            writer.line()
        write_wrapped(writer, 'return {', functions, '}')


def _write(computation: Computation, graph: Graph, writer: Writer, names: Identifiers, chains: Chains,
           spans: Mapping[Key, Span], frozen: Mapping[Key, str]) -> None:
    expressions = Expressions(names, chains.name, frozen, is_training=False)
    assignments = [one.assignment for one in computation.forward]
    differentiated = set(points(assignments))
    write_families(writer, names, computation.inputs)
    for key in computation.inputs:
        point = key in differentiated
        value = f'batch[{str(key)!r}]'
        writer.line(f'{names.value(key)} = {f"runtime.point({value})" if point else value}', spans[key])
    bind_numbers(writer, graph, names, [*(stage for a in assignments for stage in a.stages), *(
        Reference(spans[key], key) for key in computation.results)])
    if any(a.needs_batch_size for a in assignments):
        writer.line("batch_size = batch['batch_size']")
    write_families(writer, names, [key for a in assignments for key in a.results])
    for has_history, group in itertools.groupby(computation.forward, lambda one: one.has_history):
        with writer.within('with chainer.force_backprop_mode():' if has_history else ''):
            _write_all(writer, expressions, group, differentiated)
    write_dictionary(writer, 'return ', [(str(key), names.value(key), spans[key]) for key in computation.results], '')


def _write_all(writer: Writer, expressions: Expressions, operations: Iterable[Operation], differentiated) -> None:
    with writer.loops():
        for one in operations:
            write_assignment(writer, expressions, one.assignment, differentiated)


def bind_models(writer: Writer, names: Identifiers, models: Iterable[Key]) -> None:
    """Writes variables for the models, families as dictionaries."""
    families: dict[str, list[Key]] = {}
    for key in dict.fromkeys(models):
        families.setdefault(key.base, []).append(key)
    for base, keys in families.items():
        variable = names.get('model', base)
        if not keys[0].index:
            writer.line(f'{variable} = models[{base!r}]')
        elif keys == [Key(base, (i,)) for i in range(len(keys))]:
            writer.line(f"{variable} = {{i: models[f'{base}[{{i}}]'] for i in range({len(keys)})}}")
        else:
            members = [f'{index_text(key)}: models[{str(key)!r}]' for key in keys]
            write_wrapped(writer, f'{variable} = {{', members, '}')
