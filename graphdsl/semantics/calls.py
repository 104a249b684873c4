"""Whether the arguments of a call fit what is called, by its own signature."""
from __future__ import annotations

import ast
import functools
import inspect
import keyword
import textwrap
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, Sequence

from graphdsl.semantics import catalog, numbers
from graphdsl.semantics.elsewhere import ARGUMENT_ADVICE, ARGUMENTS, OPPOSITES
from graphdsl.semantics.suggestions import is_certain, meant
from graphdsl.diagnostics import Edit, Mistake, Place, Span, mistake
from graphdsl.syntax import nodes

_WIDEST = 100


@dataclass(frozen=True)
class Given:
    """The arguments of a call.

    Attributes:
        span: Of the call.
        count: How many positional ones there are, those of the stage before and those that are filled in included;
            None where only the run can tell.
        names: Of the others.
        call: The call as it stands in the file; None for a bare name.
        several: How many of them are results of the stage before, where these are more than one.
    """

    span: Span
    count: Optional[int]
    names: Sequence[str]
    call: Optional[nodes.Call] = None
    several: Optional[int] = None

    def span_of(self, name: str) -> Span:
        """Returns where the name of a keyword argument stands, the whole call for one that is filled in."""
        found = self.keyword(name)
        return self.span if found is None else name_span(found)

    def keyword(self, name: str) -> Optional[nodes.Keyword]:
        return next((k for k in self.call.keywords if k.name == name), None) if self.call is not None else None

    def span_from_end(self, number: int) -> Span:
        """Returns where one of the last positional arguments stands, the whole call for one of the stage before."""
        written = self.call.arguments if self.call is not None else ()
        return written[-number].span if number <= len(written) else self.span


def name_span(keyword: nodes.Keyword) -> Span:
    """Returns where the name of a keyword argument stands."""
    return Span(keyword.span.start, keyword.span.start + len(keyword.name))


@dataclass(frozen=True)
class Signature:
    """How something is called.

    Attributes:
        called (str): Its name.
        positional: Names of what can be given by its place, in order.
        needed: Names without a default.
        defaults: The defaults of the others, as a graph file writes them, `...` for what it cannot write.
        takes_more: Whether any number can be given by place.
        nameless: What cannot be given by name.
    """

    called: str
    positional: tuple[str, ...]
    needed: tuple[str, ...]
    defaults: tuple[tuple[str, str], ...] = ()
    takes_more: bool = False
    nameless: tuple[str, ...] = ()

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """What can be given by name."""
        return tuple(name for name in (*self.needed, *dict(self.defaults)) if name not in self.nameless)

    def __str__(self) -> str:
        pieces = [*self.needed, *(f'{name}={default}' for name, default in self.defaults)]
        text, rest = '', list(pieces)
        while rest and len(self.called) + len(text) + len(rest[0]) < _WIDEST:
            text += (', ' if text else '') + rest.pop(0)
        return f'{self.called}({text}{", ..." if rest else ""})'


def check(thing: Callable, given: Given, called: str = '', code: str = 'G306', is_method: bool = False,
          argument: str = 'argument', places: tuple[Place, ...] = ()) -> None:
    """Refuses arguments that a class or function does not take.

    Args:
        thing: Class or function.
        given: The arguments.
        called (str): What the file calls it, if not by its own name.
        code (str): Of the mistake.
        is_method (bool): Whether the first argument is the link itself, which the file does not give.
        argument (str): What an argument is called in messages.
        places: Where what is called is declared, if that is in the file.

    Raises:
        Mistake: If they don't fit.
    """
    called = called or getattr(thing, '__name__', type(thing).__name__)
    reserved = next(filter(keyword.iskeyword, given.names), None)
    if reserved is not None:
        raise mistake(code, f'`{called}` takes no {argument} `{reserved}`', given.span_of(reserved),
                      reason='this word is reserved in Python', help='leave it out')
    try:
        raw = catalog.signature(thing)
    except (TypeError, ValueError):
        return
    takes_any = any(p.kind is p.VAR_KEYWORD for p in raw.parameters.values())
    further = _further_keywords(thing) if takes_any else ()
    fit(signature(thing, called, is_method), given, code, argument, places=places,
        takes_any=further is None)


def signature(thing: Callable, called: str = '', is_method: bool = False) -> Signature:
    """Returns how a class or function is called; raises TypeError or ValueError where that cannot be told."""
    takes_any = any(p.kind is p.VAR_KEYWORD for p in catalog.signature(thing).parameters.values())
    return _signature(called or getattr(thing, '__name__', type(thing).__name__), thing, is_method,
                      (takes_any and _further_keywords(thing)) or ())


def fit(signature: Signature, given: Given, code: str = 'G306', argument: str = 'argument',
        notes: tuple[str, ...] = (), places: tuple[Place, ...] = (), takes_any: bool = False) -> None:
    """Refuses arguments that do not fit a signature.

    Args:
        signature: Of what is called.
        given: The arguments.
        code (str): Of the mistake.
        argument (str): What an argument is called in messages.
        notes: Facts to add to the signature.
        places: Where what is called is defined, if that is in the file.
        takes_any (bool): Whether it takes any other keyword argument too.

    Raises:
        Mistake: If they don't fit.
    """
    positional, names = signature.positional, signature.names
    filled = positional[:given.count]
    unknown = [] if takes_any else [name for name in given.names if name not in names]
    twice = next((name for name in given.names if name in filled), None)
    missing = [name for name in signature.needed if name not in filled and name not in given.names]
    if unknown:
        errors = [_unknown(name, signature, given, code, argument) for name in unknown]
    elif given.count is None:
        return
    elif given.count > len(positional) and not signature.takes_more:
        errors = [_too_many(signature, given, code, argument)]
    elif twice is not None:
        errors = [_twice(twice, signature, given, code, argument)]
    elif missing:
        errors = [_missing(missing, signature, given, code, argument)]
    else:
        return
    first, *others = (replace(error.diagnostic, notes=(*notes, f'its signature is `{signature}`'),
                              places=error.diagnostic.places + places) for error in errors)
    raise Mistake(first, others)


def _unknown(name: str, signature: Signature, given: Given, code: str, argument: str) -> Mistake:
    span, keyword = given.span_of(name), given.keyword(name)
    names = signature.names
    message = f'`{signature.called}` takes no {argument} `{name}`'
    opposite = OPPOSITES.get(name)
    if opposite in names and keyword is not None and isinstance(keyword.value, nodes.Constant):
        change = f'{opposite}={"false" if keyword.value.value else "true"}'
        return mistake(code, message, span, reason='it says the opposite', help=f'write `{change}`',
                       edits=(Edit(keyword.span, change),))
    elsewhere = next((a for a in ARGUMENTS.get(name, ()) if a in names and a not in given.names), '')
    advice = next((text for needs, text in ARGUMENT_ADVICE.get(name, ()) if not needs or needs in names), '')
    if elsewhere:
        is_sure = keyword is not None and not isinstance(keyword.value, nodes.String)
        return mistake(code, message, span, reason='it has another name here', help=f'write `{elsewhere}`',
                       edits=(Edit(span, elsewhere),) if is_sure else ())
    if advice:
        return mistake(code, message, span, reason=f'no such {argument}', help=advice)
    found = meant(name, names, names={})
    if found:
        is_sure = keyword is not None and is_certain(name, found, names) and found not in given.names
        return mistake(code, message, span, reason=f'no such {argument}', help=f'did you mean `{found}`?',
                       edits=(Edit(span, found),) if is_sure else ())
    return mistake(code, message, span, reason=f'no such {argument}',
                   help=_listing(names, argument))


def _twice(name: str, signature: Signature, given: Given, code: str, argument: str) -> Mistake:
    first = given.span_from_end(given.count - signature.positional.index(name))
    return mistake(code, f'`{signature.called}` gets its {argument} `{name}` twice', given.span_of(name),
                   reason='again by its name', help='remove one of the two',
                   places=(Place(first, 'by its place'),) if first != given.span else ())


def _too_many(signature: Signature, given: Given, code: str, argument: str) -> Mistake:
    most = len(signature.positional)
    takes = f'{counted(most, argument)}' if most else f'no {argument}s'
    by_name = [f'`{name}=...`' for name in signature.names if name not in signature.positional]
    if given.several is not None and given.several > 1:
        help = f'its first {given.several} {argument}s are the results of the stage before; name them first'
    else:
        help = 'remove what is too many' + (', or give it its name: ' + ' or '.join(by_name[:3]) if by_name else '')
    return mistake(code, f'`{signature.called}` takes {takes}{" by place" if by_name else ""}, and gets {given.count}',
                   given.span_from_end(given.count - most), help=help,
                   reason='one too many' if given.count == most + 1 else 'too many from here on')


def _missing(missing: list[str], signature: Signature, given: Given, code: str, argument: str) -> Mistake:
    what = ', '.join(f'`{name}`' for name in missing[:-1]) + (' and ' if missing[1:] else '') + f'`{missing[-1]}`'
    by_name = [f'`{name}=...`' for name in missing if name not in signature.nameless]
    help = 'add ' + (', '.join(by_name) or what)
    if argument == 'input' and given.call is None:
        help = f'write `({", ".join(signature.positional)}) -> {signature.called} -> ...`'
    return mistake(code, f'`{signature.called}` needs a value for {what}', given.span, reason='not given here',
                   help=help)


def counted(count: int, noun: str) -> str:
    """Returns ``1 input``, ``2 inputs``."""
    return f'{count} {noun}' if count == 1 else f'{count} {noun}s'


def _listing(names: Sequence[str], argument: str) -> str:
    return f'its {argument}s are ' + ', '.join(f'`{name}`' for name in names) if names else f'it takes no {argument}s'


@functools.lru_cache(maxsize=1024)
def _signature(called: str, thing: Callable, is_method: bool, further: tuple[tuple[str, str], ...]) -> Signature:
    """Returns how a class or function is called."""
    parameters = list(catalog.signature(thing).parameters.values())
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if is_method and by_place:      # without it, `*args` begins with the link
        parameters.remove(by_place.pop(0))
    named = [*by_place, *(p for p in parameters if p.kind is p.KEYWORD_ONLY)]
    return Signature(called, tuple(p.name for p in by_place),
                     tuple(p.name for p in named if p.default is p.empty),
                     tuple((p.name, _written(p.default)) for p in named if p.default is not p.empty) + further,
                     any(p.kind is p.VAR_POSITIONAL for p in parameters),
                     tuple(p.name for p in parameters if p.kind is p.POSITIONAL_ONLY))


def _written(default: Any) -> str:
    """Returns a default as a graph file writes it."""
    if default is None or isinstance(default, (bool, int, float, str, list, tuple)):
        return numbers.shown(default)
    return '...'


@functools.lru_cache(maxsize=1024)
def _further_keywords(thing: Callable) -> Optional[tuple[tuple[str, str], ...]]:
    """Returns what a callable takes out of its ``**kwargs``, with defaults; None where that cannot be told.

    Chainer takes them out by ``argument.parse_kwargs(kwargs, ('dilate', 1), ('groups', 1))``.
    """
    function = vars(thing).get('__init__') if inspect.isclass(thing) else thing
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    found = [argument.elts for call in ast.walk(tree) if isinstance(call, ast.Call)
             and getattr(call.func, 'attr', getattr(call.func, 'id', '')) == 'parse_kwargs'
             for argument in call.args if isinstance(argument, ast.Tuple)]
    return tuple((name.value, _written(getattr(default, 'value', ...))) for name, default in found) or None
