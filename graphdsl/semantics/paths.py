"""Paths such as ``trunk.conv1``: parts of models, where they are called, owned or frozen."""
from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterator, Mapping, Sequence, Union

from graphdsl.semantics.computation import ChainType, Construct, Key, Part, Weight
from graphdsl.semantics.expressions import Expressions
from graphdsl.semantics.graph import Unit
from graphdsl.semantics.scope import RUNNING_NUMBERS, Scope
from graphdsl.semantics.suggestions import listed, unknown
from graphdsl.diagnostics import Mistake, Place, Span, mistake
from graphdsl.syntax import nodes

Content = Union[Construct, ChainType, Weight, None]


def split(node: nodes.Expression, resolver: Expressions
          ) -> tuple[nodes.Expression, tuple[str, ...], tuple[Span, ...]]:
    """Splits ``net[0].encoder.conv[1]`` into what names the model, the names of the parts, and their places.

    Raises:
        Mistake: If this is no path.
    """
    names: list[str] = []
    spans: list[Span] = []
    suffix, end, whole = '', None, node
    while isinstance(node, nodes.Attribute) or (
            isinstance(node, nodes.Index) and not isinstance(node.base, nodes.Name)):
        end = end or node.span.end
        if isinstance(node, nodes.Index):
            indices = [resolver.integer(item, 'an index', least=0) for item in node.items]
            suffix = ''.join(f'_{i}' for i in indices) + suffix
        else:
            names.append(node.name + suffix)
            spans.append(Span(node.span.end - len(node.name), end))
            suffix, end = '', None
        node = node.base
    if suffix:
        raise mistake('G108', 'this is not something to call', whole.span, reason='this has no name',
                      help='a path is a model and parts of it, such as `net.encoder.conv[1]`')
    return node, tuple(reversed(names)), tuple(reversed(spans))


def find(content: Content, path: tuple[str, ...], spans: Sequence[Span], name: str
         ) -> tuple[tuple[str, ...], Content]:
    """Finds a part of a model.

    Args:
        content: What the model is made of.
        path: Names of parts.
        spans: Their places, for messages.
        name (str): What the model is called.

    Returns:
        The path, with the part's name added that stands for a model made of one imported link; and the part, None
        within an imported link, whose parts are not known before it is made.

    Raises:
        Mistake: If there is no such part.
    """
    found: list[str] = []
    for position, step in enumerate(path):
        if isinstance(content, ChainType):
            parts = {part.name: part.content for part in content.parts}
            if step not in parts and len(parts) == 1 and _is_imported(*parts.values()):
                found.append(next(iter(parts)))
                content = None
            elif step not in parts:
                raise _no_part('.'.join([name, *found]), step, parts, spans[position])
            else:
                content = parts[step]
        elif content is not None and not _is_imported(content):
            what = 'an array' if isinstance(content, Weight) else 'a link'
            raise mistake('G316', f'`{".".join([name, *found])}` is {what}, and its parts have no names here',
                          spans[position], reason='no part can be named', places=(Place(content.span, 'made here'),),
                          help='parts are the layers, links and blocks of a body')
        else:
            content = None
        found.append(step)
    return tuple(found), content


def _no_part(whole: str, step: str, parts: Mapping[str, Content], span: Span) -> Mistake:
    details = unknown(step, span, {part: content.span for part, content in parts.items()},
                      'its parts are ' + ', '.join(f'`{p}`' for p in parts) if parts else 'it has no parts',
                      done='made')
    if span.end - span.start != len(step):      # a member of a family is not written like its attribute
        details.pop('edits', None)
    return mistake('G316', f'`{whole}` has no part `{step}`', span, reason='no such part', **details)


def _is_imported(content: Content) -> bool:
    return isinstance(content, Construct) and not content.module


def leaves(content: Union[ChainType, Construct, Weight], path: tuple[str, ...] = (), is_frozen: bool = False
           ) -> Iterator[tuple[tuple[str, ...], Union[Construct, Weight], bool]]:
    """Yields the links and arrays of a chain, each with its path and whether it is frozen."""
    if not isinstance(content, ChainType):
        yield path, content, is_frozen
        return
    for part in content.parts:
        yield from leaves(part.content, (*path, part.name), is_frozen or part.is_frozen)


def unfrozen(content: Content) -> Iterator[tuple[str, ...]]:
    """Yields the paths of what is not frozen, as few of them as possible."""
    if not isinstance(content, ChainType) or not any(is_frozen for _, _, is_frozen in leaves(content)):
        yield ()
        return
    for part in content.parts:
        if not part.is_frozen:
            for path in unfrozen(part.content):
                yield (part.name, *path)


def links(content: Content) -> Iterator[Construct]:
    """Yields the links of a chain, those of the chains within it included; a link yields itself."""
    if isinstance(content, (ChainType, Construct)):
        yield from (leaf for _, leaf, _ in leaves(content) if isinstance(leaf, Construct))


def units(node: nodes.Expression, resolver: Expressions, chains: Mapping[Key, ChainType], what: str = 'owned'
          ) -> list[Unit]:
    """Returns the models, or the part of one, that a path names.

    Raises:
        Mistake: If there is no such model or part.
    """
    base, path, spans = split(node, resolver)
    name = base.base if isinstance(base, nodes.Index) else base
    models = resolver.scope.models
    if not isinstance(name, nodes.Name) or name.name not in models:
        if not isinstance(name, nodes.Name):
            raise mistake('G408', f'only models and their parts are {what}', node.span, reason='this is none',
                          help=listed(models.bases(), 'this file has no models', 'model'))
        raise _no_model(name, resolver.scope, what)
    found = resolver.select(models, base, name.name)
    keys = [found] if isinstance(found, Key) else found
    if not path:
        return [Unit(key) for key in keys]
    return [_unit(key, chains[key], path, spans, what) for key in keys if key in chains]


def _no_model(name: nodes.Name, scope: Scope, what: str) -> Mistake:
    known, bound = scope.models.bases(), scope.values.bases().get(name.name)
    details = unknown(name.name, name.span, known, listed(known, 'this file has no models', 'model'))
    reason = f'there is no model `{name.name}`'
    if bound is not None:
        reason = f'`{name.name}` is a value, which has no parameters'
        details['places'] = (Place(bound, 'bound here'), *details.get('places', ()))
    return mistake('G408', f'only models and their parts are {what}', name.span, reason=reason, **details)


def _unit(model: Key, chain: ChainType, path: tuple[str, ...], spans: Sequence[Span], what: str) -> Unit:
    found, content = find(chain, path, spans, str(model))
    if content is None:
        raise mistake('G316', f'a part of an imported link cannot be {what} alone', spans[-1],
                      reason='what it is made of is not known before it is made',
                      help='take the whole link, or import its parts as links of their own')
    return Unit(model, found)


def frozen(chain: ChainType, path: tuple[str, ...]) -> ChainType:
    """Returns a chain of which one part is frozen."""
    parts = tuple(_frozen_part(part, path[1:]) if part.name == path[0] else part for part in chain.parts)
    return replace(chain, parts=parts)


def _frozen_part(part: Part, path: tuple[str, ...]) -> Part:
    if not path:
        return replace(part, is_frozen=True)
    return replace(part, content=frozen(part.content, path))


def check_loss(node: nodes.Expression, resolver: Expressions, losses: Mapping[Key, Span]) -> None:
    """Refuses the name of a loss, perhaps times a number, that is the name of nothing.

    Raises:
        Mistake: If there is nothing of this name.
    """
    parts = (node.left, node.right) if isinstance(node, nodes.Binary) else \
        (node.operand,) if isinstance(node, nodes.Unary) else (node,)
    for part in parts:
        base = part.base if isinstance(part, nodes.Index) else part
        if isinstance(base, nodes.Name) and not resolver.scope.has_value(base.name) and (
                base.name not in RUNNING_NUMBERS):
            raise no_such(base.span, 'loss', base.name, {loss.base: span for loss, span in losses.items()})


def no_such(span: Span, what: str, name: str, names: Mapping[Any, Span]) -> Mistake:
    """Makes the mistake of a name that nothing has.

    Args:
        span: Where the name stands.
        what (str): Of what there is none.
        name (str): The name.
        names: What there is, with the place of each.
    """
    known = {str(key): place for key, place in names.items()}
    return mistake('G101', f'there is no {what} `{name}`', span, **unknown(
        name, span, known, listed(known, f'this file has no {what}s', what)))
