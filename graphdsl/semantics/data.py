"""Data blocks and inputs."""
from __future__ import annotations

import math
from typing import Any, Iterable, Mapping, Union

import numpy

from graphdsl.semantics import calls
from graphdsl.semantics.calls import Given
from graphdsl.semantics.constructs import check_repeated
from graphdsl.semantics.graph import Dataset, Input, Noise, Stream
from graphdsl.semantics.numbers import kind
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import allowed
from graphdsl.semantics.suggestions import listed, unknown
from graphdsl.semantics.types import array_type, is_integer
from graphdsl.semantics.unroll import Report, unroll
from graphdsl.diagnostics import Mistake, Place, Span, mistake
from graphdsl.limits import Limits
from graphdsl.syntax import nodes


def check_stream(data: nodes.Data, resolver: Resolver, report: Report) -> Stream:
    """Checks a data block.

    Raises:
        Mistake: If it has no `train`.
    """
    datasets: dict[str, Dataset] = {}
    batches: list[tuple[int, Span]] = []
    for turn in unroll(data.body, resolver, report):
        statement, within = turn.statement, resolver.within(turn.numbers)
        try:
            if isinstance(statement, nodes.Setting):
                if statement.name != 'batch':
                    raise mistake('G601', f'`{statement.name}` is a setting of `train`', statement.span,
                                  reason='a data block has `batch` alone', help='move it to `train { ... }`')
                if batches:
                    raise mistake('G602', 'this is set twice', statement.span, reason='again here',
                                  places=(Place(batches[0][1], 'first here'),),
                                  help='a stream has one size of minibatches; remove one of the two')
                size = within.integer(statement.value, 'the size of a minibatch', least=1)
                batches.append((size, statement.span))
                continue
            name = allowed(statement.name)
            if name == 'validation':
                raise mistake('G507', 'an evaluation set cannot be called `validation`', statement.name.span,
                              reason='what `test` gives is reported under this name', help='choose another name')
            if name in datasets:
                raise mistake('G102', f'`{name}` is bound twice', statement.name.span, reason='again here',
                              places=(Place(datasets[name].span, 'first here'),),
                              help='every set of a data block has a name of its own')
            datasets[name] = _dataset(statement, within)
        except Mistake as error:
            for diagnostic in error.all():
                report(diagnostic)
            if isinstance(statement, nodes.Dataset):
                datasets.setdefault(statement.name.name, Dataset(statement.span, statement.name.name, '', (), ()))
    if 'train' not in datasets:
        raise mistake('G502', f'the data block `{data.name.name}` has no `train`', data.name.span,
                      reason='there is nothing to draw minibatches from', help='add a line `train = SOURCE`')
    return Stream(data.name.span, data.name.name, tuple(datasets.values()), batches[0][0] if batches else None)


def _dataset(statement: nodes.Dataset, resolver: Resolver) -> Dataset:
    source, is_sequence = statement.source, False
    if isinstance(source, nodes.Call) and getattr(source.function, 'name', '') == 'sequence':
        if len(source.arguments) != 1 or source.keywords:
            raise mistake('G306', '`sequence` takes one source', source.span, reason='and no other argument',
                          help='such as `sequence(text("a.txt"))`')
        source, is_sequence = source.arguments[0], True
    name, arguments, keywords = _source(source, resolver)
    return Dataset(statement.span, statement.name.name, name, arguments, keywords, is_sequence)


def _source(source: nodes.Expression, resolver: Resolver) -> tuple[str, tuple, tuple]:
    """Returns the name and the arguments of a data source."""
    from graphdsl.runtime.data import SOURCES

    call = source if isinstance(source, nodes.Call) else None
    function = source.function if call is not None else source
    if not isinstance(function, nodes.Name):
        raise mistake('G501', 'a dataset comes from a source', source.span, reason='this is none',
                      help='such as `digits(split="train")`')
    name = function.name
    sources: Mapping[str, Any] = {**SOURCES, **resolver.scope.imported}
    if name not in sources:
        raise mistake('G501', f'there is no data source `{name}`', function.span,
                      **unknown(name, function.span, [*sources, 'sequence'],
                                listed(sorted(sources), '', most=len(sources))))
    if call is not None:
        check_repeated(call)
    arguments = tuple(resolver.constant(a, 'an argument of a source') for a in (call.arguments if call else ()))
    keywords = tuple((k.name, resolver.constant(k.value, 'an argument of a source'))
                     for k in (call.keywords if call else ()))
    calls.check(sources[name], Given(source.span, len(arguments), [k for k, _ in keywords], call), name)
    return name, arguments, keywords


def check_column(column: nodes.Column, statement: nodes.Input, streams: Mapping[str, Stream],
                 resolver: Resolver) -> Input:
    """Checks one column of an `input` statement; `_` names a column that is not wanted."""
    name = column.name.name
    stream = stream_of(statement, streams)
    if column.type is None:
        if name != '_':
            raise mistake('G504', f'the input `{name}` has no type', column.span, reason='what is in it?',
                          help=f'write `{name}: float32[...]`, without the batch axis')
        return Input(column.span, '_', '', (), stream)
    dtype, shape = array_type(column.type, resolver, is_ragged=True)
    pad = None if column.pad is None else resolver.constant(column.pad, 'what ragged axes are filled with')
    if pad is not None and (isinstance(pad, bool) or not isinstance(pad, (int, float))):
        raise mistake('G204', 'ragged axes are filled with a number', column.pad.span, reason=f'this is {kind(pad)}',
                      help='such as `pad -1`')
    if pad is not None and not _holds(dtype, pad):
        raise mistake('G204', f'{dtype} does not hold {pad}', column.pad.span, reason='it would be another number',
                      help='fill with a value of the dtype')
    if pad is not None and None not in shape:
        raise mistake('G504', f'`{name}` has no axis to fill', column.pad.span, reason='all its axes have a length',
                      help='a ragged axis is written `?`: `int32[?] pad -1`')
    return Input(column.span, name, dtype, shape, stream, pad)


def _holds(dtype: str, value: Union[int, float]) -> bool:
    """Says whether arrays of a dtype can hold a number as it is."""
    if not is_integer(dtype):
        return True
    least, most = (0, 1) if dtype == 'bool' else (numpy.iinfo(dtype).min, numpy.iinfo(dtype).max)
    return value == int(value) and least <= value <= most


def stream_of(statement: Union[nodes.Input, nodes.Noise], streams: Mapping[str, Stream]) -> str:
    """Returns the stream that an `input` or `noise` names, the first if it names none."""
    if statement.stream is None:
        return next(iter(streams), 'main')
    name = statement.stream.name
    if name not in streams:
        raise mistake('G503', f'there is no data block `{name}`', statement.stream.span,
                      **unknown(name, statement.stream.span, {s.name: s.span for s in streams.values()},
                                f'declare it: `data {name} {{ train = ... }}`'))
    return name


def check_examples(inputs: Iterable[Input], noises: Iterable[Noise], limits: Limits) -> None:
    """Refuses inputs and noises too large for a first iteration on two examples of zeros.

    Raises:
        Mistake: At the one with which they are.
    """
    total = 0
    for one in (*inputs, *noises):
        total += 2 * math.prod(8 if length is None else length for length in one.shape)
        if total > limits.examples:
            raise mistake('G037', 'two examples of all inputs and noises are too large', one.span,
                          reason=f'they have {total:,} elements up to here', help=limits.advice('examples', total))
