"""A diagnostic as text for people: its message, the lines that it points at, and the next step."""
from __future__ import annotations

from itertools import groupby
from typing import Callable, Iterable, Iterator, NamedTuple

from rich.cells import cell_len

from graphdsl.diagnostics.diagnostic import Diagnostic
from graphdsl.diagnostics.source import Source, Span

Style = Callable[[str, str], str]

#: Of a longer line, only the surroundings of what is underlined are shown.
_WIDEST = 200


class _Label(NamedTuple):
    line: int
    column: int
    span: Span
    text: str
    role: str


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
        return '\n'.join([headline, *_remarks(diagnostic, '', style)])
    labels = _labels(diagnostic, source)
    margin = ' ' * len(str(max(label.line for label in labels)))
    line, column = source.position(diagnostic.span.start)
    return '\n'.join([headline,
                      margin + style('--> ', 'frame') + f'{_visible(source.name)}:{line}:{column}',
                      margin + style(' |', 'frame'),
                      *_excerpts(labels, source, margin, style),
                      *_remarks(diagnostic, margin, style)])


def _labels(diagnostic: Diagnostic, source: Source) -> list[_Label]:
    found = [(diagnostic.span, diagnostic.reason, diagnostic.severity)]
    found += [(place.span, place.text, 'place') for place in diagnostic.places]
    return sorted((_Label(*source.position(span.start), span, text, role) for span, text, role in found),
                  key=lambda label: (label.line, label.column))


def _remarks(diagnostic: Diagnostic, margin: str, style: Style) -> Iterator[str]:
    remarks = [('note', note) for note in diagnostic.notes]
    remarks += [('help', diagnostic.help)] if diagnostic.help else []
    for kind, text in remarks:
        yield margin + style(' = ', 'frame') + style(kind, 'help') + f': {_visible(text)}'


def _excerpts(labels: Iterable[_Label], source: Source, margin: str, style: Style) -> Iterator[str]:
    """Yields each line that labels are on once, in order, and an underline for each label below it."""
    previous = None
    for number, on_line in groupby(labels, lambda label: label.line):
        if previous is not None and number > previous + 1:
            yield margin + style('...', 'frame')
        previous = number
        on_line = list(on_line)
        text = source.line(number)
        first, last = _window(text, on_line)
        shown = ('...' if first else '') + _visible(text[first:last]) + ('...' if last < len(text) else '')
        yield style(f'{number:>{len(margin)}} |', 'frame') + f' {shown}'
        for label in on_line:
            before = ('   ' if first else '') + _visible(text[first:label.column - 1])
            inside = _visible(text[label.column - 1:last][:max(label.span.end - label.span.start, 1)])
            underline = ('-' if label.role == 'place' else '^') * max(cell_len(inside), 1)
            note = style(f'{underline} {_visible(label.text)}'.rstrip(), label.role)
            yield margin + style(' |', 'frame') + f' {_blank(before)}{note}'


def _window(text: str, labels: list[_Label]) -> tuple[int, int]:
    """Returns which characters of a line to show."""
    if len(text) <= _WIDEST:
        return 0, len(text)
    first = max(min(label.column for label in labels) - 1 - _WIDEST // 4, 0)
    needed = max(label.column for label in labels) - 1 + _WIDEST // 2
    return first, min(max(first + _WIDEST, needed), len(text))


def _blank(text: str) -> str:
    """Returns blanks as wide as a text, tabs where it has tabs."""
    return ''.join(c if c == '\t' else ' ' * cell_len(c) for c in text)


def _visible(text: str) -> str:
    """Returns a text with a visible character for each that would move the cursor, or show something else."""
    def visible(c: str) -> str:
        return c if c.isprintable() or c == '\t' else chr(0x2400 + ord(c)) if c < ' ' else '\ufffd'

    return ''.join(map(visible, text))
