"""Writes the Python module of a plan: what a Chainer programmer would have written by hand."""
from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Iterable, Mapping, Optional, Sequence

from graphdsl.semantics.graph import Assignment, Dataset, Graph, Key, Stream, Train
from graphdsl.diagnostics import Source, Span
from graphdsl.emit.chains import Chains
from graphdsl.emit.expressions import Expressions, literal, write_assignment, write_families
from graphdsl.emit.names import Identifiers, imported_name
from graphdsl.emit.writer import Writer
from graphdsl.plan.plan import BackwardPass, Computation, Plan, Step
from graphdsl.runtime.data import PATH_ARGUMENTS

_WIDTH = 100


@dataclass(frozen=True)
class Module:
    """A generated module.

    Attributes:
        text: Its source.
        spans: The span of the graph file that each line comes from, by line number.
    """

    text: str
    spans: Mapping[int, Span]


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
    return Module(emitter.writer.text(), emitter.writer.spans)


class _Emitter:

    def __init__(self, plan: Plan, source: Source, bound: frozenset[str], folder: Optional[str]):
        self.plan = plan
        self.graph: Graph = plan.graph
        self.source = source
        self.bound = bound
        self.folder = folder
        self.spans = binding_spans(self.graph)
        self.writer = Writer(source)
        self.chains = Chains(self.writer, [imported_name(name) for name, _ in self.graph.imports])

    def write(self) -> None:
        self._header()
        for model in self.graph.models:
            self.chains.write(model.chain, is_model=True)
        self.chains.write_functions(self.graph.assignments)
        self._models()
        self._optimizers()
        self._update_core()
        self._computation('evaluate', self.plan.evaluation, 'computes every loss and metric of a minibatch')
        self._computation('predict', self.plan.prediction, 'computes the outputs of a minibatch')
        self._datasets()
        self._main()

    def _header(self) -> None:
        writer, graph = self.writer, self.graph
        writer.line(f'"""Compiled by graphdsl from {_safe(self.source.name)}: change that file, not this one."""')
        for name, module in graph.imports:
            self._import(name, module)
        writer.lines('import chainer', 'import chainer.functions as F', 'import chainer.links as L', '',
                     'from graphdsl import runtime')
        if graph.streams:
            writer.line('from graphdsl.runtime import data')
        writer.lines('', f'NAME = {literal(_stem(self.source.name))}')
        with writer.block('INPUTS = ('):
            for i in graph.inputs:
                writer.line(f'runtime.Input({i.name!r}, {i.dtype!r}, {literal(i.shape)}, {i.stream!r}),', i.span)
        writer.line(')')
        differentiated = {loss for step in self.plan.steps for one in step.backward for loss, _ in one.losses}
        losses = [repr(str(loss)) for loss in graph.losses if loss in differentiated]
        self._wrapped('LOSSES = [', losses, ']')
        writer.line(f'TRAIN = {_settings(graph.train, graph.streams)}')

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
            for model in self.graph.models:
                class_name = self.chains.name(model.chain, is_model=True)
                writer.line(f'yield {str(model.key)!r}, {class_name}()', model.span)

    def _optimizers(self) -> None:
        writer = self.writer
        expressions = Expressions(self.chains.identifiers(), self.chains.name)
        writer.lines('', '')
        with writer.block('def make_optimizers(models):'):
            writer.line('"""Makes every optimizer and sets it up with the models that it owns."""')
            writer.line('optimizers = {}')
            for optimizer in self.graph.optimizers:
                owned = ', '.join(f'models[{str(key)!r}]' for key in optimizer.owns)
                target = owned if len(optimizer.owns) == 1 else f'chainer.ChainList({owned})'
                name = f'optimizers[{optimizer.name!r}]'
                writer.line(f'{name} = {expressions.text(optimizer.algorithm)}.setup({target})', optimizer.span)
                for hook in optimizer.hooks:
                    writer.line(f'{name}.add_hook({expressions.text(hook)})', hook.span)
            writer.line('return optimizers')

    # Computing

    def _update_core(self) -> None:
        writer = self.writer
        step, = self.plan.steps
        names = self.chains.identifiers()
        writer.lines('', '')
        with writer.block('def make_update_core(updater, models, optimizers):'):
            writer.line('"""Returns the function that does one iteration."""')
            self._bind_models(names, [*step.forward, *step.metrics])
            for number, backward in enumerate(step.backward):
                models = [f'models[{str(key)!r}]' for key in backward.models]
                self._wrapped(f'{_parameters(step, number)} = runtime.parameters(', models, ')')
            writer.line()
            with writer.block('def update_core():'):
                self._step(step, names)
            writer.lines('', 'return update_core')

    def _step(self, step: Step, names: Identifiers) -> None:
        writer = self.writer
        expressions = Expressions(names, self.chains.name)
        drawn: list[str] = []
        for stream in step.draws:
            columns = [i for i in self.graph.inputs if i.stream == stream]
            if columns:
                variables = ', '.join(names.value(Key(i.name)) if i.name != '_' else '_' for i in columns)
                comma = ',' if len(columns) == 1 else ''
                writer.line(f'{variables}{comma} = updater.draw({stream!r})', columns[0].span)
                drawn.extend(i.name for i in columns if i.name != '_')
        self._batch_size(names, [*step.forward, *step.metrics], drawn)
        writer.lines('', '# Forward')
        write_families(writer, names, [*step.forward, *step.metrics])
        for assignment in step.forward:
            write_assignment(writer, expressions, assignment)
        if step.metrics:
            with writer.block('with chainer.no_backprop_mode():'):
                for assignment in step.metrics:
                    write_assignment(writer, expressions, assignment)
        writer.lines('', '# Backward: every gradient is taken before the first update.')
        for number, backward in enumerate(step.backward):
            self._backward(backward, _parameters(step, number), names)
        writer.lines('', '# Update')
        with writer.block('for optimizer in optimizers.values():'):
            writer.line('optimizer.update()')
        writer.line()
        self._dictionary('chainer.report(', step.reports, names, ')')

    def _backward(self, backward: BackwardPass, parameters: str, names: Identifiers) -> None:
        losses = [names.value(loss) for loss, _ in backward.losses]
        weights = ''
        if any(weight != 1 for _, weight in backward.losses):
            weights = f', grad_outputs=[{", ".join(_weight(names, *term) for term in backward.losses)}]'
        self._wrapped('chainer.grad([', losses, f'], {parameters}{weights}, set_grad=True)',
                      self.spans[backward.losses[0].loss])

    def _bind_models(self, names: Identifiers, assignments: Iterable[Assignment]) -> None:
        """Writes variables for the models, families as dictionaries."""
        families: dict[str, list[Key]] = {}
        for key in dict.fromkeys(key for assignment in assignments for key in assignment.models):
            families.setdefault(key.base, []).append(key)
        for base, keys in families.items():
            variable = names.get('model', base)
            if not keys[0].index:
                self.writer.line(f'{variable} = models[{base!r}]')
            elif keys == [Key(base, (i,)) for i in range(len(keys))]:
                self.writer.line(f"{variable} = {{i: models[f'{base}[{{i}}]'] for i in range({len(keys)})}}")
            else:
                members = [f'{_index(key)}: models[{str(key)!r}]' for key in keys]
                self._wrapped(f'{variable} = {{', members, '}')

    def _batch_size(self, names: Identifiers, assignments: list[Assignment], inputs: Sequence[str]) -> None:
        if any(a.needs_batch_size for a in assignments):
            self.writer.line(f'batch_size = len({names.value(Key(inputs[0]))})')

    def _computation(self, name: str, computation: Computation, what: str) -> None:
        writer, names = self.writer, self.chains.identifiers()
        expressions = Expressions(names, self.chains.name)
        writer.lines('', '')
        with writer.block(f'def make_{name}(models):'):
            writer.line(f'"""Returns the function that {what}."""')
            self._bind_models(names, computation.forward)
            writer.line()
            with writer.block(f'def {name}(batch):'):
                for i in computation.inputs:
                    writer.line(f'{names.value(Key(i))} = batch[{i!r}]')
                self._batch_size(names, list(computation.forward), computation.inputs)
                write_families(writer, names, computation.forward)
                for assignment in computation.forward:
                    write_assignment(writer, expressions, assignment)
                self._dictionary('return ', computation.results, names, '')
            writer.lines('', f'return {name}')

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
        return f'{name}({", ".join(arguments)})'

    def _path(self, path):
        return os.path.join(self.folder, path) if self.folder is not None and isinstance(path, str) else path

    def _main(self) -> None:
        self.writer.lines('', '')
        with self.writer.block("if __name__ == '__main__':"):
            self.writer.line('runtime.main(globals())')

    # Layout

    def _wrapped(self, head: str, items: Iterable[str], tail: str, span: Optional[Span] = None) -> None:
        """Writes a line, or several where the items are too long for one."""
        items = list(items)
        whole = head + ', '.join(items) + tail
        if len(whole) <= _WIDTH:
            self.writer.line(whole, span)
            return
        with self.writer.block(head, span):
            line = ''
            for item in items:
                if line and len(line) + len(item) > _WIDTH:
                    self.writer.line(f'{line},')
                    line = ''
                line = f'{line}, {item}' if line else item
            self.writer.line(line)
        self.writer.line(tail)

    def _dictionary(self, head: str, keys: tuple[Key, ...], names: Identifiers, tail: str) -> None:
        if not keys:
            self.writer.line(head + '{}' + tail)
            return
        with self.writer.block(head + '{'):
            for key in keys:
                self.writer.line(f'{str(key)!r}: {names.value(key)},', self.spans[key])
        self.writer.line('}' + tail)


def binding_spans(graph: Graph) -> dict[Key, Span]:
    """Returns where each value of a graph is bound."""
    return {**{Key(i.name): i.span for i in graph.inputs},
            **{key: assignment.span for assignment in graph.assignments for key in assignment.results}}


def _parameters(step: Step, number: int) -> str:
    return 'parameters' if len(step.backward) == 1 else f'parameters_{number + 1}'


def _weight(names: Identifiers, loss: Key, weight: float) -> str:
    return 'None' if weight == 1 else f'runtime.weight({weight!r}, {names.value(loss)})'


def _index(key: Key) -> str:
    return str(key.index[0]) if len(key.index) == 1 else str(key.index)


def _settings(train: Train, streams: tuple[Stream, ...]) -> str:
    """Returns the settings of a run, those that have their default left out."""
    default = Train()
    fields = [f'batch={train.batch}']
    fields += [f'{name}={literal(_as_plain(value))}' for name, value in vars(train).items()
               if name != 'batch' and value != getattr(default, name)]
    batches = {stream.name: stream.batch for stream in streams if stream.batch is not None}
    if batches:
        fields.append(f'batches={batches!r}')
    return f'runtime.Train({", ".join(fields)})'


def _as_plain(value):
    return tuple(value) if isinstance(value, tuple) else value


def _safe(name: str) -> str:
    """Returns a file name as it can stand in a docstring."""
    return repr(name.replace('\\', '/').rsplit('/', 1)[-1])[1:-1].replace('"', "'").replace('\\', '')


def _stem(name: str) -> str:
    return name.replace('\\', '/').rsplit('/', 1)[-1].rsplit('.', 1)[0]
