"""Finds the line of the graph file that an exception of generated code comes from."""
from __future__ import annotations

import linecache
import re
import traceback
from typing import Dict, Iterable, Mapping, Optional

from graphdsl.diagnostics import Diagnostic, GraphError, Source, Span
from graphdsl.runtime.data import DataError, Ended
from graphdsl.runtime.failures import explain, frames_of, is_ours, of_data, of_data_error
from graphdsl.runtime.settings import Input

_LINE_COMMENT = re.compile(r'  # line \d+$')
# A loop writes the names of a family as one: f'head[{i}]'.
_INPUT = re.compile(r"runtime\.Input\('(.*?)'")
_REPORT = re.compile(r"(?:\*\*\{f)?'(.*?)': ")
_MODEL = re.compile(r"yield f?'(.*?)', ")
_OPTIMIZER = re.compile(r"optimizers\[f?'(.*?)'\] = ")
_INDEX = re.compile(r'\{i[^}]*\}|\d+(?=[^\[\]]*\])')


class _Names(Dict[str, Span]):
    """Spans by name; members of a family whose names are written as one have its span."""

    def __setitem__(self, name: str, span: Span) -> None:
        super().__setitem__(_INDEX.sub('{i}', name) if '{' in name else name, span)

    def __missing__(self, name: str) -> Span:
        family = _INDEX.sub('{i}', name)
        if family == name:
            raise KeyError(name)
        return self[family]


class Origin:
    """Where the lines of a generated module come from.

    Args:
        filename (str): The module's file name, as tracebacks show it.
        source: The text that spans point into.
        spans: Span of each line that has one, by its number.
        values: Span of each loss and metric by its name.
        models: Span of each model by its name.
        optimizers: Span of each optimizer by its name.
    """

    def __init__(self, filename: str, source: Source, spans: Mapping[int, Span], values: Mapping[str, Span],
                 models: Mapping[str, Span], optimizers: Mapping[str, Span]):
        self.filename = filename
        self.source = source
        self.spans = spans
        self.values = values
        self.models = models
        self.optimizers = optimizers
        self._errors = _Errors(self)

    @classmethod
    def of_module(cls, filename: str) -> Origin:
        """Makes the origin of a module that runs without its graph file: its lines say where they come from."""
        lines = linecache.getlines(filename)
        spans, values, models, optimizers, start = {}, _Names(), _Names(), _Names(), 0
        for number, line in enumerate(lines, 1):
            comment = _LINE_COMMENT.search(line.rstrip())
            if comment:
                code = line.lstrip()
                spans[number] = Span(start + len(line) - len(code), start + comment.start())
                for pattern, named in ((_INPUT, values), (_REPORT, values), (_MODEL, models), (_OPTIMIZER, optimizers)):
                    name = pattern.match(code)
                    if name:
                        named[name[1]] = spans[number]
            start += len(line)
        return cls(filename, Source(''.join(lines), filename), spans, values, models,
                   optimizers)

    def errors(self) -> _Errors:
        """Turns an exception that passes a line of the module into a :class:`GraphError` at its place.

        Where a stream has come to its end, the error is a ``StopIteration`` too. Mistakes of our own pass unchanged.
        """
        return self._errors

    def reading(self, inputs: Iterable[Input], stream: str, what: str) -> _Reading:
        """Turns an exception into a :class:`GraphError` at the first input of a stream.

        Args:
            inputs: All inputs.
            stream (str): Name of the stream that is read.
            what (str): What is read, in a few words.
        """
        return _Reading(self, self._first_of(inputs, stream), what)

    def errors_of_stream(self, error: DataError, inputs: Iterable[Input], stream: str, note: str
                         ) -> tuple[Diagnostic, ...]:
        """Returns what is wrong with the data of a stream, at its inputs, or at the first of them."""
        return of_data_error(error, self._first_of(inputs, stream), self.values, notes=(note,))

    def _first_of(self, inputs: Iterable[Input], stream: str) -> Span:
        return next((self.values[i.name] for i in inputs if i.stream == stream and i.name in self.values), Span(0, 0))

    def span_of_call(self) -> Optional[Span]:
        """Returns the place of the innermost line of the module that is running."""
        frames = [frame.lineno for frame in traceback.extract_stack()
                  if frame.filename == self.filename and frame.lineno in self.spans]
        return self.spans[frames[-1]] if frames else None


class EndOfData(GraphError, StopIteration):
    """Raised where a stream has no further minibatch, also for who waits for an iterator's end."""


class _Errors:
    """The context of :meth:`Origin.errors`. Every iteration enters it, and a generator would take longer."""

    def __init__(self, origin: Origin):
        self._origin = origin

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, traceback) -> None:
        # A function that ends the program would end it as if all were fine.
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, GraphError):
            found = explain(error, self._origin)
            if found:
                raise _error(error)(found, self._origin.source) from error


class _Reading:
    """The context of :meth:`Origin.reading`."""

    def __init__(self, origin: Origin, span: Span, what: str):
        self._origin = origin
        self._span = span
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, GraphError):
            frames = frames_of(error)[1:]
            if not is_ours(error, frames):
                found = of_data_error(error, self._span, self._origin.values) if isinstance(error, DataError) else \
                    [of_data(error, self._span, frames, self._what)]
                raise GraphError(found, self._origin.source) from error


def _error(error: BaseException) -> type[GraphError]:
    return EndOfData if isinstance(error, Ended) else GraphError
