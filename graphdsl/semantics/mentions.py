"""Which names a file mentions, wherever they stand: also in branches that are not taken."""
from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping

from graphdsl.semantics import catalog
from graphdsl.semantics.absent import hidden
from graphdsl.diagnostics import Diagnostic, Place, Span
from graphdsl.syntax import nodes

# Fields of statements that bind names, and mention only what stands in brackets.
_BINDING = {'target', 'targets', 'results', 'name', 'names', 'variable', 'inputs', 'outputs'}
_STAGES = {'stages', 'function', 'link'}


@dataclass(frozen=True)
class Mention:
    """A name that something uses.

    Attributes:
        node: The name.
        is_call: Whether it stands where something is called.
        in_body: Whether it stands in a model or block.
    """

    node: nodes.Name
    is_call: bool
    in_body: bool


def names_in(node: Any) -> Iterator[str]:
    """Yields the names within an expression, from left to right."""
    if isinstance(node, nodes.Name):
        yield node.name
    elif isinstance(node, tuple):
        for item in node:
            yield from names_in(item)
    elif dataclasses.is_dataclass(node) and not isinstance(node, Span):
        for field in dataclasses.fields(node):
            yield from names_in(getattr(node, field.name))


def mentions(tree: nodes.Braces) -> Iterator[Mention]:
    """Yields all names that a file uses."""
    pending: list[tuple[Any, bool, bool]] = [(tree, False, False)]
    while pending:
        node, is_call, in_body = pending.pop()
        if isinstance(node, tuple):
            pending.extend((item, is_call, in_body) for item in node)
        elif isinstance(node, nodes.Name):
            yield Mention(node, is_call, in_body)
        elif isinstance(node, nodes.Node):
            in_body = in_body or isinstance(node, (nodes.Chain, nodes.Body))
            for field, value in vars(node).items():
                if isinstance(value, (nodes.Node, tuple)):
                    value = _indices(value) if field in _BINDING else value
                    is_base = field == 'base' and is_call
                    pending.append((value, field in _STAGES or is_base, in_body))


def _indices(target: Any) -> tuple:
    """Returns what stands in the brackets of names that a statement binds."""
    targets = target if isinstance(target, tuple) else (target,)
    return tuple(item for one in targets if isinstance(one, nodes.Index) for item in one.items)


def unused(tree: nodes.Braces, found: Iterable[Mention], streams: Iterable[str]) -> Iterator[Diagnostic]:
    """Yields a warning for each param, import, hyper-parameter and data block that nothing uses.

    Args:
        tree: The file.
        found: What it mentions.
        streams: Names of the data blocks that inputs and noise read.
    """
    named = {mention.node.name for mention in found}
    streams = set(streams)
    for statement in tree.statements:
        if isinstance(statement, nodes.Param) and statement.name.name not in named:
            yield _nothing('uses the param', statement.name, 'nothing depends on it', 'remove it')
        elif isinstance(statement, nodes.Import):
            for name in statement.names:
                if name.name not in named:
                    yield _nothing('uses the import', name, 'its module is run for nothing', 'remove it')
        elif isinstance(statement, nodes.Block):
            inner = {mention.node.name for mention in mentions(nodes.Braces(statement.span, (statement,)))}
            for parameter in statement.parameters:
                if parameter.name.name not in inner:
                    yield _nothing('in the block uses', parameter.name, 'a hyper-parameter', 'remove it')
        elif isinstance(statement, nodes.Data) and statement.name.name not in streams:
            name = statement.name.name
            yield _nothing('reads the data block', statement.name, 'no input is from it',
                           f'declare what is in it, `input x: float32[...] from {name}`, or remove it')


def _nothing(does: str, name: nodes.Name, reason: str, help: str) -> Diagnostic:
    return Diagnostic('G130', f'nothing {does} `{name.name}`', name.span, reason=reason, help=help,
                      severity='warning')


def hiding(found: Iterable[Mention], models: Mapping[str, Span]) -> Iterator[Diagnostic]:
    """Yields a warning for each model that has the name of a function of Chainer that a body calls.

    Bodies see no models, so one name would mean two things in the file.

    Args:
        found: What the file mentions.
        models: Its models, with the place of each.
    """
    twofold = {name for name in models if name in catalog.members('functions') or name in catalog.members('links')}
    for mention in found if twofold else ():
        name = mention.node.name
        if mention.is_call and mention.in_body and name in twofold:
            twofold.discard(name)
            yield Diagnostic('G131', f'`{name}` is a model here, and {hidden(name)} in a body', models[name],
                             reason='the model', places=(Place(mention.node.span, 'not the model'),),
                             help='give the model another name', severity='warning')
