"""Data blocks and inputs."""
from __future__ import annotations

import math
from typing import Any, Mapping

from graphdsl.semantics import catalog
from graphdsl.semantics.constructs import check_repeated
from graphdsl.semantics.graph import Dataset, Input, Stream
from graphdsl.semantics.later import not_executed
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import allowed
from graphdsl.semantics.unroll import Report, unroll
from graphdsl.diagnostics import Mistake, Place, mistake
from graphdsl.syntax import nodes

DTYPES = ('float16', 'float32', 'float64', 'int8', 'int16', 'int32', 'int64', 'uint8', 'bool')
_LARGEST_AXIS = 2 ** 31 - 1


def is_integer(dtype: str) -> bool:
    """Says whether arrays of a dtype take no part in arithmetic."""
    return not dtype.startswith('float')


def check_stream(data: nodes.Data, resolver: Resolver, report: Report) -> Stream:
    """Checks a data block.

    Raises:
        Mistake: If it has no `train`.
    """
    datasets: dict[str, Dataset] = {}
    batches: list[int] = []
    for turn in unroll(data.body, resolver, report):
        statement, within = turn.statement, resolver.within(turn.numbers)
        try:
            if isinstance(statement, nodes.Setting):
                if statement.name != 'batch':
                    raise mistake('G601', f'`{statement.name}` is a setting of `train`', statement.span)
                if batches:
                    raise mistake('G602', 'this is set twice', statement.span,
                                  help='a stream has one size of minibatches')
                batches.append(within.integer(statement.value, 'the size of a minibatch', least=1))
                continue
            name = allowed(statement.name)
            if name == 'validation':
                raise mistake('G507', 'an evaluation set cannot be called `validation`', statement.name.span,
                              reason='what `test` gives is reported under this name', help='choose another name')
            if name in datasets:
                raise mistake('G102', f'`{name}` is bound twice', statement.name.span, reason='again here',
                              places=(Place(datasets[name].span, 'first here'),))
            datasets[name] = _dataset(statement, within)
        except Mistake as error:
            report(error.diagnostic)
            if isinstance(statement, nodes.Dataset):
                datasets.setdefault(statement.name.name, Dataset(statement.span, statement.name.name, '', (), ()))
    if 'train' not in datasets:
        raise mistake('G502', f'the data block `{data.name.name}` has no `train`', data.name.span,
                      help='add a line `train = SOURCE`')
    return Stream(data.name.span, data.name.name, tuple(datasets.values()), batches[0] if batches else None)


def _dataset(statement: nodes.Dataset, resolver: Resolver) -> Dataset:
    from graphdsl.runtime.data import SOURCES

    source = statement.source
    call = source if isinstance(source, nodes.Call) else None
    function = source.function if call is not None else source
    if not isinstance(function, nodes.Name):
        raise mistake('G501', 'a dataset comes from a source', source.span, help='such as `digits(split="train")`')
    name = function.name
    if name == 'sequence':
        raise not_executed('`sequence(...)`', function.span)
    sources: Mapping[str, Any] = {**SOURCES, **resolver.scope.imported}
    if name not in sources:
        raise mistake('G501', f'there is no data source `{name}`', function.span,
                      help=catalog.suggestion(name, sources) or 'there are ' + ', '.join(sorted(sources)))
    if call is not None:
        check_repeated(call)
    arguments = tuple(resolver.constant(a, 'an argument of a source') for a in (call.arguments if call else ()))
    keywords = tuple((k.name, resolver.constant(k.value, 'an argument of a source'))
                     for k in (call.keywords if call else ()))
    problem = catalog.call_problem(sources[name], len(arguments), [k for k, _ in keywords])
    if problem is not None:
        raise mistake('G306', problem[0], source.span, help=problem[1])
    return Dataset(statement.span, statement.name.name, name, arguments, keywords)


def check_column(column: nodes.Column, statement: nodes.Input, streams: Mapping[str, Stream],
                 resolver: Resolver) -> Input:
    """Checks one column of an `input` statement; `_` names a column that is not wanted."""
    name = column.name.name
    stream = _stream(statement, streams)
    if column.type is None:
        if name != '_':
            raise mistake('G504', f'the input `{name}` has no type', column.span,
                          help=f'write `{name}: float32[...]`, without the batch axis')
        return Input(column.span, '_', '', (), stream)
    dtype = column.type.dtype.name
    if dtype not in DTYPES:
        raise mistake('G504', f'there is no dtype `{dtype}`', column.type.dtype.span,
                      help=catalog.suggestion(dtype, DTYPES) or 'there are ' + ', '.join(DTYPES))
    if column.pad is not None or any(size is None for size in column.type.shape):
        raise not_executed('a ragged axis', column.span)
    shape = tuple(resolver.integer(size, 'the size of an axis', least=1, most=_LARGEST_AXIS)
                  for size in column.type.shape)
    if math.prod(shape) > _LARGEST_AXIS:
        raise mistake('G204', f'an example has at most {_LARGEST_AXIS:,} elements', column.type.span,
                      reason=f'this has {math.prod(shape):,}')
    return Input(column.span, name, dtype, shape, stream)


def _stream(statement: nodes.Input, streams: Mapping[str, Stream]) -> str:
    if statement.stream is None:
        return next(iter(streams), 'main')
    name = statement.stream.name
    if name not in streams:
        raise mistake('G503', f'there is no data block `{name}`', statement.stream.span,
                      help=catalog.suggestion(name, streams) or f'declare it: `data {name} {{ train = ... }}`')
    return name

