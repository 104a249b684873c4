"""Paths such as ``trunk.conv1``: parts of models, where they are called, owned or frozen."""
from __future__ import annotations

from dataclasses import replace
from typing import Collection, Iterable, Iterator, Mapping, Union

from graphdsl.semantics import catalog
from graphdsl.semantics.computation import ChainType, Construct, Key, Part, Weight
from graphdsl.semantics.expressions import Expressions
from graphdsl.semantics.graph import Unit
from graphdsl.semantics.scope import RUNNING_NUMBERS, Names
from graphdsl.semantics.wording import listing
from graphdsl.diagnostics import Edit, Mistake, Place, Span, mistake
from graphdsl.syntax import nodes

Content = Union[Construct, ChainType, Weight, None]


def split(node: nodes.Expression, resolver: Expressions) -> tuple[nodes.Expression, tuple[str, ...]]:
    """Splits ``net[0].encoder.conv[1]`` into what names the model and the names of the parts.

    Raises:
        Mistake: If this is no path.
    """
    names: list[str] = []
    suffix = ''
    while isinstance(node, nodes.Attribute) or (
            isinstance(node, nodes.Index) and not isinstance(node.base, nodes.Name)):
        if isinstance(node, nodes.Index):
            indices = [resolver.integer(item, 'an index', least=0) for item in node.items]
            suffix = ''.join(f'_{i}' for i in indices) + suffix
        else:
            names.append(node.name + suffix)
            suffix = ''
        node = node.base
    if suffix:
        raise mistake('G108', 'this is not something to call', node.span)
    return node, tuple(reversed(names))


def find(content: Content, path: tuple[str, ...], span: Span, name: str) -> tuple[tuple[str, ...], Content]:
    """Finds a part of a model.

    Args:
        content: What the model is made of.
        path: Names of parts.
        span: For messages.
        name (str): What the model is called.

    Returns:
        The path, with the part's name added that stands for a model made of one imported link; and the part, None
        within an imported link, whose parts are not known before it is made.

    Raises:
        Mistake: If there is no such part.
    """
    found: list[str] = []
    for step in path:
        if isinstance(content, ChainType):
            parts = {part.name: part.content for part in content.parts}
            if step not in parts and len(parts) == 1 and _is_imported(*parts.values()):
                found.append(next(iter(parts)))
                content = None
            elif step not in parts:
                listing = 'its parts are ' + ', '.join(f'`{p}`' for p in parts) if parts else 'it has no parts'
                raise mistake('G316', f'`{name}` has no part `{step}`', span,
                              help=catalog.suggestion(step, parts) or listing)
            else:
                content = parts[step]
        elif content is not None and not _is_imported(content):
            raise mistake('G316', f'`{".".join([name, *found])}` is a link, and its parts have no names here', span,
                          help='parts are the layers, links and blocks of a body')
        else:
            content = None
        found.append(step)
    return tuple(found), content


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


def listed(models: Names) -> str:
    """Returns a help that lists the models of a file."""
    names = models.bases()
    if not names:
        return 'this file has no models'
    return f'the models are {listing([f"`{name}`" for name in names])}' if len(names) > 1 else \
        f'the only model is `{names[0]}`'


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
    base, path = split(node, resolver)
    name = base.base if isinstance(base, nodes.Index) else base
    models = resolver.scope.models
    if not isinstance(name, nodes.Name) or name.name not in models:
        called = name.name if isinstance(name, nodes.Name) else ''
        values = resolver.scope.values
        bound = values.spans[values.members(called)[0]] if called in values and values.members(called) else None
        close = catalog.closest(called, models.bases())
        raise mistake('G408', f'only models and their parts are {what}', name.span,
                      reason=f'`{called}` is a value, which has no parameters' if bound is not None else
                      f'there is no model `{called}`' if called else '',
                      places=(Place(bound, 'bound here'),) if bound is not None else (),
                      help=f'did you mean `{close}`?' if close else listed(models),
                      edits=(Edit(name.span, close),) if close else ())
    found = resolver.select(models, base, name.name)
    keys = [found] if isinstance(found, Key) else found
    if not path:
        return [Unit(key) for key in keys]
    return [_unit(key, chains[key], path, node.span, what) for key in keys if key in chains]


def _unit(model: Key, chain: ChainType, path: tuple[str, ...], span: Span, what: str) -> Unit:
    found, content = find(chain, path, span, str(model))
    if content is None:
        raise mistake('G316', f'a part of an imported link cannot be {what} alone', span,
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


def check_loss(node: nodes.Expression, resolver: Expressions, losses: Collection[Key]) -> None:
    """Refuses the name of a loss, perhaps times a number, that is the name of nothing.

    Raises:
        Mistake: If there is nothing of this name.
    """
    parts = (node.left, node.right) if isinstance(node, nodes.Binary) else \
        (node.operand,) if isinstance(node, nodes.Unary) else (node,)
    for part in parts:
        base = part.base if isinstance(part, nodes.Index) else part
        if isinstance(base, nodes.Name) and base.name not in resolver.scope.value_names() and (
                base.name not in RUNNING_NUMBERS):
            raise no_such(base.span, 'loss', base.name, dict.fromkeys(loss.base for loss in losses))


def no_such(span: Span, what: str, name: str, names: Iterable[object]) -> Mistake:
    """Makes the mistake of a name that nothing has."""
    known = list(map(str, names))
    close = catalog.closest(name, known)
    there = f'there {"is" if len(known) == 1 else "are"} {listing([f"`{k}`" for k in known])}' if known else \
        f'this file has no {what}s'
    return mistake('G101', f'there is no {what} `{name}`', span, help=f'did you mean `{close}`?' if close else there,
                   edits=(Edit(span, close),) if close and span.end - span.start == len(name) else ())
