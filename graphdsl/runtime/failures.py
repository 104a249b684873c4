"""Says of an exception that passes a generated module what it was doing, with what, and whose code it was."""
from __future__ import annotations

import linecache
import os
import re
import sysconfig
import traceback
from types import FrameType
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Sequence

import chainer
import numpy
from chainer import _backprop, function_node

from graphdsl import own
from graphdsl.diagnostics import Diagnostic, Place, Span, in_order
from graphdsl.runtime.data import DataError, Ended
from graphdsl.runtime.shapes import kind_of
from graphdsl.runtime.sizes import LimitError
from graphdsl.runtime.values import named_values

LESS_MEMORY = 'take a smaller `batch`; `accumulate n` in a step gives the gradient of n of them at once'
WHOLE_WAY = '`--traceback` shows the whole way there'
# What our own code raises by mistake alone.
_OURS = (NameError, AssertionError, NotImplementedError)
_LIBRARIES = tuple({*(sysconfig.get_paths()[name] for name in ('stdlib', 'platstdlib', 'purelib', 'platlib')),
                    own.FOLDER, *(os.path.dirname(package.__file__) for package in (chainer, numpy))})
_BACKWARD_LOOPS = (function_node._backprop.__code__, _backprop._backprop_to_all.__code__)
_OPTIMIZER = re.compile(r"(?:optimizers\[|update_if_finite\()'(.*?)'")
_WORD = re.compile(r'[^\W\d]\w*(?:\[[\w, ]+\])?')


class Frame(NamedTuple):
    """A line that an exception passed."""

    frame: FrameType
    line: int

    @property
    def file(self) -> str:
        return self.frame.f_code.co_filename

    @property
    def text(self) -> str:
        return linecache.getline(self.file, self.line).strip()


def explain(error: BaseException, origin: Any) -> tuple[Diagnostic, ...]:
    """Returns the diagnostics of an exception, none if it does not come from a module, or is our own mistake.

    Args:
        error: The exception, with its traceback.
        origin (graphdsl.runtime.origin.Origin): Where the module's lines come from.
    """
    frames = frames_of(error)
    written = [frame for frame in frames if frame.file == origin.filename]
    spans = [span for span in (_span(frame, origin) for frame in written) if span is not None]
    if isinstance(error, LimitError):
        return Diagnostic(error.code, error.message, spans[-1] if spans else Span(0, 0), help=error.help),
    if not spans or is_ours(error, frames, origin.filename):
        return ()
    if isinstance(error, DataError):
        return of_data_error(error, spans[-1], origin.values, _callers(spans))
    return _explained(error, origin, frames, spans),


def _explained(error: BaseException, origin: Any, frames: Sequence[Frame], spans: Sequence[Span]) -> Diagnostic:
    places = [i for i, frame in enumerate(frames) if frame.file == origin.filename]
    last, inner = frames[places[-1]], frames[places[-1] + 1:]
    callers = _callers(spans)
    code, doing = _doing(last)
    theirs = their_frame(inner)
    notes = (*(() if theirs is None else [raised_in(theirs, inner)]),
             *(_inputs(last, spans[-1], origin) if code != 'G736' else ()), *_surroundings(last, inner))
    if isinstance(error, Ended):
        return Diagnostic('G520', f'the data of `{error.stream}` has come to its end', spans[-1],
                          reason=f'{error.minibatches} minibatch{"" if error.minibatches == 1 else "es"} were drawn, '
                          'and there is no further one' if error.minibatches else 'there is not one minibatch',
                          help='train for less long, or let the iterator begin anew: `repeat=True` of Chainer\'s')
    if is_memory(error):
        return Diagnostic('G735', 'there is not enough memory for this', spans[-1], reason=summary(error),
                          places=callers, notes=notes, help=LESS_MEMORY)
    if 'draw.minibatch(' in last.text:
        return of_data(error, spans[-1], inner)
    if theirs is not None and code == 'G701':
        code, doing = 'G737', 'running code of your own'
    return Diagnostic(code, f'{type(error).__name__} while {doing}', spans[-1], reason=summary(error), places=callers,
                      notes=(*notes, *_in_runtime(inner)), help=WHOLE_WAY if theirs is not None else '')


def _callers(spans: Sequence[Span]) -> tuple[Place, ...]:
    """Returns the places of the lines that led to the last one."""
    return tuple(Place(span, 'called from here') for span in dict.fromkeys(spans[:-1]) if span != spans[-1])


def of_data_error(error: DataError, span: Span, values: Mapping[str, Span], places: tuple[Place, ...] = (),
                  notes: tuple[str, ...] = ()) -> tuple[Diagnostic, ...]:
    """Returns what is wrong with data: for each column at its input, else at a span.

    Args:
        error: The exception.
        span: Where to tell what is about no single input.
        values: Where each input is.
        places: Further places, where it is told as a whole.
        notes: Facts, for each.
    """
    return in_order(Diagnostic(one.code, one.message, values.get(one.column, span), help=one.help, notes=notes,
                               places=places if one is error else ()) for one in error.parts())


def of_data(error: BaseException, span: Span, inner: Sequence[Frame], what: str = 'a minibatch') -> Diagnostic:
    """Returns the diagnostic of an exception that was raised while data was read.

    Args:
        error: The exception.
        span: Of the data, or an input that it has.
        inner: The lines that it passed within.
        what: What was read.
    """
    if is_memory(error):
        return Diagnostic('G735', f'there is not enough memory to read {what}', span, reason=summary(error),
                          help=LESS_MEMORY)
    theirs = their_frame(inner)
    example = next((frame.frame.f_locals['index'] for frame in reversed(inner)
                    if frame.file.endswith('_iterator.py') and 'index' in frame.frame.f_locals), None)
    notes = [] if example is None else [f'it was example {example} of the dataset, counted from 0']
    notes += [] if theirs is None else [raised_in(theirs, inner)]
    return Diagnostic('G522', f'{type(error).__name__} while reading {what}', span, reason=summary(error),
                      notes=tuple(notes), help=WHOLE_WAY)


def frames_of(error: BaseException) -> list[Frame]:
    """Returns the lines that an exception passed, the innermost last."""
    return [Frame(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]


def their_frame(frames: Sequence[Frame]) -> Optional[Frame]:
    """Returns the innermost line that is neither ours nor a library's."""
    return next((frame for frame in reversed(frames) if not _is_of_a_library(frame.file)), None)


def _is_of_a_library(file: str) -> bool:
    if file.startswith('<'):
        return not file.startswith(('<stdin', '<ipython'))
    return file.startswith(tuple(folder + os.sep for folder in _LIBRARIES))


def is_ours(error: BaseException, frames: Sequence[Frame], module: str = '') -> bool:
    """Tells whether an exception is a mistake of the compiler, or of what it wrote."""
    innermost = frames[-1].file if frames else ''
    return isinstance(error, _OURS) and (innermost == module or own.is_own(innermost))


def is_memory(error: BaseException) -> bool:
    """Tells whether memory ran out, in main memory or on a GPU."""
    return isinstance(error, MemoryError) or type(error).__name__ == 'OutOfMemoryError'


def summary(error: BaseException) -> str:
    """Returns an exception's message on one line."""
    if isinstance(error, SystemExit):
        return 'this would end the program'
    return '; '.join(line.strip() for line in str(error).splitlines() if line.strip())


def _span(frame: Frame, origin: Any) -> Optional[Span]:
    """Returns where a line of the module comes from: itself, the optimizer it updates, or the lines above."""
    name = _optimizer(frame)
    if name in origin.optimizers:
        return origin.optimizers[name]
    first = frame.frame.f_code.co_firstlineno
    return next((origin.spans[line] for line in range(frame.line, first - 1, -1) if line in origin.spans), None)


def _optimizer(frame: Frame) -> Optional[str]:
    """Returns the name of the optimizer that a line updates."""
    if 'update' not in frame.text:
        return None
    match = _OPTIMIZER.search(frame.text)
    if match:
        return match[1]
    variables = frame.frame.f_locals
    return next((name for name, optimizer in (variables.get('optimizers') or {}).items()
                 if optimizer is variables.get('optimizer')), None)


def _doing(frame: Frame) -> tuple[str, str]:
    """Returns the code for what a line does, and its words."""
    if 'chainer.grad(' in frame.text:
        return 'G736', 'taking gradients of this'
    name = _optimizer(frame)
    if name is not None:
        return 'G738', f'updating what `{name}` owns'
    return 'G701', 'running this'


def _inputs(frame: Frame, span: Span, origin: Any) -> Iterator[str]:
    """Says which values a line reads, by their names in the file, with their shapes."""
    values = named_values(frame.frame.f_locals)
    _, _, right = frame.text.partition(' = ')
    texts = _WORD.findall((right or frame.text).partition('  # line')[0])
    shown = origin.source[span]
    named, nameless = {}, {}
    for text in texts:
        name = re.sub(r'\[(\w+)\]', lambda match: f'[{values.get(match[1], match[1])}]', text)
        value = values.get(name, values.get(text.partition('[')[0]))
        if isinstance(value, chainer.Parameter) or not hasattr(value, 'shape') or not hasattr(value, 'dtype'):
            continue
        is_shown = re.search(rf'\b{re.escape(text.partition("[")[0])}\b', shown)
        (named if is_shown else nameless)[name] = kind_of(value) + _range(value)
    if named:
        yield ', '.join(f'`{name}` is {kind}' for name, kind in named.items())
    if nameless:
        yield f'{" and ".join(nameless.values())} {"arrives" if len(nameless) == 1 else "arrive"} here'


def _range(value: Any) -> str:
    """Says what integers an array holds: labels may be too large."""
    if value.dtype.kind not in 'iu' or not value.size:
        return ''
    least, most = int(value.min()), int(value.max())
    return f' with values from {least} to {most}' if least < most else f', all {least}'


def _surroundings(frame: Frame, inner: Sequence[Frame]) -> Iterator[str]:
    """Says in which function's backward pass it was, and in which step."""
    functions = [f.frame.f_locals.get('func') for f in inner if f.frame.f_code in _BACKWARD_LOOPS]
    labels = [f.label for f in functions if isinstance(f, chainer.FunctionNode)]
    if labels:
        yield f'it was in the backward pass of {labels[-1]}'
    name = frame.frame.f_code.co_name
    if name.endswith('_step'):
        yield f'it was in the step `{name[:-len("_step")]}`'


def raised_in(theirs: Frame, inner: Sequence[Frame]) -> str:
    verb = 'it was raised in' if theirs is inner[-1] else 'it comes from'
    function = theirs.frame.f_code.co_name
    within = '' if function.startswith('<') else f', in `{function}`'
    return f'{verb} {shown_path(theirs.file)}, line {theirs.line}{within}: {theirs.text}'


def _in_runtime(inner: Sequence[Frame]) -> Iterator[str]:
    if inner and own.is_own(inner[-1].file):
        place = own.place(inner[-1].file, inner[-1].line)
        yield f'it was raised in {place}: if the graph is right here, please report it'


def shown_path(path: str) -> str:
    """Returns a path as short as it can be told from here."""
    short = os.path.relpath(path)
    return path if short.startswith(os.pardir) else short
