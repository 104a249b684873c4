"""What is trained: losses, optimizers, steps, states, schedules, the run."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Optional

from fuzz import flow
from fuzz.models import Model
from fuzz.writer import Scope, Value

# Each with a hyperparameter that a schedule may set.
OPTIMIZERS = (('SGD(lr=0.1)', 'lr'), ('Adam()', 'alpha'), ('Adam(alpha=1e-3, beta1=0.5)', 'beta1'), ('SGD()', 'lr'),
              ('MomentumSGD(lr=0.01, momentum=0.9)', 'momentum'), ('AdaGrad(lr=0.01)', 'lr'), ('AdaDelta()', 'rho'),
              ('RMSprop(lr=1e-4)', 'lr'), ('RMSpropGraves()', 'lr'), ('NesterovAG(lr=0.01)', 'lr'), ('SMORMS3()', 'lr'),
              ('CorrectedMomentumSGD(lr=0.01)', 'lr'), ('AMSGrad()', 'alpha'), ('AdaBound()', 'final_lr'))
HOOKS = (
    'WeightDecay(1e-4)', 'Lasso(rate=1e-5)', 'GradientClipping(5.0)', 'GradientHardClipping(-1, 1)', 'Clip(-1, 1)',
    'GradientLARS()')
# These make no large step of a gradient that is rounding alone, so what programs report can be compared.
EXACT = 'SGD|MomentumSGD|NesterovAG|CorrectedMomentumSGD'


@dataclass(frozen=True)
class Loss:
    """A loss: its name, and what is known of its value."""

    name: str
    value: Value
    condition: Optional[str] = None


@dataclass
class Optimizer:
    """An optimizer that will be written.

    Attributes:
        owns: What stands after `owns`.
        parts: What has to get a gradient.
        models: Names of the models that it owns parts of.
        named: Losses that it minimizes; None for all that nobody names.
    """

    owns: list[str] = field(default_factory=list)
    parts: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    named: Optional[list[Loss]] = None
    name: str = ''

    def reaches(self, loss: Loss) -> bool:
        return any(part.partition('/')[0] in self.models for part in loss.value.reach if part[0] not in '<=')


def write_losses(scope: Scope, models: list[Model]) -> list[Loss]:
    """Writes losses until every model that is to be moved has one."""
    chance = scope.chance
    wanted = {part for model in models if model.trains for part in model.parts}
    losses: list[Loss] = []
    while True:
        missing = wanted - {part for loss in losses for part in loss.value.reach}
        if not missing and (losses or not wanted) and not (losses and chance.seldom() and len(losses) < 6):
            return losses
        value = scope.find(lambda v: v.is_float and bool(v.reach & (missing or wanted)))
        if value is None:
            return losses
        losses.append(write_loss(scope, value))


def write_loss(scope: Scope, value: Value) -> Loss:
    chance = scope.chance
    total = flow.scalar(scope, value)
    text = f'{chance.pick([scope.number(), "0.5", "10"])} * {total.text}' if chance.half() else total.text
    name = scope.name(chance.pick(['cost', 'error', 'fool']))
    condition = scope.condition() if scope.has('conditions') else None
    if condition and scope.coins and 'steps' not in scope.features and chance.half():
        condition = f'{scope.coins[0]} < 0.5'
    if condition is None and chance.seldom():
        scope.add(f'{name} = {text}')
        scope.add(f'loss {name}')
    else:
        scope.add(f'loss {name} = {text}' + (f' when {condition}' if condition else ''))
    return Loss(name, total, condition)


def gradient_loss(scope: Scope) -> Optional[Loss]:
    """Writes a loss of a gradient."""
    chance = scope.chance
    y = scope.find(lambda v: v.is_float and v.twice and v.shape is not None and any(p[0] not in '<=' for p in v.reach)
                   and any(p[0] == '=' and p[1:] != v.text for p in v.reach))
    if y is None:
        return None
    x = chance.pick(sorted(p[1:] for p in y.reach if p[0] == '=' and p[1:] != y.text))
    slope = scope.name('slope')
    scope.add(f'{slope} = grad({y.text}, {x})')
    name = scope.name('penalty')
    scope.add(f'loss {name} = {chance.pick(["10 * ", "", "-0.1 * "])}mean(({slope} - 1) ** 2)'
              + (f' when {scope.condition()}' if scope.has('conditions') else ''))
    soft = frozenset(f'{path.partition("/")[0]}/' for path in y.reach if path[0] not in '<=')
    return Loss(name, Value('', None, reach=soft, streams=y.streams, stateful=y.stateful), 'unknown')


def write_optimizers(scope: Scope, models: list[Model], losses: list[Loss]) -> list[Optimizer]:
    """Writes optimizers, each model with one owner."""
    found = owners(scope, models)
    if 'terms' in scope.features:
        name_losses(scope, found, losses)
        if not is_right(found, losses):
            for one in found:
                one.named = None
    for one in found:
        write_optimizer(scope, one)
    return found


def owners(scope: Scope, models: list[Model]) -> list[Optimizer]:
    chance = scope.chance
    units = []
    for model in models:
        named = [path for path in sorted(model.parts) if '?' not in path]
        if not model.trains or not model.parts:
            continue
        if scope.has('parts') and len(model.parts) > 1 and named:
            path = chance.pick(named)
            part = path.replace('/', '.')
            units.append((part, {path}, model.name))
            units.append((f'{model.name} except {chance.pick([part, f"({part})"])}', model.parts - {path}, model.name))
        else:
            units.append((model.name, model.parts, model.name))
    count = chance.number(1, 3) if 'several' in scope.features else 1
    found = [Optimizer() for _ in range(min(count, len(units)))]
    for i, (text, parts, name) in enumerate(units):
        one = found[i] if i < len(found) else chance.pick(found)
        one.owns.append(text)
        one.parts |= parts
        one.models.add(name)
    return found


def name_losses(scope: Scope, optimizers: list[Optimizer], losses: list[Loss]) -> None:
    chance = scope.chance
    for one in optimizers:
        if chance.often():
            one.named = chance.some([loss for loss in losses if one.reaches(loss)], 1) or None
    for loss in losses:
        if any(one.named is None and one.reaches(loss) for one in optimizers) and not any(
                loss in (one.named or ()) for one in optimizers):
            continue
        if not any(loss in (one.named or ()) for one in optimizers):
            one = next((one for one in optimizers if one.reaches(loss)), None)
            if one is not None:
                one.named = [*(one.named or ()), loss]


def terms(one: Optimizer, optimizers: list[Optimizer], losses: list[Loss]) -> list[Loss]:
    """Returns the losses that an optimizer minimizes."""
    if one.named is not None:
        return one.named
    named = {loss.name for other in optimizers for loss in other.named or ()}
    return [loss for loss in losses if one.reaches(loss) and loss.name not in named]


def is_right(optimizers: list[Optimizer], losses: list[Loss]) -> bool:
    minimized = {loss.name for one in optimizers for loss in terms(one, optimizers, losses)}
    return minimized == {loss.name for loss in losses} and all(
        one.parts <= {part for loss in terms(one, optimizers, losses) for part in loss.value.reach}
        for one in optimizers)


def write_optimizer(scope: Scope, one: Optimizer) -> None:
    chance = scope.chance
    is_exact = scope.real == 'float64'
    text, one.hyperparameter = chance.pick([o for o in OPTIMIZERS if not is_exact or re.match(EXACT, o[0])])
    items = []
    line = 'optimizer '
    if 'steps' in scope.features or 'schedules' in scope.features or chance.half():
        one.name = scope.name(chance.pick(['adam', 'slow', 'judges']))
        line += f'{one.name} = '
    line += text
    owned = ', '.join(one.owns)
    if chance.often():
        line += f' owns {owned}'
    else:
        items += [f'owns {text}' for text in one.owns] if chance.half() else [f'owns {owned}']
    if one.named is not None:
        weighted = ', '.join(chance.pick(['{}', '{}', '0.5 * {}', '{} * 2', '-0.1 * {}']).format(loss.name)
                             for loss in one.named)
        if chance.often():
            line += f' minimizes {weighted}'
        else:
            items.append(f'minimizes {weighted}')
    if 'hooks' in scope.features:
        for hook in chance.some(HOOKS[:-1] if is_exact else HOOKS)[:2]:
            items.append(chance.pick([f'hook {hook}', f'hook {hook}', f'if 1 < 2 {{ hook {hook} }}',
                                      f'for limit in [1] {{ hook {hook} }}']))
        if chance.half():
            items.append('skip nonfinite')
    if items:
        line += ' {\n    ' + '\n    '.join(items) + '\n}'
    scope.add(line)


def write_steps(scope: Scope, optimizers: list[Optimizer], losses: list[Loss]) -> list[str]:
    """Writes the steps in order, each optimizer in at least one; returns them and not to the file."""
    chance = scope.chance
    plans = [(one, terms(one, optimizers, losses)) for one in optimizers]
    once = any(loss.value.stateful for loss in losses)
    count = 1 if once else chance.number(1, 3)
    updates: list[list[str]] = [[] for _ in range(count)]
    names = [scope.name(chance.pick(['main', 'turn', 'critic'])) for _ in range(count)]
    for one, own in plans:
        places = [chance.number(0, count - 1)] if once or chance.half() else chance.some(range(count), 1)
        for i, place in enumerate(places):
            text = f'update {one.name}'
            rest = own if i == 0 else chance.some(own, 1)
            if len(own) > 1 and (i > 0 or len(places) > 1 and False):
                text += f' for {", ".join(loss.name for loss in rest)}'
            if scope.has('conditions'):
                text += f' when {scope.condition()}'
            updates[place].append(text)
    texts = []
    for name, lines in zip(names, updates):
        if not lines:
            continue
        head = f'step {name}' + chance.pick(['', '', ' on the same batch', ' on the same data'])
        if scope.has('conditions'):
            head += f' when {scope.condition()}'
        kind = chance.pick(['', '', 'repeat', 'accumulate', 'unroll'])
        if kind:
            head += f' {kind} {chance.pick(["1", "2", scope.integer(2), "2 if iteration < 1 else 1"])}'
        if chance.half():
            texts.append(f'{head} {{ {"; ".join(lines)} }}')
        else:
            texts.append(f'{head} {{\n    ' + '\n    '.join(lines) + '\n}')
    return texts


def write_schedules(scope: Scope, optimizers: list[Optimizer]) -> None:
    for one in optimizers:
        if scope.has('schedules'):
            scope.add(f'schedule {one.name}.{one.hyperparameter} = ' + scope.chance.pick([
                '1e-3 * 0.5 ** (epoch // 10)', '0.1 * min(1.0, (iteration + 1) / 100)',
                f'0.1 * {scope.numbers[-1]} ** 2', '0.9 if progress < 0.5 else 0.5']))


def write_changes(scope: Scope, states: list[str], losses: list[Loss], metrics: list[str], steps: list[str]) -> None:
    """Writes how states move."""
    chance = scope.chance
    scalars = [loss.name for loss in losses] + metrics
    names = [text.split(' ')[1] for text in steps]
    for state in states:
        if chance.seldom():
            continue
        after = f' after {chance.pick(names)}' if names and chance.half() else ''
        forms = [f'{state} + 1', f'0.9 * {state}', f'min(3, {state} + 0.5)', f'{states[0]} - {state}',
                 f'({state} if iteration < 2 else 0)']
        if scalars:
            name = chance.pick(scalars)
            forms = [f'min(1.0, max(0.0, {state} + 0.001 * ({name} - 1)))', f'0.9 * {state} + 0.1 * {name}'] + forms
        scope.add(f'next {state}{after} = {chance.pick(forms)}')


def write_settings(scope: Scope, clock_is_read: bool, runs: bool, reports: list[str]) -> None:
    chance = scope.chance
    lines = ['batch 4'] if runs or chance.half() else []
    lines += chance.some(['seed 3', 'evaluate every 2 iterations',
                          f'snapshot every 2 iterations{chance.pick(["", " keep 1"])}'])
    if chance.half():
        lines.append(chance.pick(['log every 1 iteration', 'if 1 > 0 { log every 1 epoch } else { batch nonsense }']))
    lines.append(chance.pick(['iterations 3', 'epochs 1'] if clock_is_read else ['iterations 3']))
    if chance.half():
        lines.append(f'stop when {chance.pick(["iteration > 100", *(f"{name} > 1e6" for name in reports)])}')
    if reports and chance.seldom():
        lines.append(f'keep best {chance.pick(reports)}')
    scope.add('train {\n    ' + '\n    '.join(lines) + '\n}')
