"""A first iteration on two examples of zeros: what only running can tell is told before training."""
from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any, Iterator, Mapping

import chainer
import numpy

from graphdsl.diagnostics import Diagnostic, GraphError, Place, Span, in_order
from graphdsl.runtime import stateful
from graphdsl.runtime.batches import examples
from graphdsl.runtime.draws import ZeroDraws
from graphdsl.runtime.finite import unchecked
from graphdsl.runtime.origin import Origin


# A step that is repeated, or goes on over many minibatches, is tried for so many draws of each stream and noise.
_MOST_DRAWS = 200


def try_out(module: Mapping[str, Any], models: Mapping[str, chainer.Link], origin: Origin) -> tuple[Diagnostic, ...]:
    """Computes, and differentiates, everything once.

    Args:
        module: Names and values of a generated module.
        models: Of this module, to be thrown away: their statistics and gradients change.
        origin: Where the module's lines come from.

    Returns:
        Warnings of what is odd and not wrong.

    Raises:
        GraphError: If a loss or metric is no scalar, two losses are one, or a parameter gets no gradient.
    """
    shapes = _Shapes(origin)
    with shapes:
        _compute(module, models, origin)
        try_iteration(module, models, origin)
    return tuple(in_order(shapes.warnings))


def _compute(module: Mapping[str, Any], models: Mapping[str, chainer.Link], origin: Origin) -> None:
    batch, numbers = zeros(module), numbers_at_first(module)
    for predict in module['make_predictions'](models, numbers).values():
        predict(batch)
    values = _evaluated(module, models, numbers, batch)
    losses = {name: values[name] for name in module['LOSSES']}
    problems = [*not_scalar(values, origin.values), *repeated(losses, origin.values)]
    if problems:
        raise GraphError(in_order(problems), origin.source)


def try_iteration(module: Mapping[str, Any], models: Mapping[str, chainer.Link], origin: Origin) -> None:
    """Does an iteration, and looks at the gradients; the arguments are those of :func:`try_out`.

    Raises:
        GraphError: If a parameter gets no gradient.
    """
    batch, numbers = zeros(module), numbers_at_first(module)
    if not all(parameter.is_initialized for model in models.values() for parameter in model.params()):
        # A GRU uses some of its parameters from its second call on.
        _evaluated(module, models, numbers, batch)
    optimizers = module['make_optimizers'](models)
    with chainer.using_config('train', True), chainer.force_backprop_mode():
        _iterate(module, models, optimizers, numbers, batch, _FewDraws)
        # States that begin at zero don't pass gradients to all parameters; those of the second run do.
        for _ in range(2):
            losses = _evaluated(module, models, numbers, batch)
        problems: list[Diagnostic] = []
        with _on_zeros():
            problems += _without_gradient(models, optimizers, [losses[name] for name in module['LOSSES']], origin)
    if problems:
        raise GraphError(in_order(problems), origin.source)


def iterate_on_zeros(module: Mapping[str, Any], models: Mapping[str, chainer.Link]) -> None:
    """Does the first iteration on two zero examples.

    Args:
        module: Names and values of a generated module.
        models: Of this module, to be thrown away: their weights move.
    """
    with chainer.using_config('train', True), chainer.force_backprop_mode():
        _iterate(module, models, module['make_optimizers'](models), numbers_at_first(module), zeros(module))


class _Shapes(chainer.FunctionHook):
    """Warns of columns that meet rows: their sum has a value for every pair of examples."""

    name = 'graphdsl shapes'

    def __init__(self, origin: Origin):
        super().__init__()
        self._origin = origin
        self._warnings: dict[Span, Diagnostic] = {}

    @property
    def warnings(self) -> list[Diagnostic]:
        return list(self._warnings.values())

    def forward_preprocess(self, function, in_data) -> None:
        shapes = {array.shape for array in in_data if array is not None}
        if shapes == {(2, 1), (2,)}:
            span = self._origin.span_of_call()
            if span is not None:
                self._warnings.setdefault(span, column_meets_row(span))


def column_meets_row(span: Span, places: tuple[Place, ...] = (), notes: tuple[str, ...] = ()) -> Diagnostic:
    """Makes the warning of a column that meets a row."""
    return Diagnostic('G154', 'arrays of the shapes (B, 1) and (B,) meet here', span, severity='warning',
                      reason='the result has the shape (B, B): a value for every pair of examples', places=places,
                      notes=notes,
                      help='take the axis away with `v[:, 0]`, or give the other one with `expand_dims(v, 1)`')


def zeros(module: Mapping[str, Any], rows: int = 2, length: int = 8) -> dict[str, Any]:
    """Returns a minibatch of zeros, its noise and its number of rows by name.

    Args:
        module: Names and values of a generated module.
        rows (int): How many rows it has.
        length (int): Of axes of any length.
    """
    batch = {**examples(module['INPUTS'], rows, length), 'batch_size': rows}
    noises = module.get('NOISES', ())
    draws = ZeroDraws({}, batch, noises, rows=rows)
    return {**batch, **{noise.name: draws.noise(noise.name) for noise in noises}}


def numbers_at_first(module: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the counters and states that a run begins with."""
    return {'iteration': 0, 'epoch': 0, 'progress': 0.0, **module.get('STATES', {})}


def _evaluated(module: Mapping[str, Any], models: Mapping[str, chainer.Link], numbers: dict[str, Any],
               batch: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all losses and metrics."""
    values: dict[str, Any] = {}
    for evaluate in module['make_evaluations'](models, numbers).values():
        values.update(evaluate(batch))
    return values


def not_scalar(values: Mapping[str, Any], spans: Mapping[str, Span]) -> Iterator[Diagnostic]:
    """Yields what is wrong with losses and metrics that have axes.

    Args:
        values: Arrays, variables and numbers by name, for a minibatch of 2.
        spans: Where they are.
    """
    for name, value in values.items():
        shape = numpy.shape(getattr(value, 'array', value))
        if shape != ():
            yield Diagnostic('G702', f'`{name}` is no scalar', spans[name],
                             reason=f'it has the shape {shape} for a minibatch of 2',
                             help='only a scalar can be differentiated or reported: take a `mean` or `sum`')


def repeated(losses: Mapping[str, Any], spans: Mapping[str, Span]) -> Iterator[Diagnostic]:
    """Yields losses that are one variable: some functions hand on the very one that they get.

    Args:
        losses: Variables by name.
        spans: Where they are.
    """
    first: dict[int, str] = {}
    for name, loss in losses.items():
        other = first.setdefault(id(loss), name)
        if other != name:
            yield Diagnostic('G703', f'the losses `{other}` and `{name}` are one variable', spans[name],
                             places=(Place(spans[other], f'this is `{other}`'),),
                             help=f'to count it twice, minimize `2 * {other}`')


def _without_gradient(models: Mapping[str, chainer.Link], optimizers: Mapping[str, chainer.Optimizer],
                      losses: list[chainer.Variable], origin: Origin) -> Iterator[Diagnostic]:
    owned = {id(parameter) for optimizer in optimizers.values() for parameter in optimizer.target.params()}
    parameters = {(name, path): parameter for name, model in models.items() for path, parameter in model.namedparams()
                  if id(parameter) in owned and parameter.is_initialized}
    variables = list({id(loss): loss for loss in losses}.values())
    gradients = chainer.grad(variables, list(parameters.values())) if losses and parameters else []
    missing: dict[str, list[str]] = {}
    for (name, path), gradient in zip(parameters, gradients):
        if gradient is None:
            missing.setdefault(name, []).append(path)
    for name, paths in missing.items():
        yield Diagnostic('G704', f'no gradient reaches {", ".join(f"`{path}`" for path in paths)} of `{name}`',
                         origin.models[name], reason='its optimizer would move it without one',
                         help='does every way to a loss lead through a function that has no gradient, such as '
                              '`accuracy` or `argmax`?')


def _iterate(module: Mapping[str, Any], models: Mapping[str, chainer.Link],
             optimizers: Mapping[str, chainer.Optimizer], numbers: dict[str, Any], batch: Mapping[str, Any],
             kind: type[ZeroDraws] = ZeroDraws) -> None:
    """Does one iteration."""
    columns: dict[str, list[str]] = {}
    for i in module['INPUTS']:
        columns.setdefault(i.stream, []).append(i.name)
    draws = kind(columns, batch, module.get('NOISES', ()))
    for model in models.values():
        stateful.reset(model)
    update_core = module['make_update_core'](draws, models, optimizers, numbers, unchecked)
    with chainer.Reporter().scope({}), _on_zeros():
        update_core()


class _Enough(Exception):
    """Ends an iteration that would draw for long."""


class _FewDraws(ZeroDraws):
    """Draws zeros some times of each stream and noise, and then no more."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self._drawn: Counter[str] = Counter()

    def minibatch(self, stream: str, again: bool = False) -> list:
        self._count(f'data {stream}')
        return super().minibatch(stream, again)

    def noise(self, name: str, again: bool = False) -> Any:
        self._count(f'noise {name}')
        return super().noise(name, again)

    def _count(self, what: str) -> None:
        self._drawn[what] += 1
        if self._drawn[what] > _MOST_DRAWS:
            raise _Enough


@contextlib.contextmanager
def _on_zeros() -> Iterator[None]:
    """Lets numbers fail that zeros lead to, such as one divided by a loss, and an iteration end early."""
    try:
        yield
    except (ArithmeticError, _Enough):
        pass
    except ValueError as error:
        if 'math domain' not in str(error):
            raise
