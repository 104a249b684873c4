"""The order of computation, and what depends on what."""
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import BASE, check, codes

from graphdsl.semantics import flow
from graphdsl.semantics.computation import Apply, Assignment, Function, Key, ModelName, Reference
from graphdsl.diagnostics import Mistake, Span

NOWHERE = Span(0, 0)


def reads(*keys, model=None):
    callee = ModelName(Key(model)) if model else Function('add')
    return Apply(NOWHERE, callee, tuple(Reference(NOWHERE, key) for key in keys))


@st.composite
def graphs(draw, least=0):
    """Assignments without circles, in any order; each makes one or two values and calls a model or none."""
    count = draw(st.integers(least, 12))
    made = []
    for i in range(count):
        known = [key for assignment in made for key in assignment.results]
        operands = draw(st.lists(st.sampled_from(known), max_size=3)) if known else []
        results = (Key('v', (i,)),) if draw(st.booleans()) else (Key('v', (i,)), Key('w', (i,)))
        model = draw(st.none() | st.sampled_from('abcd'))
        made.append(Assignment(Span(i, i + 1), results, (reads(*operands, Key('input'), model=model),)))
    return draw(st.permutations(made))


@given(graphs())
def test_each_comes_after_those_it_reads(assignments):
    ordered = flow.in_order(assignments)
    assert sorted(map(id, ordered)) == sorted(map(id, assignments))
    made = {Key('input')}
    for assignment in ordered:
        assert set(assignment.operands) <= made
        made.update(assignment.results)


@given(graphs())
def test_ties_are_in_the_order_of_the_file(assignments):
    """Of what could come next, the first of the file does."""
    place = {id(assignment): i for i, assignment in enumerate(assignments)}
    left, made = list(assignments), {Key('input')}
    for assignment in flow.in_order(assignments):
        ready = [a for a in left if set(a.operands) <= made]
        assert assignment is min(ready, key=lambda a: place[id(a)])
        left.remove(assignment)
        made.update(assignment.results)


@given(graphs(least=1))
def test_what_is_in_order_stays_as_it_is(assignments):
    ordered = flow.in_order(assignments)
    assert [id(a) for a in flow.in_order(ordered)] == [id(a) for a in ordered]


@given(graphs(least=2), st.data())
def test_a_circle_is_named_whole(assignments, data):
    ordered = list(flow.in_order(assignments))
    last = data.draw(st.integers(0, len(ordered) - 1))
    first = data.draw(st.integers(0, last))
    wanted = ordered[last].results[0]
    old = ordered[first]
    ordered[first] = Assignment(old.span, old.results, (*old.stages, reads(wanted)))
    reachable = {id(a) for a in flow.reaching([wanted], {key: a for a in ordered for key in a.results})}
    if id(ordered[first]) not in reachable:
        flow.in_order(ordered)
        return
    with pytest.raises(Mistake) as error:
        flow.in_order(ordered)
    diagnostic = error.value.diagnostic
    if diagnostic.notes:
        names = [name.strip('`') for name in diagnostic.notes[0].replace('the circle is ', '').split(' -> ')]
    else:
        names = [diagnostic.message.split('`')[1]] * 2
    maker = {str(key): a for a in ordered for key in a.results}
    assert names[0] == names[-1] and len(names) == len(set(names)) + 1
    for before, after in zip(names, names[1:]):
        assert before in map(str, maker[after].operands)


def test_circles_of_a_file():
    _, (found,) = check(f'{BASE}u = relu(w)\nv = tanh(u)\nw = v + y')
    assert found.notes == ('the circle is `u` -> `v` -> `w` -> `u`',) and len(found.places) == 2
    assert codes('u = u') == ['G301']
    assert codes('model n(v) -> w { w = u; u = w + v }\ny -> n -> z') == ['G301']
    row = '\n'.join(f'h[{i + 1}] = relu(h[{i}])' for i in range(100))
    _, (found,) = check(f'{BASE}{row}\nh[0] = h[100]')
    assert all(f'`h[{i}]`' in found.notes[0] for i in range(101)) and len(found.places) == 6


@given(graphs(), st.data())
def test_reach_is_what_a_walk_from_each_loss_finds(assignments, data):
    ordered = flow.in_order(assignments)
    maker = {key: a for a in ordered for key in a.results}
    losses = data.draw(st.lists(st.sampled_from(sorted(maker)), unique=True)) if maker else []
    reach = flow.Reach(ordered, losses)
    walked = {loss: flow.reaching([loss], maker) for loss in losses}
    assert reach.models() == {loss: {model for a in walked[loss] for model in a.models} for loss in losses}
    for chosen in ([], losses[:1], losses):
        is_reached = reach.those_reached(chosen)
        read = {key for loss in chosen for a in walked[loss] for key in a.operands} | set(chosen)
        assert {key for key in [*maker, Key('input')] if is_reached(key)} == read
