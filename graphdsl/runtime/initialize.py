"""Initial weights: drawn in the order of the file, before the first minibatch."""
from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Iterable, Iterator, Mapping

import chainer
import numpy

from graphdsl.limits import Limits
from graphdsl.runtime import stateful
from graphdsl.runtime.follow import copy
from graphdsl.runtime.seeds import generators_of_its_own
from graphdsl.runtime.sizes import checked_sizes

Models = Dict[str, chainer.Link]


def initialize(module: Mapping[str, Any], compute: Callable[[Models], None], limits: Limits = Limits()) -> Models:
    """Makes models whose parameters all have their shape and initial value.

    Chainer draws a parameter whose shape it infers when its link is first called. Here a second set of models is
    called on zero examples, to learn what each link is called with; the links of the first are then called alike,
    model by model in the order of declaration, so that the values don't depend on the order of the calls. Then weights
    are loaded from files, and copies get those of their originals; making a copy draws nothing.

    Args:
        module: Names and values of a generated module.
        compute: Calls all of some models on zero examples.
        limits: How large the models may be.

    Returns:
        Models by name, drawn from the global generators.
    """
    make_models, name_of_module, copies = module['make_models'], module['__name__'], module.get('COPIES', {})
    calls = _Calls()
    with generators_of_its_own(), _trial(), checked_sizes(limits):
        twins = dict(make_models())
        with calls:
            compute(twins)
    models: Models = {}
    making = iter(make_models())
    for name in twins:
        with generators_of_its_own() if name in copies else contextlib.nullcontext():
            _, models[name] = next(making)
            with _trial():
                for link, twin in zip(_parts([models[name]], name_of_module), _parts([twins[name]], name_of_module)):
                    _call_alike(link, calls.first.get(id(twin)))
    if 'load_weights' in module:
        module['load_weights'](models)
    for name in _after_originals(copies):
        copy(models[copies[name]], models[name])
    return models


def _after_originals(copies: Mapping[str, str]) -> list[str]:
    """Returns the copies, each after those that it is a copy of."""
    found: dict[str, None] = {}
    for name in copies:
        row = []
        while name in copies and name not in found:
            row.append(name)
            name = copies[name]
        found.update(dict.fromkeys(reversed(row)))
    return list(found)


def _call_alike(link: chainer.Link, call: Any) -> None:
    """Lets Chainer draw what is missing in a link."""
    if call is None or all(parameter.is_initialized for parameter in link.params()):
        return
    link(*call.args, **call.kwargs)
    if not all(parameter.is_initialized for parameter in link.params()):
        # A GRU uses some of its parameters from its second call on.
        link(*call.args, **call.kwargs)
    stateful.reset(link)


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
