"""The canonical layout of graph files."""
import dataclasses
import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import KINDS, examples, programs, relayout

from graphdsl.diagnostics import GraphError, Source, Span
from graphdsl.syntax import format as format_module
from graphdsl.syntax import nodes
from graphdsl.syntax.format import comments, format_source, print_tree
from graphdsl.syntax.parse import parse

CASES = sorted(Path(__file__).parent.glob('format/*.graph'))
SEEDS = st.integers(0, 2 ** 32)


def formatted(text):
    return format_source(Source(text))


# Files

@pytest.mark.parametrize('case', CASES, ids=lambda case: case.stem)
def test_golden(case, golden):
    golden(formatted(case.read_text(encoding='utf-8')), case.with_suffix('.golden'))


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.stem)
def test_golden_texts_stay_and_are_narrow(case):
    text = case.with_suffix('.golden').read_text(encoding='utf-8')
    assert formatted(text) == text
    assert max(len(line.split('  #')[0]) for line in text.split('\n')) <= 100


@pytest.mark.parametrize('text', ['', '\n', ' \t\r\n\n', ';', '\n;\n;'])
def test_files_without_statements_are_empty(text):
    assert formatted(text) == ''


@pytest.mark.parametrize('text', ['# a', '\n\n# a', '#a\n\n\n', ' #a ', ';#a\r\n'])
def test_files_of_comments_only(text):
    assert formatted(text) == '# a\n'


def test_newlines_of_all_systems():
    assert formatted('a = 1\r\rb = 2\r\n\r\nc = 3\r\nd = 4\re = 5') == 'a = 1\n\nb = 2\n\nc = 3\nd = 4\ne = 5\n'


def test_syntax_errors_pass():
    with pytest.raises(GraphError, match='the file ends'):
        formatted('x -> f ->')


# Expressions

@pytest.mark.parametrize('text', [
    '(-a) ** 2', 'a ** -b', '-a ** 2', '(a ** b) ** c', 'a ** b ** c', '(a if b else c) + d', '--a', 'a - -b',
    'a if b else c if d else e', '(a if b else c) if d else e', 'a if (b if c else d) else e',
    'a < b < c', '(a < b) < c', 'a < (b < c)', 'a not in b', 'not a in b', '(not a) in b', 'not not a',
    '(a or b) and c', 'a or b and c', 'a or (b or c)', 'a - (b - c)', 'a - b - c', 'a * (b * c)', '-(a + b)',
    '(-a).b', '(a,)', '()', '(a, b)', '[]', '[a]', 'f((a, b))', '(a + b)[0]', '(a + b)(c)', 'a.b.c[0](1).d',
    't[:, i]', 'h[1:]', 't[::2]', 't[a:b:c]', 't[-1]', 't[*]', 't[0..n + 1]', 't[(a if b else c)..d]',
    't[a if b else c:d]', 'f(a, b=-1, c=(1,))', 'f(a=b if c else d)', '1_000 + 1e-3 * 2.5E2', '1.e5',
    'true or none', '"a" + "\\"\'\\\\\\n\\x00é\\ud800"', '"\\u2028#"',
])
def test_these_expressions_stay(text):
    assert formatted(f'y = {text}') == f'y = {text}\n'


@pytest.mark.parametrize('text, result', [
    ('(a)', 'a'), ('((a + (b * c)))', 'a + b * c'), ('(a*b)+c', 'a * b + c'), ('a**(b**c)', 'a ** b ** c'),
    ('-(a ** b)', '-a ** b'), ('(a)(b)', 'a(b)'), ('(a.b).c', 'a.b.c'), ('f((a), b = (c),)', 'f(a, b=c)'),
    ('not(a==b)', 'not a == b'), ('(a==b)and(not c)', 'a == b and not c'), ('a if(b)else(c)', 'a if b else c'),
    ('t[ : , i ]', 't[:, i]'), ('t[::]', 't[:]'), ('t[(a) .. b]', 't[a..b]'), ('t[a + 1 : (b)]', 't[a + 1:b]'),
    ('- a', '-a'), ('( a , )', '(a,)'), ('(a, b,)', '(a, b)'), ('[a,]', '[a]'), ("'a'", '"a"'), ("'\"'", r'"\""'),
    (r'"\x41\t"', r'"A\t"'),
])
def test_expressions_take_their_form(text, result):
    assert formatted(f'y={text}') == f'y = {result}\n'


# Statements

@pytest.mark.parametrize('text, result', [
    ('(h,z)->decoder->y', '(h, z) -> decoder -> y'),
    ('(h,)->(f)->y', '(h,) -> f -> y'),
    ('a if b else c -> f -> y', '(a if b else c) -> f -> y'),
    ('(x + y) -> f -> y', 'x + y -> f -> y'),
    ('model m = (f if a else g)->relu', 'model m = (f if a else g) -> relu'),
    ('frozen  model m=f()load"a" at "b"  partly', 'frozen model m = f() load "a" at "b" partly'),
    ('block b()=f', 'block b = f'),
    ('block b(c,k = 3)(x)->y{}', 'block b(c, k=3) (x) -> y { }'),
    ('block b(x)->y{}', 'block b(x) -> y { }'),
    ('model m follows l every 2 iteration', 'model m follows l every 2 iterations'),
    ('input x:float32[ ],t:int32[ ? ]pad-1 from s', 'input x: float32, t: int32[?] pad -1 from s'),
    ('noise z:float32[2]~normal(0,1)from s', 'noise z: float32[2] ~ normal(0, 1) from s'),
    ('train{log every 1 epochs;stop when a / b stalls for 1 evaluations}',
     'train { log every 1 epoch; stop when a/b stalls for 1 evaluation }'),
    ('train{stop when a/b/c+1 stalls for 2*n evaluation}',
     'train { stop when a / b / c + 1 stalls for 2 * n evaluations }'),
    ('train{snapshot every n epoch}', 'train { snapshot every n epochs }'),
    ('train{snapshot every 1 epoch  keep n}', 'train { snapshot every 1 epoch keep n }'),
    ('train{keep best a / b[ 1 ],c,2*a}', 'train { keep best a/b[1], c, 2 * a }'),
    ('optimizer a=SGD()owns m except(m.a),n', 'optimizer a = SGD() owns m except m.a, n'),
    ('optimizer SGD(){owns m except(m.a,m.b)\n}', 'optimizer SGD() {\n    owns m except (m.a, m.b)\n}'),
    ('step s on the same data when a repeat 2{}', 'step s on the same data when a repeat 2 { }'),
    ('metric  falling a ,b', 'metric falling a, b'),
    ('metric falling', 'metric falling'),
    ('a=1;b=2', 'a = 1\nb = 2'),
    ('if a{}\n\nelse\n{\n}', 'if a { } else { }'),
    ('for i in(a){x=1}', 'for i in a { x = 1 }'),
])
def test_statements_take_their_form(text, result):
    assert formatted(text) == f'{result}\n'
    assert formatted(f'{result}\n') == f'{result}\n'


def test_braces_stay_on_one_line_while_the_statement_fits():
    fits = 'if a { ' + 'x' * 72 + ' = 1 } else { y = 2 }\n'
    assert len(fits) == 101
    assert formatted(fits) == fits
    wider = fits.replace('y', 'yy')
    assert formatted(wider) == 'if a {\n    ' + 'x' * 72 + ' = 1\n} else {\n    yy = 2\n}\n'


def test_a_long_string_stays_long():
    text = 'y = "' + 'ten chars ' * 12 + '"\n'
    assert formatted(text) == text


# Comments

def test_comments_are_found_outside_of_strings():
    source = Source('x = "#" # a\r\n# "b\ny = \'\\\'#\' #c')
    assert [source[comment] for comment in comments(source)] == ['# a', '# "b', '#c']


@pytest.mark.parametrize('comment, result', [
    ('#a', '# a'), ('#', '#'), ('#   ', '#'), ('#!a', '#!a'), ('##a', '##a'), ('#  a', '#  a'), ('# a \t', '# a'),
])
def test_comments_start_with_a_space(comment, result):
    assert formatted(comment) == f'{result}\n'
    assert formatted(f'x = 1 {comment}\n') == f'x = 1  {result}\n'


def test_a_comment_does_not_make_a_line_too_long():
    line = 'x -> ' + 'f' * 80 + ' -> y  # ' + 'c' * 80 + '\n'
    assert formatted(line) == line


# Any program

def check_print(program, seed):
    assert parse(Source(program.text)) == program.tree
    assert formatted(program.text) == program.text


def check_free_layout(program, seed):
    text, _ = relayout(program.text, random.Random(seed))
    assert formatted(text) == program.text


def check_comments(program, seed):
    text, count = relayout(program.text, random.Random(seed), commented=True)
    result = formatted(text)
    assert parse(Source(result)) == program.tree
    assert [result.count(f'«{i + 1}»') for i in range(count)] == [1] * count
    assert '\n\n\n' not in result and '{\n\n' not in result and not re.search(r'\n\n *\}', result)
    assert formatted(result) == result


@pytest.mark.parametrize('check', [check_print, check_free_layout, check_comments])
def test_any_program(check):
    examples(40)(given(programs(), SEEDS)(check))()


def test_every_construct():
    met = set()

    def check(program):
        check_print(program, 0)
        met.update(node_types(program.tree))

    # Examples change with the constants that occur in the code; as many are met with some room.
    for kind in KINDS:
        examples(20)(given(programs(kind))(check))()
    every = {cls for cls in vars(nodes).values() if isinstance(cls, type) and issubclass(cls, nodes.Node)}
    assert met == every - {nodes.Node}


def node_types(tree):
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, nodes.Node):
            yield type(node)
            todo += (getattr(node, field.name) for field in dataclasses.fields(node))
        elif isinstance(node, tuple):
            todo += node


@pytest.mark.parametrize('text', [
    'x = 1\n' * 1000,
    'x = f(' + 'a, ' * 1000 + 'b)',
    'input ' + 'a, ' * 1000 + 'b',
    'x -> ' + 'a -> ' * 1000 + 'b',
    'step s { ' + 'update a; ' * 1000 + '}',
    '# a\n' * 3000,
    'x = ' + '(' * 90 + 'a' + ')' * 90,
    'x = ' + 'f(' * 90 + 'a' + ')' * 90,
    'x = ' + 'a + ' * 90 + 'a',
    'if a { }' + ' else if a { }' * 90,
    'if a { ' * 40 + '}' * 40,
])
def test_long_and_deep_files(text):
    result = formatted(text)
    assert formatted(result) == result


# The proof

def mangled(monkeypatch, change):
    render = format_module.render
    monkeypatch.setattr(format_module, 'render', lambda document: change(render(document)))


@pytest.mark.parametrize('change, message', [
    (lambda text: text.replace('2', '3'), 'change what <graph> means'),
    (lambda text: text + ')', 'change what <graph> means'),
    (lambda text: text.replace('# a', ''), 'change the comments of <graph>'),
    (lambda text: text.replace('# a', '# a b'), 'change the comments of <graph>'),
])
def test_a_wrong_text_is_never_given_out(monkeypatch, change, message):
    mangled(monkeypatch, change)
    with pytest.raises(AssertionError, match=message):
        formatted('x = 2 # a')


def test_a_tree_without_text_is_printed():
    def name(text):
        return nodes.Name(Span(0, 0), text)

    update = nodes.Update(Span(5, 9), (name('a'),), (), None)
    body = nodes.Braces(Span(3, 9), (update, update))
    step = nodes.Step(Span(2, 9), name('s'), None, None, None, None, body)
    assert print_tree(nodes.Braces(Span(0, 9), (step,))) == 'step s { update a; update a }\n'
