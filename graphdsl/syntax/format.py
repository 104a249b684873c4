"""The canonical layout of a graph file."""
from __future__ import annotations

import bisect
import re
import sys
from dataclasses import dataclass, replace
from typing import Optional

from graphdsl.diagnostics import GraphError, Source, Span
from graphdsl.limits import Limits
from graphdsl.syntax import nodes
from graphdsl.syntax.layout import SPACE, Document, Group, Indent, Line, render, separated
from graphdsl.syntax.parse import parse
from graphdsl.syntax.printing import print_node

_STRING_OR_COMMENT = re.compile(r'''"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*'|(#[^\r\n]*)''')
_NEWLINE = re.compile(r'\r\n|\r|\n')


def format_source(source: Source, limits: Limits = Limits()) -> str:
    """Lays a graph file out anew.

    The layout depends on the syntax tree, the comments, and on what else a writer decides: where blank lines
    stand, and which braces stand on one line.

    Args:
        source: Text of the file.
        limits: How long and deep it may be.

    Returns:
        The text that `graphdsl fmt` writes. It means the same and holds the same comments.

    Raises:
        GraphError: With the first syntax error.
        AssertionError: If the result would mean something else or lack a comment: a mistake of this function.
    """
    tree = parse(source, limits)
    result = Source(render(_Layout(source).file(tree)), source.name)
    _prove(source, tree, result, limits)
    return result.text


def _prove(source: Source, tree: nodes.Braces, result: Source, limits: Limits) -> None:
    try:
        same = parse(result, replace(limits, file_size=sys.maxsize)) == tree
    except GraphError:
        same = False
    if not same:
        raise AssertionError(f'the formatter would change what {source.name} means; please report this')
    if _words(result) != _words(source):
        raise AssertionError(f'the formatter would change the comments of {source.name}; please report this')


def print_tree(tree: nodes.Braces) -> str:
    """Prints a syntax tree that need not have been read from a text.

    Args:
        tree: The statements of a file.

    Returns:
        A text that parses to this tree. Braces stand on one line where they fit.
    """
    return render(_Layout(Source('')).file(tree))


def comments(source: Source) -> list[Span]:
    """Returns where the comments of a graph file stand, each from its ``#`` to the end of its line."""
    return [Span(*match.span(1)) for match in _STRING_OR_COMMENT.finditer(source.text) if match[1]]


def _words(source: Source) -> list[str]:
    """Returns what the comments of a file say, in an order that doesn't depend on their places."""
    return sorted(source[comment][1:].strip() for comment in comments(source))


@dataclass(frozen=True)
class _Item:
    """A statement, or a comment on a line of its own.

    Attributes:
        span: Its place in the source; for a comment from within a statement, the start of that statement.
        document: How it is printed.
        comment: The comment at the end of its last line.
    """

    span: Span
    document: Document
    comment: Optional[Span] = None


class _Layout:
    """Joins documents of statements, comments and blank lines, and fills in the braces."""

    def __init__(self, source: Source):
        self._source = source
        self._comments = comments(source)
        self._starts = [comment.start for comment in self._comments]

    def file(self, tree: nodes.Braces) -> Document:
        items = self._items(tree, 0, len(self._source.text))
        return (*self._lines(items), self._line_after(items[-1])) if items else ''

    def _items(self, braces: nodes.Braces, start: int, end: int) -> list[_Item]:
        """Returns statements and comments between two places in the order in which they are printed."""
        items = []
        for statement in braces.statements:
            span = statement.span
            items += map(self._own_line, self._comments_between(start, span.start))
            document, moved = self._statement(statement)
            items += (replace(self._own_line(comment), span=Span(span.start, span.start)) for comment in moved)
            comment = self._comment_beside(span.end)
            items.append(_Item(span, document, comment))
            start = comment.end if comment else span.end
        items += map(self._own_line, self._comments_between(start, end))
        return items

    def _statement(self, statement: nodes.Statement) -> tuple[Document, list[Span]]:
        """Returns the document of a statement, and the comments in it that have to stand before it.

        Comments around an `else` move into the braces beside or after them.
        """
        parts = []
        before = []
        end = statement.span.start
        for part in print_node(statement):
            if isinstance(part, nodes.Braces):
                passed = self._comments_between(end, part.span.start)
                if end == statement.span.start:     # these are the first braces
                    before += passed
                    passed = []
                end = part.span.end
                beside = self._comment_beside(end)
                if beside and beside.end < statement.span.end:
                    passed.append(beside)
                    end = beside.end
                part = self._braces(part, passed)
            parts.append(part)
        before += self._comments_between(end, statement.span.end)
        return Group(tuple(parts)), before

    def _braces(self, braces: nodes.Braces, passed: list[Span]) -> Document:
        """Returns the document of braces with other comments as their first lines."""
        start, end = braces.span.start + 1, braces.span.end - 1
        beside = self._comment_beside(start)
        start = beside.end if beside else start
        items = [replace(self._own_line(comment), span=Span(start, start)) for comment in passed]
        items += self._items(braces, start, end)
        if not items and not beside:
            return '{ }'
        if not passed and not _NEWLINE.search(self._source[braces.span]):
            statements = separated((item.document for item in items), Line('; '))
            return '{', Indent((SPACE, *statements)), SPACE, '}'
        first = Line(None, self._beside(beside))
        if not items:
            return '{', first, '}'
        return '{', Indent((first, *self._lines(items))), self._line_after(items[-1]), '}'

    def _lines(self, items: list[_Item]) -> list[Document]:
        lines = [items[0].document]
        for previous, item in zip(items, items[1:]):
            lines += [self._line_after(previous, item), item.document]
        return lines

    def _line_after(self, item: _Item, following: Optional[_Item] = None) -> Line:
        end = item.comment.end if item.comment else item.span.end
        gap = self._source.text[end:following.span.start] if following else ''
        return Line(None, self._beside(item.comment), blank=len(_NEWLINE.findall(gap)) > 1)

    # Comments

    def _comments_between(self, start: int, end: int) -> list[Span]:
        return self._comments[bisect.bisect_left(self._starts, start):bisect.bisect_left(self._starts, end)]

    def _comment_beside(self, end: int) -> Optional[Span]:
        """Returns the comment at the end of the line on which a statement ends or braces open."""
        following = self._comments[bisect.bisect_left(self._starts, end):][:1]
        return next((c for c in following if not self._source.text[end:c.start].strip(' \t;')), None)

    def _own_line(self, comment: Span) -> _Item:
        return _Item(comment, self._text(comment))

    def _beside(self, comment: Optional[Span]) -> str:
        return f'  {self._text(comment)}' if comment else ''

    def _text(self, comment: Span) -> str:
        text = self._source[comment].rstrip()
        return text if len(text) == 1 or text[1] in '!#' or text[1].isspace() else f'# {text[1:]}'
