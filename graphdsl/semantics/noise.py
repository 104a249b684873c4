"""Noise: what may be drawn, and from which distributions."""
from __future__ import annotations

from typing import Any, Mapping, Optional

from graphdsl.semantics import calls
from graphdsl.semantics.calls import Given, Signature
from graphdsl.semantics.constructs import check_repeated
from graphdsl.semantics.data import stream_of
from graphdsl.semantics.elsewhere import ADVICE
from graphdsl.semantics.graph import Noise, Stream
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.suggestions import listed, unknown
from graphdsl.semantics.types import array_type, is_integer
from graphdsl.diagnostics import Span, mistake
from graphdsl.syntax import nodes

# The parameters of each distribution.
_DISTRIBUTIONS = {'normal': ('mean', 'std'), 'uniform': ('low', 'high'), 'bernoulli': ('p',), 'categorical': ('p',),
                  'permutation': ('n',)}
_EXAMPLES = {'normal': 'normal(0, 1)', 'uniform': 'uniform(0, 1)', 'bernoulli': 'bernoulli(0.5)',
             'categorical': 'categorical([0.5, 0.3, 0.2])', 'permutation': 'permutation(batch_size)'}
_TOLERANCE = 1e-6


def check_noise(statement: nodes.Noise, streams: Mapping[str, Stream], resolver: Resolver) -> Noise:
    """Checks a noise statement.

    Raises:
        Mistake: If there is no such distribution, or it does not go with its arguments or its type.
    """
    call = statement.distribution
    name = call.function.name if isinstance(call.function, nodes.Name) else ''
    if name not in _DISTRIBUTIONS:
        raise mistake('G509', f'there is no distribution `{name}`', call.function.span,
                      **unknown(name, call.function.span, _DISTRIBUTIONS.keys(), listed(_DISTRIBUTIONS, ''), ADVICE))
    dtype, shape = (None, ()) if statement.type is None else array_type(statement.type, resolver)
    arguments = _arguments(name, call, shape, resolver)
    _check_values(name, arguments, call.span)
    _check_type(name, dtype, shape, arguments, call.span)
    return Noise(statement.span, resolver.key(statement.target), dtype, shape, name, arguments,
                 stream_of(statement, streams))


def _arguments(name: str, call: nodes.Call, shape: tuple, resolver: Resolver) -> tuple[Any, ...]:
    """Returns the arguments of a distribution in order."""
    check_repeated(call)
    parameters = _DISTRIBUTIONS[name]
    calls.fit(Signature(name, parameters, parameters),
              Given(call.span, len(call.arguments), [keyword.name for keyword in call.keywords], call))
    given = {**dict(zip(parameters, call.arguments)), **{k.name: k.value for k in call.keywords}}

    def plain(node: nodes.Expression) -> Any:
        if name == 'permutation' and isinstance(node, nodes.Name) and node.name == 'batch_size' and not shape:
            return node.name
        return resolver.constant(node, f'an argument of `{name}`')

    return tuple(plain(given[parameter]) for parameter in parameters)


def _check_values(name: str, arguments: tuple[Any, ...], span: Span) -> None:
    is_list = name == 'categorical' and isinstance(arguments[0], (list, tuple))
    numbers = list(arguments[0] if is_list else arguments)
    problem = ''
    if arguments == ('batch_size',):
        return
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers):
        problem = 'its arguments are numbers'
    elif name == 'normal' and numbers[1] < 0:
        problem = 'the standard deviation is not negative'
    elif name == 'uniform' and numbers[0] > numbers[1]:
        problem = 'the lower end comes first'
    elif name == 'bernoulli' and not 0 <= numbers[0] <= 1:
        problem = 'a probability is between 0 and 1'
    elif is_list and (not numbers or min(numbers) < 0 or abs(sum(numbers) - 1) > _TOLERANCE):
        problem = 'probabilities are not negative, and their sum is 1'
    elif name in ('categorical', 'permutation') and not is_list and not (
            isinstance(numbers[0], int) and 1 <= numbers[0] < 2 ** 31):
        problem = 'it counts what there is to choose from: an integer, at least 1'
    if problem:
        raise mistake('G510', f'`{name}` cannot be drawn like this', span, reason=problem,
                      help=f'such as `{_EXAMPLES[name]}`')


def _check_type(name: str, dtype: Optional[str], shape: tuple, arguments: tuple, span: Span) -> None:
    problem = help = ''
    if name in ('normal', 'uniform') and dtype is not None and is_integer(dtype):
        problem, help = f'`{name}` gives floats', 'declare it as `float32[...]`'
    elif name in ('categorical', 'permutation') and dtype is not None and (not is_integer(dtype) or dtype == 'bool'):
        problem, help = f'`{name}` gives integers', 'declare it as `int32[...]`'
    elif name == 'permutation' and dtype is None:
        problem, help = 'a permutation is an array', 'write `noise p: int32 ~ permutation(batch_size)`'
    elif name == 'permutation' and not shape and arguments != ('batch_size',):
        problem, help = 'without a shape, a permutation is one of the minibatch', 'write `permutation(batch_size)`'
    elif name == 'permutation' and shape and shape != arguments:
        problem, help = 'each row is a permutation of as many as it has elements', f'write `permutation({shape[0]})`'
    if problem:
        raise mistake('G510', f'`{name}` does not go with this type', span, reason=problem, help=help)
