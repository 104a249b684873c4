"""Turns syntax trees into documents: a function per construct.

The braces of a statement stay what they are, parts of its document for :mod:`graphdsl.syntax.format` to fill in.
"""
from __future__ import annotations

import functools
from typing import Iterable, Optional

from graphdsl.syntax import nodes
from graphdsl.syntax.layout import Document, brackets, commas, next_part, separated

# How tightly an expression holds together, loosest first.
_CONDITIONAL, _OR, _AND, _NOT, _COMPARISON, _SUM, _TERM, _SIGN, _POWER, _POSTFIX = range(10)
_BINARY = {'or': _OR, 'and': _AND, '+': _SUM, '-': _SUM, '*': _TERM, '/': _TERM, '//': _TERM, '%': _TERM,
           '**': _POWER}


def expression(node: nodes.Expression, least: int = _CONDITIONAL) -> Document:
    """Returns the document of an expression, in parentheses if it holds together less tightly than it has to."""
    document = print_node(node)
    return brackets('(', [document], ')') if _tightness(node) < least else document


def _tightness(node: nodes.Expression) -> int:
    if isinstance(node, nodes.Conditional):
        return _CONDITIONAL
    if isinstance(node, nodes.Comparison):
        return _COMPARISON
    if isinstance(node, nodes.Binary):
        return _BINARY[node.operator]
    if isinstance(node, nodes.Unary):
        return _NOT if node.operator == 'not' else _SIGN
    return _POSTFIX


def _all(expressions: Iterable[nodes.Node]) -> list[Document]:
    return [print_node(node) for node in expressions]


def _listing(items: Iterable[nodes.Node], word: str = '') -> Document:
    """Returns items with commas behind a word; nothing without items."""
    return (word, commas(_all(items))) if items else ''


def _clause(word: str, node: Optional[nodes.Expression]) -> Document:
    """Returns a word and what it introduces; nothing if that is absent."""
    return (word, print_node(node)) if node is not None else ''


def _counted(count: nodes.Expression, unit: str) -> Document:
    one = isinstance(count, nodes.Number) and count.value == 1
    return print_node(count), f' {unit}' if one else f' {unit}s'


@functools.singledispatch
def print_node(node: nodes.Node) -> Document:
    """Returns the document of a construct.

    Args:
        node: Any node but :class:`~graphdsl.syntax.nodes.Braces`.

    Returns:
        For a statement, a tuple; its braces, if any, are among the items.
    """
    raise TypeError(f'cannot print {type(node).__name__}')


# Expressions

@print_node.register
def _name(node: nodes.Name) -> Document:
    return node.name


@print_node.register
def _number(node: nodes.Number) -> Document:
    return node.text


@print_node.register
def _string(node: nodes.String) -> Document:
    return '"' + ''.join(map(_escaped, node.value)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return '\\' + character
    return character if character.isprintable() else character.encode('unicode_escape').decode('ascii')


@print_node.register
def _constant(node: nodes.Constant) -> Document:
    return str(node.value).lower()


@print_node.register
def _attribute(node: nodes.Attribute) -> Document:
    return expression(node.base, _POSTFIX), '.', node.name


@print_node.register
def _call(node: nodes.Call) -> Document:
    return expression(node.function, _POSTFIX), brackets('(', _all(node.arguments + node.keywords), ')')


@print_node.register
def _keyword(node: nodes.Keyword) -> Document:
    return node.name, '=', print_node(node.value)


@print_node.register
def _index(node: nodes.Index) -> Document:
    return expression(node.base, _POSTFIX), brackets('[', _all(node.items), ']')


@print_node.register
def _slice(node: nodes.Slice) -> Document:
    return _clause('', node.start), ':', _clause('', node.stop), _clause(':', node.step)


@print_node.register
def _range(node: nodes.Range) -> Document:
    return expression(node.start, _SUM), '..', expression(node.stop, _SUM)


@print_node.register
def _star(node: nodes.All) -> Document:
    return '*'


@print_node.register
def _list(node: nodes.List) -> Document:
    return brackets('[', _all(node.items), ']')


@print_node.register
def _tuple(node: nodes.Tuple) -> Document:
    items = _all(node.items)
    return brackets('(', items if len(items) != 1 else [(*items, ',')], ')')


@print_node.register
def _unary(node: nodes.Unary) -> Document:
    return ('not ' if node.operator == 'not' else node.operator), expression(node.operand, _tightness(node))


@print_node.register
def _binary(node: nodes.Binary) -> Document:
    level = _BINARY[node.operator]
    if node.operator == '**':
        left, right = expression(node.left, _POSTFIX), expression(node.right, _SIGN)
    else:
        left, right = expression(node.left, level), expression(node.right, level + 1)
    return left, f' {node.operator}', next_part(right)


@print_node.register
def _comparison(node: nodes.Comparison) -> Document:
    return (expression(node.first, _SUM),
            *((f' {operator}', next_part(expression(other, _SUM)))
              for operator, other in zip(node.operators, node.others)))


@print_node.register
def _conditional(node: nodes.Conditional) -> Document:
    return (expression(node.value, _OR), ' if', next_part(expression(node.condition, _OR)),
            next_part('else ', expression(node.otherwise)))


# Statements of every kind of braces

@print_node.register
def _for(node: nodes.For) -> Document:
    return 'for ', node.variable.name, ' in ', print_node(node.domain), ' ', node.body


@print_node.register
def _if(node: nodes.If) -> Document:
    branches = ['if ', print_node(node.condition), ' ', node.body]
    if isinstance(node.otherwise, nodes.If):
        branches += [' else ', *print_node(node.otherwise)]
    elif node.otherwise is not None:
        branches += [' else ', node.otherwise]
    return tuple(branches)


# Parameters and data

@print_node.register
def _param(node: nodes.Param) -> Document:
    return 'param ', node.name.name, ' = ', print_node(node.default), _listing(node.choices, ' of ')


@print_node.register
def _import(node: nodes.Import) -> Document:
    return _listing(node.names, 'import '), ' from ', print_node(node.module)


@print_node.register
def _data(node: nodes.Data) -> Document:
    return 'data ', node.name.name, ' ', node.body


@print_node.register
def _dataset(node: nodes.Dataset) -> Document:
    return node.name.name, ' = ', print_node(node.source)


@print_node.register
def _array_type(node: nodes.ArrayType) -> Document:
    shape = ['?' if size is None else print_node(size) for size in node.shape]
    return node.dtype.name, brackets('[', shape, ']') if shape else ''


@print_node.register
def _column(node: nodes.Column) -> Document:
    return node.name.name, _clause(': ', node.type), _clause(' pad ', node.pad)


@print_node.register
def _input(node: nodes.Input) -> Document:
    return _listing(node.columns, 'input '), _clause(' from ', node.stream)


@print_node.register
def _noise(node: nodes.Noise) -> Document:
    return ('noise ', print_node(node.target), _clause(': ', node.type), ' ~ ', print_node(node.distribution),
            _clause(' from ', node.stream))


# Models

@print_node.register
def _chain(node: nodes.Chain) -> Document:
    first, *others = node.stages
    return expression(first, _POSTFIX), _stages(others)


def _stages(stages: Iterable[nodes.Expression]) -> Document:
    return tuple(next_part('-> ', expression(stage, _POSTFIX)) for stage in stages)


def _definition(node: nodes.Chain | nodes.Body) -> tuple:
    """Returns what follows the name of a model or block."""
    if isinstance(node, nodes.Chain):
        return ' = ', print_node(node)
    return brackets('(', _all(node.inputs), ')'), next_part('-> ', _listing(node.outputs)), ' ', node.braces


@print_node.register
def _load(node: nodes.Load) -> Document:
    return 'load ', print_node(node.file), _clause(' at ', node.part), ' partly' if node.partly else ''


@print_node.register
def _model(node: nodes.Model) -> Document:
    return ('frozen model ' if node.frozen else 'model ', print_node(node.target), *_definition(node.definition),
            _clause(' ', node.load))


@print_node.register
def _model_like(node: nodes.ModelLike) -> Document:
    return 'model ', print_node(node.target), ' like ', print_node(node.original)


@print_node.register
def _model_follows(node: nodes.ModelFollows) -> Document:
    amount = _counted(node.amount, 'iteration') if node.rule == 'every' else print_node(node.amount)
    return 'model ', print_node(node.target), ' follows ', print_node(node.leader), f' {node.rule} ', amount


@print_node.register
def _parameter(node: nodes.Parameter) -> Document:
    return node.name.name, _clause('=', node.default)


@print_node.register
def _block(node: nodes.Block) -> Document:
    parameters = brackets('(', _all(node.parameters), ')') if node.parameters else ''
    space = ' ' if node.parameters and isinstance(node.definition, nodes.Body) else ''
    return 'block ', node.name.name, parameters, space, *_definition(node.definition)


@print_node.register
def _layer(node: nodes.Layer) -> Document:
    return 'layer ', print_node(node.target), ' = ', expression(node.link, _POSTFIX)


@print_node.register
def _weight(node: nodes.Weight) -> Document:
    return 'weight ', print_node(node.target), ': ', print_node(node.type), ' = ', print_node(node.initializer)


@print_node.register
def _frozen(node: nodes.Frozen) -> Document:
    return 'frozen ', print_node(node.path)


# Data flow

@print_node.register
def _edge(node: nodes.Edge) -> Document:
    # `a if b else c -> f` would parse, but not as it reads.
    return expression(node.source, _OR), _stages(node.stages), next_part('-> ', _listing(node.results))


@print_node.register
def _value(node: nodes.Value) -> Document:
    return _listing(node.results), ' = ', print_node(node.expression)


@print_node.register
def _loss(node: nodes.Loss) -> Document:
    return _listing(node.targets, 'loss '), _clause(' = ', node.expression), _clause(' when ', node.condition)


@print_node.register
def _metric(node: nodes.Metric) -> Document:
    word = 'metric falling ' if node.falling else 'metric '
    return _listing(node.targets, word), _clause(' = ', node.expression)


@print_node.register
def _output(node: nodes.Output) -> Document:
    return _listing(node.targets, 'output '), _clause(' = ', node.expression)


# Optimizers and steps

@print_node.register
def _owned(node: nodes.Owned) -> Document:
    if len(node.excepted) <= 1:
        return print_node(node.path), _listing(node.excepted, ' except ')
    return print_node(node.path), ' except ', brackets('(', _all(node.excepted), ')')


@print_node.register
def _optimizer(node: nodes.Optimizer) -> Document:
    target = () if node.target is None else (print_node(node.target), ' = ')
    body = () if node.body is None else (' ', node.body)
    return ('optimizer ', *target, print_node(node.algorithm), _listing(node.owns, ' owns '),
            _listing(node.minimizes, ' minimizes '), *body)


@print_node.register
def _owns(node: nodes.Owns) -> Document:
    return _listing(node.owned, 'owns '),


@print_node.register
def _minimizes(node: nodes.Minimizes) -> Document:
    return _listing(node.losses, 'minimizes '),


@print_node.register
def _hook(node: nodes.Hook) -> Document:
    return 'hook ', print_node(node.hook)


@print_node.register
def _skip_nonfinite(node: nodes.SkipNonfinite) -> Document:
    return 'skip nonfinite',


@print_node.register
def _step(node: nodes.Step) -> Document:
    on_same = f' on the same {node.on_same}' if node.on_same else ''
    return ('step ', print_node(node.target), on_same, _clause(' when ', node.condition),
            _clause(f' {node.kind} ', node.count), ' ', node.body)


@print_node.register
def _update(node: nodes.Update) -> Document:
    return _listing(node.optimizers, 'update '), _listing(node.losses, ' for '), _clause(' when ', node.condition)


@print_node.register
def _state(node: nodes.State) -> Document:
    return 'state ', print_node(node.target), ' = ', print_node(node.initial)


@print_node.register
def _next(node: nodes.Next) -> Document:
    return 'next ', print_node(node.target), _clause(' after ', node.after), ' = ', print_node(node.expression)


@print_node.register
def _schedule(node: nodes.Schedule) -> Document:
    return 'schedule ', print_node(node.hyperparameter), ' = ', print_node(node.expression)


# Training

@print_node.register
def _train(node: nodes.Train) -> Document:
    return 'train ', node.body


@print_node.register
def _setting(node: nodes.Setting) -> Document:
    return node.name, ' ', print_node(node.value)


@print_node.register
def _every(node: nodes.Every) -> Document:
    return node.action, ' every ', *_counted(node.count, node.unit), _clause(' keep ', node.keep)


@print_node.register
def _keep_best(node: nodes.KeepBest) -> Document:
    return 'keep best ', commas(map(_quantity, node.quantities))


@print_node.register
def _stop_when(node: nodes.StopWhen) -> Document:
    return 'stop when ', print_node(node.condition)


@print_node.register
def _stop_stalls(node: nodes.StopStalls) -> Document:
    return 'stop when ', _quantity(node.quantity), ' stalls for ', *_counted(node.evaluations, 'evaluation')


def _quantity(node: nodes.Expression) -> Document:
    """Returns an expression; the name of a report, such as `validation/digit[2]`, without spaces at its `/`."""
    names = []
    rest = node
    while isinstance(rest, nodes.Binary) and rest.operator == '/' and _is_named(rest.right):
        names.append(rest.right)
        rest = rest.left
    return tuple(separated(_all([rest, *reversed(names)]), '/')) if isinstance(rest, nodes.Name) else print_node(node)


def _is_named(node: nodes.Expression) -> bool:
    """Says whether an expression is a name, or a member of a family by its name."""
    return isinstance(node.base if isinstance(node, nodes.Index) else node, nodes.Name)
