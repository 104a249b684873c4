"""Reading text into the syntax tree."""
import pytest

from graphdsl.diagnostics import GraphError, Source
from graphdsl.syntax import nodes
from graphdsl.syntax.parse import parse


def statements(text):
    return parse(Source(text)).statements


def only(text):
    statement, = statements(text)
    return statement


@pytest.mark.parametrize('text', [
    'data -> trunk -> h',
    'train -> trunk -> step',
    'loss = data + model',
    'h = metric[0] * loss',
    'metric falling',
    'frozen model',
    'batch, seed -> f -> y'.replace('batch, seed', '(batch, seed)'),
])
def test_words_of_statements_can_name_values(text):
    only(text)


def test_spans_cover_the_text_of_a_statement():
    source = Source('x -> trunk -> h  # the trunk\ny = (h + 1) * 2\n')
    edge, value = parse(source).statements
    assert source[edge.span] == 'x -> trunk -> h'
    assert source[value.span] == 'y = (h + 1) * 2'
    assert source[value.expression.span] == '(h + 1) * 2'


@pytest.mark.parametrize('text', [
    'x -> a\n  # a comment -> with an arrow\n\n  -> b -> h',
    'x ->\n a -> b -> h',
    'x -> a -> # a comment\n b -> h',
    'x -> a \t\n -> b -> h  \t',
])
def test_lines_go_on_around_arrows(text):
    edge = only(text)
    assert [stage.name for stage in edge.stages] == ['a', 'b']


@pytest.mark.parametrize('text', [
    'y = f(a,\n\n b)', 'y =\n f(a, b)', 'y = f(\n a, b\n)', 'y = f(a, b);', '\n\n;y = f(a, b)\n\n',
])
def test_lines_go_on_in_parentheses_and_after_operators(text):
    assert only(text) == only('y = f(a, b)')


def test_else_may_start_a_line():
    branch = only('if a { x = 1 }\n# otherwise\nelse if b { x = 2 }\nelse { x = 3 }')
    assert isinstance(branch.otherwise, nodes.If)
    assert isinstance(branch.otherwise.otherwise, nodes.Braces)


@pytest.mark.parametrize('text, same', [
    ('y = a + b * c ** d ** e', 'y = a + (b * (c ** (d ** e)))'),
    ('y = -a ** 2', 'y = -(a ** 2)'),
    ('y = a - b - c', 'y = (a - b) - c'),
    ('y = not a == b and c or d', 'y = ((not (a == b)) and c) or d'),
    ('y = a if b else c if d else e', 'y = a if b else (c if d else e)'),
    ('y = a // b % c', 'y = (a // b) % c'),
])
def test_precedence_is_pythons(text, same):
    assert only(text) == only(same)


def test_a_range_needs_no_spaces():
    loop = only('for i in 0..4 { }')
    assert (loop.domain.start.value, loop.domain.stop.value) == (0, 4)


def test_numbers():
    values = [s.expression.value for s in statements('a = 1; b = 1.5; c = 1e-3; d = 1_000; e = 2.5E2')]
    assert values == [1, 1.5, 0.001, 1000, 250.0]
    assert [type(value) for value in values] == [int, float, float, int, float]


@pytest.mark.parametrize('text', ['x = 1 ifx else 2', 'train { epochs5 }', 'train { batch 64epochs 2 }'])
def test_words_must_not_touch(text):
    with pytest.raises(GraphError):
        statements(text)


@pytest.mark.parametrize('text, message', [
    ('x -> trunk ->', 'the file ends'),
    ('x = "abc\n', 'string does not end'),
    ('x -> trunk -> f(h)', 'a result needs a name'),
    ('x -> h', 'no stage'),
    ('y = f(a=1, 2)', 'without a name follows'),
    ('y = 3 $ 4', '`$` is no sign'),
    ('model m = Linear(10)\nmodel = = 2', '`=` cannot stand here'),
    (r'y = "\x"', 'cannot be read'),
    ('model f(x = 1) -> y { }', 'an input has no default'),
])
def test_syntax_errors_are_said_in_words(text, message):
    with pytest.raises(GraphError) as error:
        statements(text)
    assert message in str(error.value)
    assert '__ANON' not in str(error.value) and '$END' not in str(error.value)


@pytest.mark.parametrize('end', [' \n', '\t\r\n', '  # a comment \n', ';', ' ; \n ;'])
def test_two_statements_with_anything_between(end):
    assert len(statements(f'x = 1{end}y = 2')) == 2
