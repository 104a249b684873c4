"""What is read of a file with syntax errors, and what is said of it."""
import random
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, programs, relayout, tokens

from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import translate
from graphdsl.syntax import words
from graphdsl.syntax.parse import parse, parse_what_is_right
from graphdsl.syntax.recover import recover

ROOT = Path(__file__).parents[2]
EXAMPLES = [*sorted(ROOT.glob('examples/*.graph')), *sorted(ROOT.glob('tests/phases/*.graph'))]

RIGHT = '''\
input x: float32[3], t: int32
model m = Linear(2)
x -> m -> y
loss a = softmax_cross_entropy(y, t)
optimizer SGD(lr=0.1) owns m
'''


def found(text):
    """Returns pairs of code and underlined text of all that is wrong with a file."""
    source = Source(text)
    with pytest.raises(GraphError) as error:
        translate(source)
    assert list(error.value.diagnostics) == sorted(error.value.diagnostics, key=lambda d: d.span.start)
    return [(d.code, source[d.span]) for d in error.value.diagnostics]


def kept(text):
    source = Source(text)
    return [source[statement.span] for statement in parse_what_is_right(source).tree.statements]


# A right file

@examples(30)
@given(programs(), st.integers(0, 2 ** 32))
def test_recovery_finds_nothing_in_a_right_file(program, seed):
    text, _ = relayout(program.text, random.Random(seed), commented=True)
    for right in (program.text, text):
        tree, diagnostics, broken = recover(right)
        assert (diagnostics, broken) == ((), ())
        assert tree == program.tree


@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.stem)
def test_recovery_finds_nothing_in_the_examples(path):
    source = Source(path.read_text(encoding='utf-8'))
    tree, diagnostics, _ = recover(source.text)
    assert diagnostics == () and tree == parse(source)


@pytest.mark.parametrize('text', [
    'y = (a\n  // b)', 'y = f(\n  a,\n\n  # more\n  b=3)',
    'x -> f\n  # then\n\n  -> g -> h', 'if a { }\n\n# or\nelse { }',
    'optimizer Adam() owns a,\n  loss minimizes b', 'y = [\n step\n]', 'x = a if b\n else c', ';;x = 1;;',
    '\r\rx = 1\r\n',
    'h = metric[0]\ndata -> trunk -> h2', 'y = a <-b', 'x = "//" # }',
])
def test_recovery_reads_lines_as_the_grammar_does(text):
    tree, diagnostics, _ = recover(text)
    assert diagnostics == () and tree == parse(Source(text))


# One error a statement

@pytest.mark.parametrize('text, left', [
    ('x = 1\ny = = 2\nz = 3', ['x = 1', 'z = 3']),
    ('x = f(1\nloss y = 2\nz = 3', ['loss y = 2', 'z = 3']),
    ('x = f(1,\n  2\nh -> m -> z', ['h -> m -> z']),
    ('x = f(1 2\n  3)\nz = 3', ['z = 3']),
    ('x -> m ->\nloss z = 3', ['loss z = 3']),
    ('param x =\nz = 3', ['z = 3']),
    ('x = "abc\nz = 3', ['z = 3']),
    ('if a {\n  x = 1 2\n}\nz = 3', ['if a {\n  x = 1 2\n}', 'z = 3']),
    ('for i in range(3):\n  x = 1\nz = 3', ['x = 1', 'z = 3']),
    ('model m(x) -> y {\n  y = x\nloss z = 3', ['loss z = 3']),
    ('x = 1 2; y = 3; z = 4 5', ['y = 3']),
    ('train { epochs 3\nz = 3', ['z = 3']),
    ('x = 1 }\nz = 3', ['z = 3']),
])
def test_what_is_right_is_kept(text, left):
    assert kept(text) == left
    assert len(parse_what_is_right(Source(text)).diagnostics) == text.count(' 2') + text.count(' 5') or 1


def test_inner_statements_are_kept():
    tree = parse_what_is_right(Source('''
model m(x) -> y { a = 1 2; x -> Linear(3) -> y }
optimizer Adam() { owns m; minimises b }
data d { train = digits(); test = digits( }
train { epochs 3; bach 3 }
step s { update o; updte o }
for i in 0..3 { if i { u = 1 1; v = 2 } else { w = 3 3 } }
''')).tree
    model, optimizer, data, train, step, loop = tree.statements
    branch, = loop.body.statements
    sizes = [len(braces.statements) for braces in (
        model.definition.braces, optimizer.body, data.body, train.body, step.body, branch.body, branch.otherwise)]
    assert sizes == [1, 1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize('newline', ['\n', '\r\n', '\r'])
def test_places_are_right(newline):
    lines = ['param größe = 1', '\tx -> "数" => h', '\t\ty = f(a b)  # 数数', 'train {', '\tbatch = 3', '}']
    source = Source(newline.join(lines))
    got = [(*source.position(d.span.start), source[d.span]) for d in parse_what_is_right(source).diagnostics]
    assert got == [(1, 7, 'größe'), (2, 11, '=>'), (3, 9, 'a b'), (5, 8, '=')]


@pytest.mark.parametrize('text, right', [
    ('optimiser Adam() owns m', 'optimizer Adam() owns m'),
    ('x => relu -> h', 'x -> relu -> h'),
    ('param a == 1', 'param a = 1'),
    ('param a := 1', 'param a = 1'),
    ('if a = 1 { }', 'if a == 1 { }'),
    ('y = a && b', 'y = a and b'),
    ('y = !b', 'y = not b'),
    ('y = 1.', 'y = 1.0'),
    ('y = [.5]', 'y = [0.5]'),
    ('for i in 0..=9 { }', 'for i in 0..10 { }'),
    ('for i in 0..=n { }', 'for i in 0..n + 1 { }'),
    ('from lab.nets import a, b', 'import a, b from "lab.nets"'),
    ('if a { } elif b { }', 'if a { } else if b { }'),
    ('Adam() owns m', 'optimizer Adam() owns m'),
    ('y = f(a: 1)', 'y = f(a= 1)'),
    ('train { batch = 3 }', 'train { batch 3 }'),
    ('train { evalute every 1 epoch }', 'train { evaluate every 1 epoch }'),
    ('step s on the same bach { }', 'step s on the same batch { }'),
    ('step s repat 3 { }', 'step s repeat 3 { }'),
    ('train { snapshot every 1 epoch kep 3 }', 'train { snapshot every 1 epoch keep 3 }'),
    ('train { kepe best a }', 'train { keep best a }'),
    ('train { stop when a stalls four 3 evaluations }', 'train { stop when a stalls for 3 evaluations }'),
    ('optimizer Adam() owns m minimises a', 'optimizer Adam() owns m minimizes a'),
    ('optimizer Adam() { hooks Clip(0, 1) }', 'optimizer Adam() { hook Clip(0, 1) }'),
    ('y = “a”', 'y = "a"'),
    ('y = a − b', 'y = a - b'),
    ('y =\u00a0a', 'y = a'),
    ('// a long comment\ny = 1', '# a long comment\ny = 1'),
    ('a = 1 b = 2', 'a = 1; b = 2'),
    ('param a = 1 param b = 2', 'param a = 1 ; param b = 2'),
])
def test_edits_make_it_right(text, right):
    diagnostics = parse_what_is_right(Source(text)).diagnostics
    if text == 'a = 1 b = 2':       # nobody knows whether these are two statements
        assert diagnostics[0].edits == ()
        return
    assert edited(text, diagnostics) == right
    parse(Source(right))


def edited(text, diagnostics):
    edits = [edit for diagnostic in diagnostics for edit in diagnostic.edits]
    for edit in sorted(edits, key=lambda edit: -edit.span.start):
        text = text[:edit.span.start] + edit.text + text[edit.span.end:]
    return text


def test_only_so_many_errors_are_shown():
    diagnostics = parse_what_is_right(Source('x = 1 1\n' * 5000)).diagnostics
    assert [d.code for d in diagnostics] == ['G001'] * 99 + ['G029']


def test_no_terminal_of_the_grammar_is_named():
    for path in sorted((ROOT / 'tests' / 'bad').glob('G0*.out')):
        text = path.read_text(encoding='utf-8')
        assert not {'NAME or', '__ANON', '$END', '_NEWLINE', 'LBRACE', 'SUM_OPERATOR', 'END'} & set(text.split())


# Nothing follows from a broken statement

@pytest.mark.parametrize('broken', [
    'param n = = 2', 'import f from lab', 'data d { train = = 1 }', 'input z float32[3]', 'noise n float32[3]',
    'model k = Linear(2', 'model k(x) -> y { x -> Linear(2) -> ', 'model k(x) -> y { x -> Linear(2) -> y z }',
    'block f(n = Linear(n)', 'y -> relu -> ', 'n = 3 3', 'loss n 3', 'state n := 2', 'optimizer n = Adam( owns k',
    'step n on { update q }', 'for n in 0..3:', 'if 1 = 1 { n = 2 }',
    'metric n = f(y t)',
    'model k[0] = Linear(2) Linear(3)', 'weight n float32',
])
@pytest.mark.parametrize('use', [
    'output o = n', 'output o = softmax(n)', 'output o = f(y)', 'y -> k -> o\noutput o', 'y -> k[0] -> o\noutput o',
    'output o = n[1]', 'for j in 0..n { output o[j] = j }\noutput p = o[1]', 'output o = y * n\noutput p = sum(o)',
    'if n > 1 { q = y }\noutput o = q', 'model l = Linear(n)\ny -> l -> h\noutput h',
    'step s { update n }', 'next n = n + 1', 'schedule n.alpha = 0.1', 'input u: float32[3] from d',
    'optimizer p = Adam() owns k minimizes n', 'frozen k', 'model l like k',
    'c = n * 2\nstep s when c > 1 { update p }',
    'train { stop when n > 1 }', 'train { stop when validation/n stalls for 2 evaluations }',
    'train { keep best a, validation/n }',
    'param q = n\noutput o = q',
    'output o[n] = y\noutput p = o[1]', 'metric n',
])
def test_no_error_follows_from_a_broken_statement(broken, use):
    names = {'n', 'k', 'f', 'd'} & set(''.join(c if c.isalnum() else ' ' for c in use).split())
    mentioned = set(''.join(c if c.isalnum() else ' ' for c in broken).split())
    if not names <= mentioned and not broken.endswith('-> '):
        pytest.skip('the broken statement binds none of this')
    if broken.endswith('-> ') and not use.startswith('output o = '):
        pytest.skip('together they are an edge, or n is no name close to another one')
    if broken.startswith('model k(') and 'k[0]' in use:
        pytest.skip('only statements in it are broken, and it is no family')
    got = found(f'{RIGHT}{broken}\n{use}\n')
    syntax = parse_what_is_right(Source(f'{RIGHT}{broken}\n{use}\n')).diagnostics
    other = 'p' if 'update p' in use else ''
    assert [g for g in got if g[1] != other][len(syntax):] == []


WRONG = {
    'output w1 = nothing': ('G101', 'nothing'),
    'output w2 = softmx(y)': ('G106', 'softmx'),
    'output w3 = softmax(y, axes=1)': ('G306', 'axes'),
    'model w4 = Linear(2, nobais=true)': ('G306', 'nobais'),
    'optimizer w5 = Adma() owns m': ('G106', 'Adma'),
    'input w6: int23': ('G504', 'int23'),
    'x -> m -> w7, w8': ('G303', 'w7, w8'),
    'output w9 = y[:, "a"]': ('G204', '"a"'),
    'a = 3': ('G102', 'a'),
}
GOES_ON = re.compile(r'(->|[-=,+*/%<>({\[~:.]|\b(and|or|not|in|if|else))\s*$')
OTHERS = ('param p1 = [1, 2] of [1, 2], [3]', 'model p2 = Linear(2) -> relu', 'h3 -> p2 -> dropout(0.5) -> p4',
          'block p5(n5, k5=3) = Linear(n5)', 'model p6(q6) -> r6 {\n    q6 -> Linear(3) -> s6\n    s6 -> relu -> r6\n}',
          'for i7 in 0..3 {\n    p7[i7] = h7[i7] * 2\n}', 'loss p8 = p4 + 3 when iteration > 2',
          'optimizer p9 = Adam(alpha=1e-3) owns p2 minimizes p8', 'step p10 repeat 2 {\n    update p9 for p8\n}',
          'train { epochs 3; evaluate every 1 epoch }')


@examples(50)
@given(st.permutations(sorted(WRONG)), st.integers(0, 2 ** 32))
def test_mistakes_of_other_statements_are_still_found(wrong, seed):
    chance = random.Random(seed)
    others = [garbled(text, chance) for text in OTHERS]
    lines = [*RIGHT.splitlines(), *wrong[:5], *chance.sample(others, 4), 'param p0 = = 1']
    head, rest = lines[:5], lines[5:]
    chance.shuffle(rest)
    source = Source('\n'.join(head + rest))
    got = found(source.text)
    # A line goes on with the one before where that ends so, or leaves a bracket open.
    joined = {line for before, line in zip(rest, rest[1:])
              if GOES_ON.search(before) or any(before.count(a) != before.count(b) for a, b in ('()', '[]', '{}'))}
    missing = {WRONG[line] for line in wrong[:5] if line not in joined} - set(got)
    ends = any(source.text[span.start:span.end].endswith('->') for span in parse_what_is_right(source).broken)
    assert missing <= ({('G101', 'nothing')} if ends else set())     # such an edge may bind any name


def garbled(text, chance):
    """Changes a token but the first; no braces, which nobody can tell from those of the statements around."""
    words = [token for token, _ in tokens(text + '\n')]
    places = [i for i, word in enumerate(words) if i and word not in ('{', '}', '\n')]
    i = chance.choice(places)
    signs = ['=', '(', ')', ']', ',', '3', '->', '!', '==', 'when', '"a']
    words[i:i + chance.choice([0, 1, 1])] = [chance.choice(signs)] if chance.random() < 0.7 else []
    return ' '.join(words).replace('\n ', '\n    ').replace('    }', '}').strip()


# Any text

@examples(60)
@given(programs(), st.integers(0, 2 ** 32))
def test_any_mistake_is_explained(program, seed):
    chance = random.Random(seed)
    words = [token for token, _ in tokens(program.text)]
    for _ in range(chance.choice([1, 2, 5])):
        start = chance.randrange(len(words) + 1)
        words[start:start + chance.choice([0, 1, 3])] = chance.sample(words, min(len(words), chance.choice([0, 1, 2])))
    text = ' '.join(words)
    parsed = parse_what_is_right(Source(text))
    for diagnostic in parsed.diagnostics:
        spans = [diagnostic.span, *(p.span for p in diagnostic.places), *(e.span for e in diagnostic.edits)]
        assert all(0 <= span.start <= span.end <= len(text) for span in spans)
    assert bool(parsed.broken) == bool(parsed.diagnostics)
    try:
        translate(Source(text))
    except GraphError as error:
        assert {d.span for d in parsed.diagnostics} <= {d.span for d in error.diagnostics}
    else:
        assert not parsed.diagnostics


def lines_run(action):
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == 'line'
        return trace

    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize('line', [
    'v = y * {i}\nw -> relu -> w{i}\n', '(\n', ')\n', '}}\n', 'x = f(\n', '/*\n', '"\n', 'x ->\n', 'a,\n', '(' * 10,
    'x ', 'if a {{ ' * 3 + '}}' * 3, 'if a {{\n  b\n}}\n',
])
def test_recovery_is_linear(line):
    def work(n):
        text = 'x = = 1\n' + ''.join(line.format(i=i) for i in range(n))
        return lines_run(lambda: recover(text))

    work(1)
    # At most so: what comes after the errors that are shown costs less.
    assert work(60) - work(30) <= 2.1 * (work(30) - work(15)) + 500


PLACEHOLDERS = {
    'LINK': 'Linear(2)', 'FUNCTION': 'relu', 'VALUE': '1', 'EXPRESSION': 'a + 1', 'NUMBER': '1', 'COUNT': '3',
    'SIZE': '64', 'SHAPE': '2', 'SOURCE': 'iris()', '"MODULE"': '"lab"', '"FILE"': '"a.npz"', 'CONDITION': 'a > 1',
    'HYPERPARAMETER': 'alpha', 'PART': 'linear_1', '...': ''}


def written(form):
    """A form with something for each of its placeholders, any other of which is a name."""
    for word, text in PLACEHOLDERS.items():
        form = form.replace(word, text)
    return re.sub(r'\b[A-Z]{2,}\b', lambda match: match[0].lower(), form)


@pytest.mark.parametrize('braces, form', [
    *((braces, form) for braces, forms in words.FORMS.items() for form in forms.values()),
    *(('', form) for form in (*words.BODIES.values(), *words.ANYWHERE.values())),
    *((('' if first in words.FORMS[''] else 'optimizer' if first == 'owns' else 'step' if first == 'update'
        else 'train'), form) for (first, _), form in words._WITH.items())])
def test_the_forms_that_help_are_right(braces, form):
    """What a message says to write can be read."""
    text = written(form)
    parse(Source({'': '{}', 'optimizer': 'optimizer _() {{ {} }}'}.get(braces, braces + ' _ {{ {} }}').format(text)
                 if braces != 'train' else f'train {{ {text} }}'))
