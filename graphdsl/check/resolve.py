"""Resolves calls and stages: names become models, parts, blocks, links and functions."""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, Optional, Sequence as Items, Union

from graphdsl.check import catalog, numbers
from graphdsl.check.expressions import Expressions, is_known, literal, plain
from graphdsl.check.graph import (
    Apply, Arithmetic, Assignment, ChainType, Construct, Expression, Function, Imported, Key, Literal, ModelName, Part,
    PartName, Previous, Sequence)
from graphdsl.check.later import BUILTINS, not_executed
from graphdsl.diagnostics import Mistake, Span, mistake
from graphdsl.syntax import nodes


class Parts:
    """The links and chains of a body, in order of declaration.

    Args:
        declared: Attribute names of the layers that the body declares, by their names in the file.
    """

    def __init__(self, declared: Mapping[Key, str]):
        self.declared = declared
        self.contents: dict[str, Union[Construct, ChainType]] = {}

    def all(self) -> tuple[Part, ...]:
        return tuple(Part(name, content) for name, content in self.contents.items())

    def add(self, stem: str, content: Union[Construct, ChainType]) -> str:
        """Adds a part without a name of its own; returns the name it gets from its class and order."""
        taken = set(self.declared.values()) | set(self.contents)
        number = next(i for i in range(1, len(taken) + 2) if f'{stem}_{i}' not in taken)
        self.contents[f'{stem}_{number}'] = content
        return f'{stem}_{number}'


@dataclass(frozen=True)
class Resolver(Expressions):
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
        if isinstance(function, nodes.Attribute):
            raise not_executed('a part of a model as a stage', function.span)
        base = function.base if isinstance(function, nodes.Index) else function
        if not isinstance(base, nodes.Name):
            raise mistake('G108', 'this is not something to call', function.span)
        name = base.name
        if name in self.scope.models:
            return self._model_call(function, base, span, inputs, call)
        if isinstance(function, nodes.Index):
            raise mistake('G108', f'there is no family of models `{name}`', function.span,
                          help=catalog.suggestion(name, self.scope.callable_names()))
        if name in self.scope.blocks:
            return self._block_call(self.scope.blocks[name], span, inputs, call, is_stage)
        if name in self.scope.imported:
            return self._imported_call(name, span, inputs, call, is_stage)
        if name in BUILTINS and name not in catalog.members('functions'):
            raise not_executed(f'the built-in `{name}`', function.span)
        if name[0].isupper():
            return self._class_call(base, span, inputs, call, is_stage)
        return self._function_call(base, span, inputs, call)

    def _arguments(self, call: Optional[nodes.Call]) -> tuple[tuple[Expression, ...], tuple]:
        if call is None:
            return (), ()
        repeated = {k.name: k for k in call.keywords}
        if len(repeated) < len(call.keywords):
            raise mistake('G306', 'an argument is given twice', call.span)
        return (tuple(self.expression(argument) for argument in call.arguments),
                tuple((k.name, self.expression(k.value)) for k in call.keywords))

    def _model_call(self, function, base: nodes.Name, span, inputs, call) -> Expression:
        indices = self.indices(function) if isinstance(function, nodes.Index) else None
        key = self.scope.models.select(function, base.name, indices)
        if not isinstance(key, Key):
            raise mistake('G108', 'a list of models cannot be called', function.span,
                          help='call one member at a time, in a `for`')
        arguments, keywords = self._arguments(call)
        chain = self.chains.get(key)
        if chain is not None:
            self._check_inputs(str(key), chain, span, inputs + arguments, keywords)
        callee = PartName(self.parts.declared[key]) if self.parts is not None else ModelName(key)
        return Apply(span, callee, inputs + arguments, keywords)

    def _check_inputs(self, name: str, chain: ChainType, span, arguments, keywords) -> None:
        unknown = next((k for k, _ in keywords if k not in chain.inputs), None)
        if unknown is not None:
            raise mistake('G304', f'`{name}` has no input `{unknown}`', span,
                          reason='its inputs are ' + ', '.join(f'`{i}`' for i in chain.inputs))
        if any(isinstance(a, Previous) and a.several for a in arguments):
            return
        count = len(arguments) + len(keywords)
        if count != len(chain.inputs):
            raise mistake('G304', f'`{name}` takes {_counted(len(chain.inputs), "input")}, and gets {count}', span,
                          help=f'its inputs are {", ".join(chain.inputs)}')

    def _block_call(self, block: nodes.Block, span, inputs, call, is_stage) -> Expression:
        name = block.name.name
        if block.parameters and not is_stage:
            raise mistake('G309', f'the block `{name}` needs hyper-parameters', span,
                          help=f'use it as a stage: `x -> {name}(...) -> y`')
        chain = self.block_chain(block, call, span)
        arguments, keywords = ((), ()) if block.parameters else self._arguments(call)
        self._check_inputs(name, chain, span, inputs + arguments, keywords)
        if not chain.parts:
            return Apply(span, chain, inputs + arguments, keywords)
        if self.parts is None:
            raise self._link_outside(name, span)
        return Apply(span, PartName(self.parts.add(name, chain)), inputs + arguments, keywords)

    def block_chain(self, block: nodes.Block, call: Optional[nodes.Call], span: Span) -> ChainType:
        """Builds a block with the hyper-parameters that a call of it gives."""
        values = self._hyperparameters(block, span, *self._arguments(call)) if block.parameters else {}
        return self.build_block(block, values, span)

    def content(self, node: nodes.Expression) -> Union[Construct, ChainType]:
        """Resolves what a layer is made of: a link, or a block with links."""
        call = node if isinstance(node, nodes.Call) else None
        base = node.function if call is not None else node
        if isinstance(base, nodes.Name):
            if base.name in self.scope.blocks:
                return self.block_chain(self.scope.blocks[base.name], call, node.span)
            if base.name in self.scope.imported and catalog.kind_of(self.scope.imported[base.name]) == 'link':
                return Construct(node.span, '', base.name, *self._arguments(call))
            if base.name[0].isupper():
                return self.construct('links', base, node.span, call)
        raise mistake('G108', 'a layer is a link or a block with links', node.span,
                      help='functions need no layer; call them where they are used')

    def _hyperparameters(self, block: nodes.Block, span, arguments, keywords) -> dict[str, Any]:
        names = [parameter.name.name for parameter in block.parameters]
        if len(arguments) > len(names):
            raise mistake('G306', f'`{block.name.name}` takes {_counted(len(names), "hyper-parameter")}', span,
                          reason=f'{len(arguments)} are given')
        given = {**dict(zip(names, arguments)), **dict(keywords)}
        unknown = next((name for name in given if name not in names), None)
        if unknown is not None or len(given) < len(arguments) + len(keywords):
            raise mistake('G306', f'`{block.name.name}` has no hyper-parameter `{unknown}`' if unknown
                          else 'an argument is given twice', span,
                          help='it has ' + ', '.join(f'`{name}`' for name in names))
        for parameter in block.parameters:
            if parameter.name.name not in given and parameter.default is None:
                raise mistake('G306', f'`{block.name.name}` needs a value for `{parameter.name.name}`', span)
        for name, value in given.items():
            if not is_known(value):
                raise mistake('G201', f'the hyper-parameter `{name}` must be known while compiling', value.span,
                              help='arrays are inputs; hyper-parameters are numbers, strings and lists')
        return {name: plain(value) for name, value in given.items()}

    def _imported_call(self, name, span, inputs, call, is_stage) -> Expression:
        thing = self.scope.imported[name]
        arguments, keywords = self._arguments(call)
        if catalog.kind_of(thing) == 'link':
            if not is_stage:
                raise self._class_as_value(name, span)
            return self._link(Construct(span, '', name, arguments, keywords), inputs)
        return Apply(span, Imported(name), inputs + arguments, keywords)

    def _class_call(self, base: nodes.Name, span, inputs, call, is_stage) -> Expression:
        if is_stage:
            return self._link(self.construct('links', base, span, call), inputs)
        if base.name in catalog.members('links'):
            raise self._class_as_value(base.name, span)
        return self.construct('initializers', base, span, call)

    def _class_as_value(self, name: str, span: Span):
        return mistake('G305', f'the link `{name}` is not a value', span,
                       help='declare it as a model or a layer, and call that')

    def _link(self, construct: Construct, inputs) -> Expression:
        if self.parts is None:
            raise self._link_outside(construct.name, construct.span)
        return Apply(construct.span, PartName(self.parts.add(construct.name.lower(), construct)), inputs)

    def _link_outside(self, name: str, span: Span):
        return mistake('G305', f'`{name}` has parameters and stands outside a model', span,
                       reason='nobody could own them',
                       help=f'declare a model, `model m = {name}(...)`, and use `m` here')

    def construct(self, module: str, base: nodes.Name, span: Span, call: Optional[nodes.Call]) -> Construct:
        """Resolves a class of Chainer with its arguments.

        Args:
            module (str): Module of Chainer, as in :func:`catalog.members`.
            base: The class's name.
            span: Of the whole call.
            call: The call, or None for a bare name, which has no arguments.
        """
        arguments, keywords = self._arguments(call)
        if module != 'links' and base.name in self.scope.imported:
            return Construct(span, '', base.name, arguments, keywords)
        if base.name not in catalog.members(module):
            raise self._unknown_class(module, base)
        if catalog.needs_python(base.name):
            raise self._needs_python(base)
        names = [name for name, _ in keywords]
        if module == 'links':
            position = catalog.infer_sizes(base.name, arguments, names)
            if position is not None:
                arguments = arguments[:position] + (Literal(span, None),) + arguments[position:]
        self._check_call(catalog.members(module)[base.name], span, len(arguments), names)
        return Construct(span, module, base.name, arguments, keywords)

    def _function_call(self, base: nodes.Name, span, inputs, call) -> Expression:
        name = base.name
        arguments, keywords = self._arguments(call)
        everything = inputs + arguments
        if name in numbers.FUNCTIONS and not keywords and is_known(*everything):
            return literal(span, numbers.call(name, tuple(map(plain, everything)), span))
        if name in ('sum', 'mean') and len(everything) == 1 and not keywords and isinstance(everything[0], Sequence):
            return _sum(span, everything[0].items, name == 'mean')
        if name in BUILTINS:
            raise not_executed(f'the built-in `{name}`', base.span)
        if name not in catalog.members('functions'):
            raise self._unknown_function(base)
        if catalog.needs_python(name):
            raise self._needs_python(base)
        if name in catalog.REDUCTIONS and len(everything) > 1:
            raise mistake('G308', f'the second argument of `{name}` is an axis', everything[1].span,
                          help=f'write `{name}(v, axis=...)`' + (
                              f', or `{name}imum(a, b)` for the larger or smaller of two' if name in ('max', 'min')
                              else ''))
        if not any(isinstance(a, Previous) and a.several for a in everything):
            self._check_call(catalog.members('functions')[name], span, len(everything), [k for k, _ in keywords])
        return Apply(span, Function(name), everything, keywords)

    def _check_call(self, thing, span: Span, count: int, names: list[str]) -> None:
        problem = catalog.call_problem(thing, count, names)
        if problem is not None:
            raise mistake('G306', problem[0], span, help=problem[1])

    def _needs_python(self, base: nodes.Name):
        return mistake('G310', f'`{base.name}` needs Python objects, which a graph file cannot write', base.span,
                       help='write a wrapper in Python and import it')

    def _unknown_class(self, module: str, base: nodes.Name):
        what = {'links': 'link', 'initializers': 'initializer', 'optimizers': 'optimizer',
                'optimizer_hooks': 'hook'}[module]
        return mistake('G106', f'there is no {what} `{base.name}`', base.span,
                       help=catalog.suggestion(base.name, catalog.members(module))
                       or f'{what}s are the classes of chainer.{module}, each by its own name')

    def _unknown_function(self, base: nodes.Name):
        name = base.name
        if name in self.scope.values or name in self.scope.numbers:
            return mistake('G108', f'`{name}` is a value, not something to call', base.span)
        known = [*self.scope.callable_names(), *catalog.members('functions'), *catalog.members('links')]
        return mistake('G106', f'there is no model, block or function `{name}`', base.span,
                       help=catalog.suggestion(name, known)
                       or 'functions are those of chainer.functions, each by its own name')

    # Edges

    def assignment(self, statement: Union[nodes.Edge, nodes.Value]) -> Assignment:
        """Resolves an edge, or a value of its own."""
        results = tuple(key for result in statement.results for key in self.keys(result))
        if isinstance(statement, nodes.Value):
            stages: tuple[Expression, ...] = (self.expression(statement.expression),)
        else:
            self._check_named(statement)
            source = statement.source
            inputs = source.items if isinstance(source, nodes.Tuple) else (source,)
            stages = self.stages(tuple(self.expression(node) for node in inputs), statement.stages)
        count = self.result_count(stages[-1])
        if count is not None and count != len(results):
            raise mistake('G303', f'this gives {_counted(count, "result")}, and {_counted(len(results), "name")}',
                          statement.span, reason='each result needs a name',
                          help='`_` stands for a result that is not wanted')
        return Assignment(statement.span, results, stages)

    def _check_named(self, edge: nodes.Edge) -> None:
        """An edge whose last name is a callable has no result: its writer forgot the name."""
        last = edge.results[-1]
        name = last.name if isinstance(last, nodes.Name) else last.base.name
        if name in self.scope.models or name in self.scope.blocks or name in self.scope.imported:
            what = 'something to call'
        elif isinstance(last, nodes.Name) and name in catalog.members('functions') and len(edge.results) == 1:
            what = 'a function'
        else:
            return
        raise mistake('G302', 'did you forget the name of the result?', last.span,
                      reason=f'`{name}` is {what}', help=f'end the edge with a new name: `-> {name} -> result`')

    def stages(self, inputs: tuple[Expression, ...], row: Items[nodes.Expression]) -> tuple[Expression, ...]:
        """Resolves stages in a row.

        Args:
            inputs: Of the first stage.
            row: The stages.
        """
        resolved: list[Expression] = []
        for node in row:
            if resolved:
                inputs = (Previous(node.span, self._gives_several(resolved[-1])),)
            resolved.append(self.stage(node, inputs))
        return tuple(resolved)

    def result_count(self, stage: Expression) -> Optional[int]:
        """Returns how many results a stage gives; None where only the run can tell."""
        if not isinstance(stage, Apply):
            return 1
        callee = stage.callee
        if isinstance(callee, Function):
            return None if callee.name in catalog.SEVERAL_RESULTS else 1
        if isinstance(callee, ModelName):
            callee = self.chains.get(callee.key)
        elif isinstance(callee, PartName):
            callee = self.parts.contents.get(callee.name)
        return len(callee.outputs) if isinstance(callee, ChainType) else None

    def _gives_several(self, stage: Expression) -> bool:
        count = self.result_count(stage)
        if count is None:
            return isinstance(stage, Apply) and isinstance(stage.callee, Function)
        return count > 1


def _sum(span: Span, items: tuple[Expression, ...], mean: bool) -> Expression:
    if not items:
        return Literal(span, 0)
    total = items[0] if len(items) == 1 else Apply(span, Function('add'), items)
    return Arithmetic(span, '/', (total, Literal(span, len(items)))) if mean else total


def _counted(count: int, noun: str) -> str:
    return f'{count} {noun}' if count == 1 else f'{count} {noun}s'
