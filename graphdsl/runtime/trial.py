"""A first iteration on two examples of zeros: what only running can tell is told before training."""
from __future__ import annotations

from typing import Any, Iterator, Mapping

import chainer
import numpy

from graphdsl.diagnostics import Diagnostic, GraphError, Place, in_order
from graphdsl.runtime.batches import examples
from graphdsl.runtime.origin import Origin


def try_out(module: Mapping[str, Any], models: Mapping[str, chainer.Link], origin: Origin) -> None:
    """Computes, and differentiates, everything once.

    Args:
        module: Names and values of a generated module.
        models: Of this module, to be thrown away: their statistics and gradients change.
        origin: Where the module's lines come from.

    Raises:
        GraphError: If a loss or metric is no scalar, two losses are one, or a parameter gets no gradient.
    """
    batch = examples(module['INPUTS'])
    module['make_predict'](models)(batch)
    values = module['make_evaluate'](models)(batch)
    problems = [*_shapes(values, origin), *_repeated({name: values[name] for name in module['LOSSES']}, origin)]
    if not problems:
        _differentiate(module, models, batch)
        problems = list(_without_gradient(models, origin))
    if problems:
        raise GraphError(in_order(problems), origin.source)


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


class _Zeros:
    """Draws the same two examples again and again, in place of an updater."""

    def __init__(self, inputs, batch: Mapping[str, Any]):
        self._inputs = inputs
        self._batch = batch

    def draw(self, stream: str) -> list[Any]:
        return [self._batch.get(i.name) for i in self._inputs if i.stream == stream]


def _differentiate(module: Mapping[str, Any], models: Mapping[str, chainer.Link], batch: Mapping[str, Any]) -> None:
    update_core = module['make_update_core'](_Zeros(module['INPUTS'], batch), models, {})
    with chainer.using_config('train', True), chainer.using_config('enable_backprop', True), \
            chainer.Reporter().scope({}):
        update_core()


def _without_gradient(models: Mapping[str, chainer.Link], origin: Origin) -> Iterator[Diagnostic]:
    for name, model in models.items():
        paths = [path for path, parameter in model.namedparams() if parameter.is_initialized and parameter.grad is None]
        if paths:
            yield Diagnostic('G704', f'no gradient reaches {", ".join(f"`{path}`" for path in paths)} of `{name}`',
                             origin.models[name], reason='its optimizer would move it without one',
                             help='does every way to a loss lead through a function that has no gradient, such as '
                                  '`accuracy` or `argmax`?')
