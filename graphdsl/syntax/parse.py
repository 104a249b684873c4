"""Reads a graph file into its syntax tree."""
from __future__ import annotations

from dataclasses import dataclass

from lark import UnexpectedInput

from graphdsl.diagnostics import Diagnostic, GraphError, Mistake, Source, Span
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


def parse(source: Source) -> nodes.Braces:
    """Parses a whole file.

    Args:
        source: Text of the file.

    Returns:
        The file's statements.

    Raises:
        GraphError: With all syntax errors.
    """
    parsed = parse_what_is_right(source)
    if parsed.diagnostics:
        raise GraphError(parsed.diagnostics, source)
    return parsed.tree


def parse_what_is_right(source: Source) -> Parsed:
    """Parses a whole file; statements with syntax errors are left out of its tree.

    Args:
        source: Text of the file.
    """
    try:
        return Parsed(tree_of(source.text))
    except (UnexpectedInput, Mistake):
        from graphdsl.syntax.recover import recover
        return Parsed(*recover(source.text))
