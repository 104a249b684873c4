"""Families: what brackets select, and what loops leave."""
import pytest
from programs import codes, diagnostics, graph

from graphdsl.semantics.computation import Key, Reference, walk

GRID = '''
for i in 0..2 {
    for j in 0..3 {
        y -> relu -> g[i, j]
    }
}
'''
ROW = '''
for i in 0..4 {
    y -> relu -> h[i]
}
'''


def read(more, result):
    """The members that a value is made of, in order."""
    found = graph(more)
    assignment = next(a for a in found.assignments if Key(result) in a.results)
    return [node.key.index for node in walk(*assignment.stages) if isinstance(node, Reference)]


@pytest.mark.parametrize('selected, indices', [
    ('h[*]', [0, 1, 2, 3]), ('h[1:]', [1, 2, 3]), ('h[:2]', [0, 1]), ('h[-1:]', [3]), ('h[::2]', [0, 2]),
    ('h[::-1]', [3, 2, 1, 0]), ('h[1..3]', [1, 2]), ('h[5:]', []), ('h[*][1:3]', [1, 2]),
    ('[h[3], h[0]][::-1]', [0, 3]),
])
def test_a_family_as_a_list(selected, indices):
    assert read(f'{ROW}output o = y + sum({selected})\noutput p = sum(h[*])', 'o')[1:] == [(i,) for i in indices]


@pytest.mark.parametrize('selected, indices', [
    ('g[*, *]', [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]), ('g[0, *]', [(0, 0), (0, 1), (0, 2)]),
    ('g[*, 1]', [(0, 1), (1, 1)]), ('g[1:, :2]', [(1, 0), (1, 1)]), ('g[::-1, 0]', [(1, 0), (0, 0)]),
])
def test_a_family_of_two_indices(selected, indices):
    assert read(f'{GRID}output o = sum({selected})\noutput p = sum(g[*, *])', 'o') == indices


@pytest.mark.parametrize('expression', [
    'h[4]', 'h[-1]', 'sum(h[*, 0])', 'h[0, 0]', 'm[0](x)', '[y, x][2]', '[y, x][-3]', 'y[*]',
])
def test_members_that_there_are_not(expression):
    assert set(codes(f'{ROW}output p = sum(h[*])\noutput o = {expression}')) & {'G105', 'G206'}


@pytest.mark.parametrize('expression', ['g[0]', 'g[2, 0]', 'sum(g[*])', 'sum(g[*, 3])', 'sum(g[7, *])'])
def test_members_of_two_indices_that_there_are_not(expression):
    assert 'G105' in codes(f'{GRID}output p = sum(g[*, *])\noutput o = {expression}')


def test_the_first_bracket_selects_and_further_ones_slice():
    assert codes(f'{ROW}output o = h[0][:, 1] + h[3][:, 0:1][:, 0]\noutput p = sum(h[*])') == []


def test_a_name_is_a_family_or_a_single_one():
    assert codes(f'{ROW}h = relu(y)') == ['G103']
    assert codes(f'{ROW}y -> relu -> h[0, 0]') == ['G103']


def test_a_loop_without_turns_leaves_an_empty_family():
    loop = 'for i in 0..0 { model n[i] = Linear(2)\ny -> n[i] -> h[i]\nloss b[i] = mean(h[i]) }\n'
    assert codes(f'{loop}output o = y + sum(h[*])') == []
    assert codes(f'{loop}output o = h[0]') == ['G105']
    assert codes(f'{loop}output o = h') == ['G104']
    assert codes(f'{loop}loss c = a + sum(b[*])') == []
    assert codes(f'{loop}optimizer SGD() owns n[*]') == ['G407']


def test_a_branch_that_is_not_taken_binds_nothing():
    assert codes('if false { y -> relu -> h[0] }\noutput o = sum(h[*])') == ['G101']


def test_only_the_taken_branch_is_checked():
    assert codes('if true { output o = y } else { output o = nonsense(z) }') == []
    assert codes('if 1 > 2 { no -> such -> thing } else if "a" in "abc" { output o = y } else { no = such }') == []


def test_results_bound_as_a_family():
    assert codes('y -> split_axis(2, axis=1) -> p[0..2]\noutput o = sum(p[*])') == []
    assert codes('y -> split_axis(1, axis=1) -> p[0..1]\noutput o = sum(p[*])') == []
    assert codes('y -> split_axis(2, axis=1) -> p[0..3]') == ['G303']
    assert codes('y -> relu -> p[0..0]') == ['G303']


def test_computed_indices():
    more = 'h[0] = y\nfor i in 0..3 { h[i] -> relu -> h[i + 1] }\noutput o = h[2 + 1]'
    assert codes(more) == []


def test_families_are_listed():
    found = graph(f'{ROW}output h[*]\nfor i in 0..2 {{ hits[i] = accuracy(y, t) }}\nmetric hits[*]')
    assert [str(key) for key in found.outputs] == ['h[0]', 'h[1]', 'h[2]', 'h[3]']
    assert [str(metric.key) for metric in found.metrics] == ['hits[0]', 'hits[1]']


def test_a_list_is_no_array():
    assert diagnostics(f'{ROW}output o = relu(h[*])') == [('G308', 'h[*]')]
    assert diagnostics(f'{ROW}output o = h[*] + 1') == [('G203', 'h[*]')]
    assert diagnostics(f'{ROW}output o = h[*]') == [('G307', 'h[*]')]
    assert codes(f'{ROW}output o = concat(h[*], axis=1)') == []


def test_what_a_loop_runs_over():
    assert codes('for s in ["a", "b"] { if s == "a" { output o = y } }') == []
    assert codes('param sizes = [2, 3]\nfor s in sizes[1:] { output o[s] = y }') == []
    assert codes('for i in 3 { }') == ['G203']
    assert codes('for i in y { }') == ['G201']
    assert codes('for i in 0..t { }') == ['G201']
    assert codes('for i in 0..1.5 { }') == ['G204']
    assert codes('for i in 3..0 { }') == []
