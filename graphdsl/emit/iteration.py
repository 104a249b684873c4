"""Writes `update_core`: the steps of an iteration, and what moves after them."""
from __future__ import annotations

from typing import Iterable, Mapping, Optional, Sequence

from graphdsl.semantics.computation import Expression, Key, Literal, Reference, RunningNumber, walk
from graphdsl.semantics.graph import Model, Next, Optimizer
from graphdsl.semantics.needs import Needs
from graphdsl.diagnostics import Span
from graphdsl.emit.chains import Chains
from graphdsl.emit.computing import bind_models
from graphdsl.emit.expressions import Expressions, count_text, write_assignment, write_families
from graphdsl.emit.layout import write_dictionary
from graphdsl.emit.names import Identifiers, identifier
from graphdsl.emit.numbers import bind_numbers
from graphdsl.emit.steps import StepWriter
from graphdsl.emit.surroundings import Surroundings
from graphdsl.emit.writer import Writer
from graphdsl.plan.evaluation import rows_of
from graphdsl.plan.plan import ALWAYS, Plan, Step


def write_update_core(plan: Plan, writer: Writer, chains: Chains, spans: Mapping[Key, Span]) -> None:
    """Writes the function that makes `update_core`.

    Args:
        plan: What an iteration does.
        writer: Where to.
        chains: The classes and functions that are written.
        spans: Where each value is bound.
    """
    _Iteration(plan, writer, chains, spans).write()


class _Iteration:

    def __init__(self, plan: Plan, writer: Writer, chains: Chains, spans: Mapping[Key, Span]):
        self.plan = plan
        self.graph = plan.graph
        self.writer = writer
        self.chains = chains
        self.names: Identifiers = chains.identifiers()
        self.spans = spans
        self.needs = Needs(self.graph)
        self.is_alone = len(plan.steps) == 1 and plan.steps[0].kind is None and plan.steps[0].condition is None \
            and all(change.after is None for change in self.graph.nexts)
        self.functions = {step.name: self.names.get('step', step.name, identifier(step.name) + '_step')
                          for step in plan.steps}
        surroundings = Surroundings(self.graph)
        self.steps = [StepWriter(surroundings, step, writer, self.names, chains, spans, self.is_alone)
                      for step in plan.steps]
        read = {key for change in self.graph.nexts for key in self.needs.leaves(change.expression)}
        # Noise that the condition of a step draws.
        self.drawn_outside = {key for step in plan.steps if step.condition is not None
                              for key in self.needs.leaves(step.condition)
                              if key in read and key in self.graph.noise_places}
        self.kept = {key for step in plan.steps for key, _ in step.kept} | self.drawn_outside
        states = {state.key: f'numbers[{str(state.key)!r}]' for state in self.graph.states}
        # What stands outside of the steps reads states where they are.
        self.printer = Expressions(self.names, chains.name, references=states)
        self.printer_of_runs = Expressions(self.names, chains.name, references={
            **states, **{key: f'kept[{str(key)!r}]' for key in self.kept}})
        self.nexts: dict[Optional[str], list[Next]] = {}
        for change in self.graph.nexts:
            self.nexts.setdefault(change.after, []).append(change)
        self.places = {step.name: i for i, step in enumerate(plan.steps)}
        # The first step that keeps a value in every iteration.
        self.kept_since: dict[Key, int] = {}
        for i, step in enumerate(plan.steps):
            for key, guard in step.kept:
                if guard == ALWAYS and _always_runs(step):
                    self.kept_since.setdefault(key, i)
        self.owners: dict[Key, dict[str, Optimizer]] = {}
        for optimizer in self.graph.optimizers:
            for unit in optimizer.owns:
                self.owners.setdefault(unit.model, {})[optimizer.name] = optimizer
        self.always_updated = {name for step in plan.steps for name, guard in step.updates
                               if guard == ALWAYS and _always_runs(step)}
        self.followers = self._followers()
        # The model at the head of each row of followers, which moves by itself.
        self.roots: dict[Key, Key] = {}
        for model in self.followers:
            self.roots[model.key] = self.roots.get(model.original, model.original)

    def write(self) -> None:
        writer = self.writer
        writer.lines('', '')
        with writer.block('def make_update_core(draw, models, optimizers, numbers, check_finite):'):
            writer.line('"""Returns the function that does one iteration."""')
            bind_models(writer, self.names, [model for step in self.plan.steps for one in step.forward
                                             for model in one.assignment.models])
            for step in self.steps:
                step.write_parameters()
            if not self.is_alone:
                writer.line('reports = runtime.Reports()')
            if self.kept:
                writer.line('kept = {}')
            for step in self.steps if not self.is_alone else ():
                writer.line()
                with writer.block(f'def {self.functions[step.step.name]}({", ".join(step.arguments)}):'):
                    step.write()
            writer.line()
            with writer.block('def update_core():'):
                self._write_iteration()
            writer.lines('', 'return update_core')

    def _write_iteration(self) -> None:
        writer = self.writer
        self._clear_gradients()
        if not self.is_alone:
            writer.line('reports.clear()')
        if self.kept:
            writer.line('kept.clear()')
        self._write_schedules()
        leaders = self._leaders_to_watch()
        for model in leaders:
            writer.line(f'{self._before(model)} = {self._updates(model)}')
        for step, step_writer in zip(self.plan.steps, self.steps):
            if self.is_alone:
                step_writer.write()
            else:
                self._write_call(step, step_writer)
        self._write_followers(leaders)
        self._write_reports()
        self._write_nexts(self.nexts.get(None, []))

    def _clear_gradients(self) -> None:
        """Writes that gradients of the iteration before go, which would take memory while the models run."""
        names = [optimizer.name for optimizer in self.graph.optimizers if optimizer.name in self.always_updated]
        if names:
            self.writer.line('# Free the gradients of the iteration before.')
        if len(names) == len(self.graph.optimizers):
            with self.writer.block('for optimizer in optimizers.values():'):
                self.writer.line('optimizer.target.cleargrads()')
            return
        with self.writer.loops():
            for name in names:
                self.writer.line(f'optimizers[{name!r}].target.cleargrads()')

    # Numbers between the steps

    def _prepare(self, expressions: Sequence[Expression], of_runs: bool = False) -> None:
        """Writes the numbers that some expressions are made of; of what runs computed, if that is read."""
        needed = self.needs.assignments((node.key for node in walk(*expressions) if isinstance(node, Reference)),
                                        self.kept if of_runs else ())
        stages = [stage for assignment in needed for stage in assignment.stages]
        nodes = [*expressions, *stages]
        keys = {node.key for node in walk(*nodes) if isinstance(node, Reference)}
        running = [node for node in walk(*nodes) if isinstance(node, RunningNumber)]
        bind_numbers(self.writer, self.graph, self.names, running)
        if any(node.name == 'batch_size' for node in running):
            self.writer.line(f'batch_size = draw.batch_size({rows_of(self.graph, ())!r})')
        places = self.graph.noise_places
        noises = [] if of_runs else [self.graph.noises[i] for i in sorted(places[key] for key in keys if key in places)]
        write_families(self.writer, self.names, [*(noise.key for noise in noises),
                                                 *(key for a in needed for key in a.results)])
        for noise in noises:
            self.writer.line(f'{self.names.value(noise.key)} = draw.noise({str(noise.key)!r})', noise.span)
            if noise.key in self.drawn_outside:
                self.writer.line(f'kept[{str(noise.key)!r}] = {self.names.value(noise.key)}')
        for assignment in needed:
            write_assignment(self.writer, self.printer_of_runs if of_runs else self.printer, assignment)

    def _write_schedules(self) -> None:
        schedules = self.graph.schedules
        self._prepare([schedule.expression for schedule in schedules])
        for schedule in schedules:
            self.writer.line(f'optimizers[{schedule.optimizer!r}].{schedule.hyperparameter} = '
                             f'{self.printer.text(schedule.expression)}', schedule.span)

    # Steps

    def _write_call(self, step: Step, step_writer: StepWriter) -> None:
        writer, printer = self.writer, self.printer
        call = f'{self.functions[step.name]}({", ".join(step_writer.arguments)})'
        if step_writer.results:
            call = f'{", ".join(step_writer.results)} = {call}'
        after = self.nexts.get(step.name, [])
        self._prepare([step.condition] if step.condition is not None else [])
        with writer.within('' if step.condition is None else f'if {printer.text(step.condition)}:'):
            varies = step.count is not None and not isinstance(step.count, Literal)
            if varies or step.kind == 'repeat':
                self._prepare([step.count])
            if step.kind == 'repeat':
                with writer.block(f'for _ in range({count_text(printer, step.count)}):', step.count.span):
                    writer.line(call)
            else:
                with writer.within(f'if {printer.text(step.count)} >= 1:' if varies else ''):
                    writer.line(call)
            if self._moving(after):
                may_be_none = step.kind == 'repeat' and (varies or step.count.value < 1)
                with writer.within(f'if {printer.text(step.count)} >= 1:' if may_be_none else ''):
                    self._write_nexts(after)

    # What moves after the steps

    def _leaders_to_watch(self) -> dict[Key, None]:
        """Returns the models that others follow and that an iteration may leave as they are."""
        return dict.fromkeys(self.roots[model.key] for model in self.graph.models
                             if model.decay is not None and not self._is_always_updated(self.roots[model.key]))

    def _is_always_updated(self, model: Key) -> bool:
        return any(name in self.always_updated and not optimizer.skips
                   for name, optimizer in self.owners.get(model, {}).items())

    def _before(self, model: Key) -> str:
        return self.names.get('before', str(model), f'{identifier(str(model))}_before')

    def _updates(self, model: Key) -> str:
        return ' + '.join(f'optimizers[{name!r}].t' for name in self.owners.get(model, ())) or '0'

    def _write_followers(self, watched: Iterable[Key]) -> None:
        writer, printer, followers = self.writer, self.printer, self.followers
        if followers:
            writer.lines('', '# Models that follow others')
        self._prepare([model.decay for model in followers if model.decay is not None])
        for model in followers:
            text, leader = (f'models[{str(key)!r}]' for key in (model.key, model.original))
            if model.decay is not None:
                root = self.roots[model.key]
                with writer.within(f'if {self._updates(root)} > {self._before(root)}:' if root in watched else ''):
                    writer.line(f'runtime.follow({text}, {leader}, {printer.text(model.decay)})', model.span)
            else:
                with writer.within(f"if (numbers['iteration'] + 1) % {model.every} == 0:"):
                    writer.line(f'runtime.copy({leader}, {text})', model.span)

    def _followers(self) -> list[Model]:
        """Returns the models that follow others, each after the one that it follows."""
        following = {model.key: model for model in self.graph.models if model.follows}
        found: dict[Key, Model] = {}
        for key in following:
            row = []
            while key in following and key not in found:
                row.append(following[key])
                key = following[key].original
            found.update({model.key: model for model in reversed(row)})
        return list(found.values())

    def _write_reports(self) -> None:
        """Writes what an iteration reports once: means over its runs, states and scheduled values."""
        if not self.is_alone:
            self.writer.line('chainer.report(reports.means())')
        skipped = [f'{o.name}.skipped' for o in self.graph.optimizers if o.skips]
        numbers = [(str(s.key), f'numbers[{str(s.key)!r}]', s.span) for s in self.graph.states]
        numbers += [(name, f'numbers[{name!r}]', None) for name in skipped]
        numbers += [(f'{s.optimizer}.{s.hyperparameter}', f'optimizers[{s.optimizer!r}].{s.hyperparameter}', s.span)
                    for s in self.graph.schedules]
        if numbers:
            write_dictionary(self.writer, 'chainer.report(', numbers, ')')

    def _write_nexts(self, nexts: Sequence[Next]) -> None:
        """Writes how states move, all from their old values; one stays if what it needs was not computed."""
        nexts = self._moving(nexts)
        if not nexts:
            return
        writer, printer = self.writer, self.printer_of_runs
        together = len(nexts) > 1
        if together:
            writer.line('changes = {}')
        for change in nexts:
            needed = [key for key in self.needs.leaves(change.expression)
                      if not self._is_always_kept(key, change.after)]
            with writer.within(f'if {" and ".join(f"{str(key)!r} in kept" for key in needed)}:' if needed else ''):
                self._prepare([change.expression], of_runs=True)
                target = 'changes' if together else 'numbers'
                writer.line(f'{target}[{str(change.key)!r}] = {printer.text(change.expression)}', change.span)
        if together:
            writer.line('numbers.update(changes)')

    def _moving(self, nexts: Sequence[Next]) -> list[Next]:
        """Returns those that read what some run has; the states of others stay for ever."""
        return [change for change in nexts if self.kept.issuperset(self.needs.leaves(change.expression))]

    def _is_always_kept(self, key: Key, after: Optional[str]) -> bool:
        """Says whether a value is there at the end of every iteration, or after a step."""
        last = len(self.places) if after is None else self.places[after]
        return key in self.kept_since and self.kept_since[key] <= last


def _always_runs(step: Step) -> bool:
    """Says whether a step runs in every iteration."""
    is_counted = isinstance(step.count, Literal) and step.count.value >= 1
    return step.condition is None and (step.kind is None or is_counted)
