"""What Chainer offers by name, and how its classes and functions may be called."""
from __future__ import annotations

import difflib
import functools
import inspect
from typing import Any, Callable, Iterable, Optional

# Chainer takes these sizes from the first minibatch when the argument is None; a graph file leaves it out.
_INFERRED = {'in_size', 'in_channels'}
_INFERRING_LINKS = {
    'Convolution1D', 'Convolution2D', 'Convolution3D', 'ConvolutionND', 'Deconvolution1D', 'Deconvolution2D',
    'Deconvolution3D', 'DeconvolutionND', 'DeformableConvolution2D', 'DepthwiseConvolution2D',
    'DilatedConvolution2D', 'GRU', 'Inception', 'InceptionBN', 'LSTM', 'Linear', 'LocalConvolution2D',
    'MLPConvolution2D', 'Maxout', 'SimplifiedDropconnect', 'StatefulGRU', 'StatefulPeepholeLSTM',
    'StatefulZoneoutLSTM', 'StatelessGRU', 'StatelessLSTM',
}
_NEVER_OMITTED = {'out_size', 'out_channels', 'ksize'}

# These need Python callables or objects, which a graph file cannot write.
_NEEDING_PYTHON = {'BinaryHierarchicalSoftmax', 'BlackOut', 'Classifier', 'NegativeSampling', 'Parameter',
                   'TheanoFunction', 'black_out', 'forget', 'negative_sampling', 'sparse_matmul'}

# These return several values.
SEVERAL_RESULTS = {'broadcast', 'classification_summary', 'lstm', 'n_step_bigru', 'n_step_bilstm', 'n_step_birnn',
                   'n_step_gru', 'n_step_lstm', 'n_step_rnn', 'separate', 'slstm', 'split_axis', 'tree_lstm'}

# These draw from the global random generators.
RANDOM = {'dropout', 'gaussian', 'gumbel_softmax', 'rrelu', 'simplified_dropconnect', 'zoneout'}

# Their second positional argument is an axis; a number written there usually means something else.
REDUCTIONS = {'argmax', 'argmin', 'average', 'max', 'mean', 'min', 'prod', 'sum'}


@functools.lru_cache(maxsize=None)
def members(module: str) -> dict[str, Callable]:
    """Returns what a module of Chainer offers to graph files.

    Args:
        module (str): ``'links'``, ``'functions'``, ``'initializers'``, ``'optimizers'`` or ``'optimizer_hooks'``.
    """
    import chainer
    import chainer.functions
    import chainer.links

    found = {name: thing for name, thing in vars(getattr(chainer, module)).items() if not name.startswith('_')}
    if module == 'functions':
        return {n: f for n, f in found.items() if callable(f) and not inspect.ismodule(f) and n[0].islower()}
    base = {'links': chainer.Link, 'optimizers': chainer.Optimizer}.get(module, object)
    return {n: c for n, c in found.items() if inspect.isclass(c) and issubclass(c, base) and n[0].isupper()}


def needs_python(name: str) -> bool:
    """Says whether a link or function takes Python callables or objects."""
    return name in _NEEDING_PYTHON


def infer_sizes(name: str, arguments: tuple, keywords: Iterable[str]) -> Optional[int]:
    """Finds where a link's arguments leave out the size that Chainer infers.

    ``Linear(10)`` has one output size and no input size; so has ``Convolution2D(32, ksize=3)``.

    Args:
        name (str): Class in ``chainer.links``.
        arguments (tuple): Its positional arguments.
        keywords: Names of its other arguments.

    Returns:
        Position where a None has to be inserted, or None if nothing is left out.
    """
    if name not in _INFERRING_LINKS:
        return None
    parameters = inspect.signature(members('links')[name]).parameters
    given = set(list(parameters)[:len(arguments)]) | set(keywords)
    needed = {p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
              and (p.default is p.empty or p.name in _NEVER_OMITTED)}
    return next(i for i, p in enumerate(parameters) if p in _INFERRED) if needed - given else None


def call_problem(thing: Callable, arguments: int, keywords: Iterable[str]) -> Optional[tuple[str, str]]:
    """Says what is wrong with a call, by the signature.

    Args:
        thing: Class or function.
        arguments (int): Number of positional arguments.
        keywords: Names of the others.

    Returns:
        None if the call is fine, else a message and a help.
    """
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return None
    keywords = list(keywords)
    names = [p.name for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    unknown = next((k for k in keywords if k not in names), None)
    if unknown is not None and not open_ended:
        return f'`{thing.__name__}` takes no argument `{unknown}`', suggestion(unknown, names) or _listing(names)
    try:
        signature.bind(*[None] * arguments, **dict.fromkeys(keywords))
    except TypeError as error:
        return f'`{thing.__name__}` cannot be called like this: {error}', _listing(names)
    return None


def required_inputs(thing: Callable, given: Iterable[str] = ()) -> int:
    """Returns how many positional arguments a call needs, at least 1."""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return 1
    required = [p for p in parameters if p.default is p.empty and p.name not in given
                and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return max(len(required), 1)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Returns ``did you mean `x`?`` for a name close to a known one, else an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f'did you mean `{close[0]}`?' if close else ''


def _listing(names: list[str]) -> str:
    return 'its arguments are ' + ', '.join(f'`{name}`' for name in names) if names else 'it takes no arguments'


def kind_of(thing: Any) -> str:
    """Tells what an imported object is: ``'link'`` for a class of links, else ``'function'``."""
    import chainer
    return 'link' if inspect.isclass(thing) and issubclass(thing, chainer.Link) else 'function'
