"""Writes a step: the function that draws, computes, differentiates and updates."""
from __future__ import annotations

import itertools
from typing import Iterable, Mapping, Optional, Sequence

from graphdsl.semantics.computation import Key, RunningNumber, walk
from graphdsl.semantics.graph import Noise
from graphdsl.diagnostics import Span
from graphdsl.emit.backward import Backward
from graphdsl.emit.chains import Chains
from graphdsl.emit.expressions import Expressions, count_text, write_assignment, write_families
from graphdsl.emit.layout import looped, write_dictionary, write_wrapped
from graphdsl.emit.names import Identifiers, identifier, index_text
from graphdsl.emit.numbers import bind_numbers
from graphdsl.emit.stacks import write_stack
from graphdsl.emit.surroundings import Surroundings
from graphdsl.emit.writer import Writer
from graphdsl.plan.evaluation import rows_of
from graphdsl.plan.history import points
from graphdsl.plan.plan import (
    ALWAYS, NEVER, Guard, Operation, Report, Step)


class StepWriter:
    """Writes one step of `update_core`.

    Args:
        whole: The graph.
        step: The step.
        writer: Where to.
        names: Identifiers of the enclosing function.
        chains: The classes and functions that are written.
        spans: Where each value is bound.
        is_alone: Whether `update_core` is nothing but one run of this step.
    """

    def __init__(self, whole: Surroundings, step: Step, writer: Writer, names: Identifiers, chains: Chains,
                 spans: Mapping[Key, Span], is_alone: bool):
        self.whole = whole
        self.graph = whole.graph
        self.step = step
        self.writer = writer
        self.names = names
        self.spans = spans
        self.is_alone = is_alone
        self.conditions = [names.get('condition', c.name, identifier(c.name)) for c in step.conditions]
        self.losses = whole.losses
        self._guard_texts: dict[Guard, str] = {}
        self.points = set(points(one.assignment for one in step.forward))
        self.assignments = [one.assignment for one in (*step.forward, *step.metrics)]
        # Where an array does: a linear layer flattens it without a function node.
        as_arrays = whole.linear, whole.images - self.points
        self.expressions = Expressions(names, chains.name, self._modes(), as_arrays=as_arrays)
        self.backward = Backward(step, writer, names, spans, is_alone, self._when)

    def _modes(self) -> dict[Key, str]:
        """Returns how models are called that are not simply called."""
        modes = {key: 'runtime.evaluating({})' for one in self.assignments for key in one.models
                 if key in self.whole.frozen}
        for key, guard in self.step.quiet:
            modes[key] = 'runtime.quiet({})' if guard == NEVER else \
                f'runtime.quiet_unless({self._when(guard)}, {{}})'
        return modes

    def _when(self, guard: Guard) -> str:
        """Returns a guard as Python; one of many cases may stand before many operations."""
        if guard not in self._guard_texts:
            cases = [' and '.join(self.conditions[i] for i in sorted(case)) for case in sorted(guard, key=sorted)]
            self._guard_texts[guard] = ' or '.join(cases)
        return self._guard_texts[guard]

    def write_parameters(self) -> None:
        """Writes the variables that hold what each backward pass differentiates with respect to."""
        self.backward.write_parameters()

    @property
    def arguments(self) -> list[str]:
        """What the function of the step takes: values of steps before."""
        return [self._handed(key) for key in self.step.taken()]

    @property
    def results(self) -> list[str]:
        """What the function of the step gives to steps after it, as the iteration calls it."""
        return list(map(self._handed, self.step.handed))

    def _handed(self, key: Key) -> str:
        """Returns what a value is called between steps: a step may have members of its family that are others."""
        return self.names.get('handed', str(key), identifier(str(key))) if key.index else self.names.value(key)

    def _write_taken_families(self) -> set[str]:
        """Writes the families that begin with values of steps before; returns their names."""
        families: dict[str, list[Key]] = {}
        for key in self.step.taken():
            if key.index:
                families.setdefault(key.base, []).append(key)
        for base, keys in families.items():
            write_wrapped(self.writer, f'{self.names.get("value", base)} = {{',
                          [f'{index_text(key)}: {self._handed(key)}' for key in keys], '}')
        return set(families)

    def write(self) -> None:
        """Writes the whole step, as a block of a function."""
        with self.writer.region((self.step.name, None)):
            self._write()

    def _write(self) -> None:
        step, writer = self.step, self.writer
        if step.kind in ('accumulate', 'unroll'):
            self._write_several()
            self._write_updates()
            return
        self._write_run()
        writer.lines('', '# Backward: every gradient is taken before the first update.')
        self.backward.begin()
        self.backward.write()
        self.backward.end()
        self._write_updates()
        writer.line()
        self._write_reports('chainer.report(' if self.is_alone else 'reports.add(')
        if step.handed:
            writer.line(f'return {", ".join(map(self.names.value, step.handed))}')

    def _write_several(self) -> None:
        """Writes several runs, and the gradients of the update that they share."""
        step, writer = self.step, self.writer
        is_mean = step.kind == 'accumulate'
        self.backward.begin()
        bind_numbers(writer, self.graph, self.names, [step.count])
        runs = count_text(self.expressions, step.count)
        with writer.block(f'for _ in range({runs}):', step.count.span):
            self._write_run()
            writer.line()
            if is_mean:
                self.backward.write()
                self._write_check(self.backward.checked_losses(self._skips), [])
            else:
                self.backward.gather()
            self._write_reports('reports.add(')
            if is_mean:
                self._cut_states()
        writer.lines('', '# Every gradient is taken before the first update.')
        if not is_mean:
            self.backward.write_gathered()
        self.backward.end(runs if is_mean else '')

    def _write_run(self) -> None:
        """Writes what a run draws and computes."""
        step, writer, names = self.step, self.writer, self.names
        expressions = [c.expression for c in step.conditions] + [s for a in (*step.numbers, *self.assignments)
                                                                 for s in a.stages]
        bind_numbers(writer, self.graph, names, expressions)
        write_families(writer, names, [self.whole.noises[draw.name].key for draw in step.draws
                                       if draw.kind == 'noise' and draw.is_read])
        self._write_draws(ALWAYS)
        if any(isinstance(n, RunningNumber) and n.name == 'batch_size' for n in walk(*expressions)):
            writer.line(f'batch_size = draw.batch_size({self._rows()!r})')
        taken = self._write_taken_families()
        elsewhere = {*taken, *(name for stack in self.backward.stacks for name in (stack.value, stack.loss))}
        write_families(writer, names, [key for a in (*step.numbers, *self.assignments) for key in a.results
                                       if key.base not in elsewhere])
        for assignment in step.numbers:
            write_assignment(writer, self.expressions, assignment)
        for variable, condition in zip(self.conditions, step.conditions):
            writer.line(f'{variable} = {self.expressions.text(condition.expression)}', condition.expression.span)
        self._write_draws(None)
        if step.numbers or step.conditions or any(draw.is_read for draw in step.draws):
            writer.line()
        writer.line('# Forward')
        self._write_operations(step.forward)
        self._write_operations(step.metrics)
        for key, guard in step.kept:
            with self._guarded(guard):
                writer.line(f'kept[{str(key)!r}] = runtime.array({names.value(key)})', self.spans.get(key))

    def _rows(self) -> str:
        streams = [draw.name for draw in self.step.draws if draw.kind == 'stream']
        return rows_of(self.graph, [*streams, *(noise.stream for noise in self._noises())])

    def _noises(self) -> list[Noise]:
        """Returns the noise that a run draws, in the order of the file."""
        return [self.whole.noises[draw.name] for draw in self.step.draws if draw.kind == 'noise']

    def _write_draws(self, guard: Optional[Guard]) -> None:
        """Writes the draws that always take place, or for None the others."""
        for draw in self.step.draws:
            if (draw.guard == ALWAYS) != (guard == ALWAYS) or not draw.is_read:
                continue
            again = ', again=True' if draw.again else ''
            with self._guarded(draw.guard):
                if draw.kind == 'stream':
                    columns = self.whole.inputs[draw.name]
                    variables = ', '.join(self.names.value(Key(i.name)) if i.name != '_' else '_' for i in columns)
                    comma = ',' if len(columns) == 1 else ''
                    self.writer.line(f'{variables}{comma} = draw.minibatch({draw.name!r}{again})', columns[0].span)
                    self._write_points(Key(i.name) for i in columns)
                else:
                    noise = self.whole.noises[draw.name]
                    self.writer.line(f'{self.names.value(noise.key)} = draw.noise({draw.name!r}{again})', noise.span)
                    self._write_points([noise.key])

    def _write_points(self, drawn: Iterable[Key]) -> None:
        """Makes points of differentiation of what is drawn."""
        for key in drawn:
            if key in self.points:
                self.writer.line(f'{self.names.value(key)} = runtime.point({self.names.value(key)})')

    def _write_operations(self, operations: Sequence[Operation]) -> None:
        """Writes what is computed: what needs no history without one, what is not always needed where it is."""
        def setting(one: Operation) -> tuple[Guard, str]:
            return one.guard, '' if one.assignment.is_number else self._mode(one, one.history[-1])

        for (guard, mode), group in itertools.groupby(operations, setting):
            with self._guarded(guard), self.writer.within(mode):
                self._write_all(group)

    def _mode(self, one: Operation, history: Guard) -> str:
        """Returns what something of an operation runs within, so that it has a history when it needs one."""
        if history in (ALWAYS, one.guard):
            return ''
        return 'with chainer.no_backprop_mode():' if history == NEVER else \
            f"with chainer.using_config('enable_backprop', {self._when(history)}):"

    def _write_all(self, operations: Iterable[Operation]) -> None:
        with self.writer.loops():
            for stack, group in itertools.groupby(operations, lambda one: one.stack):
                if stack is not None:
                    write_stack(self.writer, self.expressions, [one.assignment for one in group])
                    continue
                for one in group:
                    modes = [self._mode(one, history) for history in one.history]
                    # The last stage's mode is that of the block around.
                    write_assignment(self.writer, self.expressions, one.assignment, self.points, one.is_wanted,
                                     ['' if mode == modes[-1] else mode for mode in modes])

    def _guarded(self, guard: Guard):
        return self.writer.within('' if guard == ALWAYS else f'if {self._when(guard)}:')

    def _write_updates(self) -> None:
        step, writer = self.step, self.writer
        optimizers = self.whole.optimizers
        writer.lines('', '# Update')
        self._write_checks()
        if any(optimizers[name].hooks for name, _ in step.updates):
            writer.line('runtime.unshare(optimizers)')
        if len(step.updates) == len(optimizers) and all(
                guard == ALWAYS and not optimizers[name].skips for name, guard in step.updates):
            with writer.block('for optimizer in optimizers.values():'):
                writer.line('optimizer.update()')
        else:
            for name, guard in step.updates:
                with self._guarded(guard):
                    writer.line(f'runtime.update_if_finite({name!r}, optimizers, numbers)' if optimizers[name].skips
                                else f'optimizers[{name!r}].update()', optimizers[name].span)
        if step.kind != 'accumulate':
            self._cut_states()

    def _write_checks(self) -> None:
        """Writes that losses, and gradients that are about to be used, are checked before any weight moves."""
        losses = self.backward.checked_losses(self._skips) if self.step.kind != 'accumulate' else []
        guarded: dict[Guard, list[str]] = {ALWAYS: []}
        for name, guard in self.step.updates:
            if not self._skips(name):
                guarded.setdefault(guard, []).append(name)
        for guard, names in guarded.items():
            with self._guarded(guard):
                self._write_check(losses if guard == ALWAYS else [], names)

    def _write_check(self, losses: Sequence[str], optimizers: Sequence[str]) -> None:
        if not (losses or optimizers):
            return
        names = list(map(repr, optimizers))
        updated = 'optimizers' if len(names) == len(self.whole.optimizers) else f'[{", ".join(looped(names, "["))}]'
        tail = f', {updated})' if names else ')'
        if len(losses) == 1 and losses[0].startswith('*'):
            self.writer.line(f'check_finite({losses[0][1:]}{tail}')
        else:
            write_wrapped(self.writer, 'check_finite([', losses, f']{tail}')

    def _skips(self, optimizer: str) -> bool:
        return self.whole.optimizers[optimizer].skips

    def _cut_states(self) -> None:
        stateful = self.whole.stateful
        for place in sorted({stateful[key] for one in self.step.forward for key in one.assignment.models
                             if key in stateful}):
            model = self.graph.models[place]
            self.writer.line(f'runtime.cut(models[{str(model.key)!r}])', model.span)

    def _write_reports(self, head: str) -> None:
        """Writes what a run reports, at once or for means over several runs."""
        groups: dict[Guard, list[Report]] = {}
        for report in self.step.reports:
            groups.setdefault(report.guard, []).append(report)
        for guard, group in groups.items():
            with self._guarded(guard):
                write_dictionary(self.writer, head, [(str(key), self._reported(key), self.spans[key])
                                                     for key, _ in group], ')')

    def _reported(self, key: Key) -> str:
        """Returns what is reported of a value: of what is a variable for sure, its array, which takes no copy."""
        return f'{self.names.value(key)}.array' if key in self.losses else self.names.value(key)
