"""What changes over time by rules of the file: states and schedules."""
from __future__ import annotations

from dataclasses import replace
from typing import Callable, Mapping, Optional, Sequence

from graphdsl.semantics import catalog
from graphdsl.semantics.computation import (
    Apply, Assignment, ChainType, Construct, Expression, Function, Imported, Key, ModelName, Reference, walk)
from graphdsl.semantics.elsewhere import ARGUMENTS
from graphdsl.semantics.graph import Next, Noise, Schedule, State
from graphdsl.semantics.numbers import kind
from graphdsl.semantics.optimizers import Declared, no_optimizer
from graphdsl.semantics.paths import no_such
from graphdsl.semantics.resolve import Resolver
from graphdsl.semantics.scope import Names
from graphdsl.semantics.suggestions import unknown
from graphdsl.semantics.wording import members, with_article
from graphdsl.diagnostics import Diagnostic, Edit, Mistake, Place, Span, mistake
from graphdsl.syntax import nodes


def check_state(statement: nodes.State, resolver: Resolver) -> State:
    """Checks the initial value of a state."""
    initial = resolver.constant(statement.initial, 'the initial value of a state')
    if isinstance(initial, bool) or not isinstance(initial, (int, float)):
        raise mistake('G203', 'a state is a number', statement.initial.span, reason=f'this is {kind(initial)}',
                      help='such as `state k = 0.0`')
    return State(statement.span, resolver.key(statement.target), initial)


def check_next(statement: nodes.Next, resolver: Resolver, states: Mapping[Key, State], steps: Names,
               others: Mapping[Key, Next]) -> Next:
    """Checks how a state moves.

    Args:
        statement: The statement.
        resolver: Of its turn.
        states: All states.
        steps: All steps.
        others: What was checked before, by state.

    Raises:
        Mistake: If there is no such state or step, the state moves elsewhere too, or the expression is none.
    """
    key = resolver.key(statement.target)
    if key not in states:
        error = no_such(statement.target.span, 'state', str(key), {k: resolver.scope.values.spans[k] for k in states
                                                                   if k in resolver.scope.values.spans})
        raise error if error.diagnostic.help.startswith('did you mean') else mistake(
            'G101', f'there is no state `{key}`', statement.target.span, help=f'declare it: `state {key} = 0.0`')
    other = others.get(key)
    if other is not None:
        raise mistake('G127', f'`{key}` has two next values', statement.target.span, reason='again here',
                      places=(Place(other.span, 'first here'),), help='a state moves by one rule')
    after = None if statement.after is None else _one(statement.after, resolver, steps, 'step')
    reading = replace(resolver, scope=replace(resolver.scope, reads_scalars=True))
    expression = reading.number(statement.expression, 'the next value of a state')
    _refuse_models(expression)
    return Next(statement.span, key, after, expression)


def never_moves(key: Key, span: Span) -> Diagnostic:
    """Makes the warning for a state without a rule."""
    return Diagnostic('G132', f'no `next` moves the state `{key}`', span, severity='warning',
                      reason='it keeps its first value', help=f'write `next {key} = ...`, or make it a `param`')


def _refuse_models(expression: Expression) -> None:
    for node in walk(expression):
        if isinstance(node, Apply) and (isinstance(node.callee, (ModelName, Imported, ChainType)) or (
                isinstance(node.callee, Function) and node.callee.name in catalog.RANDOM)):
            what = 'random numbers would be drawn' if isinstance(node.callee, Function) else \
                'the model would run' if isinstance(node.callee, ModelName) else 'this would run'
            raise mistake('G216', 'the next value of a state is computed from values that are there', node.span,
                          reason=f'{what} once more',
                          help='give this a name with an edge or `=`, and read the name here')


def check_schedule(statement: nodes.Schedule, resolver: Resolver, optimizers: Names, declared: Mapping[str, Declared],
                   unnamed: Callable[[str], Sequence[Declared]],
                   others: Mapping[tuple[str, str], Schedule]) -> Schedule:
    """Checks the schedule of a hyperparameter.

    Args:
        statement: The statement.
        resolver: Of its turn.
        optimizers: Those that have a name.
        declared: All of them, by name.
        unnamed: Function that returns those without a name that own some model.
        others: What was checked before, by optimizer and hyperparameter.
    """
    path = statement.hyperparameter
    if not isinstance(path, nodes.Attribute):
        raise mistake('G217', 'a schedule sets a hyperparameter of an optimizer', path.span,
                      reason='this names none',
                      help='such as `schedule adam.alpha = ...`, where `optimizer adam = Adam() owns ...`')
    optimizer = _one(path.base, resolver, optimizers, 'optimizer', unnamed)
    name = path.name
    if optimizer in declared:
        algorithm = declared[optimizer].algorithm
        known = catalog.hyperparameters(resolver.scope.imported[algorithm.name] if not algorithm.module
                                        else catalog.members('optimizers')[algorithm.name])
        if known is not None and name not in known:
            raise _no_hyperparameter(name, Span(path.span.end - len(name), path.span.end), optimizer, algorithm, known)
    other = others.get((optimizer, name))
    if other is not None:
        raise mistake('G127', f'`{optimizer}.{name}` has two schedules', path.span, reason='again here',
                      places=(Place(other.span, 'first here'),), help='one schedule sets a hyperparameter')
    return Schedule(statement.span, optimizer, name, resolver.number(statement.expression, 'a hyperparameter'))


def _no_hyperparameter(name: str, span: Span, optimizer: str, algorithm: Construct, known: list[str]) -> Mistake:
    has = 'it has ' + ', '.join(f'`{k}`' for k in known) if known else 'it has none that can be set'
    elsewhere = next((a for a in ARGUMENTS.get(name, ()) if a in known), '')
    details = unknown(name, span, known, has) if not elsewhere else {
        'help': f'write `{elsewhere}`', 'edits': (Edit(span, elsewhere),)}
    return mistake('G217', f'`{algorithm.name}` has no hyperparameter `{name}`', span, reason='no such hyperparameter',
                   places=(Place(algorithm.span, f'`{optimizer}` is this'),), notes=(has,)
                   if details['help'] != has else (), **details)


def _one(node: nodes.Expression, resolver: Resolver, names: Names, what: str,
         unnamed: Callable[[str], Sequence[Declared]] = lambda model: ()) -> str:
    """Returns the name of the one optimizer or step that an expression names."""
    base = node.base if isinstance(node, nodes.Index) else node
    if not isinstance(base, nodes.Name):
        raise mistake('G217', f'this is no name of {with_article(what)}', node.span,
                      help='a hyperparameter is named `OPTIMIZER.HYPERPARAMETER`' if what == 'optimizer' else '')
    if base.name not in names:
        raise no_optimizer(base, names, unnamed(base.name)) if what == 'optimizer' else no_such(
            base.span, what, base.name, names.bases())
    found = resolver.select(names, node, base.name)
    if isinstance(found, list):
        raise mistake('G217', f'this names {len(found)} {what}s, and one is wanted', node.span,
                      reason=f'they are {members(found)}' if found else 'the family has no members',
                      help='write a schedule for each, in a `for`' if what == 'optimizer' else
                      'a state moves once in an iteration: name the step that it moves after')
    return str(found)


def known_before(expression: Expression, assignments: Mapping[Key, Assignment], noises: Mapping[Key, Noise],
                 drawn: bool = False) -> Optional[Span]:
    """Returns the place of what is only known within a run, None if there is nothing of it.

    Args:
        expression: A number.
        assignments: By the values that they make.
        noises: By name.
        drawn: Whether noise is there already.
    """
    pending = [(node, node.span) for node in walk(expression)]
    seen: set[Key] = set()
    while pending:
        node, span = pending.pop()
        if isinstance(node, Reference) and node.key not in seen:
            seen.add(node.key)
            if node.key in noises and not drawn:
                return span
            if node.key in assignments:
                pending.extend((inner, span) for inner in walk(*assignments[node.key].stages))
        elif isinstance(node, Apply) and getattr(node.callee, 'name', '') == 'shape':
            return span
    return None
