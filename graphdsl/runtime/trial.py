"""A first iteration on two examples of zeros: what only running can tell is told before training."""
from __future__ import annotations

import contextlib
from typing import Any, Iterator, Mapping

import chainer
import numpy

from graphdsl.diagnostics import Diagnostic, GraphError, Place, Span, in_order
from graphdsl.runtime import stateful
from graphdsl.runtime.batches import examples
from graphdsl.runtime.draws import ZeroDraws
from graphdsl.runtime.origin import Origin


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
        _try_out(module, models, origin)
    return tuple(in_order(shapes.warnings))


def _try_out(module: Mapping[str, Any], models: Mapping[str, chainer.Link], origin: Origin) -> None:
    batch, numbers = _batch(module), _numbers(module)
    for predict in module['make_predictions'](models, numbers).values():
        predict(batch)
    values = _evaluated(module, models, numbers, batch)
    if not all(parameter.is_initialized for model in models.values() for parameter in model.params()):
        # A GRU uses some of its parameters from its second call on.
        _evaluated(module, models, numbers, batch)
    losses = {name: values[name] for name in module['LOSSES']}
    problems = [*_shapes(values, origin), *_repeated(losses, origin)]
    if not problems:
        optimizers = module['make_optimizers'](models)
        with chainer.using_config('train', True), chainer.force_backprop_mode():
            _iterate(module, models, optimizers, numbers, batch)
            # States that begin at zero don't pass gradients to all parameters; those of the second run do.
            for _ in range(2):
                losses = _evaluated(module, models, numbers, batch)
            problems = list(_without_gradient(models, optimizers, [losses[name] for name in module['LOSSES']], origin))
    if problems:
        raise GraphError(in_order(problems), origin.source)


def iterate_on_zeros(module: Mapping[str, Any], models: Mapping[str, chainer.Link]) -> None:
    """Does the first iteration on two zero examples.

    Args:
        module: Names and values of a generated module.
        models: Of this module, to be thrown away: their weights move.
    """
    with chainer.using_config('train', True), chainer.force_backprop_mode():
        _iterate(module, models, module['make_optimizers'](models), _numbers(module), _batch(module))


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
                self._warnings.setdefault(span, Diagnostic(
                    'G154', 'arrays of the shapes (B, 1) and (B,) meet here', span, severity='warning',
                    reason='the result has the shape (B, B): a value for every pair of examples',
                    help='take the axis away with `v[:, 0]`, or give the other one with `expand_dims(v, 1)`'))


def _batch(module: Mapping[str, Any]) -> dict[str, Any]:
    batch = {**examples(module['INPUTS']), 'batch_size': 2}
    noises = module.get('NOISES', ())
    draws = ZeroDraws({}, batch, noises)
    return {**batch, **{noise.name: draws.noise(noise.name) for noise in noises}}


def _numbers(module: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the counters and states that a run begins with."""
    return {'iteration': 0, 'epoch': 0, 'progress': 0.0, **module.get('STATES', {})}


def _evaluated(module: Mapping[str, Any], models: Mapping[str, chainer.Link], numbers: dict[str, Any],
               batch: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all losses and metrics."""
    values: dict[str, Any] = {}
    for evaluate in module['make_evaluations'](models, numbers).values():
        values.update(evaluate(batch))
    return values


def _shapes(values: Mapping[str, Any], origin: Origin) -> Iterator[Diagnostic]:
    for name, value in values.items():
        shape = numpy.shape(getattr(value, 'array', value))
        if shape != ():
            yield Diagnostic('G702', f'`{name}` is no scalar', origin.values[name],
                             reason=f'it has the shape {shape} for a minibatch of 2',
                             help='only a scalar can be differentiated or reported: take a `mean` or `sum`')


def _repeated(losses: Mapping[str, Any], origin: Origin) -> Iterator[Diagnostic]:
    """Some functions hand on the very variable that they get; a variable is differentiated once."""
    first: dict[int, str] = {}
    for name, loss in losses.items():
        other = first.setdefault(id(loss), name)
        if other != name:
            yield Diagnostic('G703', f'the losses `{other}` and `{name}` are one variable', origin.values[name],
                             places=(Place(origin.values[other], f'this is `{other}`'),),
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
             optimizers: Mapping[str, chainer.Optimizer], numbers: dict[str, Any], batch: Mapping[str, Any]) -> None:
    """Does one iteration."""
    columns: dict[str, list[str]] = {}
    for i in module['INPUTS']:
        columns.setdefault(i.stream, []).append(i.name)
    draws = ZeroDraws(columns, batch, module.get('NOISES', ()))
    for model in models.values():
        stateful.reset(model)
    update_core = module['make_update_core'](draws, models, optimizers, numbers)
    with chainer.Reporter().scope({}), _on_zeros():
        update_core()


@contextlib.contextmanager
def _on_zeros() -> Iterator[None]:
    """Lets numbers fail that zeros lead to, such as one divided by a loss."""
    try:
        yield
    except ArithmeticError:
        pass
    except ValueError as error:
        if 'math domain' not in str(error):
            raise
