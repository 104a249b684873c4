"""Resolves calls and stages: names become models, parts, blocks, links and functions."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, Optional, Union

from graphdsl.semantics import absent, builtins, calls, catalog, numbers, paths
from graphdsl.semantics.calls import Given, Signature
from graphdsl.semantics.constructs import Constructs, needs_python
from graphdsl.semantics.expressions import is_known, literal, plain
from graphdsl.semantics.parts import Parts
from graphdsl.semantics.scope import MODES
from graphdsl.semantics.suggestions import unknown
from graphdsl.semantics.types import array_type
from graphdsl.semantics.computation import (
    Apply, Arithmetic, Builtin, Callee, ChainType, Comparison, Conditional, Construct, Expression, Function, Imported,
    Key, Literal, ModelName, NumberFunction, PartName, Previous, Reference, Sequence, Subscript, Weight, is_number)
from graphdsl.diagnostics import Mistake, Place, Span, mistake
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
        raise mistake('G108', 'a stage must be something to call', node.span, reason='this is none',
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
            raise mistake('G108', 'this is not something to call', function.span, reason='a name is wanted',
                          help='call a model, a block or a function by its name')
        name = base.name
        if name in self.scope.models:
            return self._model_call(function, span, inputs, call)
        if isinstance(function, nodes.Index):
            raise absent.no_family(self.scope, base, function)
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
        node, path, spans = paths.split(function, self)
        base = node.base if isinstance(node, nodes.Index) else node
        if not isinstance(base, nodes.Name) or base.name not in self.scope.models:
            raise absent.no_model(self.scope, base, function, mode)
        key = self.select(self.scope.models, node, base.name)
        if not isinstance(key, Key):
            raise mistake('G108', f'a list of {self.scope.models.kind}s cannot be called', function.span,
                          help='call one member at a time, in a `for`')
        arguments, keywords = self.arguments(call)
        part = None if self.parts is None else self.parts.declared[key]
        whole = self.chains.get(key) if self.parts is None else self.parts.content(part)
        path, content = paths.find(whole, path, spans, str(key))
        if isinstance(content, Weight):
            raise mistake('G108', 'this is an array, not something to call', function.span,
                          reason='a weight of the body', help='compute with it in an expression')
        callee = ModelName(key, path, mode) if self.parts is None else PartName(part, path, mode)
        return self._apply(callee, '.'.join([str(key), *path]), content, span, inputs + arguments, keywords, call,
                           self.scope.models.spans.get(key))

    def _mode_call(self, node: nodes.Call, span: Span, inputs: Arguments, call: Optional[nodes.Call]) -> Expression:
        """Calls a model as `eval(m)` or `quiet(m)`."""
        mode = _mode(node)
        if len(node.arguments) != 1 or node.keywords:
            raise mistake('G306', f'`{mode}` takes one model', node.span, reason='and nothing else',
                          help=f'write `x -> {mode}(m) -> y`')
        return self._model_call(node.arguments[0], span, inputs, call, mode)

    def _block_call(self, block: nodes.Block, span: Span, inputs: Arguments, call: Optional[nodes.Call],
                    is_stage: bool) -> Expression:
        name = block.name.name
        if block.parameters and not is_stage:
            raise mistake('G309', f'the block `{name}` needs hyper-parameters', span,
                          reason='what stands here in brackets would be its inputs',
                          places=(Place(block.name.span, 'declared here'),),
                          help=f'use it as a stage: `x -> {name}(...) -> y`')
        chain = self.block_chain(block, call if block.parameters else None, span)
        arguments, keywords = ((), ()) if block.parameters else self.arguments(call)
        if chain.parts and self.parts is None:
            raise self._link_outside(name, span)
        callee = PartName(self.parts.add(name, chain)) if chain.parts else chain
        return self._apply(callee, name, chain, span, inputs + arguments, keywords, None if block.parameters else call,
                           block.name.span)

    def block_chain(self, block: nodes.Block, call: Optional[nodes.Call], span: Span) -> ChainType:
        """Builds a block with the hyper-parameters that a call of it gives."""
        return self.build_block(block, self.hyperparameters(block, call, span), span)

    def _apply(self, callee: Callee, name: str, content: Union[Construct, ChainType, None], span: Span,
               arguments: Arguments, keywords: Keywords, call: Optional[nodes.Call] = None,
               declared: Optional[Span] = None) -> Apply:
        """Calls a model, part or block: the inputs of a chain come to stand in their order.

        Args:
            callee: What is called.
            name (str): What the file calls it.
            content: What it is made of, None where that is not known.
            span: Of the call.
            arguments: Those of the stage before come first.
            keywords: The others.
            call: The call as it stands in the file.
            declared: Where what is called is declared.
        """
        names = [keyword for keyword, _ in keywords]
        count = _count(arguments)
        places = () if declared is None else (Place(declared, 'declared here'),)
        if isinstance(content, ChainType):
            given = Given(span, len(content.inputs) - len(names) if count is None else count, names, call)
            calls.fit(Signature(name, content.inputs, content.inputs), given, 'G304', 'input', absent.hiding(name),
                      places)
            named = dict(keywords)
            arguments, keywords = arguments + tuple(named[i] for i in content.inputs if i in named), ()
        elif isinstance(content, Construct):
            link = self.scope.imported[content.name] if not content.module else \
                catalog.members('links')[content.name]
            if hasattr(link, 'forward'):
                calls.check(link.forward, Given(span, count, names, call), name, 'G304', is_method=True,
                            argument='input', places=places)
        for argument in arguments:
            if isinstance(argument, Literal) and numbers.kind(argument.value) not in ('an integer', 'a number'):
                raise mistake('G308', f'`{name}` takes an array here, and gets {numbers.kind(argument.value)}',
                              argument.span, reason=f'this is {numbers.kind(argument.value)}',
                              help='settings of a model are given where it is declared, or are params')
            self._check_array(f'`{name}`', argument)
        return Apply(span, callee, arguments, keywords)

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
            known = [*catalog.members('links'), *self.scope.blocks, *self.scope.imported]
            if not any(base.name in n for n in (self.scope.blocks, self.scope.imported, catalog.members('functions'))):
                raise mistake('G106', f'there is no link or block `{base.name}`', base.span,
                              **unknown(base.name, base.span, known, 'links are the classes of chainer.links'))
        raise mistake('G108', 'a layer is a link or a block with links', node.span, reason='this has no parameters',
                      help='functions need no layer; call them where they are used')

    def weight(self, statement: nodes.Weight, key: Key) -> Weight:
        """Resolves a trainable array of a body."""
        dtype, shape = array_type(statement.type, self)
        if not dtype.startswith('float'):
            raise mistake('G504', 'a weight is made of floats', statement.type.dtype.span,
                          reason='only floats have gradients', help='write `float32`')
        node = statement.initializer
        if isinstance(node, nodes.Call) and isinstance(node.function, nodes.Name):
            initializer = self.construct('initializers', node.function, node.span, node)
        else:
            value = self.constant(node, 'an initial value')
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise mistake('G203', 'a weight begins with a number or an initializer', node.span,
                              reason=f'this is {numbers.kind(value)}',
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
        given = Given(span, _count(inputs + arguments), [k for k, _ in keywords], call)
        calls.check(thing, given, base.name)
        return Apply(span, Imported(base.name), inputs + arguments, keywords)

    def _class_call(self, base: nodes.Name, span: Span, inputs: Arguments, call: Optional[nodes.Call],
                    is_stage: bool) -> Expression:
        name = base.name
        if name in catalog.members('initializers') and name not in catalog.members('links'):
            raise mistake('G305', f'the initializer `{name}` is not a value', span,
                          reason='it makes the first values of a parameter',
                          help=f'it stands among the arguments of a link: `Linear(10, initialW={name}(...))`')
        if not is_stage and name in catalog.members('links'):
            raise self._class_as_value(name, span)
        return self._link(self.construct('links', base, span, call), inputs)

    def _class_as_value(self, name: str, span: Span) -> Mistake:
        return mistake('G305', f'the link `{name}` is not a value', span, reason='it has parameters to own',
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
            return builtins.apply(name, span, everything, keywords, self.scope, call)
        if name in MODES:
            raise mistake('G306', f'`{name}` takes a model', span, reason='to run it in another mode',
                          help=f'write `x -> {name}(m) -> y`')
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
            raise absent.no_function(self.scope, base)
        if catalog.needs_python(name):
            raise needs_python(base)
        if name in catalog.REDUCTIONS and len(everything) > 1:
            raise mistake('G308', f'the second argument of `{name}` is an axis', everything[1].span,
                          reason='a number here would be one',
                          help=f'write `{name}(v, axis=...)`' + (
                              f', or `{name}imum(a, b)` for the larger or smaller of two' if name in ('max', 'min')
                              else ''))
        count = _count(everything)
        several = next((a.count for a in everything if isinstance(a, Previous) and a.several), None)
        calls.check(catalog.members('functions')[name], Given(span, count, [k for k, _ in keywords], call, several))
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
                          reason=f'this is a {argument.kind} of arrays',
                          help='add the values of a list with `sum(...)`, join them with `concat(...)`')
        self.one_result(argument)

    def one_result(self, expression: Expression) -> None:
        if not isinstance(expression, Previous) and self.gives_several(expression):
            raise mistake('G303', 'this gives several results, and one is wanted here', expression.span,
                          reason='which one is meant?', help='give each a name of its own first: `... -> a, b`')

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
            _, content = paths.find(self.chains.get(callee.key), callee.path, (), '')
        elif isinstance(callee, PartName):
            _, content = paths.find(self.parts.content(callee.name), callee.path, (), '')
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
        and node.function.name in MODES
    return node.function.name if is_mode else ''


def _is_number_function(function: nodes.Expression) -> bool:
    return isinstance(function, nodes.Name) and function.name in numbers.FUNCTIONS


def _count(arguments: tuple[Expression, ...]) -> Optional[int]:
    """Returns how many arguments these are in the run, None where only the run can tell."""
    counts = [argument.count if isinstance(argument, Previous) else 1 for argument in arguments]
    return None if None in counts else sum(counts)
