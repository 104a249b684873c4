"""What values of params may be tried, as the command line writes them."""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional

from graphdsl.diagnostics import GraphError, Source
from graphdsl.limits import Limits
from graphdsl.options import RunError
from graphdsl.semantics import numbers
from graphdsl.semantics.checker import check_params
from graphdsl.syntax import nodes

_STEP = re.compile(r'step=(.+)')
_APART = re.compile(r'''("[^"]*"|'[^']*'|\[[^\]]*\]|\([^)]*\)|[^,"'\[\]()])+''')


@dataclass(frozen=True)
class Range:
    """Numbers from one to another, both included.

    Attributes:
        low: The least.
        high: The largest.
        log: Whether equal ratios are equally likely, not equal differences.
        step: What values differ by; None for any number between, or any integer.
    """

    low: float
    high: float
    log: bool = False
    step: Optional[float] = None

    def distribution(self) -> Any:
        """Returns it as a distribution of Optuna's."""
        from optuna.distributions import FloatDistribution, IntDistribution
        high = self.high if self.step is None else self.low + (self.high - self.low) // self.step * self.step
        if isinstance(self.low, int):
            return IntDistribution(self.low, high, self.log, self.step or 1)
        return FloatDistribution(self.low, high, self.log, self.step)


@dataclass(frozen=True)
class Choices:
    """Some values. A list is there as its text, since Optuna takes none."""

    values: tuple[Any, ...]

    def distribution(self) -> Any:
        """Returns them as a distribution of Optuna's."""
        from optuna.distributions import CategoricalDistribution
        return CategoricalDistribution(self.values)


def read_space(written: Mapping[str, Optional[str]], source: Source, tree: nodes.Braces, fixed: Mapping[str, Any],
               limits: Limits = Limits()) -> dict[str, Any]:
    """Reads what may be tried: ``'1e-4..1e-2:log'``, ``'16..256:step=16'``, ``'relu,tanh'``.

    Args:
        written: Texts by the names of params; None for all choices that the file declares.
        source: The file.
        tree: Its syntax tree.
        fixed: Values that other params are set to.
        limits: What the file may come to.

    Returns:
        :class:`Range` and :class:`Choices` by name.

    Raises:
        GraphError: If there is no such param, or it cannot have one of the values.
        RunError: If a text is wrong in itself.
    """
    return {name: _Reader(name, source, tree, fixed, limits).read(text) for name, text in written.items()}


class _Reader:
    """Reads what may be tried of a param.

    Args:
        name: Of the param.
        source: The file.
        tree: Its syntax tree.
        fixed: Values that other params are set to.
        limits: What the file may come to.
    """

    def __init__(self, name: str, source: Source, tree: nodes.Braces, fixed: Mapping[str, Any], limits: Limits):
        self._name = name
        self._source = source
        self._tree = tree
        self._fixed = fixed
        self._limits = limits
        if name in fixed:
            raise RunError(f'`{name}` is set and tuned: leave out one of the two')

    def read(self, text: Optional[str]) -> Any:
        default = self._value(None)
        param = next(p for p in self._tree.statements if isinstance(p, nodes.Param) and p.name.name == self._name)
        if text is None:
            if not param.choices:
                raise self._wrong('is given no values', self._example(default))
            return self._choices([self._source.text[c.span.start:c.span.end] for c in param.choices])
        if '..' in text and isinstance(default, (int, float)) and not isinstance(default, bool):
            if param.choices:
                raise self._wrong('has choices, and no range', f'name some of them, or all by `--param {self._name}`')
            return self._range(text, default)
        return self._choices([match[0].strip() for match in _APART.finditer(text)])

    def _range(self, text: str, default: Any) -> Range:
        ends, *options = text.split(':')
        low, high = map(self._value, ends.split('..', 1))
        log, step = False, None
        for option in options:
            match = _STEP.fullmatch(option.strip())
            if option.strip() == 'log':
                log = True
            elif match:
                step = self._value(match[1])
            else:
                raise self._wrong(f'has the unknown addition `:{option}`', 'there are `:log` and `:step=NUMBER`')
        if not low < high:
            raise self._wrong(f'has no values from {numbers.shown(low)} to {numbers.shown(high)} to choose from',
                              'the first end is below the second' if low > high else
                              f'to fix it, say `--set {self._name}={numbers.shown(low)}`')
        if log and (low <= 0 or step is not None):
            raise self._wrong('cannot have `:log` here', 'it goes with ends above 0, and without `:step`')
        if step is not None and not 0 < step <= high - low:
            raise self._wrong(f'cannot go by steps of {numbers.shown(step)}',
                              'a step is above 0, and not larger than the range')
        return Range(low, high, log, step)

    def _choices(self, texts: list[str]) -> Choices:
        values = [self._value(text) for text in texts]
        values = [numbers.shown(value) if isinstance(value, (list, tuple)) else value for value in values]
        values = list(dict.fromkeys(values))
        if len(values) < 2:
            raise self._wrong('has one value, and nothing to choose from', self._example(self._value(None)))
        return Choices(tuple(values))

    def _value(self, text: Optional[str]) -> Any:
        """Returns the value that a text sets the param to, without one its default."""
        if text is not None and len(text) > 1 and text[0] == text[-1] and text[0] in '"\'':
            text = text[1:-1]
        given = {} if text is None else {self._name: text}
        values, diagnostics = check_params(self._tree, {**self._fixed, **given}, self._limits)
        wrong = [d for d in diagnostics if d.severity == 'error']
        if wrong:
            raise GraphError(wrong, self._source)
        if self._name not in values:
            check = check_params(self._tree, {self._name: ''}, self._limits)[1]
            raise GraphError([d for d in check if d.code == 'G211'], self._source)
        return values[self._name]

    def _example(self, default: Any) -> str:
        if isinstance(default, bool) or not isinstance(default, (int, float)):
            return f'list some, as in `--param {self._name}=A,B`'
        ends = f'{default}..{8 * default}' if default > 0 else '1..8' if isinstance(default, int) else '0.1..0.8'
        return f'write a range, as in `--param {self._name}={ends}`, or a list'

    def _wrong(self, problem: str, help: str) -> RunError:
        return RunError(f'`{self._name}` {problem}: {help}')


def shown(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields params as the command line sets them."""
    for name, value in params.items():
        yield name, value if isinstance(value, str) else numbers.shown(value)
