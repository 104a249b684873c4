"""What is known of a program while it is being written: its values with their shapes, its numbers, its names."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Optional, Sequence

from hypothesis import strategies as st

#: Names that values and models may have; some are the language's own words, Python's, or those of generated modules.
NAMES = (
    'h', 'y', 'u', 'v', 'data', 'train', 'loss', 'model', 'step', 'batch', 'class', 'lambda', 'self', 'F', 'L',
    'chainer', 'numpy', 'models', 'numbers', 'len', 'float', 'None', 'True', 'update_core', 'optimizers', 'draws',
    'x_hat', 'H2', '_hidden', 'state', 'weight', 'owns', 'input', 'name', 'params', 'forward', 'runtime', 'super',
    'a_rather_long_name_of_a_value')

#: Names of params, which nothing else has.
PARAMS = (
    'width', 'depth', 'size', 'amount')

#: Things that a program may be made of; each program is made of some of them.
FEATURES = (
    'params', 'streams', 'noise', 'random numbers', 'blocks', 'bodies', 'weights', 'images', 'families',
    'grids', 'branches', 'copies', 'followers', 'frozen', 'parts', 'modes', 'grad', 'detach', 'pools', 'integers',
    'truths', 'lists', 'results', 'recurrent', 'statistics', 'metrics', 'outputs', 'several', 'terms', 'hooks',
    'steps', 'states', 'schedules', 'conditions', 'settings', 'odd names', 'shuffled', 'random functions',
    'initializers', 'layout', 'ragged')


class Chance:
    """Decides, by draws of Hypothesis, so that a program that fails can be made smaller. The first choice is simplest.

    Args:
        draw: Of a composite strategy.
    """

    def __init__(self, draw: Callable):
        self._draw = draw

    def number(self, low: int, high: int) -> int:
        return low if low >= high else self._draw(st.integers(low, high))

    def pick(self, items: Sequence):
        return items[self.number(0, len(items) - 1)]

    def often(self) -> bool:
        return self.number(0, 2) > 0

    def half(self) -> bool:
        return self.number(0, 1) > 0

    def seldom(self) -> bool:
        return self.number(0, 4) == 4

    def some(self, items: Sequence, least: int = 0) -> list:
        """Returns some of them, in their order."""
        found = [item for item in items if self.half()]
        for item in items:
            if len(found) >= least:
                break
            if item not in found:
                found.append(item)
        return found

    def order(self, items: Sequence) -> list:
        left, found = list(items), []
        while left:
            found.append(left.pop(self.number(0, len(left) - 1)))
        return found


@dataclass(frozen=True)
class Value:
    """An array that flows.

    Attributes:
        text: Expression that gives it: a name, or a member of a family.
        shape: Of one example; None for a scalar without batch axis.
        dtype: `'float'` for the floats of the program, else the dtype.
        reach: What its gradient reaches: parts of models as `'net/linear_1'`, values as `'=h'`.
        streams: Whose minibatches it is computed from.
        stateful: Recurrent models that it is computed by.
        twice: Whether all functions on the way can be differentiated twice.
    """

    text: str
    shape: Optional[tuple[int, ...]]
    dtype: str = 'float'
    reach: frozenset = frozenset()
    streams: frozenset = frozenset()
    stateful: frozenset = frozenset()
    twice: bool = True

    @property
    def is_float(self) -> bool:
        return self.dtype == 'float'


def joined(text: str, shape: Optional[tuple], values: Sequence[Value], dtype: str = 'float', **changes) -> Value:
    """Returns a value that is computed from others."""
    value = Value(text, shape, dtype,
                  frozenset().union(*(v.reach for v in values)) if dtype == 'float' else frozenset(),
                  frozenset().union(*(v.streams for v in values)),
                  frozenset().union(*(v.stateful for v in values)), all(v.twice for v in values))
    return replace(value, **changes)


class Scope:
    """The statements of a file, or of a body, and the values in them.

    Args:
        chance: What decides.
        features: What the program is made of.
        numbers: Names of numbers that are known before a run.
        prefix: What the names of parts begin with in `reach`; empty outside of bodies.
        file: Scope of the file that a body stands in.
    """

    def __init__(self, chance: Chance, features: frozenset, numbers: Sequence[str] = (), prefix: str = '',
                 file: Optional[Scope] = None):
        self.chance = chance
        self.file = file or self
        self.real = 'float64' if 'double' in features else 'float32'
        self.params: dict[str, str] = {}
        self.blocks: dict[str, str] = {}
        self.features = features
        self.numbers = list(numbers)
        self.prefix = prefix
        self.lines: list[str] = []
        self.values: list[Value] = []
        self.parts: set[str] = set()
        self.layers: list[tuple] = []
        self.coins: list[str] = []
        self.ragged: list[tuple] = []
        self.taken: set[str] = set()

    @property
    def in_body(self) -> bool:
        return bool(self.prefix)

    def has(self, feature: str) -> bool:
        """Says whether to use a feature here."""
        return feature in self.features and self.chance.half()

    def name(self, plain: str) -> str:
        """Returns a new name."""
        name = self.chance.pick(NAMES) if self.has('odd names') else plain
        if name in self.taken:
            number = 1
            while f'{plain}{number}' in self.taken:
                number += 1
            name = f'{plain}{number}'
        self.taken.add(name)
        return name

    def add(self, line: str) -> None:
        self.lines.append(line)

    def bind(self, value: Value) -> Value:
        """Notes a value that a statement has bound."""
        if value.is_float:
            value = replace(value, reach=value.reach | {f'={value.text}'})
        self.values.append(value)
        return value

    def part(self, name: str) -> frozenset:
        """Notes a part that has parameters; returns what it adds to the reach of what comes from it."""
        path = f'{self.prefix}{name}'
        self.parts.add(path)
        return frozenset([path])

    def find(self, wanted: Callable[[Value], bool] = lambda value: True) -> Optional[Value]:
        """Returns one of the values, the latest first; None if there is none."""
        found = [value for value in self.values if wanted(value)]
        return found[-1 - self.chance.number(0, len(found) - 1)] if found else None

    def array(self, rank: Optional[int] = None) -> Optional[Value]:
        """Returns a float array with a batch axis."""
        return self.find(lambda v: v.is_float and v.shape is not None and (rank is None or len(v.shape) == rank))

    def integer(self, value: int) -> str:
        """Returns an integer that is known while compiling: a literal, or an expression of params."""
        if not self.has('params') or value < 1:
            return str(value)
        name = self.chance.pick(PARAMS)
        known = self.file.params.setdefault(name, str(value))
        if known == str(value):
            return name
        if not known.isdigit():
            return str(value)
        return self.chance.pick([f'{name} + {value - int(known)}', f'{value} * {name} // {name}',
                                 f'({value} if {name} == {known} else {name})',
                                 f'max({name}, {value}) - {max(int(known), value) - value}'])

    def number(self) -> str:
        """Returns an expression of numbers whose value is finite and not far from 1."""
        chance = self.chance
        plain = ['0.5', '2', '1', '0.1', '1e-2', '1_0.0', '-1', '3']
        names = self.numbers + self.coins
        if not (names and chance.half()):
            return chance.pick(plain)
        name = chance.pick(names)
        return chance.pick([
            name, f'(1 + {name})', f'{name} / 2', f'min(1.0, {name})', f'tanh({name})', f'1 / (2 + abs({name}))',
            f'(0.5 if {name} > 1 else 2)', f'sqrt(abs({name}))', f'max({name}, 0.1)', f'exp(-abs({name}))',
            f'cos({name}) ** 2', f'floor({name})', f'sum([{name}, 1])', f'(-{name} - 2 * 0.25)', f'{name} * 0.5'])

    def condition(self) -> str:
        """Returns a condition on numbers."""
        chance = self.chance
        if not self.numbers:
            return chance.pick(['true', '1 > 0', 'not false'])
        name = chance.pick(self.numbers)
        return chance.pick([f'{name} < 5', f'{name} >= 0 or true', f'0 <= {name} < 3', f'not {name} == 2',
                            f'{name} * 2 > 1 and {name} < 100'])
