"""Reads a text that is right by the grammar of the language."""
from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Optional

from lark import Lark, Tree, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError
from lark.lexer import PatternStr

from graphdsl.diagnostics import Mistake, Span, mistake
from graphdsl.limits import Limits
from graphdsl.syntax import nodes
from graphdsl.syntax.build import TreeBuilder
from graphdsl.syntax.newlines import Newlines


def tree_of(text: str, limits: Limits) -> nodes.Braces:
    """Returns the statements of a text.

    Args:
        text: The text.
        limits: How deep it may be, and how large its integers.

    Raises:
        UnexpectedInput: At the first thing that cannot stand where it does.
        Mistake: For what is wrong in a way that the grammar cannot say.
    """
    tree = _parser().parse(text)
    _check_depth(tree, limits)
    try:
        return TreeBuilder(limits).transform(tree)
    except VisitError as error:
        if not isinstance(error.orig_exc, Mistake):
            raise
        raise error.orig_exc from None


def accepted(error: UnexpectedInput) -> frozenset[str]:
    """Returns what could stand where a text is wrong.

    Words and signs are given as they are written; other terminals by their names in the grammar; and ``END`` stands
    for the end of the statement.
    """
    terminals = (error.accepts or ()) if isinstance(error, UnexpectedToken) else ()
    written = _written()
    return frozenset(written.get(terminal, terminal) for terminal in terminals)


@functools.lru_cache(maxsize=None)
def _written() -> dict[str, str]:
    words = {t.name: t.pattern.value for t in _parser().terminals if isinstance(t.pattern, PatternStr)}
    return {**words, '$END': 'END', '_NEWLINE': 'END'}


def keywords() -> frozenset[str]:
    """Returns all words that have a meaning of their own somewhere in a statement."""
    return frozenset(word for word in _written().values() if word.isalpha() and word.islower())


@functools.lru_cache(maxsize=None)
def _parser() -> Lark:
    return Lark(_grammar(), parser='lalr', postlex=Newlines(), propagate_positions=True, maybe_placeholders=True,
                cache=_cache_file() or False)


def _grammar() -> str:
    """Returns the grammar: within the package once installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    file = package / 'grammar' / 'graph.lark'
    if not file.exists():
        file = package.parent / 'grammar' / 'graph.lark'
    return file.read_text(encoding='utf-8')


def _cache_file() -> Optional[str]:
    """Returns where to keep the parser's tables, in a folder that only this user can write; None without one."""
    folder = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'graphdsl'
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(folder / 'grammar.cache') if os.access(folder, os.W_OK) else None


def _check_depth(tree: Tree, limits: Limits) -> None:
    """Refuses what is nested too deeply, so that all later walks over the tree may recurse."""
    level = [tree]
    for _ in range(limits.depth):
        level = [child for node in level for child in node.children if isinstance(child, Tree)]
        if not level:
            return
    deep = level[0]
    is_sum = deep.data == 'binary' and deep.children[1] == '+'
    raise mistake('G009', 'this is nested too deeply', Span(deep.meta.start_pos, deep.meta.end_pos),
                  reason=f'more than {limits.depth:,} levels', notes=(limits.advice('depth'),),
                  help='add many values with `sum([a, b, c])`' if is_sum else 'give a part of it a name')
