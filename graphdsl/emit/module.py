"""Writes the Python module of a plan: what a Chainer programmer would have written by hand."""
from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Iterable, Mapping, Optional

from graphdsl.semantics.computation import Apply, Key, Literal, NumberFunction, Weight, walk
from graphdsl.semantics.graph import Dataset, Graph, Model, Optimizer, Stream, Train, Unit
from graphdsl.semantics.optimizers import part_of
from graphdsl.semantics.needs import Needs
from graphdsl.diagnostics import Source, Span
from graphdsl.emit.chains import Chains
from graphdsl.emit.computing import write_computations
from graphdsl.emit.expressions import PYTHON_FUNCTIONS, Expressions, literal
from graphdsl.emit.iteration import write_update_core
from graphdsl.emit.layout import write_wrapped
from graphdsl.emit.names import imported_name, unit_text
from graphdsl.emit.numbers import bind_numbers
from graphdsl.emit.writer import Writer
from graphdsl.plan.plan import Plan
from graphdsl.runtime.data import PATH_ARGUMENTS


@dataclass(frozen=True)
class Module:
    """A generated module.

    Attributes:
        text: Its source.
        spans: The span of the graph file that each line comes from, by line number.
        regions: The name of the step that each line belongs to, and the number of the backward pass or None.
    """

    text: str
    spans: Mapping[int, Span]
    regions: Mapping[int, tuple[str, Optional[int]]]


def emit(plan: Plan, source: Source, bound: Iterable[str] = (), folder: Optional[str] = None) -> Module:
    """Writes the module of a plan.

    Args:
        plan: What to do.
        source: The graph file, for its name and lines.
        bound: Imported names whose objects the caller puts into the module.
        folder: What paths of the file are relative to.
    """
    emitter = _Emitter(plan, source, frozenset(bound), folder)
    emitter.write()
    return Module(emitter.writer.text(), emitter.writer.spans, emitter.writer.regions)


class _Emitter:

    def __init__(self, plan: Plan, source: Source, bound: frozenset[str], folder: Optional[str]):
        self.plan = plan
        self.graph: Graph = plan.graph
        self.source = source
        self.bound = bound
        self.folder = folder
        self.models = {model.key: model for model in self.graph.models}
        self.spans = binding_spans(self.graph)
        self.writer = Writer(source)
        self.chains = Chains(self.writer, self.graph)

    def write(self) -> None:
        self._header()
        self.chains.write_all()
        self._models()
        self._weights()
        self._optimizers()
        write_update_core(self.plan, self.writer, self.chains, self.spans)
        for verb, computations, what in (
                ('evaluate', self.plan.evaluation, 'losses and metrics, by the streams'),
                ('predict', self.plan.prediction, 'outputs, by the inputs')):
            write_computations(verb, computations, what, self.graph, self.writer, self.chains, self.spans)
        self._stop()
        self._datasets()
        self._main()

    def _header(self) -> None:
        writer, graph = self.writer, self.graph
        writer.line(f'"""Compiled by graphdsl from {_safe(self.source.name)}: change that file, not this one."""')
        if _needs_math(graph):
            writer.lines('import math', '')
        for name, module in graph.imports:
            self._import(name, module)
        writer.lines('import chainer', 'import chainer.functions as F', 'import chainer.links as L', '',
                     'from graphdsl import runtime')
        if graph.streams:
            writer.line('from graphdsl.runtime import data')
        writer.lines('', f'NAME = {literal(_stem(self.source.name))}')
        with writer.block('INPUTS = ('):
            for i in graph.inputs:
                pad = '' if i.pad is None else f', {literal(i.pad)}'
                writer.line(f'runtime.Input({i.name!r}, {i.dtype!r}, {literal(i.shape)}, {i.stream!r}{pad}),', i.span)
        writer.line(')')
        if graph.noises:
            with writer.block('NOISES = ('):
                for n in graph.noises:
                    writer.line(f'runtime.Noise({str(n.key)!r}, {n.dtype!r}, {literal(n.shape)}, {n.distribution!r}, '
                                f'{literal(n.arguments)}, {n.stream!r}),', n.span)
            writer.line(')')
        self._states()
        needs = Needs(graph)
        # Of losses that are one value, the first.
        losses = {needs.root(loss.key): repr(str(loss.key)) for loss in reversed(graph.losses)}
        write_wrapped(writer, 'LOSSES = [', reversed(list(losses.values())), ']')
        self._reports()
        settings = _settings(graph.train, graph.streams)
        if graph.streams and not self._counts_epochs():
            settings.append('counts_epochs=False')
        write_wrapped(writer, 'TRAIN = runtime.Train(', settings, ')')

    def _reports(self) -> None:
        """Writes what evaluation reports, by the streams that this needs, and whether each report should fall."""
        falling = {**{metric.key: metric.falling for metric in self.graph.metrics},
                   **{loss.key: True for loss in self.graph.losses}}
        with self.writer.block('REPORTS = {'):
            for one in self.plan.evaluation:
                items = [f'{str(key)!r}: {falling[key]}' for key in one.results]
                write_wrapped(self.writer, f'{one.sources!r}: {{', items, '},')
        self.writer.line('}')

    def _counts_epochs(self) -> bool:
        """Says whether a step draws from the first stream."""
        clock = self.graph.streams[0].name
        return any(draw.kind == 'stream' and draw.name == clock for step in self.plan.steps for draw in step.draws
                   if not (isinstance(step.count, Literal) and step.count.value < 1))

    def _states(self) -> None:
        """Writes what changes over time beside weights, where there is any."""
        numbers = {str(state.key): state.initial for state in self.graph.states}
        numbers.update({f'{optimizer.name}.skipped': 0 for optimizer in self.graph.optimizers if optimizer.skips})
        copies = {str(model.key): str(model.original) for model in self.graph.models if model.original is not None}
        for name, value in (('STATES', numbers), ('POOLS', dict(self.plan.pools)), ('COPIES', copies)):
            if value:
                items = [f'{key!r}: {literal(item)}' for key, item in value.items()]
                write_wrapped(self.writer, f'{name} = {{', items, '}')

    def _import(self, name: str, module: str) -> None:
        """Imports a name, before the module's own imports, which may need the same name."""
        own = imported_name(name)
        if name not in self.bound:
            self.writer.line(f'from {module} import {name}' + (f' as {own}' if own != name else ''))
        elif own == name:
            self.writer.line(f'# {name} is bound by the program that compiles the graph.')
        else:
            self.writer.line(f'{own} = {name}  # bound by the program that compiles the graph')
            self.writer.line(f'del {name}')

    def _models(self) -> None:
        writer = self.writer
        writer.lines('', '')
        with writer.block('def make_models():'):
            writer.line('"""Makes every model, in the order of the file."""')
            with writer.loops():
                for model in self.graph.models:
                    class_name = self.chains.name(model.chain, is_model=True)
                    writer.line(f'yield {str(model.key)!r}, {class_name}()', model.span)

    def _weights(self) -> None:
        loaded = [model for model in self.graph.models if model.load is not None]
        if not loaded:
            return
        writer = self.writer
        writer.lines('', '')
        with writer.block('def load_weights(models):'):
            writer.line('"""Loads the weights that come from files."""')
            for model in loaded:
                load = model.load
                options = f', at={literal(load.part)}' if load.part else ''
                options += ', partly=True' if load.is_partial else ''
                writer.line(f'runtime.load(models[{str(model.key)!r}], {literal(self._path(load.path))}{options})',
                            load.span)

    def _optimizers(self) -> None:
        writer = self.writer
        expressions = Expressions(self.chains.identifiers(), self.chains.name)
        writer.lines('', '')
        with writer.block('def make_optimizers(models):'):
            writer.line('"""Makes every optimizer and sets it up with what it owns."""')
            writer.line('optimizers = {}')
            with writer.loops():
                for optimizer in self.graph.optimizers:
                    self._optimizer(optimizer, expressions)
            writer.line('return optimizers')

    def _optimizer(self, optimizer: Optimizer, expressions: Expressions) -> None:
        name = f'optimizers[{optimizer.name!r}]'
        opening, closing = self._container(optimizer)
        write_wrapped(self.writer, f'{name} = {expressions.text(optimizer.algorithm)}.setup({opening}',
                      map(unit_text, optimizer.owns), f'{closing})', optimizer.span)
        for hook in optimizer.hooks:
            self.writer.line(f'{name}.add_hook({expressions.text(hook)})', hook.span)

    def _container(self, optimizer: Optimizer) -> tuple[str, str]:
        """Returns what stands around what an optimizer owns, to make one link of it."""
        if any(_is_weight(unit, self.models) for unit in optimizer.owns):
            return 'runtime.Owned(', ')'
        return ('', '') if len(optimizer.owns) == 1 else ('chainer.ChainList(', ')')

    def _stop(self) -> None:
        """Writes the condition under which a run ends early."""
        condition = self.graph.train.stop
        if condition is None:
            return
        writer, names = self.writer, self.chains.identifiers()
        writer.lines('', '')
        with writer.block('def stop(numbers, reported):'):
            writer.line('"""Says whether the run has come to its end, by what was reported last."""')
            bind_numbers(writer, self.graph, names, [condition])
            writer.line(f'return {Expressions(names, self.chains.name).text(condition)}', condition.span)

    # Running

    def _datasets(self) -> None:
        if not self.graph.streams:
            return
        writer = self.writer
        writer.lines('', '')
        with writer.block('def make_datasets():'):
            writer.line('"""Makes the datasets of each stream."""')
            with writer.block('return {'):
                for stream in self.graph.streams:
                    with writer.block(f'{stream.name!r}: {{'):
                        for dataset in stream.datasets:
                            writer.line(f'{dataset.name!r}: {self._source(dataset)},', dataset.span)
                    writer.line('},')
            writer.line('}')

    def _source(self, dataset: Dataset) -> str:
        if dataset.source in dict(self.graph.imports):
            name, paths = imported_name(dataset.source), ()
        else:
            name, paths = f'data.{dataset.source}', PATH_ARGUMENTS.get(dataset.source, ())
        arguments = [literal(self._path(value) if paths and not i else value)
                     for i, value in enumerate(dataset.arguments)]
        arguments += [f'{name}={literal(self._path(value) if name in paths else value)}'
                      for name, value in dataset.keywords]
        call = f'{name}({", ".join(arguments)})'
        return f'data.sequence({call})' if dataset.is_sequence else call

    def _path(self, path):
        return os.path.join(self.folder, path) if self.folder is not None and isinstance(path, str) else path

    def _main(self) -> None:
        self.writer.lines('', '')
        with self.writer.block("if __name__ == '__main__':"):
            self.writer.line('runtime.main(globals())')


def binding_spans(graph: Graph) -> dict[Key, Span]:
    """Returns where each value of a graph is bound."""
    return {**{Key(i.name): i.span for i in graph.inputs}, **{noise.key: noise.span for noise in graph.noises},
            **{state.key: state.span for state in graph.states},
            **{key: assignment.span for assignment in graph.assignments for key in assignment.results}}


def _is_weight(unit: Unit, models: Mapping[Key, Model]) -> bool:
    return isinstance(part_of(models[unit.model].chain, unit.path), Weight)


def _needs_math(graph: Graph) -> bool:
    """Says whether a number is computed by a function that Python has no name of its own for."""
    stages = [stage for assignment in graph.assignments for stage in assignment.stages]
    return any(isinstance(node, Apply) and isinstance(node.callee, NumberFunction)
               and node.callee.name not in PYTHON_FUNCTIONS for node in walk(*stages, *graph.numbers()))


def _settings(train: Train, streams: tuple[Stream, ...]) -> list[str]:
    """Returns the settings of a run, those that have their default left out."""
    default = Train()
    fields = [f'batch={train.batch}']
    fields += [f'{name}={literal(_as_plain(value))}' for name, value in vars(train).items()
               if name not in ('batch', 'stop') and value != getattr(default, name)]
    batches = {stream.name: stream.batch for stream in streams if stream.batch is not None}
    if batches:
        fields.append(f'batches={batches!r}')
    if streams:
        fields.append(f'streams={tuple(stream.name for stream in streams)!r}')
    return fields


def _as_plain(value):
    return tuple(map(_as_plain, value)) if isinstance(value, tuple) else value


def _safe(name: str) -> str:
    """Returns a file name as it can stand in a docstring."""
    return repr(name.replace('\\', '/').rsplit('/', 1)[-1])[1:-1].replace('"', "'").replace('\\', '')


def _stem(name: str) -> str:
    return name.replace('\\', '/').rsplit('/', 1)[-1].rsplit('.', 1)[0]
