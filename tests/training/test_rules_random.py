"""Random programs against an interpreter of the rules that knows no optimisation.

Each program has two streams, noise, models with batch normalization, one that follows, values made of them by way of
dropout and pools, losses that are sometimes absent, optimizers with weights of their own, and steps of every kind. The
interpreter draws and computes lazily, differentiates for each optimizer alone, and keeps statistics still where the
rules say so.
"""
from __future__ import annotations

import contextlib
from typing import Any, NamedTuple, Optional

import chainer
import chainer.functions as F
import numpy
import pytest

import graphdsl
from graphdsl.runtime.pool import Pool
from graphdsl.runtime.seeds import random_state
from rules import Counted, SIZE, U, X, arrays, assert_same, compiled, iterate, twins, variable

pytestmark = pytest.mark.usefixtures('float64')

CONDITIONS = {None: lambda i: True, 'iteration % 2 == 0': lambda i: i % 2 == 0,
              'iteration % 2 == 1': lambda i: i % 2 == 1,
              'iteration % 3 != 1': lambda i: i % 3 != 1, 'iteration >= 2': lambda i: i >= 2}


class Value(NamedTuple):
    kind: str                       # 'input', 'call', 'add', 'detach', 'dropout' or 'history'
    operands: tuple[str, ...]
    model: Optional[str] = None
    is_quiet: bool = False


class Update(NamedTuple):
    optimizer: str
    condition: Optional[str]
    losses: Optional[tuple[str, ...]] = None


class Step(NamedTuple):
    updates: list[Update]
    condition: Optional[str]
    kind: str
    count: int
    again: str


class Program:
    """A random program.

    Args:
        seed (int): Of the choices.
    """

    def __init__(self, seed: int):
        self.random = numpy.random.RandomState(seed)
        self.values = {name: Value('input', ()) for name in 'xuz'}
        names = [f'm{i}' for i in range(4)]
        self.follows = self.random.rand() < 0.5
        for i in range(7):
            kind = self._one_of(['call', 'call', 'call', 'call', 'call', 'add', 'detach', 'dropout', 'history'])
            operands = tuple(self._one_of(list(self.values)) for _ in range(2 if kind == 'add' else 1))
            model = self._one_of(names + ['follower'] * self.follows) if kind == 'call' else None
            self.values[f'v{i}'] = Value(kind, operands, model, kind == 'call' and self.random.rand() < 0.1)
        self.losses: dict[str, tuple[str, Optional[str]]] = {}
        for i in range(4):
            self.losses[f'loss{i}'] = f'v{self.random.randint(7)}', self._condition()
        self.models = names
        self.leader = self._one_of(names)
        self.minimized: dict[str, dict[str, float]] = {}
        for name in names:
            reaching = [loss for loss, (value, _) in self.losses.items() if name in self.moved_by(value)]
            chosen = [loss for loss in reaching if self.random.rand() < 0.7] or reaching[:1]
            if chosen and self.random.rand() < 0.9:
                self.minimized[name] = {loss: float(self._one_of([1, 1, 0.5, -2])) for loss in chosen}
        self.losses = {loss: rest for loss, rest in self.losses.items()
                       if any(loss in terms for terms in self.minimized.values())}
        self.steps = self._steps()

    def _one_of(self, choices):
        return choices[self.random.randint(len(choices))]

    def _some(self, choices):
        return tuple(choice for choice in choices if self.random.rand() < 0.6) or tuple(choices[:1])

    def _condition(self):
        return self._one_of([None, None, *CONDITIONS])

    def _steps(self) -> list[Step]:
        left, steps = list(self.minimized), []
        while left:
            chosen = [name for name in left if self.random.rand() < 0.6] or left[:1]
            extra = [name for name in self.minimized if name not in chosen and self.random.rand() < 0.2]
            updates = [Update(name, self._condition()) for name in chosen]
            updates += [Update(name, self._condition(), self._some(list(self.minimized[name]))) for name in extra]
            kind = self._one_of(['', '', 'repeat', 'accumulate', 'unroll'])
            steps.append(Step(updates, self._condition(), kind, self.random.randint(1, 4),
                              self._one_of(['', ' on the same batch', ' on the same data'])))
            left = [name for name in left if name not in chosen]
        return steps

    def moved_by(self, value: str) -> set[str]:
        """The models that a gradient of a value reaches."""
        one = self.values[value]
        if one.kind in ('input', 'detach', 'history'):
            return set()
        return {one.model, *(m for operand in one.operands for m in self.moved_by(operand))} - {None, 'follower'}

    def text(self) -> str:
        lines = ['import points from "lab"', 'data a { train = points() }', 'data b { train = points() }',
                 'input x: float64[3] from a', 'input u: float64[3] from b',
                 'noise z: float64[3] ~ normal(0, 1) from b', 'train { iterations 5 }']
        for name in self.models:
            frozen = '' if name in self.minimized else 'frozen '
            lines.append(f'{frozen}model {name} = Linear(3, nobias=true) -> BatchNormalization(3) -> tanh')
        if self.follows:
            lines.append(f'model follower follows {self.leader} decay 0.7')
        for name, value in self.values.items():
            if value.kind == 'call':
                model = f'quiet({value.model})' if value.is_quiet else value.model
                lines.append(f'{name} = {model}({value.operands[0]})')
            elif value.kind == 'add':
                lines.append(f'{name} = {value.operands[0]} + 0.5 * {value.operands[1]}')
            elif value.kind == 'dropout':
                lines.append(f'{name} = dropout({value.operands[0]}, 0.3)')
            elif value.kind == 'history':
                lines.append(f'{name} = history({value.operands[0]}, size=5)')
            elif value.kind == 'detach':
                lines.append(f'{name} = detach({value.operands[0]})')
        for name, (value, condition) in self.losses.items():
            lines.append(f'loss {name} = mean(({value} - 0.3) ** 2)' + (f' when {condition}' if condition else ''))
        for name, terms in self.minimized.items():
            weighted = ', '.join(loss if weight == 1 else f'{weight} * {loss}' for loss, weight in terms.items())
            lines.append(f'optimizer o_{name} = MomentumSGD(lr=0.1) owns {name} minimizes {weighted}')
        for i, step in enumerate(self.steps):
            lines.append(f'step s{i}{step.again}'
                         + (f' when {step.condition}' if step.condition else '')
                         + (f' {step.kind} {step.count}' if step.kind else '') + ' {')
            lines += [f'    update o_{update.optimizer}' + (f' for {", ".join(update.losses)}' if update.losses else '')
                      + (f' when {update.condition}' if update.condition else '')
                      for update in step.updates]
            lines.append('}')
        return '\n'.join(lines) + '\n'


class Interpreter:
    """Runs a program by the letter of the rules.

    Args:
        program: What to run.
        models: Its models, to be trained here.
    """

    def __init__(self, program: Program, models: dict[str, chainer.Link]):
        self.program = program
        self.models = models
        self.optimizers = {name: chainer.optimizers.MomentumSGD(lr=0.1).setup(models[name])
                           for name in program.minimized}
        self.draws = {'x': 0, 'u': 0}
        self.noise = random_state(0, 'noise/z')
        self.pools = {name: Pool(5, random_state(0, f'history/{name}'))
                      for name, value in program.values.items() if value.kind == 'history'}

    def iterate(self, iteration: int) -> dict[str, float]:
        self.latest: dict[str, Any] = {}
        leader_moved = False
        reports: dict[str, list[float]] = {}
        for step in self.program.steps:
            if not CONDITIONS[step.condition](iteration):
                continue
            updated = {update.optimizer: update.losses for update in step.updates
                       if CONDITIONS[update.condition](iteration)}
            joined = step.kind in ('accumulate', 'unroll')
            for runs in [step.count] if joined else [1] * (step.count if step.kind else 1):
                leader_moved |= self.program.leader in self._step(step, updated, iteration, runs, reports)
        if leader_moved and self.program.follows:
            self._follow(self.models['follower'], self.models[self.program.leader])
        return {name: numpy.mean(values) for name, values in reports.items()}

    def _follow(self, follower: chainer.Link, leader: chainer.Link) -> None:
        for parameter, other in zip(follower.params(), leader.params()):
            parameter.array[...] = 0.7 * parameter.array + 0.3 * other.array
        for name in ('avg_mean', 'avg_var'):
            getattr(follower.batchnormalization_1, name)[...] = getattr(leader.batchnormalization_1, name)

    def _step(self, step: Step, updated: dict[str, Any], iteration: int, runs: int, reports) -> set[str]:
        terms = {name: {loss: weight for loss, weight in self.program.minimized[name].items()
                        if CONDITIONS[self.program.losses[loss][1]](iteration) and (only is None or loss in only)}
                 for name, only in updated.items()}
        terms = {name: found for name, found in terms.items() if found}
        needed = [loss for loss in self.program.losses if any(loss in found for found in terms.values())]
        totals: dict[str, Any] = dict.fromkeys(terms, 0.0)
        for _ in range(runs):
            losses = self._run(needed, set(terms), step.again)
            for name, found in terms.items():
                totals[name] = totals[name] + sum(weight * losses[loss] for loss, weight in found.items())
            for loss in needed:
                reports.setdefault(loss, []).append(float(losses[loss].array))
        gradients = {name: chainer.grad([total / (runs if step.kind == 'accumulate' else 1)],
                                        list(self.models[name].params())) for name, total in totals.items()}
        for name, found in gradients.items():
            for parameter, gradient in zip(self.models[name].params(), found):
                parameter.grad = gradient.array
        for name in gradients:
            self.optimizers[name].update()
        return set(gradients)

    def _run(self, needed: list[str], owners: set[str], again: str) -> dict[str, Any]:
        wanted = set()
        pending = [self.program.losses[loss][0] for loss in needed]
        while pending:
            name = pending.pop()
            wanted.add(name)
            pending += self.program.values[name].operands
        for name, data in (('x', X), ('u', U)):
            if name in wanted and not (again and name in self.latest):
                i = self.draws[name] * 4 % SIZE
                self.latest[name] = variable(data[i:i + 4])
                self.draws[name] += 1
        if 'z' in wanted and not (again == ' on the same batch' and 'z' in self.latest):
            self.latest['z'] = variable(self.noise.normal(0, 1, (4, 3)))
        found = dict(self.latest)
        for name, value in self.program.values.items():
            if name in wanted and value.kind != 'input':
                found[name] = self._value(name, value, [found[operand] for operand in value.operands], owners)
        return {loss: F.mean((found[self.program.losses[loss][0]] - 0.3) ** 2) for loss in needed}

    def _value(self, name: str, value: Value, operands: list, owners: set[str]) -> Any:
        if value.kind == 'add':
            return operands[0] + 0.5 * operands[1]
        if value.kind == 'detach':
            return variable(operands[0].array)
        if value.kind == 'dropout':
            return F.dropout(operands[0], 0.3)
        if value.kind == 'history':
            return variable(self.pools[name].swap(operands[0].array))
        with contextlib.ExitStack() as stack:
            if value.is_quiet:
                stack.enter_context(chainer.using_config('in_recomputing', True))
            elif value.model in self.models and value.model not in (*self.program.minimized, 'follower'):
                stack.enter_context(chainer.using_config('train', False))
            elif value.model not in owners:
                stack.enter_context(chainer.using_config('in_recomputing', True))
            return self.models[value.model](operands[0])


@pytest.mark.parametrize('seed', range(40))
def test_random_programs(seed):
    program = Program(seed)
    if not program.minimized:
        pytest.skip('nothing to train')
    try:
        graph = compiled(program.text(), bind={'points': lambda: None})
    except graphdsl.GraphError as error:
        # No step updates for one of the losses.
        assert {d.code for d in error.diagnostics if d.severity == 'error'} == {'G416'}, program.text()
        pytest.skip('refused')
    interpreter = Interpreter(program, twins(graph))
    iterators = {'a': Counted(X), 'b': Counted(U)}
    updater = graph.updater(iterators, seed=0)
    for iteration in range(5):
        numpy.random.seed(iteration)
        report, = iterate(updater)
        numpy.random.seed(iteration)
        assert report == pytest.approx(interpreter.iterate(iteration), rel=1e-8), program.text()
        assert [iterators[name].draws for name in 'ab'] == [interpreter.draws[name] for name in 'xu'], program.text()
        for name, model in interpreter.models.items():
            assert_same({k: v for k, v in arrays(graph.models[name]).items() if v.dtype.kind == 'f'},
                        {k: v for k, v in arrays(model).items() if v.dtype.kind == 'f'}, 1e-8)


@pytest.mark.parametrize('seed', range(100, 110))
def test_random_programs_from_snapshots(seed):
    """Saved after three iterations, and loaded into another compilation with other weights."""
    program = Program(seed)
    if not program.minimized:
        pytest.skip('nothing to train')
    try:
        graphs = [compiled(program.text(), i, bind={'points': lambda: None}) for i in range(2)]
    except graphdsl.GraphError:
        pytest.skip('refused')
    updaters = [graph.updater({'a': Counted(X), 'b': Counted(U)}, seed=0) for graph in graphs]
    iterate(updaters[0], 3)
    saved = arrays(updaters[0])
    expected = iterate(updaters[0], 3)
    updaters[1].serialize(chainer.serializers.NpzDeserializer(saved))
    assert iterate(updaters[1], 3) == expected, program.text()
    assert_same(arrays(updaters[1]), arrays(updaters[0]))
