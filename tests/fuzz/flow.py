"""Values that are computed from values, by functions and the built-ins of the language."""
from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Optional

from fuzz.stages import activation, reshaped
from fuzz.writer import Scope, Value, joined


def called(text: str, source: str) -> str:
    """Returns the call of a stage as an expression: `softmax(axis=1)` on `h` is `softmax(h, axis=1)`."""
    name, bracket, rest = text.partition('(')
    if not bracket:
        return f'{name}({source})'
    return f'{name}({source}{"" if rest == ")" else ", "}{rest}'


def assign(scope: Scope, value: Value, plain: str = 'v') -> Value:
    """Writes that a name is an expression."""
    name = scope.name(plain)
    scope.add(f'{name} = {value.text}')
    return scope.bind(replace(value, text=name))


def flows(scope: Scope, source: str, stages: list[str], name: str) -> str:
    """Writes an edge, in one of the two forms."""
    if scope.chance.often() or any(text.startswith('centred') for text in stages):
        return f'{source} -> {" -> ".join(stages)} -> {name}'
    for text in stages:
        source = called(text, source)
    return f'{name} = {source}'


def step_on(scope: Scope) -> Optional[Value]:
    """Writes a value that is computed from one or two others; None if there is nothing to compute it from."""
    makers = [functions, arithmetic, arithmetic, slices]
    for feature, maker in (('detach', detached), ('integers', integers), ('truths', truths), ('lists', lists),
                           ('results', results)):
        if feature in scope.features:
            makers += [maker, maker]
    return scope.chance.pick(makers)(scope)


def functions(scope: Scope) -> Optional[Value]:
    source = scope.array()
    if source is None:
        return None
    stages, shape, twice = [], source.shape, source.twice
    for _ in range(scope.chance.number(1, 2)):
        one = reshaped(scope, shape) if shape and scope.chance.seldom() else activation(scope, shape)
        stages.append(one.text)
        shape, twice = one.shape, twice and one.twice
    name = scope.name('a')
    scope.add(flows(scope, source.text, stages, name))
    return scope.bind(replace(source, text=name, shape=shape, twice=twice))


def arithmetic(scope: Scope) -> Optional[Value]:
    a = scope.array()
    if a is None:
        return None
    b = scope.find(lambda v: v.is_float and v.shape == a.shape and v.text != a.text)
    x, n = a.text, scope.number()
    sources = [a]
    forms = [f'{x} * {n}', f'{n} - {x}', f'-{x} / 2', f'{x} ** 2', f'maximum({x}, {n})', f'minimum({n}, {x})',
             f'absolute({x})', f'exp(-absolute({x}))', f'sqrt(absolute({x}) + 1)', f'({x} + {n}) / sqrt(4)',
             f'{x} if {scope.condition()} else tanh({x})']
    if b is not None and scope.chance.often():
        y, sources = b.text, [a, b]
        forms = [f'{x} + {y}', f'{x} * {y}', f'{x} - 0.5 * {y}', f'{x} / (1 + {y} ** 2)', f'maximum({x}, {y})',
                 f'{n} * {x} + (1 - {n}) * {y}', f'where({x} > 0, {x}, {y})', f'squared_error({x}, {y})']
    form = scope.chance.pick(forms)
    if ' if ' in form and not scope.numbers:
        form = f'+{x}'
    twice = all(s.twice for s in sources) and 'imum' not in form and 'where' not in form and ' if ' not in form
    return assign(scope, joined(form, a.shape, sources, twice=twice))


def slices(scope: Scope) -> Optional[Value]:
    source = scope.array()
    if source is None or not source.shape:
        return None
    first, rest = source.shape[0], source.shape[1:]
    colons = ', :' * len(rest)
    found = [(f'[:, 0{colons}]', rest), (f'[:, ::-1{colons}]', source.shape), (f'[:, :1{colons}]', (1, *rest)),
             (f'[:, {first - 1}:{first}]', (1, *rest))]
    if len(rest) > 0:
        found.append((f'[:, :, 0:{rest[0]}:2]', (first, (rest[0] + 1) // 2, *rest[1:])))
    brackets, shape = scope.chance.pick(found)
    return assign(scope, joined(f'{source.text}{brackets}', shape, [source]), 'part')


def detached(scope: Scope) -> Optional[Value]:
    source = scope.array()
    if source is None:
        return None
    kind = scope.chance.number(0, 3)
    if kind == 0:
        return assign(scope, replace(source, text=f'detach({source.text})', reach=frozenset()), 'calm')
    if kind == 1:
        return assign(scope, replace(source, text=f'reverse_gradient({source.text}, {scope.number()})'), 'back')
    if kind == 2:
        return assign(scope, joined(f'ones_like({source.text})', source.shape, [source], reach=frozenset()), 'ones')
    name = scope.name('back')
    scope.add(f'{source.text} -> reverse_gradient(0.1) -> tanh -> detach -> {name}')
    return scope.bind(replace(source, text=name, reach=frozenset()))


def integers(scope: Scope) -> Optional[Value]:
    chance = scope.chance
    t = scope.find(lambda v: v.dtype in ('int32', 'int64') and v.shape is not None)
    x = scope.array()
    kind = chance.number(0, 6)
    if t is None or kind == 0:
        if x is None or not x.shape:
            return None
        return assign(scope, joined(f'argmax({x.text}, axis=1)', x.shape[1:], [x], 'labels'), 'best')
    if kind == 1 and t.shape == ():
        return _one_hot(scope, t)
    if kind == 2:
        return assign(scope, joined(f'{t.text} / {chance.pick([2, 4])}', t.shape, [t], 'float'), 'half')
    if kind == 3:
        return assign(scope, joined(f'{chance.pick([0.5, "1e-1"])} * {t.text}', t.shape, [t], 'float'), 'scaled')
    if kind == 4:
        return assign(scope, joined(f'{t.text} - 2 * ({t.text} // 2)', t.shape, [t], 'whole'), 'odd')
    if kind == 5:
        return assign(scope, joined(f'cast({t.text}, "{scope.real}")', t.shape, [t], 'float'), 'cast_')
    if x is not None and x.shape == t.shape:
        return assign(scope, joined(f'{x.text} * {t.text}', x.shape, [x, t], 'float'), 'weighted')
    if x is not None and x.shape:
        return assign(scope, joined(f'{x.text} * arange({x.shape[-1]})', x.shape, [x]), 'ranked')
    return None


def _one_hot(scope: Scope, t: Value) -> Value:
    classes = scope.chance.number(2, 4)
    return assign(scope, joined(f'one_hot({t.text}, {classes})', (classes,), [t], 'float'), 'hot')


def truths(scope: Scope) -> Optional[Value]:
    x = scope.array()
    if x is None:
        return None
    mask = scope.find(lambda v: v.dtype == 'bool' and v.shape == x.shape)
    if mask is None:
        form = scope.chance.pick([f'{x.text} > 0', f'0.5 >= {x.text}', f'{x.text} != {scope.number()}'])
        return assign(scope, joined(form, x.shape, [x], 'bool'), 'mask')
    a, m = x.text, mask.text
    form = scope.chance.pick([f'where({m}, {a}, 0)', f'{m} * {a}', f'where({m}, {a}, -{a})',
                              f'where({m} * ({a} < 1), 0.5, {a})', f'{a} + sum([{m}, {a} > 1])'])
    return assign(scope, joined(form, x.shape, [mask, x], 'float', twice=False), 'chosen')


def lists(scope: Scope) -> Optional[Value]:
    chance = scope.chance
    x = scope.array()
    if x is None:
        return None
    same = [v for v in scope.values if v.is_float and v.shape == x.shape][-3:]
    names = ', '.join(v.text for v in same)
    kind = chance.number(0, 3)
    if kind == 0 or not x.shape:
        form = chance.pick(['sum', 'mean'])
        return assign(scope, joined(f'{form}([{names}])', x.shape, same, twice=False), 'total')
    if kind == 1:
        return assign(scope, joined(f'stack([{names}], axis=1)', (len(same), *x.shape), same, twice=False), 'piled')
    joint = joined(f'concat([{names}], axis=1)', (len(same) * x.shape[0], *x.shape[1:]), same, twice=False)
    return assign(scope, joint, 'joint')


def results(scope: Scope) -> Optional[Value]:
    """Writes an edge with several results."""
    chance = scope.chance
    x = scope.find(lambda v: v.is_float and v.shape and v.shape[0] <= 6)
    if x is None:
        return None
    count, rest = x.shape[0], x.shape[1:]
    parts = next((n for n in (2, 3, count) if count % n == 0), count)
    split = joined('', (count // parts, *rest), [x], twice=False)
    kind = chance.number(0, 3)
    if kind == 0:
        family = scope.name('p')
        scope.add(f'{x.text} -> split_axis({parts}, axis=1) -> {family}[0..{parts}]')
        found = [scope.bind(replace(split, text=f'{family}[{i}]')) for i in range(parts)]
        if chance.half():
            return assign(scope, joined(f'concat({family}[*], axis=1)', x.shape, found), 'all')
        return found[-1]
    if kind == 1 and parts > 1:
        names = ['_'] + [scope.name('q') for _ in range(parts - 1)]
        scope.add(f'{", ".join(names)} = split_axis({x.text}, {parts}, axis=1)')
        return [scope.bind(replace(split, text=name)) for name in names[1:]][0]
    if kind == 2 and count > 1:
        family = scope.name('c')
        scope.add(f'{x.text} -> separate(axis=1) -> {family}[0..{count}]')
        found = [scope.bind(replace(split, text=f'{family}[{i}]', shape=rest)) for i in range(count)]
        text = f'{chance.pick(["sum", "mean"])}({family}[{chance.pick(["*", "0:", ":1"])}])'
        return assign(scope, joined(text, rest, found[:1] if ':1' in text else found), 'some')
    left, right = scope.name('left'), scope.name('right')
    scope.add(f'{x.text} -> split_axis([1], axis=1) -> {left}, {right}')
    if count == 1:
        scope.values.append(replace(split, text=right, shape=None, dtype='nothing', reach=frozenset()))
        return scope.bind(replace(split, text=left))
    scope.bind(replace(split, text=left, shape=(1, *rest)))
    return scope.bind(replace(split, text=right, shape=(count - 1, *rest)))


def scalar(scope: Scope, x: Value) -> Value:
    """Returns an expression of a scalar, to be made small, that reaches all that a value does."""
    chance = scope.chance
    t = scope.find(lambda v: v.dtype in ('int32', 'int64') and v.shape == ())
    same = scope.find(lambda v: v.is_float and v.shape == x.shape and v.text != x.text)
    forms = [(f'mean({x.text} ** 2)', [x]), (f'mean(absolute({x.text}))', [x]), (f'sum({x.text}) / batch_size', [x]),
             (f'mean(softplus(-{x.text}))', [x])]
    if x.shape is not None and len(x.shape) == 1 and x.shape[0] >= 2 and t is not None:
        forms = [(f'softmax_cross_entropy({x.text}, {t.text})', [x, t])] * 3 + forms
        forms.append((f'mean(softmax_cross_entropy({x.text}, {t.text}, reduce="no"))', [x, t]))
        forms.append((f'-mean(sum(one_hot({t.text}, {x.shape[0]}) * log_softmax({x.text}), axis=1))', [x, t]))
    if same is not None:
        forms += [(f'mean_squared_error({x.text}, {same.text})', [x, same]),
                  (f'mean(({x.text} - {same.text}) ** 2)', [x, same]),
                  (f'bernoulli_nll(sigmoid({same.text}), {x.text}) / batch_size', [x, same])]
    if x.shape is not None and prod(x.shape) > 1 and scope.has('grad'):
        forms.append((f'mean(sum({x.text} ** 2, axis=1))', [x]))
    text, sources = chance.pick(forms)
    return joined(text, None, sources)
