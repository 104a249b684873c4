"""Reads a graph file into its syntax tree."""
from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Optional

from lark import Lark, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from graphdsl.diagnostics import Diagnostic, GraphError, Mistake, Source, Span, mistake
from graphdsl.limits import Limits
from graphdsl.syntax import nodes
from graphdsl.syntax.build import TreeBuilder
from graphdsl.syntax.newlines import Newlines


def parse(source: Source, limits: Limits = Limits()) -> nodes.Braces:
    """Parses a whole file.

    Args:
        source: Text of the file.
        limits: How long and deep it may be.

    Returns:
        The file's statements.

    Raises:
        GraphError: With the first syntax error.
    """
    try:
        _check_size(source, limits)
        tree = _parser().parse(source.text)
        _check_depth(tree, limits)
        return TreeBuilder(limits).transform(tree)
    except UnexpectedInput as error:
        raise GraphError([_explain(error, source)], source) from None
    except Mistake as error:
        raise GraphError([error.diagnostic], source) from None
    except VisitError as error:
        if not isinstance(error.orig_exc, Mistake):
            raise
        raise GraphError([error.orig_exc.diagnostic], source) from None


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


def _check_size(source: Source, limits: Limits) -> None:
    size = len(source.text.encode('utf-8', 'surrogatepass'))
    if size > limits.file_size:
        raise mistake('G030', f'this file is too large: it has {size:,} bytes', Span(0, 0),
                      help=limits.advice('file_size', size))


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


# What the parser waits for, in the language's words, each with how these start. The first entry whose terminals it
# all accepts wins.
_WORDS = (
    ({'NAME', 'NUMBER', 'LPAR'}, 'an expression', {'LPAR', 'LSQB', 'MODEL', 'OWNS', 'UPDATE'}),
    ({'NAME'}, 'a name', {'MODEL', 'OWNS', 'UPDATE'}),
    ({'STRING'}, 'a string', set()),
    ({'_NEWLINE'}, 'the end of the line', set()),
)
_LITERALS = {
    'LBRACE': '{', 'RBRACE': '}', 'LPAR': '(', 'RPAR': ')', 'LSQB': '[', 'RSQB': ']', 'EQUAL': '=', 'COMMA': ',',
    'COLON': ':', '_ARROW': '->', 'ELSE': 'else', 'FROM': 'from', 'IN': 'in', 'EVERY': 'every', 'OWNS': 'owns',
    'WHEN': 'when', 'STALLS': 'stalls', 'TILDE': '~', 'SAME': 'same', 'THE': 'the', 'NONFINITE': 'nonfinite',
    'UPDATE': 'update', 'MODEL': 'model',
}


def _explain(error: UnexpectedInput, source: Source) -> Diagnostic:
    if isinstance(error, UnexpectedCharacters):
        span = Span(error.pos_in_stream, error.pos_in_stream + 1)
        character = source[span]
        if character in '"\'':
            return Diagnostic('G001', 'this string does not end', span, reason='opened here',
                              help='close it with the same quote, on the same line')
        return Diagnostic('G001', f'`{character}` cannot stand here', span)
    if not isinstance(error, UnexpectedToken):
        return Diagnostic('G002', 'the file ends too early', _end(source))
    expected = _expected(error.accepts or set())
    if error.token.type == '$END':
        return Diagnostic('G002', 'the file ends in the middle of a statement', _end(source), reason=expected)
    token = error.token
    if token.type == '_NEWLINE':
        return Diagnostic('G001', 'the line ends too early', Span(token.start_pos, token.start_pos), reason=expected)
    return Diagnostic('G001', f'`{token}` cannot stand here', Span(token.start_pos, token.end_pos), reason=expected)


def _expected(terminals: set[str]) -> str:
    """Says what could have come, as far as that is short enough to be of help."""
    words, starts = next(((words, starts) for needed, words, starts in _WORDS if needed <= terminals), ('', set()))
    literals = [f'`{_LITERALS[t]}`' for t in sorted(terminals - starts) if t in _LITERALS]
    choices = ([words] if words else []) + (literals if len(literals) <= 4 else [])
    return 'expected ' + ' or '.join(choices) if choices else ''


def _end(source: Source) -> Span:
    end = len(source.text.rstrip())
    return Span(max(end - 1, 0), end)
