"""Initial weights: drawn in the order of the file, before the first minibatch."""
from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Iterable, Iterator

import chainer
import numpy

from graphdsl.runtime.seeds import generators_of_its_own

Models = Dict[str, chainer.Link]


def initialize(make_models: Callable[[], Iterable[tuple[str, chainer.Link]]], compute: Callable[[Models], None],
               module: str) -> Models:
    """Makes models whose parameters all have their shape and initial value.

    Chainer draws a parameter whose shape it infers when its link is first called. Here a second set of models is
    called on zero examples, to learn what each link is called with; the links of the first are then called alike,
    model by model in the order of declaration, so that the values don't depend on the order of the calls.

    Args:
        make_models: Function of a generated module that makes the models one after the other.
        compute: Calls all of some models on zero examples.
        module: Name of the generated module, whose own chains these are.

    Returns:
        Models by name, drawn from the global generators.
    """
    calls = _Calls()
    with generators_of_its_own(), _trial():
        twins = dict(make_models())
        with calls:
            compute(twins)
    models = {}
    for name, model in make_models():
        models[name] = model
        with _trial():
            for link, twin in zip(_parts([model], module), _parts([twins[name]], module)):
                _call_alike(link, calls.first.get(id(twin)))
    return models


def _call_alike(link: chainer.Link, call: Any) -> None:
    """Lets Chainer draw what is missing in a link."""
    if call is None or all(parameter.is_initialized for parameter in link.params()):
        return
    link(*call.args, **call.kwargs)
    if hasattr(link, 'reset_state'):
        link.reset_state()


class _Calls(chainer.LinkHook):
    """Notes how each link is called first."""

    name = 'graphdsl initialization'

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[int, Any] = {}

    def forward_preprocess(self, args) -> None:
        self.first.setdefault(id(args.link), args)


@contextlib.contextmanager
def _trial() -> Iterator[None]:
    """A mode in which calls leave no trace: no graph, no running statistics."""
    with chainer.using_config('train', False), chainer.no_backprop_mode(), numpy.errstate(all='ignore'):
        yield


def _parts(links: Iterable[chainer.Link], module: str) -> Iterator[chainer.Link]:
    """Yields the links that generated chains are made of, in the order of declaration.

    A link of Chainer's, or of the user's, is one part whatever it is made of: it alone knows how to fill it.
    """
    for link in links:
        if type(link).__module__ == module:
            yield from _parts([v for v in vars(link).values() if isinstance(v, chainer.Link)], module)
        else:
            yield link
