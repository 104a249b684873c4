"""Builds the syntax tree from Lark's parse tree: a method per rule of the grammar."""
from __future__ import annotations

import ast
import math
import re

from lark import Transformer, v_args

from graphdsl.diagnostics import Diagnostic, Mistake, Span, mistake
from graphdsl.limits import Limits
from graphdsl.syntax import nodes

_CONSTANTS = {'true': True, 'false': False, 'none': None}
RESERVED = frozenset('if else for in and or not true false none import'.split())
_ESCAPES = frozenset('\\\'"abfnrtvxuUN01234567')


def reserved(word: str, span: Span) -> Diagnostic:
    """Makes the diagnostic for a reserved word in the place of a name."""
    return Diagnostic('G023', f'`{word}` cannot be a name', span, reason='this word is reserved',
                      help='choose another name')


def _span(meta) -> Span:
    return Span(meta.start_pos, meta.end_pos) if not meta.empty else Span(0, 0)


def _plain(node_type):
    """A rule whose children are the fields of its node, in order."""
    return lambda self, meta, children: node_type(_span(meta), *children)


def _listing(node_type):
    """A rule whose children are the items of its node's only field."""
    return lambda self, meta, children: node_type(_span(meta), tuple(children))


def _group(self, meta, children):
    """A rule that gathers items for the rule above it."""
    return tuple(children)


def _first(self, meta, children):
    """A rule that adds nothing to its child."""
    return children[0]


def _result(expression: nodes.Expression) -> nodes.Target:
    """Checks that an expression can name a result: `h`, `y[i]` or `p[0..3]`."""
    named = isinstance(expression, nodes.Name) or (
        isinstance(expression, nodes.Index) and isinstance(expression.base, nodes.Name)
        and not any(isinstance(item, (nodes.Slice, nodes.All)) for item in expression.items))
    if not named:
        raise mistake('G005', 'a result needs a name', expression.span,
                      reason='this is not a name',
                      help='end the edge with a name for its result, such as `-> h` or `-> y[i]`')
    return expression


@v_args(meta=True)
class TreeBuilder(Transformer):
    """Turns each rule, from the leaves up, into a node of :mod:`graphdsl.syntax.nodes`.

    Args:
        limits: How large integers may be.

    Raises (inside ``lark.exceptions.VisitError``):
        Mistake: For what is wrong in a way that the grammar cannot say.
    """

    def __init__(self, limits: Limits = Limits()):
        super().__init__()
        self._limits = limits

    names = targets = paths = expressions = owned_list = shape = parameters = more_results = _group

    # Statements in braces of every kind

    start = braces = _listing(nodes.Braces)
    for_loop = _plain(nodes.For)
    if_branch = _plain(nodes.If)

    # Parameters and data

    def param(self, meta, children):
        name, default, choices = children
        return nodes.Param(_span(meta), name, default, choices or ())

    import_names = _plain(nodes.Import)
    data = _plain(nodes.Data)
    dataset = _plain(nodes.Dataset)
    column = _plain(nodes.Column)

    def input(self, meta, children):
        *columns, stream = children
        return nodes.Input(_span(meta), tuple(columns), stream)

    def array_type(self, meta, children):
        dtype, shape = children
        return nodes.ArrayType(_span(meta), dtype, shape or ())

    def any_length(self, meta, children):
        return None

    noise = _plain(nodes.Noise)

    # Models

    def target(self, meta, children):
        name, *items = (child for child in children if child is not None)
        return nodes.Index(_span(meta), name, tuple(items)) if items else name

    def chain(self, meta, children):
        return nodes.Chain(_span(meta), tuple(children))

    def _definition(self, meta, parts):
        """A chain, or the inputs, outputs and statements of a body."""
        if len(parts) == 1:
            return parts[0]
        inputs, outputs, braces = parts
        for parameter in inputs:
            if parameter.default is not None:
                raise mistake('G006', 'an input has no default', parameter.span,
                              help='hyper-parameters stand in a list of their own, before the inputs')
        return nodes.Body(_span(meta), tuple(p.name for p in inputs), outputs, braces)

    def model(self, meta, children):
        frozen, target, *definition, load = children
        return nodes.Model(_span(meta), target, self._definition(meta, definition), bool(frozen), load)

    model_like = _plain(nodes.ModelLike)

    def model_follows(self, meta, children):
        target, leader, rule, amount = children
        return nodes.ModelFollows(_span(meta), target, leader, str(rule), amount)

    def chain_block(self, meta, children):
        name, parameters, chain = children
        return nodes.Block(_span(meta), name, parameters or (), chain)

    def body_block(self, meta, children):
        name, parameters, *definition = children
        return nodes.Block(_span(meta), name, parameters or (), self._definition(meta, definition))

    parameter = _plain(nodes.Parameter)

    def load(self, meta, children):
        file, part, partly = children
        return nodes.Load(_span(meta), file, part, bool(partly))

    layer = _plain(nodes.Layer)
    weight = _plain(nodes.Weight)
    frozen = _plain(nodes.Frozen)

    # Data flow

    def edge(self, meta, children):
        more = children.pop() if isinstance(children[-1], tuple) else ()
        source, *stages, last = children
        results = tuple(_result(result) for result in (last, *more))
        if not stages:
            raise mistake('G007', 'this edge has no stage', _span(meta),
                          reason='a value and a name, and nothing between them',
                          help='write `y = x` for a second name of a value, `x -> model -> y` for a call')
        return nodes.Edge(_span(meta), source, tuple(stages), results)

    def value(self, meta, children):
        *results, expression = children
        first, more = results if len(results) == 2 else (results[0], ())
        return nodes.Value(_span(meta), tuple(_result(result) for result in (first, *more)), expression)

    loss = _plain(nodes.Loss)
    output = _plain(nodes.Output)

    def metric(self, meta, children):
        falling, targets, expression = children
        return nodes.Metric(_span(meta), targets, expression, bool(falling))

    # Optimizers and steps

    def optimizer(self, meta, children):
        target, algorithm, owns, minimizes, body = children
        return nodes.Optimizer(_span(meta), target and _result(target), algorithm, owns or (), minimizes or (), body)

    def owned(self, meta, children):
        path, excepted = children
        if excepted is None:
            excepted = ()
        return nodes.Owned(_span(meta), path, excepted if isinstance(excepted, tuple) else (excepted,))

    excepted = _first
    owns = _plain(nodes.Owns)
    minimizes = _plain(nodes.Minimizes)
    hook = _plain(nodes.Hook)
    skip_nonfinite = _plain(nodes.SkipNonfinite)

    def step(self, meta, children):
        target, on_same, condition, kind, count, body = children
        return nodes.Step(_span(meta), target, on_same and str(on_same), condition, kind, count, body)

    def run_kind(self, meta, children):
        return str(children[0])

    unit = run_kind

    def update(self, meta, children):
        optimizers, losses, condition = children
        return nodes.Update(_span(meta), optimizers, losses or (), condition)

    state = _plain(nodes.State)
    next = _plain(nodes.Next)
    schedule = _plain(nodes.Schedule)

    # Training

    train = _plain(nodes.Train)
    setting_name = run_kind
    setting = _plain(nodes.Setting)

    def every(self, meta, children):
        action, count, unit, *keep = children
        return nodes.Every(_span(meta), str(action), count, unit.rstrip('s'), *keep)

    keep_best = _plain(nodes.KeepBest)
    stop_when = _plain(nodes.StopWhen)
    stop_stalls = _plain(nodes.StopStalls)

    # Expressions

    def name(self, meta, children):
        text = str(children[0])
        if text in RESERVED:       # the lexer takes it for a name where no keyword can stand
            raise Mistake(reserved(text, _span(meta)))
        return nodes.Name(_span(meta), text)

    def number(self, meta, children):
        text = str(children[0])
        digits = text.replace('_', '')
        if digits.isdigit():
            value = self._integer(digits, _span(meta))
        else:
            value = float(digits)
            if not math.isfinite(value):
                raise mistake('G008', 'this number is too large', _span(meta))
        return nodes.Number(_span(meta), value, text)

    def _integer(self, digits: str, span: Span) -> int:
        significant = digits.lstrip('0') or '0'
        # Python takes long over many digits: they are counted first, at three bits and a third each.
        bits = (len(significant) - 1) * 93 // 28
        if bits <= self._limits.bits:
            value = int(significant)
            bits = value.bit_length()
            if bits <= self._limits.bits:
                return value
        raise mistake('G034', 'this integer is too large', span, reason=f'it has {bits:,} bits at least',
                      help=self._limits.advice('bits', bits))

    def string(self, meta, children):
        text = str(children[0])
        try:
            if not _ESCAPES.issuperset(re.findall(r'\\(.)', text)):    # Python only warns
                raise ValueError
            return nodes.String(_span(meta), ast.literal_eval(text))
        except (SyntaxError, ValueError):
            raise mistake('G003', 'this string cannot be read', _span(meta), reason='an escape in it is wrong',
                          help=r'escapes are those of Python; a backslash itself is written \\') from None

    def constant(self, meta, children):
        return nodes.Constant(_span(meta), _CONSTANTS[children[0]])

    def attribute(self, meta, children):
        base, name = children
        return nodes.Attribute(_span(meta), base, name.name)

    def keyword(self, meta, children):
        name, value = children
        return nodes.Keyword(_span(meta), name.name, value)

    def call(self, meta, children):
        function, *arguments = children
        named = [isinstance(argument, nodes.Keyword) for argument in arguments]
        if named != sorted(named):
            raise mistake('G004', 'an argument without a name follows one with a name', _span(meta),
                          help='put the arguments without names first')
        split = named.count(False)
        return nodes.Call(_span(meta), function, tuple(arguments[:split]), tuple(arguments[split:]))

    def index(self, meta, children):
        base, *items = children
        return nodes.Index(_span(meta), base, tuple(items))

    parentheses = _first
    slice = _plain(nodes.Slice)
    range = _plain(nodes.Range)
    all = _plain(nodes.All)
    list = _listing(nodes.List)
    tuple = _listing(nodes.Tuple)
    conditional = _plain(nodes.Conditional)

    def unary(self, meta, children):
        operator, operand = children
        return nodes.Unary(_span(meta), str(operator), operand)

    def binary(self, meta, children):
        left, operator, right = children
        return nodes.Binary(_span(meta), left, str(operator), right)

    def not_in(self, meta, children):
        return 'not in'

    def comparison(self, meta, children):
        first, *rest = children
        return nodes.Comparison(_span(meta), first, tuple(map(str, rest[::2])), tuple(rest[1::2]))

