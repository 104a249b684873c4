"""What to say of a name that is not there, or that stands in the wrong place."""
from __future__ import annotations

from graphdsl.semantics import builtins, catalog
from graphdsl.semantics.elsewhere import ADVICE
from graphdsl.semantics.scope import RUNNING_NUMBERS, Scope
from graphdsl.semantics.suggestions import listed, meant, unknown
from graphdsl.diagnostics import Edit, Mistake, Place, mistake
from graphdsl.syntax import nodes


def no_value(scope: Scope, node: nodes.Name) -> Mistake:
    """Makes the mistake of a name that is no value."""
    name = node.name
    if name == '_':
        return mistake('G109', '`_` discards a result, and names nothing', node.span, reason='nothing is kept here',
                       help='give the result a name to use it')
    if name in RUNNING_NUMBERS:
        return mistake('G101', f'a body does not see `{name}`', node.span, reason='it is a value from outside',
                       help=f'give it to the model as an input: `m(x, {name})`')
    if name in ('True', 'False', 'None'):
        return mistake('G101', f'there is no value `{name}`', node.span, help=f'did you mean `{name.lower()}`?',
                       edits=(Edit(node.span, name.lower()),))
    if name in scope.later:
        return mistake('G101', f'`{name}` has no value yet', node.span, reason='it comes in this line or a later one',
                       places=(Place(scope.later[name], f'`{name}` gets its value here'),),
                       help='the default of a param can use the params of the lines before it')
    if name in scope.models or name in scope.declared or name in scope.outer:
        bound = scope.callable_names().get(name)
        return mistake('G107', f'`{name}` is something to call, not a value', node.span,
                       reason='a value is wanted here', help=f'write `x -> {name} -> y` or `y = {name}(x)`',
                       places=() if bound is None else (Place(bound, 'declared here'),))
    if name in catalog.members('initializers'):
        return mistake('G107', f'`{name}` is an initializer, and is called', node.span, reason='this is its class',
                       help=f'write `{name}()`')
    values = scope.value_names()
    if not meant(name, values) and _is_callable(name):
        return mistake('G107', f'`{name}` is something to call, not a value', node.span,
                       reason='a value is wanted here', help=f'write `x -> {name} -> y`')
    return mistake('G101', f'there is no value `{name}`', node.span, **unknown(
        name, node.span, values, 'a body sees its inputs, params and numbers, no outer values' if scope.in_body
        else 'bind it with an edge, `=`, `input` or `param`'))


def _is_callable(name: str) -> bool:
    return name in catalog.members('functions') or name in catalog.members('links') or name in builtins.SIGNATURES


def no_function(scope: Scope, base: nodes.Name) -> Mistake:
    """Makes the mistake of a name that is nothing to call."""
    name = base.name
    if name in scope.outer:
        return mistake('G108', f'`{name}` is a model, and the body of another cannot call it', base.span,
                       reason='its parameters would be those of both',
                       help='call both where values flow, or make it a `block`')
    if name in scope.values or name in scope.numbers:
        bound = scope.value_names().get(name)
        return mistake('G108', f'`{name}` is a value, not something to call', base.span,
                       reason='values are computed, not called',
                       places=() if bound is None else (Place(bound, 'bound here'),),
                       help='call a model, a block or a function; `*` multiplies')
    known = {**dict.fromkeys((*catalog.members('links'), *catalog.members('functions'), *builtins.SIGNATURES)),
             **scope.callable_names()}
    return mistake('G106', f'there is no model, block or function `{name}`', base.span, **unknown(
        name, base.span, known, 'functions are those of chainer.functions, each by its own name', ADVICE))


def no_family(scope: Scope, base: nodes.Name, function: nodes.Expression) -> Mistake:
    """Makes the mistake of a bracket after a name that is no family."""
    models = scope.models
    if base.name in scope.blocks or base.name in catalog.members('functions'):
        return mistake('G108', f'`{base.name}` is no family of {models.kind}s', function.span,
                       reason='brackets take a member of a family', help='write `(...)` to give arguments')
    return mistake('G108', f'there is no family of {models.kind}s `{base.name}`', base.span, **unknown(
        base.name, base.span, models.bases(), listed(models.bases(), f'there are no {models.kind}s here', models.kind)))


def no_model(scope: Scope, base: nodes.Expression, function: nodes.Expression, mode: str) -> Mistake:
    """Makes the mistake of a path, or of what stands in `eval(...)`, that begins with no model."""
    models = scope.models
    if not isinstance(base, nodes.Name):
        return mistake('G108', f'this is no {models.kind}, and no part of one', function.span,
                       help=listed(models.bases(), f'there are no {models.kind}s here', models.kind))
    reason = f'`{mode}` runs a {models.kind}' if mode else ''
    if base.name in scope.values or base.name in scope.numbers:
        reason = reason or f'`{base.name}` is a value, and has no parts'
    return mistake('G108', f'`{base.name}` is no {models.kind}', base.span, reason=reason, **unknown(
        base.name, base.span, models.bases(), listed(models.bases(), f'there are no {models.kind}s here', models.kind)))


def hiding(name: str) -> tuple[str, ...]:
    """Returns a note on a name of the file that Chainer, or the language, has too."""
    what = hidden(name)
    return (f'this is the `{name}` of this file, which hides {what}',) if what else ()


def hidden(name: str) -> str:
    """Says what a callable of the file hides by its name, an empty string if nothing."""
    return 'a built-in' if name in builtins.SIGNATURES else 'a function of Chainer' if name in \
        catalog.members('functions') else 'a link of Chainer' if name in catalog.members('links') else ''
