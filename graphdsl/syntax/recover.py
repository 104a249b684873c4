"""Finds a syntax error per statement, and reads the statements that have none."""
from __future__ import annotations

import bisect
import re
from dataclasses import replace
from typing import Iterable, Iterator, Optional, Union

from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from graphdsl.diagnostics import Diagnostic, Mistake, Span, in_order
from graphdsl.limits import Limits
from graphdsl.syntax import nodes
from graphdsl.syntax.brackets import match
from graphdsl.syntax.explain import explain
from graphdsl.syntax.grammar import accepted, tree_of
from graphdsl.syntax.reading import Reading
from graphdsl.syntax.scan import Token, scan
from graphdsl.syntax.signs import wrong_by_itself
from graphdsl.syntax.statements import Part, Splitter
from graphdsl.syntax.words import BRACES, closest

# What makes a statement of braces one of a file.
_AROUND = {'': ('', ''), 'data': ('data _ {', '}'), 'optimizer': ('optimizer _() {', '}'), 'step': ('step _ {', '}'),
           'train': ('train {', '}')}
# Braces of these are of the kind that the statement stands in; of the others, of the kind that is named.
_TRANSPARENT = {'for', 'if', 'else', 'elif', 'while', '{'}
_OPENING = {**{kind: kind for kind in BRACES if kind}, 'model': '', 'block': '', 'class': '', 'def': ''}
_VISIBLE = re.compile(r'[^\r\n]')


def recover(text: str, limits: Limits = Limits()) -> tuple[nodes.Braces, tuple[Diagnostic, ...], tuple[Span, ...]]:
    """Reads a text with syntax errors.

    Each statement is read for itself, without what its braces hold. Those that cannot be read are blanked out, and the
    rest, which is right, is parsed as a whole.

    Args:
        text: Text of a file.
        limits: How deep it may be, and how many errors are shown.

    Returns:
        The statements that are right, what is wrong with the others, and where these are.
    """
    recovery = _Recovery(text, limits)
    recovery.run()
    diagnostics, broken = in_order(recovery.diagnostics), recovery.broken
    nothing = nodes.Braces(Span(0, len(text)), ())
    if recovery.gave_up:
        return nothing, diagnostics, (nothing.span,)
    try:
        return tree_of(_blanked(text, broken), limits), diagnostics, tuple(broken)
    except Mistake as error:        # all together they are nested too deeply
        return nothing, in_order([*diagnostics, error.diagnostic]), (nothing.span,)
    except UnexpectedInput:         # what is left depends on what is blanked out
        return nothing, diagnostics, (nothing.span,)


class _Recovery:
    """One run over a text. Braces are entered with a stack of our own: they may be nested deeply."""

    def __init__(self, text: str, limits: Limits):
        self.text = text
        self.limits = limits
        self.tokens = scan(text)
        self.brackets = match(self.tokens)
        self.splitter = Splitter(self.tokens, self.brackets)
        self.diagnostics: list[Diagnostic] = []
        self.broken: list[Span] = []
        self.gave_up = False

    def run(self) -> None:
        pending = [self._inside(0, len(self.tokens), '', None)]
        while pending:
            found = next(pending[-1], None)
            if found is None:
                pending.pop()
                continue
            part, braces, opening = found
            part = self._check(part, braces, opening)
            if len(self.diagnostics) >= max(self.limits.errors - 1, 1) or len(pending) > self.limits.depth:
                self._give_up(part, len(pending) > self.limits.depth)
                return
            kind = self._kind(part, braces)
            inner = opening if part.first in _TRANSPARENT else part.tokens[0]
            pending += (self._inside(i + 1, self.brackets.ends[i], kind, inner)
                        for i in (reversed(part.braces) if kind is not None else ()))

    def _inside(self, start: int, stop: int, braces: str, opening: Optional[Token]
                ) -> Iterator[tuple[Part, str, Optional[Token]]]:
        return ((part, braces, opening) for part in self.splitter.split(start, stop))

    def _kind(self, part: Part, braces: str) -> Optional[str]:
        """Returns the kind of a statement's braces; None for a statement of which nobody knows what it shall be."""
        if part.first in _TRANSPARENT:
            return braces
        word = part.first if part.first in _OPENING else closest(part.first, _OPENING)
        return _OPENING.get(word)

    def _give_up(self, part: Part, too_deep: bool) -> None:
        self.gave_up = True
        if too_deep:
            self.diagnostics.append(Diagnostic('G009', 'this is nested too deeply', part.tokens[0].span,
                                               reason=f'more than {self.limits.depth:,} levels'))
        else:
            self.diagnostics.append(Diagnostic('G029', 'there may be more syntax errors', part.tokens[-1].span,
                                               reason='the errors up to here are shown',
                                               help=self.limits.advice('errors')))

    def _check(self, part: Part, braces: str, opening: Optional[Token]) -> Part:
        """Notes what is wrong with a statement itself, if anything is.

        Returns:
            The statement, or the second of two that an arrow at the end of the first has joined.
        """
        diagnostic = wrong_by_itself(part.tokens, part.positions, self.brackets, self.tokens)
        broken = left = part
        if diagnostic is None:
            reading = self._read(part, braces, opening)
            if isinstance(reading, Reading):
                joined = self._joined(part, reading)
                if joined:
                    first, rest = self._cut(part, joined)
                    alone = self._read(first, braces, opening)
                    if alone is not None and self._read(rest, braces, opening) is None:
                        broken, reading, left = first, alone, rest
            diagnostic = explain(reading) if isinstance(reading, Reading) else reading
        if diagnostic is not None:
            self.diagnostics.append(diagnostic)
            end = max([broken.tokens[-1].end, *(self._end_of(i) for i in broken.braces)])
            self.broken.append(Span(broken.tokens[0].start, end))
        return left

    def _end_of(self, opening: int) -> int:
        """Returns where what an opening bracket holds ends in the text."""
        end = self.brackets.ends[opening]
        return self.tokens[end - 1].end if opening in self.brackets.unclosed else self.tokens[end].end

    def _read(self, part: Part, braces: str, opening: Optional[Token]) -> Union[Reading, Diagnostic, None]:
        """Reads a statement alone: None if it is right, how far it was read, or what is wrong with it."""
        before, after = _AROUND[braces]
        start = part.tokens[0].start
        text = self._alone(part)
        try:
            tree_of(before + text + after, self.limits)
        except Mistake as error:
            diagnostic = _shifted(error.diagnostic, start - len(before))
            cut = next((t for t in part.tokens if t.start < diagnostic.span.start < t.end and t.kind == 'word'), None)
            return diagnostic if cut is None else self._read_without(cut, part, text, braces, opening)
        except UnexpectedInput as error:
            place = _place(error)
            at = len(part.tokens) if place is None else _token_at(part.tokens, place + start - len(before))
            choices = accepted(error)
            choices |= {'END'} if '}' in choices else set()
            return Reading(part.tokens, at, choices, braces, opening, self._follower(part))
        return None

    def _read_without(self, word: Token, part: Part, text: str, braces: str, opening: Optional[Token]) -> Reading:
        """Reads a statement up to a word that the parser would cut in two, such as `hooks`."""
        start = part.tokens[0].start
        before, _ = _AROUND[braces]
        try:
            tree_of(f'{before}{text[:word.start - start]} ?', self.limits)
            choices = frozenset()
        except UnexpectedInput as error:
            choices = accepted(error)
        choices |= {'END'} if '}' in choices else set()
        return Reading(part.tokens, part.tokens.index(word), choices, braces, opening, self._follower(part))

    def _alone(self, part: Part) -> str:
        """Returns the text of a statement, with blanks for all that its braces hold."""
        pieces = []
        at = part.tokens[0].start
        for i in part.braces:
            end = self.tokens[self.brackets.ends[i]].start
            pieces += [self.text[at:self.tokens[i].end], ' ' * (end - self.tokens[i].end)]
            at = end
        return ''.join([*pieces, self.text[at:part.tokens[-1].end]])

    def _follower(self, part: Part) -> str:
        """Says what comes after a statement."""
        i = part.positions[-1] + 1
        if i < len(self.tokens) and self.tokens[i].text in ('}', ';'):
            return 'statement'
        return 'line' if any(token.kind != 'newline' for token in self.tokens[i:i + 50]) else 'file'

    # Lines that were joined

    def _joined(self, part: Part, reading: Reading) -> int:
        """Returns which token starts the last line that a sign at the end of the line before joined to it, or 0."""
        for i in range(min(reading.at, len(part.tokens) - 1), 0, -1):
            if part.tokens[i - 1].goes_on and part.positions[i] > part.positions[i - 1] + 1 and \
                    part.tokens[i - 1].text != '}':
                return i
        return 0

    def _cut(self, part: Part, i: int) -> tuple[Part, Part]:
        place = part.positions[i]
        return (Part(part.tokens[:i], part.positions[:i], tuple(b for b in part.braces if b < place)),
                Part(part.tokens[i:], part.positions[i:], tuple(b for b in part.braces if b >= place)))


def _place(error: UnexpectedInput) -> Optional[int]:
    """Returns where a text is wrong, None for its end."""
    if isinstance(error, UnexpectedToken):
        return error.token.start_pos if error.token.type != '$END' else None
    return error.pos_in_stream if isinstance(error, UnexpectedCharacters) else None


def _token_at(tokens: Iterable[Token], place: int) -> int:
    """Returns which token is at a place or the first one after it; their number for none."""
    return bisect.bisect_right([token.end for token in tokens], place)


def _shifted(diagnostic: Diagnostic, by: int) -> Diagnostic:
    """Moves a diagnostic to another place."""
    def moved(span: Span) -> Span:
        return Span(span.start + by, span.end + by)

    return replace(diagnostic, span=moved(diagnostic.span),
                   places=tuple(replace(place, span=moved(place.span)) for place in diagnostic.places),
                   edits=tuple(replace(edit, span=moved(edit.span)) for edit in diagnostic.edits))


def _blanked(text: str, spans: Iterable[Span]) -> str:
    """Returns a text with blanks in some places, whose lines stay."""
    pieces = []
    at = 0
    for span in sorted(spans, key=lambda span: span.start):
        if span.end > at:
            start = max(span.start, at)
            pieces += [text[at:start], _VISIBLE.sub(' ', text[start:span.end])]
            at = span.end
    return ''.join([*pieces, text[at:]])
