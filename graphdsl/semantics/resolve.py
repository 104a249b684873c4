"""Resolves calls and stages: names become models, parts, blocks, links and functions."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, Optional, Union

from graphdsl.semantics import builtins, catalog, numbers, paths
from graphdsl.semantics.constructs import Constructs, counted, needs_python
from graphdsl.semantics.expressions import is_known, literal, plain
from graphdsl.semantics.parts import Parts
from graphdsl.semantics.types import array_type
from graphdsl.semantics.computation import (
    Apply, Arithmetic, Builtin, Callee, ChainType, Comparison, Conditional, Construct, Expression, Function, Imported,
    Key, Literal, ModelName, NumberFunction, PartName, Previous, Reference, Sequence, Subscript, Weight, is_number)
from graphdsl.diagnostics import Mistake, Span, mistake
from graphdsl.syntax import nodes

_ARRAYS = (Reference, Apply, Subscript, Arithmetic, Comparison, Conditional)

Arguments = tuple[Expression, ...]
Keywords = tuple[tuple[str, Expression], ...]


@dataclass(frozen=True)
class Resolver(Constructs):
    """Resolves expressions, calls and stages in a scope.

    Attributes:
        chains: The chain of each model that the scope names.
        build_block: Makes the chain of a block for given hyper-parameters.
        parts: Where the links of a body are gathered; None outside a body, where links cannot stand.
    """

    chains: Mapping[Key, ChainType]
    build_block: Callable[[nodes.Block, Mapping[str, Any], Span], ChainType]
    parts: Optional[Parts] = None

    def within(self, numbers: Mapping[str, Any]) -> Resolver:
        """Returns a resolver that sees other numbers."""
        return replace(self, scope=self.scope.with_numbers(numbers))

    def call(self, node: nodes.Call) -> Expression:
        return self._call(node.function, node.span, (), node)

    def stage(self, node: nodes.Expression, inputs: tuple[Expression, ...]) -> Expression:
        """Resolves a stage of an edge or chain.

        Args:
            node: What stands between two arrows: a callable, or a call of one that lacks its first arguments.
            inputs: What the stage before gives.
        """
        if isinstance(node, nodes.Call):
            return self._call(node.function, node.span, inputs, node, is_stage=True)
        if isinstance(node, (nodes.Name, nodes.Index, nodes.Attribute)):
            return self._call(node, node.span, inputs, None, is_stage=True)
        raise mistake('G108', 'a stage must be something to call', node.span,
                      help='between arrows stand models, layers, links, blocks and functions')

    def _call(self, function: nodes.Expression, span: Span, inputs: tuple[Expression, ...],
              call: Optional[nodes.Call], is_stage: bool = False) -> Expression:
        if self.scope.reads_scalars and not _is_number_function(function):
            return replace(self, scope=replace(self.scope, reads_scalars=False))._call(function, span, inputs, call,
                                                                                      is_stage)
        if _mode(function):
            return self._mode_call(function, span, inputs, call)
        if _mode(call) and is_stage:
            return self._mode_call(call, span, inputs, None)
        if isinstance(function, nodes.Attribute) or (
                isinstance(function, nodes.Index) and not isinstance(function.base, nodes.Name)):
            return self._model_call(function, span, inputs, call)
        base = function.base if isinstance(function, nodes.Index) else function
        if not isinstance(base, nodes.Name):
            raise mistake('G108', 'this is not something to call', function.span)
        name = base.name
        if name in self.scope.models:
            return self._model_call(function, span, inputs, call)
        if isinstance(function, nodes.Index):
            raise mistake('G108', f'there is no family of {self.scope.models.kind}s `{name}`', function.span,
                          help=catalog.suggestion(name, self.scope.models.bases()))
        if name in self.scope.blocks:
            return self._block_call(self.scope.blocks[name], span, inputs, call, is_stage)
        if name in self.scope.imported:
            return self._imported_call(base, span, inputs, call, is_stage)
        if name[0].isupper():
            return self._class_call(base, span, inputs, call, is_stage)
        return self._function_call(base, span, inputs, call)

    # Models, layers and blocks

    def _model_call(self, function: nodes.Expression, span: Span, inputs: Arguments, call: Optional[nodes.Call],
                    mode: str = '') -> Expression:
        node, path = paths.split(function, self)
        base = node.base if isinstance(node, nodes.Index) else node
        if not isinstance(base, nodes.Name) or base.name not in self.scope.models:
            what = self.scope.models.kind
            raise mistake('G108', f'this is no {what}, and no part of one', function.span,
                          help=catalog.suggestion(base.name, self.scope.models.bases())
                          if isinstance(base, nodes.Name) else '')
        key = self.select(self.scope.models, node, base.name)
        if not isinstance(key, Key):
            raise mistake('G108', f'a list of {self.scope.models.kind}s cannot be called', function.span,
                          help='call one member at a time, in a `for`')
        arguments, keywords = self.arguments(call)
        part = None if self.parts is None else self.parts.declared[key]
        whole = self.chains.get(key) if self.parts is None else self.parts.content(part)
        path, content = paths.find(whole, path, function.span, str(key))
        if isinstance(content, Weight):
            raise mistake('G108', 'this is an array, not something to call', function.span)
        callee = ModelName(key, path, mode) if self.parts is None else PartName(part, path, mode)
        return self._apply(callee, '.'.join([str(key), *path]), content, span, inputs + arguments, keywords)

    def _mode_call(self, node: nodes.Call, span: Span, inputs: Arguments, call: Optional[nodes.Call]) -> Expression:
        """Calls a model as `eval(m)` or `quiet(m)`."""
        mode = _mode(node)
        if len(node.arguments) != 1 or node.keywords:
            raise mistake('G306', f'`{mode}` takes one model', node.span, help=f'write `x -> {mode}(m) -> y`')
        return self._model_call(node.arguments[0], span, inputs, call, mode)

    def _block_call(self, block: nodes.Block, span: Span, inputs: Arguments, call: Optional[nodes.Call],
                    is_stage: bool) -> Expression:
        name = block.name.name
        if block.parameters and not is_stage:
            raise mistake('G309', f'the block `{name}` needs hyper-parameters', span,
                          help=f'use it as a stage: `x -> {name}(...) -> y`')
        chain = self.block_chain(block, call if block.parameters else None, span)
        arguments, keywords = ((), ()) if block.parameters else self.arguments(call)
        if chain.parts and self.parts is None:
            raise self._link_outside(name, span)
        callee = PartName(self.parts.add(name, chain)) if chain.parts else chain
        return self._apply(callee, name, chain, span, inputs + arguments, keywords)

    def block_chain(self, block: nodes.Block, call: Optional[nodes.Call], span: Span) -> ChainType:
        """Builds a block with the hyper-parameters that a call of it gives."""
        return self.build_block(block, self.hyperparameters(block, call, span), span)

    def _apply(self, callee: Callee, name: str, content: Union[Construct, ChainType, None], span: Span,
               arguments: Arguments, keywords: Keywords) -> Apply:
        """Calls a model, part or block: the inputs of a chain come to stand in their order."""
        if isinstance(content, ChainType):
            arguments, keywords = self._in_order(name, content.inputs, span, arguments, keywords), ()
        elif isinstance(content, Construct):
            link = self.scope.imported[content.name] if not content.module else \
                catalog.members('links')[content.name]
            count = _count(arguments)
            if count is not None and hasattr(link, 'forward'):
                problem = catalog.call_problem(link.forward, count + 1, [k for k, _ in keywords], name)
                if problem is not None:
                    raise mistake('G304', problem[0], span, help=problem[1].replace('`self`, ', ''))
        for argument in arguments:
            if isinstance(argument, Literal) and numbers.kind(argument.value) not in ('an integer', 'a number'):
                raise mistake('G308', f'`{name}` takes an array here, and gets {numbers.kind(argument.value)}',
                              argument.span)
            self._check_array(f'`{name}`', argument)
        return Apply(span, callee, arguments, keywords)

    def _in_order(self, name: str, inputs: tuple[str, ...], span: Span, arguments: Arguments, keywords: Keywords
                  ) -> Arguments:
        named = dict(keywords)
        listing = f'its inputs are {", ".join(f"`{i}`" for i in inputs)}' if inputs else 'it has no inputs'
        unknown = next((k for k in named if k not in inputs), None)
        if unknown is not None:
            raise mistake('G304', f'`{name}` has no input `{unknown}`', span,
                          help=catalog.suggestion(unknown, inputs) or listing)
        given = _count(arguments)
        count = len(inputs) if given is None else given + len(named)
        if count != len(inputs):
            raise mistake('G304', f'`{name}` takes {counted(len(inputs), "input")}, and gets {count}', span,
                          help=listing)
        rest = inputs[len(inputs) - len(named):]
        twice = next((k for k in named if k not in rest), None)
        if twice is not None:
            raise mistake('G304', f'`{name}` gets its input `{twice}` twice', span, help=listing)
        return arguments + tuple(named[k] for k in rest)

    def content(self, node: nodes.Expression) -> Union[Construct, ChainType]:
        """Resolves what a layer is made of: a link, or a block with links."""
        call = node if isinstance(node, nodes.Call) else None
        base = node.function if call is not None else node
        if isinstance(base, nodes.Name):
            if base.name in self.scope.blocks:
                chain = self.block_chain(self.scope.blocks[base.name], call, node.span)
                if chain.parts:
                    return chain
            elif base.name in self.scope.imported and catalog.kind_of(self.scope.imported[base.name]) == 'link':
                return self.construct('links', base, node.span, call)
            elif base.name[0].isupper() and base.name not in self.scope.imported:
                return self.construct('links', base, node.span, call)
        raise mistake('G108', 'a layer is a link or a block with links', node.span,
                      help='functions need no layer; call them where they are used')

    def weight(self, statement: nodes.Weight, key: Key) -> Weight:
        """Resolves a trainable array of a body."""
        dtype, shape = array_type(statement.type, self)
        if not dtype.startswith('float'):
            raise mistake('G504', 'a weight is made of floats', statement.type.span,
                          help='only floats have gradients')
        node = statement.initializer
        if isinstance(node, nodes.Call) and isinstance(node.function, nodes.Name):
            initializer = self.construct('initializers', node.function, node.span, node)
        else:
            value = self.constant(node, 'an initial value')
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise mistake('G203', 'a weight begins with a number or an initializer', node.span,
                              help='such as `0.0` or `Normal(0.02)`')
            initializer = Construct(node.span, 'initializers', 'Constant', (Literal(node.span, value),), ())
        return Weight(statement.span, key, dtype, shape, initializer)

    # Imported things and classes

    def _imported_call(self, base: nodes.Name, span: Span, inputs: Arguments, call: Optional[nodes.Call],
                       is_stage: bool) -> Expression:
        thing = self.scope.imported[base.name]
        if catalog.kind_of(thing) == 'link':
            if not is_stage:
                raise self._class_as_value(base.name, span)
            return self._link(self.construct('links', base, span, call), inputs)
        arguments, keywords = self.arguments(call)
        given = _count(inputs + arguments)
        if given is not None:
            self.check_call(thing, span, given, [k for k, _ in keywords])
        return Apply(span, Imported(base.name), inputs + arguments, keywords)

    def _class_call(self, base: nodes.Name, span: Span, inputs: Arguments, call: Optional[nodes.Call],
                    is_stage: bool) -> Expression:
        name = base.name
        if name in catalog.members('initializers') and name not in catalog.members('links'):
            raise mistake('G305', f'the initializer `{name}` is not a value', span,
                          help=f'it stands among the arguments of a link: `Linear(10, initialW={name}(...))`')
        if not is_stage and name in catalog.members('links'):
            raise self._class_as_value(name, span)
        return self._link(self.construct('links', base, span, call), inputs)

    def _class_as_value(self, name: str, span: Span) -> Mistake:
        return mistake('G305', f'the link `{name}` is not a value', span,
                       help='declare it as a model or a layer, and call that')

    def _link(self, construct: Construct, inputs: Arguments) -> Expression:
        if self.parts is None:
            raise self._link_outside(construct.name, construct.span)
        part = self.parts.add(construct.name.lower(), construct)
        return self._apply(PartName(part), construct.name, construct, construct.span, inputs, ())

    def _link_outside(self, name: str, span: Span) -> Mistake:
        return mistake('G305', f'`{name}` has parameters and stands outside a model', span,
                       reason='nobody could own them',
                       help=f'declare a model, `model m = {name}(...)`, and use `m` here')

    # Functions

    def _function_call(self, base: nodes.Name, span: Span, inputs: Arguments, call: Optional[nodes.Call]) -> Expression:
        name = base.name
        arguments, keywords = self.arguments(call)
        everything = inputs + arguments
        if name in builtins.SIGNATURES:
            return builtins.apply(name, span, everything, keywords, self.scope)
        if name in builtins.MODES:
            raise mistake('G306', f'`{name}` takes a model', span, help=f'write `x -> {name}(m) -> y`')
        if name in numbers.FUNCTIONS and not keywords:
            if is_known(*everything):
                return literal(span, numbers.call(name, tuple(map(plain, everything)), span, self.limits))
            read = self._as_numbers(name, everything)
            if all(is_number(i) for a in read for i in (a.items if isinstance(a, Sequence) else (a,))):
                if name in ('mean', 'sum') and not isinstance(read[0], Sequence):
                    raise mistake('G203', f'`{name}` takes a list of numbers here', span,
                                  reason='arithmetic is that of numbers here, on arrays of one element too',
                                  help=f'give the array a name outside, `v = {name}(...)`, and read `v` here')
                return Apply(span, NumberFunction(name), read)
        if name in ('sum', 'mean') and not keywords and [type(argument) for argument in everything] == [Sequence]:
            return self._sum(span, everything[0].items, name == 'mean')
        if name not in catalog.members('functions'):
            raise self._unknown_function(base)
        if catalog.needs_python(name):
            raise needs_python(base)
        if name in catalog.REDUCTIONS and len(everything) > 1:
            raise mistake('G308', f'the second argument of `{name}` is an axis', everything[1].span,
                          help=f'write `{name}(v, axis=...)`' + (
                              f', or `{name}imum(a, b)` for the larger or smaller of two' if name in ('max', 'min')
                              else ''))
        count = _count(everything)
        if count is not None:
            self._check_function(name, span, count, [k for k, _ in keywords], everything)
        self._check_arrays(name, span, everything, keywords)
        if name == 'split_axis' and self._function_results(name, everything, keywords) == 1:
            keywords += (('force_tuple', Literal(span, False)),) if 'force_tuple' not in dict(keywords) else ()
        return Apply(span, Function(name), everything, keywords)

    def _as_numbers(self, name: str, arguments: tuple[Expression, ...]) -> tuple[Expression, ...]:
        """Returns arguments of a function of numbers as they are read; one array is reduced, not read."""
        if name in catalog.REDUCTIONS and len(arguments) == 1 and not isinstance(arguments[0], Sequence):
            return arguments
        return tuple(replace(a, items=tuple(map(self.as_read, a.items))) if isinstance(a, Sequence) else
                     self.as_read(a) for a in arguments)

    def _check_function(self, name: str, span: Span, count: int, names: list[str], arguments: Arguments) -> None:
        problem = catalog.call_problem(catalog.members('functions')[name], count, names)
        if problem is None:
            return
        message, help = problem
        several = next((a.count for a in arguments if isinstance(a, Previous) and a.several), None)
        raise mistake('G306', message, span, help=help if several is None else
                      f'its first {several} arguments are the results of the stage before; name them first')

    def _check_arrays(self, name: str, span: Span, arguments: Arguments, keywords: Keywords) -> None:
        """Refuses numbers and lists where a function wants an array."""
        everything = [*arguments, *(value for _, value in keywords)]
        if all(is_known(argument) or is_number(argument) for argument in everything):
            raise mistake('G308', f'`{name}` works on arrays', span, reason='this is a number',
                          help='on numbers there are ' + ', '.join(f'`{f}`' for f in numbers.FUNCTIONS))
        for position, argument in enumerate(arguments):
            if catalog.parameter_of(name, position) != 'list':
                self._check_array(f'`{name}`', argument)

    def _check_array(self, name: str, argument: Expression) -> None:
        """Refuses a list of arrays, or several results, where one array is wanted."""
        if isinstance(argument, Sequence) and any(isinstance(i, _ARRAYS) and not is_number(i) for i in argument.items):
            raise mistake('G308', f'{name} takes an array here, and gets a {argument.kind}', argument.span,
                          help='add the values of a list with `sum(...)`, join them with `concat(...)`')
        self.one_result(argument)

    def one_result(self, expression: Expression) -> None:
        if not isinstance(expression, Previous) and self.gives_several(expression):
            raise mistake('G303', 'this gives several results, and one is wanted here', expression.span,
                          help='give each a name of its own first: `... -> a, b`')

    def _sum(self, span: Span, items: tuple[Expression, ...], mean: bool) -> Expression:
        """Adds the values of a list, nested no deeper for many: arrays by one function, and numbers by another."""
        for item in items:
            self._check_array('`sum`', item)
        arrays = tuple(item for item in items if not is_number(item))
        known = [plain(item) for item in items if is_known(item)]
        total: Expression = arrays[0] if len(arrays) == 1 else Apply(span, Function('add'), arrays)
        if known:
            total = Arithmetic(span, '+', (total, Literal(span, numbers.call('sum', (known,), span, self.limits))))
        running = tuple(item for item in items if is_number(item) and not is_known(item))
        if running:
            number = running[0] if len(running) == 1 else Apply(
                span, NumberFunction('sum'), (Sequence(span, 'list', running),))
            total = Arithmetic(span, '+', (total, number))
        return Arithmetic(span, '/', (total, Literal(span, len(items)))) if mean else total

    def _unknown_function(self, base: nodes.Name) -> Mistake:
        name = base.name
        if name in self.scope.outer:
            return mistake('G108', f'`{name}` is a model, and the body of another cannot call it', base.span,
                           help='call both where values flow, or make it a `block`')
        if name in self.scope.values or name in self.scope.numbers:
            return mistake('G108', f'`{name}` is a value, not something to call', base.span)
        known = [*self.scope.callable_names(), *catalog.members('functions'), *catalog.members('links')]
        return mistake('G106', f'there is no model, block or function `{name}`', base.span,
                       help=catalog.suggestion(name, known)
                       or 'functions are those of chainer.functions, each by its own name')

    # Results

    def result_count(self, stage: Expression) -> Optional[int]:
        """Returns how many results a stage gives; None where only the run can tell."""
        if not isinstance(stage, Apply):
            return 1
        callee = stage.callee
        if isinstance(callee, Function):
            return self._function_results(callee.name, stage.arguments, stage.keywords)
        if isinstance(callee, (Builtin, NumberFunction)):
            return 1
        if isinstance(callee, ModelName):
            _, content = paths.find(self.chains.get(callee.key), callee.path, stage.span, '')
        elif isinstance(callee, PartName):
            _, content = paths.find(self.parts.content(callee.name), callee.path, stage.span, '')
        else:
            content = callee
        if isinstance(content, Construct) and content.module:
            return catalog.result_count(content.name, (), ())
        return len(content.outputs) if isinstance(content, ChainType) else None

    def gives_several(self, stage: Expression) -> bool:
        """Says whether a stage gives several results, as far as that is known."""
        count = self.result_count(stage)
        return count != 1 if count is not None else isinstance(stage.callee, Function)

    def _function_results(self, name: str, arguments: Arguments, keywords: Keywords) -> Optional[int]:
        known = [plain(a) if is_known(a) else None for a in arguments]
        return catalog.result_count(name, tuple(known), tuple((k, is_known(v) and plain(v)) for k, v in keywords))


def _mode(node: Optional[nodes.Expression]) -> str:
    """Returns ``'eval'`` or ``'quiet'`` for a call of these."""
    is_mode = isinstance(node, nodes.Call) and isinstance(node.function, nodes.Name) \
        and node.function.name in builtins.MODES
    return node.function.name if is_mode else ''


def _is_number_function(function: nodes.Expression) -> bool:
    return isinstance(function, nodes.Name) and function.name in numbers.FUNCTIONS


def _count(arguments: tuple[Expression, ...]) -> Optional[int]:
    """Returns how many arguments these are in the run, None where only the run can tell."""
    counts = [argument.count if isinstance(argument, Previous) else 1 for argument in arguments]
    return None if None in counts else sum(counts)
