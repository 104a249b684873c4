"""What statements with syntax errors leave in doubt: mistakes that may stem from them alone are not reported."""
from __future__ import annotations

import re
from typing import Iterable, Iterator, Union

from graphdsl.semantics import builtins, catalog, numbers
from graphdsl.semantics.scope import MODES, RUNNING_NUMBERS
from graphdsl.semantics.unroll import names_bound
from graphdsl.diagnostics import Diagnostic, Source, Span
from graphdsl.syntax import nodes
from graphdsl.syntax.grammar import keywords
from graphdsl.syntax.parse import Parsed

_WORD = re.compile(r'[A-Za-z_]\w*')
_QUOTED = re.compile(r'`([^`]*)`')

# Something that is named is not there.
_MISSING = {'G101', 'G105', 'G106', 'G107', 'G108', 'G211', 'G217', 'G311', 'G316', 'G405', 'G408', 'G412', 'G501',
            'G503'}
# Braces lack a statement.
_LACKING = {'G128', 'G311', 'G407', 'G502'}
# A value is of the wrong kind, or known too late.
_OF_KIND = {'G104', 'G110', 'G126', 'G218', 'G219', 'G220', 'G303', 'G307', 'G308', 'G309', 'G315'}
# Any statement of the file could settle these.
_OF_THE_WHOLE = {'G125', 'G410', 'G603'}


class Doubts:
    """What the broken statements of a file leave in doubt.

    Args:
        source: Text of the file.
        parsed: Its statements, and where the broken ones stand.

    Attributes:
        names: Names that may be bound in a way that nobody knows.
    """

    def __init__(self, source: Source, parsed: Parsed):
        self._source = source
        self._tree = parsed.tree
        self._broken = parsed.broken
        self._mentioned = {word for span in parsed.broken for word in self._words(span)}
        # An edge without its last name may bind any name.
        self._binds_any = any(source[span].rstrip().endswith('->') for span in parsed.broken)
        self.names = self._followed(self._mentioned - names_bound(parsed.tree) - _known())
        self._mentioned |= self.names

    def cover(self, diagnostic: Diagnostic) -> bool:
        """Says whether a mistake may stem from a broken statement alone."""
        code = diagnostic.code
        if diagnostic.severity == 'warning' or code in _OF_THE_WHOLE:
            return True
        if code in _LACKING and self._encloses_broken(diagnostic.span):
            return True
        words = set(self._words(diagnostic.span))
        if code in _MISSING:
            words.update(word for quoted in _QUOTED.findall(diagnostic.message) for word in _WORD.findall(quoted))
            return not words.isdisjoint(self._mentioned) or (
                code == 'G101' and self._binds_any and not diagnostic.help.startswith('did you mean'))
        is_of_kind = code in _OF_KIND or code.startswith('G2') and code != 'G209'
        return is_of_kind and not words.isdisjoint(self.names)

    def _words(self, span: Span) -> list[str]:
        return _WORD.findall(self._source[span])

    def _encloses_broken(self, span: Span) -> bool:
        around = next((s.span for s in self._tree.statements if s.span.start <= span.start < s.span.end), None)
        return around is not None and any(around.start <= b.start < around.end for b in self._broken)

    def _followed(self, names: set[str]) -> set[str]:
        """Returns names with those that follow from them: of loops that don't unroll, of numbers made from them."""
        users: dict[str, list[frozenset[str]]] = {}
        for span, bound in _dependencies(self._tree):
            for word in self._words(span) if bound else ():
                users.setdefault(word, []).append(bound)
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(other for bound in users.pop(name, ()) for other in bound)
        return found


def _known() -> set[str]:
    """Returns the names that are there without a statement."""
    modules = ('links', 'functions', 'initializers', 'optimizers', 'optimizer_hooks')
    return {*keywords(), *builtins.SIGNATURES, *MODES, *numbers.FUNCTIONS, *RUNNING_NUMBERS,
            *(name for module in modules for name in catalog.members(module))}


def _dependencies(braces: nodes.Braces) -> Iterator[tuple[Span, frozenset[str]]]:
    """Yields texts on which the kinds of some names depend, or whether they are bound, each with these names."""
    for statement in braces.statements:
        if isinstance(statement, nodes.For):
            yield statement.domain.span, frozenset(names_bound(statement.body))
            yield from _dependencies(statement.body)
        elif isinstance(statement, nodes.If):
            yield from _of_branches(statement)
        elif isinstance(statement, (nodes.Model, nodes.Block)) and isinstance(statement.definition, nodes.Body):
            yield from _dependencies(statement.definition.braces)
        else:
            bound = frozenset(names_bound(nodes.Braces(statement.span, (statement,))))
            yield from ((span, bound) for span in _needed(statement))


def _of_branches(branch: Union[nodes.If, nodes.Braces, None]) -> Iterator[tuple[Span, frozenset[str]]]:
    whole = frozenset(names_bound(nodes.Braces(branch.span, (branch,))))
    while isinstance(branch, nodes.If):
        yield branch.condition.span, whole
        yield from _dependencies(branch.body)
        branch = branch.otherwise
    if branch is not None:
        yield from _dependencies(branch)


def _needed(statement: nodes.Statement) -> Iterable[Span]:
    """Returns the places of what decides on the kind of a statement's names: all of a value, else their indices."""
    if isinstance(statement, (nodes.Value, nodes.Loss, nodes.Metric, nodes.Output, nodes.State, nodes.Param)):
        return [statement.span]
    targets = statement.results if isinstance(statement, nodes.Edge) else (getattr(statement, 'target', None),)
    return [item.span for target in targets if isinstance(target, nodes.Index) for item in target.items]
