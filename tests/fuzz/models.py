"""Models: chains, bodies, families, copies and followers, and the edges that lead through them."""
from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Optional, Sequence

from fuzz import flow
from fuzz.stages import Stage, dense, stage
from fuzz.writer import Scope, Value, joined


WEIGHTS = ('Normal(0.1)', 'Uniform(0.1)', 'Constant(1.0)', '1.0', '0', 'One()')


@dataclass(frozen=True)
class Model:
    """A model that the program has declared.

    Attributes:
        name: Its name, or that of a member of a family.
        inputs: What it was first called with.
        outputs: What it gives; its inputs are `'<0'`, `'<1'` in their reach.
        parts: What has to be owned of it.
        layers: Names of parts that edges may lead through, with the shapes of what they take and give.
        trains: Whether it has parameters that an optimizer moves.
        stateful: Whether it carries a state.
        plain: Whether it can be copied, followed and run in other modes.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    parts: frozenset
    layers: tuple[tuple[str, tuple, tuple], ...] = ()
    trains: bool = True
    stateful: bool = False
    plain: bool = True


def call(scope: Scope, model: Model, arguments: Sequence[Value], texts: Sequence[str]) -> list[Value]:
    """Notes what a call of a model gives, under some names."""
    found = []
    for text, output in zip(texts, model.outputs):
        reach = {part for part in output.reach if model.trains and part[0] not in '<='}
        for i, argument in enumerate(arguments):
            if f'<{i}' in output.reach:
                reach |= argument.reach
        value = joined(text, output.shape, arguments, reach=frozenset(reach))
        stateful = value.stateful | ({model.name} if model.stateful else set())
        found.append(scope.bind(replace(value, twice=value.twice and output.twice, stateful=stateful)))
    return found


def fits(model: Model, scope: Scope) -> Optional[list[Value]]:
    """Returns values that a model can be called with, if there are any."""
    found = [scope.find(lambda v, wanted=wanted: (v.shape, v.dtype) == (wanted.shape, wanted.dtype))
             for wanted in model.inputs]
    return None if None in found else found


def edge_through(scope: Scope, model: Model, arguments: Sequence[Value], mode: str = '') -> list[Value]:
    """Writes an edge through a model."""
    chance = scope.chance
    names = [scope.name(chance.pick(['y', 'p', 'out'])) for _ in model.outputs]
    texts = [v.text for v in arguments]
    stage_text = f'{mode}({model.name})' if mode else model.name
    source = f'({", ".join(texts)})' if len(texts) > 1 else texts[0]
    if mode or chance.often():
        scope.add(f'{source} -> {stage_text} -> {", ".join(names)}')
    else:
        scope.add(f'{", ".join(names)} = {model.name}({", ".join(texts)})')
    return call(scope, model, arguments, names)


def chain(scope: Scope, shape: tuple, dtype: str, least: int = 1) -> list[Stage]:
    """Returns the stages of a chain; one of them has parameters."""
    stages = []
    for _ in range(scope.chance.number(least, 3)):
        stages.append(stage(scope, shape, dtype))
        shape, dtype = stages[-1].shape, 'float'
    if not any(one.is_link for one in stages) or len(shape) > 1 and scope.chance.half():
        if not shape:
            stages.append(Stage('expand_dims(axis=1)', (1,)))
        stages.append(dense(scope, shape, scope.chance.number(2, 5)))
    return stages


def chain_parts(name: str, stages: Sequence[Stage]) -> dict[str, Stage]:
    """Returns the parts of a chain by name; those of blocks have none that is known here."""
    found, counts = {}, {}
    for i, one in enumerate(stages):
        if one.is_link and one.text[0].isupper():
            kind = re.match(r'\w+', one.text)[0]
            if kind in ('Linear', 'Bias', 'Scale', 'Highway', 'Maxout'):
                kind = kind.lower()
                counts[kind] = counts.get(kind, 0) + 1
                found[f'{name}/{kind}_{counts[kind]}'] = one
                continue
        if one.is_link:
            found[f'{name}/?{i}'] = one
    return found


def chain_model(scope: Scope, name: str, source: Value, stages: Sequence[Stage]) -> Model:
    """Returns what is known of a model that is a chain."""
    parts = chain_parts(name, stages)
    reach = frozenset(parts) | ({'<0'} if source.is_float else frozenset())
    output = Value('', stages[-1].shape, reach=reach, twice=all(one.twice for one in stages))
    shapes = [source.shape, *(one.shape for one in stages)]
    layers = tuple((path.partition('/')[2], shapes[stages.index(one)], one.shape) for path, one in parts.items()
                   if '?' not in path and one.text.startswith('Linear') and stages.count(one) == 1)
    is_block = any(one.is_link and not one.text[0].isupper() for one in stages)
    return Model(name, (source,), (output,), frozenset(parts), () if is_block else layers,
                 stateful=any(one.stateful for one in stages))


def breaks(scope: Scope) -> str:
    return '\n    -> ' if scope.has('layout') else ' -> '


def new_model(scope: Scope, models: list[Model]) -> None:
    """Writes a model and an edge through it."""
    chance = scope.chance
    source = scope.find(lambda v: v.shape is not None and (
        v.is_float or v.dtype in ('int32', 'int64') and len(v.shape) < 2))
    if source is None:
        return
    name = scope.name(chance.pick(['net', 'trunk', 'head', 'critic']))
    frozen = 'frozen ' if scope.has('frozen') and chance.seldom() else ''
    if scope.has('bodies') or scope.has('weights'):
        model = body_model(scope, name, source, frozen)
    else:
        stages = chain(scope, source.shape, source.dtype)
        if scope.has('recurrent') and not frozen and 'recurrent' not in scope.taken:
            scope.taken.add('recurrent')
            text = chance.pick(['LSTM(3)', 'StatefulGRU(3, 3)', 'GRU(3)', 'StatefulPeepholeLSTM(3, 3)'])
            stages.append(Stage(text, (3,), True, False, True))
            if stages[-2].shape != (3,):
                stages.insert(-1, Stage('Linear(3)', (3,), True))
        scope.add(f'{frozen}model {name} = {breaks(scope).join(one.text for one in stages)}')
        model = chain_model(scope, name, source, stages)
    if frozen:
        model = replace(model, trains=False, plain=False)
    elif model.stateful:
        model = replace(model, plain=False)
    edge_through(scope, model, model.inputs)
    models.append(model)
    if model.plain and scope.has('parts'):
        part_of(scope, models, model)


def ragged_model(scope: Scope, name: str, stream: str, models: list[Model]) -> None:
    """Writes a model of an input whose axis has any length."""
    model = scope.name('table')
    size, ending = scope.chance.number(2, 4), scope.chance.pick(['', ' -> tanh', ' -> relu'])
    scope.add(f'model {model} = EmbedID(10, {size}, ignore_label=-1) -> sum(axis=1){ending}')
    part = frozenset([f'{model}/?'])
    source = Value(name, None, 'ragged', streams=frozenset([stream]))
    output = Value('', (size,), reach=part, twice=False)
    models.append(Model(model, (source,), (output,), part, plain=False))
    edge_through(scope, models[-1], models[-1].inputs)


def part_of(scope: Scope, models: list[Model], model: Model) -> None:
    """Freezes a part of a model, or leads an edge through one."""
    chance = scope.chance
    named = [path for path in sorted(model.parts) if '?' not in path]
    if 'frozen' in scope.features and named and len(model.parts) > 1 and chance.half():
        path = chance.pick(named)
        scope.add(f'frozen {path.replace("/", ".")}')
        models[models.index(model)] = replace(model, parts=model.parts - {path}, plain=False)
    elif model.layers:
        layer, taken, given = chance.pick(model.layers)
        source = scope.find(lambda v: v.is_float and v.shape == taken)
        if source is not None:
            name = scope.name('through')
            scope.add(flow.flows(scope, source.text, [f'{model.name}.{layer}'], name))
            scope.bind(replace(source, text=name, shape=given, reach=source.reach | {f'{model.name}/{layer}'}))


def body_model(scope: Scope, name: str, source: Value, frozen: str) -> Model:
    """Writes a model with a body."""
    chance = scope.chance
    arguments = [source]
    other = scope.array()
    if chance.half() and other is not None and other.text != source.text:
        arguments.append(other)
    body = Scope(chance, scope.features, list(scope.file.params), f'{name}/', scope)
    for i, argument in enumerate(arguments):
        body.values.append(Value(body.name('x'), argument.shape, argument.dtype,
                                 frozenset([f'<{i}'] if argument.is_float else [])))
    inputs = ', '.join(value.text for value in body.values)
    for _ in range(chance.number(1, 4)):
        makers = [link_edge, named_layer, weighted, flow.step_on, layer_family] if body.array() else [link_edge]
        chance.pick(makers)(body)
    if not body.parts:
        link_edge(body)
    outputs = [close(body, first=True)]
    if 'results' in scope.features and chance.half():
        outputs.insert(0, close(body, first=False))
    header = f'{frozen}model {name}({inputs}) -> {", ".join(o.text for o in outputs)} {{'
    scope.add('\n    '.join([header, *(line.replace('\n', '\n    ') for line in body.lines)]) + '\n}')
    return Model(name, tuple(arguments), tuple(outputs), frozenset(body.parts), tuple(body.layers))


def close(body: Scope, first: bool) -> Value:
    """Writes a result of a body; the first depends on all parts."""
    value = body.find(lambda v: v.is_float and v.shape is not None and v.reach & body.parts)
    sources, text = [value], value.text
    missing = body.parts - value.reach if first else frozenset()
    for other in body.values[::-1]:
        if missing & other.reach:
            sources.append(other)
            text += f' + mean({other.text})'
            missing = missing - other.reach
    name = body.name('result')
    body.add(f'{name} = {text}')
    return joined(name, value.shape, sources)


def part_name(body: Scope, plain: str) -> str:
    """Returns a name for a layer or weight: not one that chains have for something else, nor a private one."""
    name = body.name(plain)
    return body.name(f'{plain}_') if name in ('name', 'params', 'forward') or name.startswith('_') else name


def link_edge(body: Scope) -> None:
    """Writes an edge through links that have no names."""
    source = body.find(lambda v: v.shape is not None and (v.is_float or v.dtype in ('int32', 'int64')))
    stages = chain(body, source.shape, source.dtype)
    name = body.name('h')
    reach = source.reach
    for one in stages:
        if one.is_link:
            reach = reach | body.part(f'?{len(body.parts)}')
    body.add(f'{source.text} -> {" -> ".join(one.text for one in stages)} -> {name}')
    body.bind(replace(source, text=name, shape=stages[-1].shape, dtype='float', reach=reach,
                      twice=source.twice and all(one.twice for one in stages)))


def named_layer(body: Scope) -> None:
    """Writes a layer, and an edge that leads through it."""
    chance = body.chance
    source = body.find(lambda v: v.is_float and v.shape)
    if source is None:
        return
    size = chance.number(2, 4)
    layer = part_name(body, chance.pick(['wide', 'inner', 'stem']))
    text, twice = chance.pick([(f'Linear({body.integer(size)})', True), (f'Linear({size}, nobias=true)', True),
                               (f'Maxout({size}, pool_size=2)', False)])
    body.add(f'layer {layer} = {text}')
    name = body.name('h')
    body.add(flow.flows(body, source.text, [layer, chance.pick(['relu', 'tanh'])], name))
    body.bind(replace(source, text=name, shape=(size,), reach=source.reach | body.part(layer),
                      twice=source.twice and twice))
    body.layers.append((layer, source.shape, (size,)))


def weighted(body: Scope) -> None:
    """Writes a trainable array, and a value that it is part of."""
    chance = body.chance
    source = body.find(lambda v: v.is_float and v.shape)
    if source is None:
        return
    weight = part_name(body, 'gain')
    shape = source.shape if chance.half() else (1,) * len(source.shape)
    body.add(f'weight {weight}: {body.file.real}{list(shape)} = {chance.pick(WEIGHTS)}')
    form = chance.pick(['{x} * {w}', '{w} + {x}', '{x} - 0.5 * {w}', '{x} / (1 + {w} ** 2)'])
    text = form.format(x=source.text, w=weight)
    flow.assign(body, replace(source, text=text, reach=source.reach | body.part(weight)), 'scaled')


def layer_family(body: Scope) -> None:
    """Writes layers one after the other, in a loop."""
    source = body.find(lambda v: v.is_float and v.shape)
    if source is None:
        return
    count, size = body.chance.number(1, 3), body.chance.number(2, 3)
    layer, value = part_name(body, 'l'), body.name('s')
    body.add(f'{value}[0] = {source.text}')
    body.add(f'for i in 0..{body.integer(count)} {{\n    layer {layer}[i] = Linear({size})\n'
             f'    {value}[i] -> {layer}[i] -> relu -> {value}[i + 1]\n}}')
    reach = source.reach
    for i in range(count):
        reach = reach | body.part(f'{layer}[{i}]')
        body.bind(replace(source, text=f'{value}[{i + 1}]', shape=(size,), reach=reach))


def family(scope: Scope, models: list[Model]) -> None:
    """Writes models of one kind, in a loop or two."""
    chance = scope.chance
    source = scope.find(lambda v: v.is_float and v.shape)
    if source is None:
        return
    count = chance.number(1, 3)
    is_grid = scope.has('grids')
    name, value = scope.name('judge'), scope.name('z')
    index = '[i, j]' if is_grid else '[i]'
    members = [(i, j) for i in range(count) for j in range(2)] if is_grid else [(i,) for i in range(count)]
    stages = chain(scope, source.shape, 'float')
    grows = chance.seldom()
    if grows:
        stages.append(Stage('Linear(2 + i)', (2,), True))
    lines = [f'model {name}{index} = {" -> ".join(one.text for one in stages)}',
             flow.flows(scope, source.text, [f'{name}{index}'], f'{value}{index}')]
    values = []
    for member in members:
        where = str(list(member))
        own = stages if not grows else [*stages[:-1], replace(stages[-1], shape=(2 + member[0],))]
        model = chain_model(scope, f'{name}{where}', source, own)
        models.append(model)
        values += call(scope, model, [source], [f'{value}{where}'])
    loops = [f'for i in {chance.pick([f"0..{scope.integer(count)}", str(list(range(count)))])} {{']
    if is_grid:
        loops.append('    for j in 0..2 {')
    indent = '    ' * len(loops)
    closing = ['    ' * i + '}' for i in reversed(range(len(loops)))]
    scope.add('\n'.join([*loops, *(indent + line for line in lines), *closing]))
    if not grows and not is_grid and 'lists' in scope.features:
        text = f'{chance.pick(["sum", "mean"])}({value}[*])'
        flow.assign(scope, joined(text, values[0].shape, values, twice=False), 'whole')


def again(scope: Scope, models: list[Model]) -> None:
    """Writes one more edge through a model."""
    chance = scope.chance
    plain = [model for model in models if not model.stateful]
    if not plain:
        return
    model = chance.pick(plain[::-1])
    arguments = fits(model, scope)
    if arguments is not None:
        modes = ['', 'eval', 'quiet'] if model.plain and 'modes' in scope.features else ['']
        edge_through(scope, model, arguments, chance.pick(modes))


def copy(scope: Scope, models: list[Model]) -> None:
    """Writes a model that is like another, or follows one."""
    chance = scope.chance
    plain = [model for model in models if model.plain and model.trains and not model.stateful]
    if not plain:
        return
    original = chance.pick(plain)
    arguments = fits(original, scope)
    if arguments is None:
        return
    name = scope.name('twin')
    if 'copies' in scope.features and (chance.half() or 'followers' not in scope.features):
        scope.add(f'model {name} like {original.name}')

        def moved(paths):
            return frozenset(path.replace(f'{original.name}/', f'{name}/', 1) for path in paths)
        outputs = tuple(replace(output, reach=moved(output.reach)) for output in original.outputs)
        model = replace(original, name=name, outputs=outputs, parts=moved(original.parts), plain=False)
    else:
        rule = chance.pick(['decay 0.9', 'decay min(0.99, (1 + iteration) / (10 + iteration))', 'every 2 iterations',
                            'every 1 iterations', f'every {scope.integer(3)} iterations',
                            'decay 0.5 if epoch < 1 else 0'])
        scope.add(f'model {name} follows {original.name} {rule}')
        model = replace(original, name=name, parts=frozenset(), trains=False, plain=False)
    edge_through(scope, model, arguments)
    models.append(model)
