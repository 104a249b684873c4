"""The states of recurrent links, which last from one call to the next.

A link with a method ``reset_state`` has a state: those of its attributes that are variables and no parameters. Several
models are given as a mapping of names to links.
"""
from __future__ import annotations

import contextlib
from typing import Any, Iterator, Mapping

import chainer


def state_of(model: chainer.Link) -> dict[str, Any]:
    """Returns the state of a model.

    Returns:
        Variables by path and name, such as ``'/lstm_1/h'``. What has no value yet is not there.
    """
    return {f'{path}/{name}': getattr(link, name) for path, link in _stateful(model) for name in _names(link)}


def set_state(model: chainer.Link, state: Mapping[str, Any]) -> None:
    """Sets the state of a model to one that :func:`state_of` gave; what is not in there is reset."""
    reset(model)
    for path, link in _stateful(model):
        for key, value in state.items():
            owner, _, name = key.rpartition('/')
            if owner == path:
                setattr(link, name, value)


def is_stateful(models: Mapping[str, chainer.Link]) -> bool:
    """Says whether one of some models has a state."""
    return any(True for model in models.values() for _ in _stateful(model))


def reset(model: chainer.Link) -> None:
    """Resets the state of every link in a model."""
    for _, link in _stateful(model):
        link.reset_state()


def cut(model: chainer.Link) -> None:
    """Cuts the state of a model off from how it was computed; its values stay."""
    for _, link in _stateful(model):
        for name in _names(link):
            setattr(link, name, chainer.Variable(getattr(link, name).array, requires_grad=False))


@contextlib.contextmanager
def set_aside(models: Mapping[str, chainer.Link]) -> Iterator[None]:
    """Resets models for what stands within, and gives them their states back."""
    states = {name: state_of(model) for name, model in models.items()}
    for model in models.values():
        reset(model)
    try:
        yield
    finally:
        for name, model in models.items():
            set_state(model, states[name])


def serialize(serializer: chainer.AbstractSerializer, models: Mapping[str, chainer.Link]) -> None:
    """Saves the states of models, or sets them, on the models' devices, to what was saved."""
    for name, model in models.items():
        _serialize(serializer[name], model)


def _serialize(serializer: chainer.AbstractSerializer, model: chainer.Link) -> None:
    if isinstance(serializer, chainer.Serializer):
        state = state_of(model)
        serializer('keys', '\n'.join(state))
        for key, value in state.items():
            serializer(key, value.array)
        return
    keys = serializer('keys', '').splitlines()
    links = dict(_stateful(model))
    state = {}
    for key in keys:
        values = links[key.rpartition('/')[0]].device.send(serializer(key, None))
        state[key] = chainer.Variable(values, requires_grad=False)
    set_state(model, state)


def _stateful(model: chainer.Link) -> Iterator[tuple[str, chainer.Link]]:
    """Finds the links with a state, by path; the path of the model itself is empty."""
    for path, link in model.namedlinks():
        if hasattr(link, 'reset_state'):
            yield path.rstrip('/'), link


def _names(link: chainer.Link) -> list[str]:
    """Returns the names of the state's values that are there."""
    return [name for name, value in sorted(vars(link).items())
            if isinstance(value, chainer.Variable) and not isinstance(value, chainer.Parameter)]
