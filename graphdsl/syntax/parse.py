"""Reads a graph file into its syntax tree."""
from __future__ import annotations

from dataclasses import dataclass

from lark import UnexpectedInput

from graphdsl.diagnostics import Diagnostic, GraphError, Mistake, Source, Span, mistake
from graphdsl.limits import Limits
from graphdsl.syntax import nodes
from graphdsl.syntax.grammar import tree_of


@dataclass(frozen=True)
class Parsed:
    """What was read of a file.

    Attributes:
        tree: The statements that are right.
        diagnostics: What is wrong with the others, one for each, in the order of the file.
        broken: Where these others stand.
    """

    tree: nodes.Braces
    diagnostics: tuple[Diagnostic, ...] = ()
    broken: tuple[Span, ...] = ()


def parse(source: Source, limits: Limits = Limits()) -> nodes.Braces:
    """Parses a whole file.

    Args:
        source: Text of the file.
        limits: How long and deep it may be.

    Returns:
        The file's statements.

    Raises:
        GraphError: With all syntax errors.
    """
    parsed = parse_what_is_right(source, limits)
    if parsed.diagnostics:
        raise GraphError(parsed.diagnostics, source)
    return parsed.tree


def parse_what_is_right(source: Source, limits: Limits = Limits()) -> Parsed:
    """Parses a whole file; statements with syntax errors are left out of its tree.

    Args:
        source: Text of the file.
        limits: How long and deep it may be.

    Raises:
        GraphError: If it is too long to be read.
    """
    _check_size(source, limits)
    try:
        return Parsed(tree_of(source.text, limits))
    except (UnexpectedInput, Mistake):
        from graphdsl.syntax.recover import recover
        return Parsed(*recover(source.text, limits))


def _check_size(source: Source, limits: Limits) -> None:
    size = len(source.text.encode('utf-8', 'surrogatepass'))
    if size > limits.file_size:
        wrong = mistake('G030', f'this file is too large: it has {size:,} bytes', Span(0, 0),
                        help=limits.advice('file_size', size))
        raise GraphError([wrong.diagnostic], source)
