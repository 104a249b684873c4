"""Writes the backward passes of a step."""
from __future__ import annotations

import itertools
from typing import Callable, ContextManager, Mapping, Sequence

from graphdsl.semantics.computation import Key
from graphdsl.semantics.graph import Unit
from graphdsl.diagnostics import Span
from graphdsl.emit.layout import write_wrapped
from graphdsl.emit.names import Identifiers, identifier, unit_text
from graphdsl.emit.stacks import stacked_families
from graphdsl.emit.writer import Writer
from graphdsl.plan.plan import ALWAYS, BackwardPass, Guard, Step, WeightedLoss


class Backward:
    """Writes what a step differentiates, and with respect to what.

    Args:
        step: The step.
        writer: Where to.
        names: Identifiers of the enclosing function.
        spans: Where each value is bound.
        is_alone: Whether `update_core` is nothing but one run of this step.
        when: Returns a guard as Python.

    Attributes:
        stacks: Heads that run as one.
    """

    def __init__(self, step: Step, writer: Writer, names: Identifiers, spans: Mapping[Key, Span], is_alone: bool,
                 when: Callable[[Guard], str]):
        self.step = step
        self.writer = writer
        self.names = names
        self.spans = spans
        self.is_alone = is_alone
        self._when = when
        self.has_cases = any(guard != ALWAYS for one in step.backward
                             for guard in [*(g for _, _, g in one.losses), *(g for _, g in one.optimizers)])
        # Whether what is differentiated is gathered in lists, as it may be more or less.
        self.gathers = self.has_cases or step.kind == 'unroll'
        names_in_passes = [name for one in step.backward for name, _ in one.optimizers]
        # Whether several passes give one gradient, or some of what they give is not used.
        self.adds = step.kind == 'accumulate' or len(set(names_in_passes)) < len(names_in_passes) or any(
            one.unused for one in step.backward)
        self.stacks = stacked_families(step.forward)
        self.stacked = {model for stack in self.stacks for model in stack.models}

    # Parameters: bound once, outside of the step

    def write_parameters(self) -> None:
        """Writes the variables that hold what each backward pass differentiates with respect to."""
        for number, one in enumerate(self.step.backward):
            if self.has_cases:
                for (optimizer, _), units in zip(one.optimizers, one.units):
                    self._write_parameters(self._of_optimizer(optimizer), units)
            else:
                self._write_parameters(self._of_pass(number), self._single_units(one))
            if one.unused:
                self._write_parameters(self._unused(number), one.unused)

    def _single_units(self, one: BackwardPass) -> list[Unit]:
        """Returns what a pass moves but for heads that run as one."""
        return [unit for units in one.units for unit in units if unit.model not in self.stacked]

    def _write_parameters(self, variable: str, units: Sequence[Unit]) -> None:
        if not units:
            return
        write_wrapped(self.writer, f'{variable} = runtime.parameters(', map(unit_text, units), ')')

    def _of_pass(self, number: int) -> str:
        prefix = '' if self.is_alone else f'{identifier(self.step.name)}_'
        name = f'{prefix}parameters{self._suffix(number)}'
        return name if name == 'parameters' else self.names.get('parameters', f'{self.step.name}/{number}', name)

    def _of_optimizer(self, optimizer: str) -> str:
        stem = f'{identifier(self.step.name)}_{identifier(optimizer)}_parameters'
        return self.names.get('parameters', f'{self.step.name}/{optimizer}/', stem)

    def _unused(self, number: int) -> str:
        stem = f'{identifier(self.step.name)}_unused{self._suffix(number)}'
        return self.names.get('parameters', f'{self.step.name}/{number}/unused', stem)

    def _suffix(self, number: int) -> str:
        return '' if len(self.step.backward) == 1 else f'_{number + 1}'

    # The passes

    def begin(self) -> None:
        """Writes what gradients and losses of several passes or runs are gathered in."""
        if self.adds:
            self.writer.line('gradients = runtime.Gradients()')
        if self.step.kind == 'unroll':
            for number, one in enumerate(self.step.backward):
                self._write_lists(one, number)

    def write(self) -> None:
        """Writes all passes of a run."""
        for number, one in enumerate(self.step.backward):
            with self.writer.region((self.step.name, number)):
                self._differentiate(one, number)
        moved = {unit.model for one in self.step.backward for unit in itertools.chain(*one.units)}
        for stack in self.stacks:
            if not moved.isdisjoint(stack.models):
                self.writer.line(f'{self.names.get("value", stack.value)}.share_gradients()')

    def gather(self) -> None:
        """Writes that the losses of a run are gathered, to be differentiated with those of others."""
        for number, one in enumerate(self.step.backward):
            self._gather_losses(number, _is_weighted(one), one.losses)

    def write_gathered(self) -> None:
        """Writes the passes from what several runs have gathered."""
        for number, one in enumerate(self.step.backward):
            with self.writer.region((self.step.name, number)):
                self._differentiate_gathered(one, number)

    def end(self, runs: str = '') -> None:
        """Writes that parameters get what was added up: over some runs, as Python, the mean."""
        if self.adds:
            self.writer.line(f'gradients.set({runs})')

    def checked_losses(self, skips: Callable[[str], bool]) -> list[str]:
        """Returns the losses that have to be finite, as items of a list: those of passes where no optimizer skips."""
        items: dict[str, None] = {}
        for number, one in enumerate(self.step.backward):
            if any(skips(name) for name, _ in one.optimizers):
                continue
            if self.gathers:
                items[f'*losses{self._suffix(number)}'] = None
                continue
            stacks = {stack.loss: f'{self.names.get("value", stack.loss)}.whole' for stack in self.stacks}
            items.update(dict.fromkeys(stacks.get(term.loss.base) or self.names.value(term.loss)
                                       for term in one.losses))
        return list(items)

    def _guarded(self, guard: Guard) -> ContextManager[None]:
        return self.writer.within('' if guard == ALWAYS else f'if {self._when(guard)}:')

    def _differentiate(self, one: BackwardPass, number: int) -> None:
        if self.gathers:
            certain = [term for term in one.losses if term.guard == ALWAYS]
            self._write_lists(one, number, certain)
            self._gather_losses(number, _is_weighted(one), [term for term in one.losses if term.guard != ALWAYS])
            self._differentiate_gathered(one, number)
            return
        families: dict[str, WeightedLoss] = {}
        for term in one.losses:
            families.setdefault(term.loss.base, term)
        stacks = [stack for stack in self.stacks if stack.loss in families]
        stacked = {stack.loss for stack in stacks}
        terms = [term for term in one.losses if term.loss.base not in stacked]
        wholes = [families[stack.loss] for stack in stacks]
        losses = [*(f'{self.names.get("value", stack.loss)}.whole' for stack in stacks),
                  *(self.names.value(term.loss) for term in terms)]
        weights = ''
        if _is_weighted(one):
            weights = f', grad_outputs=weights{self._suffix(number)}'
            factors = [_weight(term.weight, loss) for term, loss in zip([*wholes, *terms], losses)]
            write_wrapped(self.writer, f'weights{self._suffix(number)} = [', factors, ']')
        models = {unit.model for units in one.units for unit in units}
        moved = [self.names.get('value', stack.value) for stack in stacks if not models.isdisjoint(stack.models)]
        parameters = [f'*{value}.weights' for value in moved]
        if self._single_units(one):
            parameters.append(f'*{self._of_pass(number)}')
        head, arguments, tail = self._differentiation(
            one, number, f'[{", ".join(parameters)}]' if moved else self._of_pass(number))
        write_wrapped(self.writer, f'{head}[', losses, f'], {arguments}{weights}{tail}',
                      self.spans[one.losses[0].loss])

    def _differentiation(self, one: BackwardPass, number: int, parameters: str) -> tuple[str, str, str]:
        """Returns what stands before the losses, with respect to what they are differentiated, and the end."""
        if not self.adds:
            return 'chainer.grad(', parameters, ', set_grad=True)'
        arguments = f'{parameters} + {self._unused(number)}' if one.unused else parameters
        return f'gradients.add({parameters}, chainer.grad(', arguments, '))'

    def _write_lists(self, one: BackwardPass, number: int, certain: Sequence[WeightedLoss] = ()) -> None:
        """Writes the lists that losses and their weights are gathered in, with those that are always there."""
        suffix = self._suffix(number)
        write_wrapped(self.writer, f'losses{suffix} = [', [self.names.value(term.loss) for term in certain], ']')
        if _is_weighted(one):
            write_wrapped(self.writer, f'weights{suffix} = [', map(self._weight, certain), ']')

    def _gather_losses(self, number: int, is_weighted: bool, terms: Sequence[WeightedLoss]) -> None:
        for term in terms:
            with self._guarded(term.guard):
                self.writer.line(f'losses{self._suffix(number)}.append({self.names.value(term.loss)})',
                                 self.spans[term.loss])
                if is_weighted:
                    self.writer.line(f'weights{self._suffix(number)}.append({self._weight(term)})')

    def _differentiate_gathered(self, one: BackwardPass, number: int) -> None:
        """Writes the differentiation of what is gathered; of nothing there is none."""
        writer, suffix = self.writer, self._suffix(number)
        parameters = self._of_pass(number)
        if self.has_cases:
            parameters = 'parameters'
            certain = [f'*{self._of_optimizer(name)}' for name, guard in one.optimizers if guard == ALWAYS]
            write_wrapped(writer, 'parameters = [', certain, ']')
            for optimizer, guard in one.optimizers:
                if guard != ALWAYS:
                    with self._guarded(guard):
                        writer.line(f'parameters += {self._of_optimizer(optimizer)}')
        weights = f', grad_outputs=weights{suffix}' if _is_weighted(one) else ''
        head, arguments, tail = self._differentiation(one, number, parameters)
        with writer.within('' if any(term.guard == ALWAYS for term in one.losses) else f'if losses{suffix}:'):
            writer.line(f'{head}losses{suffix}, {arguments}{weights}{tail}', self.spans[one.losses[0].loss])

    def _weight(self, term: WeightedLoss) -> str:
        return _weight(term.weight, self.names.value(term.loss))


def _weight(weight: float, loss: str) -> str:
    return 'None' if weight == 1 else f'runtime.weight({weight!r}, {loss})'


def _is_weighted(one: BackwardPass) -> bool:
    return any(term.weight != 1 for term in one.losses)
