"""Hypothesis strategies that write whole programs, valid by construction."""
from __future__ import annotations

from dataclasses import replace
from typing import Optional

from hypothesis import strategies as st

from fuzz import flow, models as m, training
from fuzz.writer import FEATURES, Chance, Scope, Value


class Program:
    """A program.

    Args:
        text: The file.
        real: Dtype of its floats.
        runs: Whether the sources of its data are there, so that the command line can train it.
    """

    def __init__(self, text: str, real: str = 'float32', runs: bool = False):
        self.text = text
        self.real = real
        self.runs = runs

    def __repr__(self) -> str:
        return f'<<< {self.real}\n{self.text}>>>'


#: Sources whose data is there, with the types of their columns and the shapes. Labels are 0 and 1.
SOURCES = (
    ('digits(classes=[0, 1], {})', (('float', (1, 8, 8)), ('int32', ()))),
    ('breast_cancer({})', (('float', (30,)), ('int32', ()))),
    ('diabetes({})', (('float', (10,)), ('float', ()))),
    ('digits(limit=30, {}, classes=(0, 1))', (('float', (1, 8, 8)), ('int32', ()))),
)
MORE_SOURCES = tuple((source, ()) for source in (
    'sequence(text("novel.txt", {}))', 'npz("a.npz", {})',
    'csv("a.csv", {}, x=["length", "width"], t="kind", labels="kind")',
    'images("photos", size=(8, 8), gray=true, {})', 'text("poems.txt", unit="line", {})'))
SPLITS = ('split="test"', 'split="train"', 'split="all"')


@st.composite
def programs(draw, runs: bool = False) -> Program:
    """Valid programs of all that the language has.

    Args:
        draw: Of Hypothesis.
        runs (bool): Whether they all have data that is there, and single precision.
    """
    features = frozenset(draw(st.lists(st.sampled_from(FEATURES), max_size=14, unique=True)))
    return write(Chance(draw), features, runs)


def write(chance: Chance, features: frozenset, runs: bool = False) -> Program:
    # A GRU cannot go on from a minibatch to a smaller one, such as the last of an evaluation.
    features = features - {'recurrent'} | {'streams'} if runs else features
    if not runs and chance.half():
        features |= {'double'}
    scope = Scope(chance, features, ['batch_size', 'iteration', 'epoch', 'progress'])
    runs, streams = write_inputs(scope, runs)
    write_noise(scope, streams)
    states = write_states(scope)
    found: list[m.Model] = []
    for name, stream in scope.ragged:
        m.ragged_model(scope, name, stream, found)
    for _ in range(chance.number(1, 6)):
        grow(scope, found)
    if not any(model.trains and model.parts for model in found):
        m.new_model(replaced(scope, 'frozen', 'recurrent'), found)
    losses = training.write_losses(scope, found)
    if 'grad' in features:
        losses += [loss for loss in [training.gradient_loss(scope)] if loss]
    metrics = write_reports(scope, losses)
    optimizers = training.write_optimizers(scope, found, losses)
    steps = training.write_steps(scope, optimizers, losses) if 'steps' in features else []
    if 'schedules' in features:
        training.write_schedules(scope, optimizers)
    training.write_changes(scope, states, losses, metrics, steps)
    if 'settings' in features or runs:
        # Any of them may come first, and be the clock.
        read = frozenset().union(*(loss.value.streams for loss in losses))
        training.write_settings(scope, set(streams) <= read, runs, [loss.name for loss in losses])
    return Program(finished(scope, steps), scope.real, runs)


def replaced(scope: Scope, *without: str) -> Scope:
    scope.features = scope.features - set(without)
    return scope


def grow(scope: Scope, found: list[m.Model]) -> None:
    """Writes a statement or some."""
    makers = [lambda: m.new_model(scope, found), lambda: flow.step_on(scope), lambda: m.again(scope, found)]
    if scope.features & {'families', 'grids'}:
        makers.append(lambda: m.family(scope, found))
    if scope.features & {'copies', 'followers'}:
        makers.append(lambda: m.copy(scope, found))
    if 'pools' in scope.features:
        makers.append(lambda: pool(scope))
    if 'branches' in scope.features:
        makers.append(lambda: branch(scope))
    scope.chance.pick(makers)()


def pool(scope: Scope) -> None:
    source = scope.array()
    if source is not None:
        text = f'history({source.text}, size={scope.integer(3)})'
        flow.assign(scope, replace(source, text=text, reach=frozenset()), 'old')


def branch(scope: Scope) -> None:
    """Puts what is written next into a branch that is taken."""
    chance = scope.chance
    start = len(scope.lines)
    if flow.step_on(scope) is None:
        return
    written = [line.replace('\n', '\n    ') for line in scope.lines[start:]]
    other = chance.pick(['nonsense -> nowhere -> y', 'model y = Nothing(1)', 'loss y = 0', 'x = x + "text"'])
    body = '\n    '.join(written)
    scope.lines[start:] = [chance.pick([
        f'if {scope.integer(2)} > 1 {{\n    {body}\n}} else {{\n    {other}\n}}',
        f'if false {{\n    {other}\n}} else if not (1 == 2) {{\n    {body}\n}}'])]


def write_inputs(scope: Scope, runs: bool) -> tuple[bool, list[str]]:
    """Writes the data and the inputs; returns whether the data is there, and the streams."""
    chance = scope.chance
    if 'streams' not in scope.features and chance.half():
        write_columns(scope, None)
        return False, []
    streams = []
    runs = runs or ('recurrent' not in scope.features and chance.half())
    count = chance.number(1, 2)
    for _ in range(count):
        stream = scope.name(chance.pick(['digits', 'images', 'unlabelled']))
        source, types = chance.pick(SOURCES if runs or chance.half() else MORE_SOURCES)
        lines = [f'train = {source.format(chance.pick(SPLITS))}']
        # Of two streams, the last minibatches of an evaluation might differ in size.
        if chance.half() and count == 1:
            lines.append('test = ' + source.format(SPLITS[0]))
        if not runs and chance.seldom():
            lines.append(f'batch {scope.integer(4)}')
        scope.add(f'data {stream} {{\n    ' + '\n    '.join(lines) + '\n}')
        streams.append(stream)
        if runs:
            columns = []
            for dtype, shape in types:
                name = '_' if columns and chance.seldom() else scope.name('x' if dtype == 'float' else 't')
                columns.append(column(scope, name, dtype, shape, stream))
            scope.add(f'input {", ".join(columns)} from {stream}')
        else:
            write_columns(scope, stream, count > 1 or chance.half())
    return runs, streams


def column(scope: Scope, name: str, dtype: str, shape: tuple, stream: Optional[str]) -> str:
    """Returns the declaration of a column, and notes its value."""
    if name != '_':
        value = Value(name, shape, dtype, streams=frozenset([stream or 'main']))
        scope.bind(value)
    dtype = scope.real if dtype == 'float' else dtype
    sizes = ', '.join(scope.integer(n) for n in shape)
    return f'{name}: {dtype}[{sizes}]' if shape or scope.chance.seldom() else f'{name}: {dtype}'


def write_columns(scope: Scope, stream: Optional[str], is_named: bool = False) -> None:
    chance = scope.chance
    shapes = [(4,), (3,), (6,), ()] + [(2, 6, 6), (1, 8, 8), (2, 4)] * ('images' in scope.features)
    columns = [column(scope, scope.name('x'), 'float', chance.pick(shapes), stream)]
    for _ in range(chance.number(0, 2)):
        kind = chance.pick(['t', 'x', 't'] + ['mask'] * ('truths' in scope.features) + ['many'] + ['_'])
        if kind == 't':
            columns.append(column(scope, scope.name('t'), chance.pick(['int32', 'int32', 'int64']), (), stream))
        elif kind == 'many':
            columns.append(column(scope, scope.name('c'), 'int32', (chance.number(2, 4),), stream))
        elif kind == 'mask':
            columns.append(column(scope, scope.name('b'), 'bool', chance.pick(shapes), stream))
        elif kind == '_':
            columns.append('_')
        else:
            columns.append(column(scope, scope.name('u'), 'float', chance.pick(shapes), stream))
    if 'ragged' in scope.features:
        name = scope.name('s')
        columns.append(f'{name}: int32[?] pad {chance.pick(["0", "1", "-1"])}')
        scope.ragged.append((name, stream or 'main'))
    ending = f' from {stream}' if is_named else ''
    if chance.often():
        scope.add(f'input {", ".join(columns)}{ending}')
    else:
        for one in columns:
            scope.add(f'input {one}{ending}')


def write_noise(scope: Scope, streams: list[str]) -> None:
    chance = scope.chance
    if 'noise' in scope.features:
        for _ in range(chance.number(1, 3)):
            stream = chance.pick(streams) if streams and chance.half() else None
            name = scope.name('z')
            size = chance.number(2, 4)
            real = scope.real
            kind, dtype, shape = chance.pick([
                ('normal(0, 1)', 'float', (size,)), (f'uniform(-1, {scope.integer(1)})', 'float', (2, size)),
                ('normal(mean=0, std=0.5)', 'float', ()), ('bernoulli(0.5)', 'bool', (size,)),
                ('bernoulli(0.9)', 'float', (size,)), ('categorical([0.5, 0.3, 0.2])', 'index', ()),
                ('categorical(2)', 'int32', ()), ('categorical(3)', 'index', (2,)),
                (f'permutation({size})', 'index', (size,)), ('permutation(batch_size)', 'order', ())])
            written = real if dtype == 'float' else dtype if dtype in ('bool', 'int32') else 'int32'
            sizes = str(list(shape)) if shape else ''
            scope.add(f'noise {name}: {written}{sizes} ~ {kind}{f" from {stream}" if stream else ""}')
            scope.bind(Value(name, shape, dtype, streams=frozenset()))
            same = scope.array()
            if dtype == 'order' and same is not None and same.streams == {stream or (streams or ['main'])[0]}:
                flow.assign(scope, replace(same, text=f'{same.text}[{name}]'), 'shuffled')
    if 'random numbers' in scope.features:
        name = scope.name('coin')
        scope.add(f'noise {name} ~ {chance.pick(["uniform(0, 1)", "bernoulli(0.5)", "normal(0, 0.1)"])}')
        scope.coins.append(name)


def write_states(scope: Scope) -> list[str]:
    if 'states' not in scope.features:
        return []
    states = [scope.name('k') for _ in range(scope.chance.number(1, 2))]
    for state in states:
        scope.add(f'state {state} = {scope.chance.pick(["0.0", "1.5", "0", "2 ** -1"])}')
    scope.numbers += states
    return states


def write_reports(scope: Scope, losses: list[training.Loss]) -> list[str]:
    """Writes metrics and outputs; returns the names of the metrics."""
    chance = scope.chance
    metrics = []
    if 'metrics' in scope.features:
        for _ in range(chance.number(1, 3)):
            name = scope.name('share')
            x = scope.array(1)
            t = scope.find(lambda v: v.dtype in ('int32', 'int64') and v.shape == ())
            forms = [scope.number(), '1 / (1 + epoch)'] + [f'{loss.name} / 2' for loss in losses[:2]]
            if x is not None:
                forms += [f'max({x.text})', f'mean({x.text} > 0)', f'sum({x.text}) / batch_size']
                if t is not None and x.shape[0] >= 2:
                    forms = [f'accuracy({x.text}, {t.text})'] * 2 + forms
            scope.add(f'metric {chance.pick(["", "falling "])}{name} = {chance.pick(forms)}')
            metrics.append(name)
    if 'outputs' in scope.features:
        value = scope.array()
        if value is not None:
            scope.add(f'output {value.text}')
        labels = scope.array(1)
        if labels is not None:
            scope.add(f'output {scope.name("label")} = argmax({labels.text}, axis=1)')
    return metrics


def finished(scope: Scope, steps: list[str]) -> str:
    """Puts the statements into an order: params come first, and steps keep theirs."""
    chance = scope.chance
    ordered = [f'param {name} = {value}' for name, value in scope.params.items()]
    lines = [*scope.lines, *scope.blocks.values()]
    if 'shuffled' in scope.features:
        lines = chance.order(lines)
    return '\n'.join([*ordered, *lines, *steps]) + '\n'
