"""What Chainer offers by name, and how its classes and functions may be called."""
from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Iterable, Optional

# Chainer takes these sizes from the first minibatch when the argument is None; a graph file leaves it out.
_INFERRED = {'in_size', 'in_channels'}
_INFERRING_LINKS = {
    'ChildSumTreeLSTM', 'Convolution1D', 'Convolution2D', 'Convolution3D', 'ConvolutionND', 'Deconvolution1D',
    'Deconvolution2D', 'Deconvolution3D', 'DeconvolutionND', 'DeformableConvolution2D', 'DepthwiseConvolution2D',
    'DilatedConvolution2D', 'GRU', 'Inception', 'InceptionBN', 'LSTM', 'Linear', 'LocalConvolution2D',
    'MLPConvolution2D', 'Maxout', 'NaryTreeLSTM', 'SimplifiedDropconnect', 'StatefulGRU', 'StatefulPeepholeLSTM',
    'StatefulZoneoutLSTM', 'StatelessGRU', 'StatelessLSTM',
}
_NEVER_OMITTED = {'out_size', 'out_channels', 'ksize'}

# These need Python callables or objects, which a graph file cannot write, or give them.
_NEEDING_PYTHON = {
    'BinaryHierarchicalSoftmax', 'BlackOut', 'Classifier', 'GoogLeNet', 'NegativeSampling', 'Parameter',
    'ResNet101Layers', 'ResNet152Layers', 'ResNet50Layers', 'TheanoFunction', 'VGG16Layers', 'VGG19Layers',
    'black_out', 'forget', 'negative_sampling', 'sparse_matmul'}

# How many results these give; None where only the run can tell.
_RESULTS: dict[str, Optional[int]] = {
    'argmax_crf1d': 2, 'classification_summary': 4, 'f1_score': 2, 'fft': 2, 'ifft': 2, 'lstm': 2,
    'n_step_bigru': 2, 'n_step_bilstm': 3, 'n_step_birnn': 2, 'n_step_gru': 2, 'n_step_lstm': 3, 'n_step_rnn': 2,
    'precision': 2, 'recall': 2, 'separate': None, 'slstm': 2, 'transpose_sequence': None, 'tree_lstm': 2,
    'ChildSumTreeLSTM': 2, 'NStepBiGRU': 2, 'NStepBiLSTM': 3, 'NStepBiRNNReLU': 2, 'NStepBiRNNTanh': 2,
    'NStepGRU': 2, 'NStepLSTM': 3, 'NStepRNNReLU': 2, 'NStepRNNTanh': 2, 'NaryTreeLSTM': 2, 'StatelessLSTM': 2,
}

# These draw from the global random generators.
RANDOM = {'dropout', 'gaussian', 'gumbel_softmax', 'rrelu', 'simplified_dropconnect', 'zoneout'}

# No gradient flows through these.
WITHOUT_GRADIENT = {
    'accuracy', 'argmax', 'argmin', 'binary_accuracy', 'ceil', 'classification_summary', 'f1_score', 'fix', 'floor',
    'precision', 'r2_score', 'recall', 'sign'}

# Their second positional argument is an axis; a number written there usually means something else.
REDUCTIONS = {'argmax', 'argmin', 'average', 'max', 'mean', 'min', 'prod', 'sum'}

# Parameters of functions that take lists of arrays, and parameters that take arrays and no numbers.
_LISTS = {'xs', 'ys', 'ws', 'bs'}
_ARRAYS = {'x', 'x0', 'x1', 'x2', 'y', 't', 'a', 'b', 'h', 'p', 'divisor'}


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
    classes = {n: c for n, c in found.items() if inspect.isclass(c) and issubclass(c, base) and n[0].isupper()}
    return {**classes, **own_hooks()} if module == 'optimizer_hooks' else classes


def own_hooks() -> dict[str, Callable]:
    """Returns the hooks that Chainer lacks."""
    from graphdsl.runtime.hooks import Clip
    return {'Clip': Clip}


@functools.lru_cache(maxsize=None)
def chain_attributes() -> frozenset[str]:
    """Returns the names that a layer cannot have as an attribute of its chain."""
    import chainer
    return frozenset(dir(chainer.Chain())) | {'forward'}


@functools.lru_cache(maxsize=4096)
def signature(thing: Callable) -> inspect.Signature:
    """Returns how a callable is called; raises TypeError or ValueError where that cannot be told."""
    return inspect.signature(thing)


def needs_python(name: str) -> bool:
    """Says whether a link or function takes or gives Python callables or objects."""
    return name in _NEEDING_PYTHON


def hyperparameters(optimizer: Any) -> Optional[list[str]]:
    """Returns the hyperparameters of a class of optimizers that can be set, such as ``alpha``.

    None for a function that makes an optimizer: nobody knows which.
    """
    from chainer.optimizer import HyperparameterProxy
    if not inspect.isclass(optimizer):
        return None
    found = {name for base in optimizer.__mro__ for name, value in vars(base).items()
             if isinstance(value, HyperparameterProxy)}
    return sorted(found)


def has_statistics(name: str) -> bool:
    """Says whether a link of Chainer keeps statistics of the minibatches that it sees."""
    return 'BatchNormalization' in name or name in ('BatchRenormalization', 'InceptionBN')


def is_repeatable(name: str) -> bool:
    """Says whether a link of Chainer, in training, gives the same for the same minibatch and weights."""
    return not (name.startswith('NStep') or name in ('BatchRenormalization', 'SimplifiedDropconnect'))


def is_stateful(link: Any) -> bool:
    """Says whether a link carries a state from one minibatch to the next."""
    return hasattr(link, 'reset_state')


def result_count(name: str, arguments: tuple, keywords: tuple) -> Optional[int]:
    """Returns how many results a call of a link or function gives; None where only the run can tell.

    Args:
        name (str): Name in ``chainer.links`` or ``chainer.functions``.
        arguments (tuple): Plain values of its positional arguments, None for what is not known while compiling.
        keywords (tuple): Names of its other arguments, with their values likewise.
    """
    given = dict(keywords)
    if name == 'split_axis':
        parts = given.get('indices_or_sections', arguments[1] if len(arguments) > 1 else None)
        return len(parts) + 1 if isinstance(parts, (list, tuple)) else parts if isinstance(parts, int) else None
    if name in ('broadcast', 'identity'):
        return len(arguments)
    if any(name.startswith('return_') and value for name, value in given.items()):
        return 2
    return _RESULTS.get(name, 1)


def inferred_size(name: str, arguments: int, keywords: Iterable[str]) -> Optional[tuple[int, str]]:
    """Finds where a link's arguments leave out the size that Chainer infers.

    ``Linear(10)`` has one output size and no input size; so has ``Convolution2D(32, ksize=3)``.

    Args:
        name (str): Class in ``chainer.links``.
        arguments (int): Number of its positional arguments.
        keywords: Names of the others.

    Returns:
        Position and name of the argument that has to be None, or None if nothing is left out.
    """
    if name not in _INFERRING_LINKS:
        return None
    parameters = signature(members('links')[name]).parameters
    given = set(list(parameters)[:arguments]) | set(keywords)
    needed = {p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
              and (p.default is p.empty or p.name in _NEVER_OMITTED)}
    size = next((i, p) for i, p in enumerate(parameters) if p in _INFERRED)
    return size if needed - given else None


def missing_size(name: str, arguments: int, keywords: Iterable[str]) -> str:
    """Returns the size that a link's arguments lack although Chainer has a default for it, or an empty string."""
    parameters = list(signature(members('links')[name]).parameters)
    given = {*parameters[:arguments], *keywords}
    return next((p for p in parameters if name in _INFERRING_LINKS and p in _NEVER_OMITTED and p not in given), '')


def lacks_size_and_axis(name: str, arguments: int, keywords: Iterable[str]) -> bool:
    """Says whether a link gets neither of its size and its axis, one of which it needs."""
    parameters = signature(members('links')[name]).parameters
    given = {*list(parameters)[:arguments], *keywords}
    both = {'size', 'axis'}
    return both <= set(parameters) and all(parameters[p].default is None for p in both) and not given & both


@functools.lru_cache(maxsize=None)
def parameter_of(name: str, position: int) -> str:
    """Returns what a function's argument at some position is: ``'array'``, ``'list'`` or ``'other'``."""
    parameters = list(signature(members('functions')[name]).parameters.values())
    parameter = parameters[min(position, len(parameters) - 1)]
    if parameter.kind is parameter.VAR_POSITIONAL:
        return 'other'
    if parameter.name in _LISTS or (name, position) == ('connectionist_temporal_classification', 0):
        return 'list'
    return 'array' if parameter.name in _ARRAYS else 'other'


def missing_arguments(thing: Callable, arguments: int, keywords: Iterable[str]) -> int:
    """Returns how many arguments a call still needs, at least 1: the inputs of a chain that begins with it."""
    try:
        parameters = signature(thing).parameters.values()
    except (TypeError, ValueError):
        return 1
    required = [p for p in parameters if p.default is p.empty and p.name not in keywords
                and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return max(len(required) - arguments, 1)


def kind_of(thing: Any) -> str:
    """Tells what an imported object is: ``'link'`` for a class of links, else ``'function'``."""
    import chainer
    return 'link' if inspect.isclass(thing) and issubclass(thing, chainer.Link) else 'function'


def import_problem(thing: Any) -> str:
    """Says why an object cannot be imported, an empty string if it can."""
    import chainer
    if isinstance(thing, chainer.Link):
        return 'it is a link, and no optimizer could own it: bind its class'
    if not callable(thing):
        return 'it is nothing to call'
    return ''
