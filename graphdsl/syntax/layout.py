"""Documents: text with places where lines may break, and the choice of those that do.

A :class:`Group` stands on one line if it fits, up to the next place after it where a line may break; else the
lines that it holds itself break, and each group within it decides anew.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Iterator, Optional, Union

INDENT = 4
WIDTH = 100


@dataclass(frozen=True)
class Line:
    """A place where a line may break.

    Attributes:
        flat: What stands here while the line goes on; None where it always ends.
        comment: Text at the end of a line that always ends, which doesn't count for its width.
        blank: Whether an empty line follows.
    """

    flat: Optional[str] = ' '
    comment: str = ''
    blank: bool = False


@dataclass(frozen=True)
class Group:
    """Parts that stand on one line if they fit."""

    parts: tuple


@dataclass(frozen=True)
class Indent:
    """Parts whose further lines are indented by one level more."""

    parts: tuple


Document = Union[str, Line, Group, Indent, tuple]

SPACE = Line(' ')
NOTHING = Line('')


def separated(items: Iterable[Document], *separator: Document) -> Iterator[Document]:
    """Yields the items and, between any two of them, the parts of the separator."""
    for i, item in enumerate(items):
        if i:
            yield from separator
        yield item


def brackets(opening: str, items: Iterable[Document], closing: str) -> Document:
    """Joins items by commas between brackets; where they break, an item per line between those of the brackets."""
    inner = tuple(separated(items, ',', SPACE))
    return Group((opening, Indent((NOTHING, *inner)), NOTHING, closing)) if inner else opening + closing


def next_part(*parts: Document) -> Document:
    """Puts parts after a space, or on an indented line of their own where they don't fit behind it."""
    return Indent((Group((SPACE, *parts)),))


def commas(items: Iterable[Document]) -> Document:
    """Joins items by commas; a line breaks where the next item doesn't fit, and further lines are indented."""
    first, *others = items
    return first, *((',', next_part(item)) for item in others)


def render(document: Document) -> str:
    """Returns the text of a document.

    Args:
        document: A text, a :class:`Line`, :class:`Group` or :class:`Indent`, or a tuple of documents.

    Returns:
        Lines of at most :data:`WIDTH` columns, as far as the document can be broken into such.
    """
    text = []
    column = 0
    todo = [(0, False, document)]       # indentation, whether on one line, and a document; the next one last
    while todo:
        indent, flat, part = todo.pop()
        if isinstance(part, tuple):
            todo.extend((indent, flat, p) for p in reversed(part))
        elif isinstance(part, Indent):
            todo.append((indent + INDENT, flat, part.parts))
        elif isinstance(part, Group):
            todo.append((indent, flat or _fits(part, todo, WIDTH - column), part.parts))
        elif isinstance(part, str) or flat:
            word = part if isinstance(part, str) else part.flat
            text.append(word)
            column += len(word)
        else:
            text.append(part.comment + ('\n\n' if part.blank else '\n') + ' ' * indent)
            column = indent
    return ''.join(text)


def _fits(group: Group, after: list, room: int) -> bool:
    """Says whether a group on one line, and what follows it on that line, take no more than the room."""
    todo = [(True, group.parts)]
    left = len(after)
    while room >= 0:
        if not todo:
            if not left:
                return True
            left -= 1
            todo.append(after[left][1:])
        flat, part = todo.pop()
        if isinstance(part, tuple):
            todo.extend((flat, p) for p in reversed(part))
        elif isinstance(part, (Group, Indent)):
            todo.append((flat, part.parts))
        elif isinstance(part, str):
            room -= len(part)
        elif not flat:
            return True
        elif part.flat is None:
            return False
        else:
            room -= len(part.flat)
    return False
