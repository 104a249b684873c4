"""What is wrong with a graph file, as data, and its rendering as text."""
from __future__ import annotations

import bisect
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Callable, Iterable, Iterator

_NEWLINE = re.compile(r'\r\n?|\n')


@dataclass(frozen=True)
class Span:
    """A stretch of a source text: offsets of its first character and of the one after its last."""

    start: int
    end: int


class Source:
    """A text and the name it is shown under.

    Args:
        text (str): The text of a graph file.
        name (str): Its path, or a name such as ``<graph>`` for a text without a file.
    """

    def __init__(self, text: str, name: str = '<graph>'):
        self.text = text
        self.name = name
        self._line_starts = [0] + [match.end() for match in _NEWLINE.finditer(text)]

    def position(self, offset: int) -> tuple[int, int]:
        """Returns the line and column of a character, both counted from 1."""
        line = bisect.bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Returns a line by its number, without the newline."""
        start = self._line_starts[number - 1]
        newline = _NEWLINE.search(self.text, start)
        return self.text[start:newline.start() if newline else None]

    def __getitem__(self, span: Span) -> str:
        return self.text[span.start:span.end]


@dataclass(frozen=True)
class Place:
    """Another place that a diagnostic points at, with a few words on its part in the story."""

    span: Span
    text: str


@dataclass(frozen=True)
class Diagnostic:
    """One mistake, or one warning.

    Attributes:
        code: Stable name of this kind of mistake, such as ``G301``.
        message: What is wrong, in one sentence.
        span: Where.
        reason: A few words beside the underline.
        places: Further places to look at.
        help: The next step.
        severity: ``'error'`` or ``'warning'``.
    """

    code: str
    message: str
    span: Span
    reason: str = ''
    places: tuple[Place, ...] = ()
    help: str = ''
    severity: str = field(default='error')


class GraphError(Exception):
    """Raised for a graph that cannot be compiled or run.

    Attributes:
        diagnostics: Tuple of :class:`Diagnostic`, in the order of the file.
        source: The :class:`Source` they point into.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], source: Source):
        self.diagnostics = tuple(diagnostics)
        self.source = source
        super().__init__(self.diagnostics, source)

    def __str__(self) -> str:
        return '\n\n'.join(render(d, self.source) for d in self.diagnostics)


class Mistake(Exception):
    """Carries one diagnostic out of the construct that it ends; the phase collects it and goes on."""

    def __init__(self, diagnostic: Diagnostic):
        self.diagnostic = diagnostic
        super().__init__(diagnostic.message)


def mistake(code: str, message: str, span: Span, **details) -> Mistake:
    """Makes the exception for a diagnostic; the arguments are those of :class:`Diagnostic`."""
    return Mistake(Diagnostic(code, message, span, **details))


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorts by position and drops repetitions, such as one mistake in each turn of a loop."""
    first = {}
    for diagnostic in diagnostics:
        first.setdefault((diagnostic.code, diagnostic.span), diagnostic)
    return tuple(sorted(first.values(), key=lambda d: (d.span.start, d.span.end, d.code)))


Style = Callable[[str, str], str]


def render(diagnostic: Diagnostic, source: Source, style: Style = lambda text, role: text) -> str:
    """Renders a diagnostic with the lines it points at.

    Args:
        diagnostic: What to show.
        source: The text that it points into.
        style: Called with each piece of text and its role (``error``, ``warning``, ``frame``, ``place``,
            ``help``); returns the text as it shall appear.
    """
    severity = diagnostic.severity
    headline = style(f'{severity}[{diagnostic.code}]', severity) + f': {_visible(diagnostic.message)}'
    if not source.text:
        return '\n'.join([headline] + ([style(' = help', 'help') + f': {diagnostic.help}'] if diagnostic.help else []))
    line, column = source.position(diagnostic.span.start)
    places = [(diagnostic.span, diagnostic.reason, severity)]
    places += [(place.span, place.text, 'place') for place in diagnostic.places]
    margin = len(str(max(source.position(span.start)[0] for span, _, _ in places)))

    lines = [headline,
             ' ' * margin + style('--> ', 'frame') + f'{_visible(source.name)}:{line}:{column}',
             ' ' * margin + style(' |', 'frame')]
    for span, text, role in places:
        lines.extend(_excerpt(span, text, role, source, margin, style))
    if diagnostic.help:
        lines.append(' ' * margin + style(' = ', 'frame') + style('help', 'help') + f': {diagnostic.help}')
    return '\n'.join(lines)


def _excerpt(span: Span, text: str, role: str, source: Source, margin: int, style: Style) -> Iterator[str]:
    """Yields the line a span starts on, and a second one that underlines it."""
    number, column = source.position(span.start)
    line = _visible(source.line(number))
    before, inside = line[:column - 1], line[column - 1:][:max(span.end - span.start, 1)]
    underline = ('^' if role != 'place' else '-') * max(_width(inside), 1)
    note = style(f'{underline} {_visible(text)}'.rstrip(), role)
    blank = ''.join(c if c == '\t' else ' ' * _width(c) for c in before)
    yield style(f'{number:>{margin}} |', 'frame') + f' {line}'
    yield ' ' * margin + style(' |', 'frame') + f' {blank}{note}'


def _visible(text: str) -> str:
    """Returns a text with a visible character for each that would move the cursor, or show something else."""
    def visible(c: str) -> str:
        return c if c.isprintable() or c == '\t' else chr(0x2400 + ord(c)) if c < ' ' else '\ufffd'

    return ''.join(map(visible, text))


def _width(text: str) -> int:
    """Returns how many columns of a terminal a text takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in 'WF' else 1
               for c in text)
