"""Ways to call a model: in evaluation, or in training without a trace in its statistics."""
from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator

import chainer
from chainer.link_hooks import SpectralNormalization
from chainer.link_hooks.spectral_normalization import update_approximate_vectors
from chainer.links import BatchRenormalization


def evaluating(link: Callable) -> Callable:
    """Makes a callable that calls a link, or a method of one, with ``chainer.config.train`` off."""
    def call(*args: Any, **kwargs: Any) -> Any:
        with chainer.using_config('train', False):
            return link(*args, **kwargs)
    return call


def quiet(link: Callable) -> Callable:
    """Makes a callable that calls a link, or a method of one, in training mode and keeps no statistics.

    The values are those of training mode. Batch normalization normalises by the minibatch, spectral normalization by
    a step of its power iteration; what they keep stays as it was, and so does every persistent array of a link that
    is not Chainer's.
    """
    owner = getattr(link, '__self__', link)

    def call(*args: Any, **kwargs: Any) -> Any:
        with contextlib.ExitStack() as stack:
            stack.enter_context(chainer.using_config('train', True))
            stack.enter_context(chainer.using_config('in_recomputing', True))
            for part in owner.links() if isinstance(owner, chainer.Link) else ():
                for set_aside in _what_moves(part):
                    stack.enter_context(set_aside)
            return link(*args, **kwargs)
    return call


def quiet_unless(condition: Any, link: Callable) -> Callable:
    """Returns a link as it is if the condition holds, else :func:`quiet`."""
    return link if condition else quiet(link)


def _what_moves(link: chainer.Link) -> Iterator[Any]:
    """Finds what ``in_recomputing`` alone does not keep still, as context managers."""
    if isinstance(link, BatchRenormalization):
        yield _recomputed(link)
    for hook in link.local_link_hooks.values():
        if isinstance(hook, SpectralNormalization):
            yield _one_power_iteration(hook, link)
    if not type(link).__module__.startswith('chainer.'):
        yield _persistents(link)


@contextlib.contextmanager
def _recomputed(link: BatchRenormalization) -> Iterator[None]:
    """Lets the link correct by its present averages; it would take those before the latest training pass."""
    previous = getattr(link, '_prev_avg_mean', None), getattr(link, '_prev_avg_var', None)
    link._prev_avg_mean, link._prev_avg_var = link.avg_mean, link.avg_var
    try:
        yield
    finally:
        link._prev_avg_mean, link._prev_avg_var = previous


@contextlib.contextmanager
def _one_power_iteration(hook: SpectralNormalization, link: chainer.Link) -> Iterator[None]:
    """Lends the hook the vectors of the next training pass; it would take those of the latest, of other weights."""
    u = getattr(link, hook.vector_name, None)
    if u is None:
        raise ValueError(f'spectral normalization of `{link.name}` has no vector yet: the first pass has to be a usual '
                         'one')
    v = getattr(hook, 'v', None)
    weight = getattr(link, hook.weight_name)
    with chainer.using_device(link.device), chainer.no_backprop_mode():
        next_u, next_v = update_approximate_vectors(hook.reshape_W(weight), u, hook.n_power_iteration, hook.eps)
    setattr(link, hook.vector_name, next_u)
    hook.v = next_v
    try:
        yield
    finally:
        setattr(link, hook.vector_name, u)
        hook.v = v


@contextlib.contextmanager
def _persistents(link: chainer.Link) -> Iterator[None]:
    """Gives a link its persistent values back."""
    values = {name: getattr(link, name) for name in link._persistent}
    arrays = {name: value.copy() for name, value in values.items() if isinstance(value, chainer.get_array_types())}
    try:
        yield
    finally:
        for name, value in values.items():
            if name in arrays:
                chainer.backend.copyto(value, arrays[name])
            setattr(link, name, value)
