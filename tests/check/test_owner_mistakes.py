"""Random right graphs with one mistake of ownership: that mistake is reported, and nothing else.

What is expected comes from a plain search in a small description of the graph, not from the checker.
"""
from __future__ import annotations

import inspect
from typing import NamedTuple, Optional

import chainer
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import TWO, check
from test_growth import lines_run

from graphdsl.diagnostics import Source
from graphdsl.semantics import catalog, ways


class Net(NamedTuple):
    """Value i is what a model makes of the sum of some earlier values, and of the input where there are none.

    Attributes:
        values: For each value its model and the values that are summed.
        losses: The values that losses are the means of.
        groups: The models that each optimizer owns.
        lists: The losses that each optimizer names, None where none does.
        frozen: Models that are frozen.
    """

    values: tuple[tuple[int, tuple[int, ...]], ...]
    losses: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    lists: tuple[Optional[tuple[int, ...]], ...]
    frozen: tuple[int, ...] = ()

    def __repr__(self):
        return f'<<<\n{text_of(self)}>>>'

    def models_of(self, loss):
        """The models that a loss depends on."""
        found, pending = set(), [self.losses[loss]]
        while pending:
            model, operands = self.values[pending.pop()]
            found.add(model)
            pending.extend(operands)
        return found

    def losses_of(self, group):
        return tuple(k for k in range(len(self.losses)) if self.models_of(k) & set(group))


def text_of(net):
    models = sorted({model for model, _ in net.values})
    lines = ['input x: float32[4]']
    lines += [f'{"frozen " if m in net.frozen else ""}model m{m} = Linear(4)' for m in models]
    lines += [f'v{i} = m{model}({" + ".join(f"v{k}" for k in operands) or "x"})'
              for i, (model, operands) in enumerate(net.values)]
    lines += [f'loss l{k} = mean(v{value} ** 2)' for k, value in enumerate(net.losses)]
    for group, named in zip(net.groups, net.lists):
        lines.append('optimizer SGD(lr=0.1) owns ' + ', '.join(f'm{m}' for m in group) + (
            ' minimizes ' + ', '.join(f'l{k}' for k in named) if named else ''))
    return '\n'.join(lines) + '\n'


@st.composite
def nets(draw, optimizers=1):
    """Right graphs: every value leads to a loss, every model has an owner, every loss is minimized."""
    models = draw(st.integers(optimizers, 5))
    values = []
    for i in range(draw(st.integers(models, 8))):
        model = i if i < models else draw(st.integers(0, models - 1))
        operands = draw(st.lists(st.integers(0, i - 1), max_size=2, unique=True)) if i else []
        values.append((model, tuple(operands)))
    read = {k for _, operands in values for k in operands}
    more = draw(st.sets(st.integers(0, len(values) - 1), max_size=2))
    losses = [i for i in range(len(values)) if i not in read or i in more]
    owner = [*range(optimizers), *(draw(st.integers(0, optimizers)) for _ in range(models - optimizers))]
    groups = tuple(tuple(m for m in range(models) if owner[m] == o) for o in sorted(set(owner)))
    net = Net(tuple(values), tuple(losses), groups, (None,) * len(groups))
    return net._replace(lists=tuple(map(net.losses_of, groups))) if draw(st.booleans()) else net


def found(net):
    """The codes of what is wrong, each with the first name of its message; and the diagnostics."""
    _, diagnostics = check(text_of(net))
    return [(d.code, (d.message.split('`') + [''])[1]) for d in diagnostics], diagnostics


def edited(text, diagnostic):
    for edit in sorted(diagnostic.edits, key=lambda edit: -edit.span.start):
        text = text[:edit.span.start] + edit.text + text[edit.span.end:]
    return text


@settings(max_examples=60, deadline=None)
@given(nets())
def test_right_graphs_are_right(net):
    assert found(net)[0] == []


@settings(max_examples=60, deadline=None)
@given(nets(optimizers=2), st.data())
def test_an_owner_is_missing(net, data):
    gone = data.draw(st.integers(0, len(net.groups) - 1))
    rest = net._replace(groups=net.groups[:gone] + net.groups[gone + 1:], lists=net.lists[:gone] + net.lists[gone + 1:])
    codes, diagnostics = found(rest)
    assert codes == [('G402', f'm{m}') for m in net.groups[gone]]
    for diagnostic in diagnostics:      # the way that was looked at begins at the model and ends at a loss
        way = [name.strip('`') for name in diagnostic.notes[0].split(' leads to ')[0].split(' ')[2::2]]
        assert way[0] == diagnostic.message.split('`')[1] and int(way[-1][1:]) in range(len(net.losses))


@settings(max_examples=100, deadline=None)
@given(nets(), st.data())
def test_a_loss_is_missing_in_a_list(net, data):
    net = net._replace(lists=tuple(map(net.losses_of, net.groups)))
    o = data.draw(st.integers(0, len(net.groups) - 1))
    gone = data.draw(st.sampled_from(net.lists[o]))
    left = tuple(k for k in net.lists[o] if k != gone)
    rest = net._replace(lists=(*net.lists[:o], left, *net.lists[o + 1:]))
    by_others = any(gone in named for i, named in enumerate(net.lists) if i != o)
    if not by_others and not left:      # then the optimizer names none, and minimizes it all the same
        expected = []
    elif not by_others:
        expected = [('G403', f'l{gone}')]
    else:
        trained = {m for k in left for m in net.models_of(k)}
        expected = [('G404', f'm{m}') for m in net.groups[o] if m not in trained]
    codes, diagnostics = found(rest)
    assert codes == expected
    for diagnostic in diagnostics:
        if diagnostic.edits:        # only where it is certain: then it mends the file, or this mistake at least
            assert diagnostic.code not in [d.code for d in check(edited(text_of(rest), diagnostic))[1]] \
                or len(diagnostics) > 1
    able = [group for group in net.groups if set(group) & net.models_of(gone)]
    if codes and codes[0][0] == 'G403' and len(able) == 1:
        assert check(edited(text_of(rest), diagnostics[0]))[1] == ()


@settings(max_examples=60, deadline=None)
@given(nets(optimizers=2), st.data())
def test_an_owner_too_many(net, data):
    first, second = data.draw(st.lists(st.integers(0, len(net.groups) - 1), min_size=2, max_size=2, unique=True))
    model = data.draw(st.sampled_from(net.groups[first]))
    groups = list(net.groups)
    groups[second] = (*groups[second], model)
    source = Source(text_of(net._replace(groups=tuple(groups))))
    codes, diagnostics = found(net._replace(groups=tuple(groups)))
    assert codes == [('G401', f'm{model}')]
    places = [diagnostics[0].span, *(place.span for place in diagnostics[0].places)]
    assert {source[place] for place in places} == {f'm{model}'} and len(set(places)) == 3


@settings(max_examples=60, deadline=None)
@given(nets(), st.data())
def test_an_owned_model_is_frozen(net, data):
    model = data.draw(st.sampled_from([m for group in net.groups for m in group]))
    assert found(net._replace(frozen=(model,)))[0] == [('G413', f'm{model}')]


@settings(max_examples=100, deadline=None)
@given(nets(), st.data())
def test_an_edge_that_makes_a_circle(net, data):
    end = data.draw(st.integers(0, len(net.values) - 1))
    start, values = end, list(net.values)
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.sampled_from(values[start][1])) if values[start][1] else start
    values[start] = values[start][0], (*values[start][1], end)
    codes, (diagnostic,) = found(net._replace(values=tuple(values)))
    assert [code for code, _ in codes] == ['G301']
    row = diagnostic.notes[0].replace('the circle is ', '').split(' -> ') if diagnostic.notes else \
        [f'`v{start}`'] * 2
    circle = [int(name.strip('`')[1:]) for name in row]
    assert circle[0] == circle[-1] and {start, end} <= set(circle)
    assert all(before in values[after][1] for before, after in zip(circle, circle[1:]))


HEADS = '''
input x: float32[4], t: int32[4]
model trunk = Linear(8)
x -> trunk -> h
for i in 0..4 {
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
}
'''


@pytest.mark.parametrize('text', [
    HEADS + 'optimizer Adam() owns trunk, head[0..3]',
    TWO + 'optimizer Adam() owns left, right minimizes a',
    TWO + 'optimizer Adam() owns left minimizes a, b\noptimizer Adam() owns right',
    TWO + 'optimizer Adam() owns left\noptimizer Adam() owns right minimizes a',
    TWO + 'loss both = a + 2 * b\noptimizer Adam() owns left, right minimizes both',
    TWO + 'whole_ = a + b\nloss whole = 2 * whole_\noptimizer Adam() owns left, right minimizes a, b, whole_',
    TWO + 'optimizer Adam() owns leftt, right',
    TWO + 'optimizer both = Adam() owns left, right\nstep main { update botth }',
])
def test_edits_mend_the_file(text):
    """All that are offered, one after the other, leave nothing wrong."""
    for _ in range(5):
        mistakes = [d for d in check(text)[1] if d.severity == 'error']
        if not mistakes:
            return
        assert mistakes[0].edits, mistakes
        text = edited(text, mistakes[0])
    raise AssertionError(text)


@pytest.mark.parametrize('more, message', [
    ('optimizer Adam() owns trunk', 'nobody owns `head[0]` to `head[3]`'),
    ('optimizer Adam() owns trunk, head[0], head[2]', 'nobody owns `head[1]` and `head[3]`'),
    ('optimizer Adam() owns trunk, head[*]\noptimizer more = Adam() owns head[*]',
     '`head[0]` to `head[3]` have two owners'),
    ('optimizer Adam() owns trunk, head[*] minimizes digit[0]',
     'nobody minimizes the losses `digit[1]` to `digit[3]`'),
    ('optimizer trunk = Adam() owns trunk\nfor i in 0..4 { optimizer o[i] = Adam() owns head[i] }\n'
     'step main { update trunk }', 'no step updates the optimizers `o[0]` to `o[3]`'),
    ('frozen head[*]\noptimizer Adam() owns trunk, head[*]', '`head[0]` to `head[3]` are frozen, and are owned'),
])
def test_members_of_a_family_come_together(more, message):
    _, diagnostics = check(HEADS + more)
    assert [d.message for d in diagnostics] == [message]


@pytest.mark.parametrize('edges, cause', [
    ('g = detach(h)', '`detach`'), ('h -> sign -> g', '`sign`'), ('g = where(h > 0, x, 0 * x)', 'a comparison'),
    ('g = history(h)', '`history`'), ('g = x * one_hot(argmax(h, axis=1), 4)', '`one_hot`'),
    ('h -> relu -> floor -> tanh -> g', '`floor`'), ('x * ones_like(h) -> tanh -> g', '`ones_like`'),
])
def test_what_cuts_a_way(edges, cause):
    program = f'''
    input x: float32[4]
    model m = Linear(4)
    model n = Linear(4)
    x -> m -> h
    {edges}
    g -> n -> y
    loss a = mean(y)
    optimizer Adam() owns m, n
    '''
    _, (diagnostic,) = check(program)
    assert diagnostic.code == 'G404' and diagnostic.message == 'no loss depends on `m`'
    assert f'to the loss `a` is cut by {cause}' in diagnostic.notes[0]
    assert any(cause in place.text for place in diagnostic.places)


@pytest.mark.parametrize('name', sorted(catalog.WITHOUT_GRADIENT))
def test_functions_without_gradient_are_those_of_chainer(name):
    x = chainer.Variable(numpy.array([[0.5, 1.5], [0.2, 0.1]], 'f'))
    t = numpy.array([[0, 1], [1, 0]], 'i') if name == 'binary_accuracy' else numpy.array([[0.5, 1.], [0.2, 0.3]], 'f') \
        if name == 'r2_score' else numpy.array([1, 0], 'i')
    function = catalog.members('functions')[name]
    takes_labels = len([p for p in inspect.signature(function).parameters.values() if p.default is p.empty]) > 1
    results = function(x, t) if takes_labels else function(x)
    for result in results if isinstance(results, tuple) else (results,):
        total = chainer.functions.sum(chainer.functions.cast(result, 'float32'))
        assert chainer.grad([total], [x]) == [None]


def test_the_work_for_many_mistakes_is_linear(monkeypatch):
    """Only the first ones are explained at length."""
    def work(n):
        lines = ''.join(f'model m{i} = Linear(4)\nv{i} = m{i}(v{i - 1})\n' for i in range(1, n))
        text = f'input v0: float32[4]\n{lines}loss a = mean(v{n - 1})\nmodel o = Linear(4)\nz = o(v0)\n' \
            'loss b = mean(z)\noptimizer Adam() owns o'
        assert len(check(text)[1]) == n - 1
        return lines_run(lambda: check(text))

    monkeypatch.setattr(ways, '_MOST_STEPS', 500)
    once, twice, four_times = map(work, (40, 80, 160))
    assert four_times - twice == pytest.approx(2 * (twice - once), rel=0.02)
