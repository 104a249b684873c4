"""Resolves what is made once, before the first minibatch: links, initializers, optimizers, hooks."""
from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Optional

from graphdsl.semantics import calls, catalog
from graphdsl.semantics.calls import Given, Signature, name_span
from graphdsl.semantics.elsewhere import ADVICE
from graphdsl.semantics.expressions import Expressions, is_known, literal, plain
from graphdsl.semantics.computation import Construct, Expression, Literal, Sequence
from graphdsl.semantics.numbers import shown
from graphdsl.semantics.suggestions import unknown
from graphdsl.semantics.wording import with_article
from graphdsl.diagnostics import Mistake, Place, Span, mistake
from graphdsl.syntax import nodes

_KINDS = {'links': 'link', 'initializers': 'initializer', 'optimizers': 'optimizer', 'optimizer_hooks': 'hook'}
_EXAMPLES = {'links': 'Linear(10)', 'initializers': 'HeNormal()', 'optimizers': 'Adam()',
             'optimizer_hooks': 'WeightDecay(1e-4)'}
_PLACES = {'link': 'links stand in models', 'initializer': 'initializers stand among the arguments of links',
           'optimizer': 'optimizers stand after the word `optimizer`', 'hook': 'hooks stand after the word `hook`'}


@dataclass(frozen=True)
class Constructs(Expressions):
    """Resolves calls of classes."""

    def construct(self, module: str, base: nodes.Name, span: Span, call: Optional[nodes.Call]) -> Construct:
        """Resolves a class of Chainer, or an imported one, with its arguments.

        Args:
            module (str): Module of Chainer, as in :func:`catalog.members`.
            base: The class's name.
            span: Of the whole call.
            call: The call, or None for a bare name, which has no arguments.
        """
        name = base.name
        imported = name in self.scope.imported
        if not imported and name not in catalog.members(module):
            raise self._unknown_class(module, base)
        if not imported and catalog.needs_python(name):
            raise needs_python(base)
        thing = self.scope.imported[name] if imported else catalog.members(module)[name]
        arguments, keywords = self._constants(name, call, with_initializers=module in ('links', 'initializers'))
        names = [keyword for keyword, _ in keywords]
        size = catalog.inferred_size(name, len(arguments), names) if module == 'links' and not imported else None
        if size is not None:
            position, size_name = size
            if position <= len(arguments):
                arguments = arguments[:position] + (Literal(span, None),) + arguments[position:]
            else:
                keywords = ((size_name, Literal(span, None)), *keywords)
        names = [keyword for keyword, _ in keywords]
        given = Given(span, len(arguments), names, call)
        calls.check(thing, given, name if imported else '')
        if module in ('optimizers', 'optimizer_hooks') and not imported:
            check_numbers(thing, name, arguments, keywords)
        missing = catalog.missing_size(name, len(arguments), names) if size is not None else ''
        if missing:
            raise mistake('G306', f'`{name}` needs a value for `{missing}`', span, reason='not given here',
                          notes=(f'its signature is `{calls.signature(thing)}`',
                                 'the size of what comes in is left out here'),
                          help=f'add `{missing}=...`')
        if module == 'links' and not imported and catalog.lacks_size_and_axis(name, len(arguments), names):
            raise mistake('G306', f'`{name}` needs a value for `size` or `axis`', span, reason='neither is given',
                          help=f'write the number of channels, `{name}(32)`, or the axes that it averages over, '
                               f'`{name}(axis=(0, 2, 3))`')
        return Construct(span, '' if imported else module, name, arguments, keywords, catalog.is_stateful(thing))

    def _constants(self, name: str, call: Optional[nodes.Call], with_initializers: bool
                   ) -> tuple[tuple[Expression, ...], tuple[tuple[str, Expression], ...]]:
        """Resolves the arguments of a class: all are known while compiling."""
        if call is None:
            return (), ()
        check_repeated(call)
        what = f'an argument of `{name}`'

        def resolve(node: nodes.Expression) -> Expression:
            if with_initializers and isinstance(node, (nodes.List, nodes.Tuple)):
                kind = 'list' if isinstance(node, nodes.List) else 'tuple'
                return Sequence(node.span, kind, tuple(map(resolve, node.items)))
            if with_initializers and self._is_initializer(node):
                return self.construct('initializers', node.function, node.span, node)
            return literal(node.span, self.constant(node, what))

        return (tuple(map(resolve, call.arguments)), tuple((k.name, resolve(k.value)) for k in call.keywords))

    def _is_initializer(self, node: nodes.Expression) -> bool:
        if not (isinstance(node, nodes.Call) and isinstance(node.function, nodes.Name)):
            return False
        name = node.function.name
        return name in self.scope.imported or (name[0].isupper() and name not in self.scope.models)

    def arguments(self, call: Optional[nodes.Call]
                  ) -> tuple[tuple[Expression, ...], tuple[tuple[str, Expression], ...]]:
        """Resolves the arguments of something that computes."""
        if call is None:
            return (), ()
        check_repeated(call)
        return (tuple(self.expression(argument) for argument in call.arguments),
                tuple((k.name, self.expression(k.value)) for k in call.keywords))

    def hyperparameters(self, block: nodes.Block, call: Optional[nodes.Call], span: Span) -> dict[str, Any]:
        """Returns the hyper-parameters that a use of a block gives it, by name."""
        arguments, keywords = self.arguments(call)
        names = tuple(parameter.name.name for parameter in block.parameters)
        needed = tuple(parameter.name.name for parameter in block.parameters if parameter.default is None)
        optional = tuple((name, '...') for name in names if name not in needed)
        calls.fit(Signature(block.name.name, names, needed, optional),
                  Given(span, len(arguments), [name for name, _ in keywords], call), argument='hyper-parameter',
                  places=(Place(block.name.span, 'declared here'),))
        given = {**dict(zip(names, arguments)), **dict(keywords)}
        for name, value in given.items():
            if not is_known(value):
                raise mistake('G201', f'the hyper-parameter `{name}` must be known while compiling', value.span,
                              reason='this is only known while training',
                              help='arrays are inputs; hyper-parameters are numbers, strings and lists')
        return {name: plain(value) for name, value in given.items()}

    def _unknown_class(self, module: str, base: nodes.Name) -> Mistake:
        what = _KINDS[module]
        for other, kind in _KINDS.items():
            if base.name in catalog.members(other):
                return mistake('G106', f'`{base.name}` is {with_article(kind)}, and {with_article(what)} is wanted',
                               base.span, reason=_PLACES[kind],
                               help=f'write a class of chainer.{module}, such as `{_EXAMPLES[module]}`')
        known = {**catalog.members(module), **(catalog.members('functions') if module == 'links' else {})}
        return mistake('G106', f'there is no {what} `{base.name}`', base.span, **unknown(
            base.name, base.span, list(known), f'{what}s are the classes of chainer.{module}, each by its own name; '
            'import one of your own', ADVICE))


def check_repeated(call: nodes.Call) -> None:
    """Refuses a call that names an argument twice."""
    seen: dict[str, nodes.Keyword] = {}
    for one in call.keywords:
        first = seen.setdefault(one.name, one)
        if first is not one:
            raise mistake('G306', f'the argument `{one.name}` is given twice', name_span(one), reason='again here',
                          places=(Place(name_span(first), 'first here'),), help='remove one of the two')


def check_numbers(thing: Callable, name: str, arguments: Iterable[Expression],
                  keywords: Iterable[tuple[str, Expression]]) -> None:
    """Refuses an argument of an optimizer or hook that must be a number and is none.

    Only its first update would tell, in the words of NumPy.
    """
    parameters = inspect.signature(thing).parameters
    for argument, value in (*zip(parameters, arguments), *keywords):
        default = parameters[argument].default if argument in parameters else None
        is_wanted = type(default) in (int, float) or argument in ('rate', 'threshold')
        if is_wanted and isinstance(value, Literal) and not isinstance(value.value, (bool, int, float)):
            raise mistake('G203', f'`{argument}` of `{name}` must be a number', value.span,
                          reason=f'this is {shown(value.value)}',
                          help='write a number, such as `1e-3`, without quotes' if isinstance(value.value, str) else
                          'write a number, such as `1e-3`')


def needs_python(base: nodes.Name) -> Mistake:
    return mistake('G310', f'`{base.name}` needs Python objects, which a graph file cannot write', base.span,
                   reason='it takes or gives callables or objects',
                   help='write a wrapper in Python and import it')
