"""Text of a graph file stays data: it cannot change what the generated module does.

Two modules are compared, node by node of their syntax trees: one of a harmless file, and one of the same file with
a hostile text in the place of the harmless one. Nothing but that text may differ.
"""
import ast
import functools
import io
import re
import tokenize

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

import graphdsl
from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import phase, translate

HARMLESS = 'zqzq'
STRINGS = '''
param s = TEXT
import toys from "lab"
data d {
    train = csv(s, t=TEXT, x=[TEXT, "b"], labels=s, delimiter=",")
    test = npz(TEXT, x=TEXT, t="b")
}
data e { train = toys(TEXT, kind=s, kinds=[s, TEXT]) }
input x: float32[2], t: int32 from d
input u: float32[2] from e
model m = Linear(2)
model n(v) -> w { v -> Linear(2) -> h; w = pad(h, 1, TEXT) }
frozen model k = Linear(2) load TEXT at s
x -> m -> y
(x + u) -> n -> z
x -> k -> f
loss a = softmax_cross_entropy(y, t) + mean(pad(z, 1, mode=s)) + mean(f)
optimizer SGD(lr=0.1) owns m, n
'''
HOSTILE = [
    '"', "'", '\\', '"""', "'''", '\n', '\r', '\r\n', '\t', '\0', '\x1b[31m', '\u2028', '\u2029', '\x85', '\x0c',
    '\ufeff', '\u202eevil\u2066',
    '\ud7ff\U0010ffff', '{x.__class__}', '{0!r}', '%s', '%(a)s', '$x', '`x`', '#', '\\N{DIGIT ONE}',
    "'); __import__('os').system('true'); ('", '"); raise SystemExit  #', '"""\nimport os\n"""', "\\'", "\\\\'", '\\\n',
    'x' * 10_000, '\u0130', '__import__("os")', '\\x41', '..', '/etc/passwd', '~',
]
# What an expression of a module may be made of: there is no `lambda`, `with`, `try`, `global` or `await` among it.
NODES = {
    'Module', 'Expr', 'Import', 'ImportFrom', 'alias', 'Assign', 'AugAssign', 'Name', 'Load', 'Store', 'Del', 'Delete',
    'Attribute', 'Constant', 'Tuple', 'List', 'Dict', 'Set', 'Call', 'keyword', 'Starred', 'Subscript', 'Slice',
    'FunctionDef', 'arguments', 'arg', 'ClassDef', 'Return', 'Yield', 'For', 'If', 'IfExp', 'With', 'withitem',
    'ListComp', 'DictComp', 'GeneratorExp', 'comprehension', 'JoinedStr', 'FormattedValue', 'Nonlocal', 'Break',
    'Compare', 'Eq', 'NotEq', 'Lt', 'LtE', 'Gt', 'GtE', 'In', 'NotIn', 'Is', 'IsNot', 'BoolOp', 'And', 'Or', 'UnaryOp',
    'USub', 'UAdd', 'Not', 'BinOp', 'Add', 'Sub', 'Mult', 'Div', 'FloorDiv', 'Mod', 'Pow', 'Continue', 'Pass', 'Index',
    'ExtSlice'}
BUILTINS = {'super', 'range', 'len', 'sum', 'max', 'min', 'abs', 'int', 'float', 'globals', '__name__'}


def module(text, name='strips.graph'):
    return translate(Source(text, name), folder='/folder', bind={'toys': lambda *a, **k: None}).module.text


def quoted(text):
    """Writes a string as a graph file does."""
    return '"' + ''.join(c if c.isalnum() and c.isascii() else f'\\U{ord(c):08x}' for c in text) + '"'


def pairs(one, other):
    """Yields the fields of two syntax trees that are no nodes; the nodes must be the same."""
    assert type(one) is type(other)
    assert type(one).__name__ in NODES
    for field in one._fields:
        a, b = getattr(one, field, None), getattr(other, field, None)
        a, b = (a, b) if isinstance(a, list) else ([a], [b])
        assert len(a) == len(b)
        for left, right in zip(a, b):
            if isinstance(left, ast.AST):
                yield from pairs(left, right)
            else:
                yield type(one).__name__, field, left, right


def comments(text):
    return [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type == tokenize.COMMENT]


def assert_same_with_strings(text, name='strips.graph'):
    harmless = module(STRINGS.replace('TEXT', quoted(HARMLESS)))
    hostile = module(STRINGS.replace('TEXT', quoted(text)), name)
    count = 0
    for kind, field, a, b in pairs(ast.parse(harmless), ast.parse(hostile)):
        if kind == 'Constant' and isinstance(a, str) and HARMLESS in a:
            count += 1
            assert b in (text, f'/folder/{text}', text if text.startswith('/') else None)
        elif not (isinstance(a, str) and 'strips' in a):
            assert (type(a), a) == (type(b), b)
    assert count >= 12
    assert [c for c in comments(harmless)] == [c for c in comments(hostile)]


@pytest.mark.parametrize('text', HOSTILE, ids=[repr(text)[:30] for text in HOSTILE])
def test_strings_stay_data(text):
    assert_same_with_strings(text)


@given(st.text(st.characters(exclude_categories=['Cs']) | st.sampled_from('\'"\\\n\r{}%#`'), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_string_stays_data(text):
    assert_same_with_strings(text)


@pytest.mark.parametrize('text', HOSTILE, ids=[repr(text)[:30] for text in HOSTILE])
def test_values_of_params_stay_data(text):
    found = translate(Source(STRINGS.replace('TEXT', '"b"')), {'s': text}, {'toys': lambda *a, **k: None}).module.text
    strings = [node.value for node in ast.walk(ast.parse(found)) if isinstance(node, ast.Constant)]
    assert strings.count(text) >= 5


@pytest.mark.parametrize('name', [
    'a"""\nimport os\n"""b.graph', "a'b.graph", 'a\nb.graph', 'a\\.graph', 'a\x00b.graph', '{x}.graph', 'a\udc80.graph',
    'a\u202eb.graph', '\\"""', '"""', "'''", '"', '.graph', 'x' * 10_000, 'a\rimport os'])
def test_names_of_files_stay_data(name):
    harmless, hostile = (ast.parse(module(STRINGS.replace('TEXT', '"b"'), n)) for n in ('strips.graph', name))
    differing = [(kind, field) for kind, field, a, b in pairs(harmless, hostile) if a != b]
    assert differing in ([('Constant', 'value')] * 2, [('Constant', 'value')])     # the docstring, and NAME


NAMES = '''
param zqzqa = 3
input zqzqb: float32[2], t: int32
noise zqzqc: float32[2] ~ normal(0, 1)
state zqzqd = 0.5
block zqzqe(zqzqf) = Linear(zqzqf) -> relu
model zqzqg(v) -> w { layer zqzqh = Linear(2); weight zqzqi: float32[2] = Zero(); v -> zqzqh -> u; w = u * zqzqi }
model zqzqj = zqzqe(4)
model zqzqk[0] = Linear(zqzqa)
model zqzqk[1] follows zqzqk[0] decay 0.5
(zqzqb + zqzqc) -> zqzqg -> zqzql
zqzql -> zqzqj -> zqzqm
for zqzqn in 0..2 { zqzqm -> zqzqk[zqzqn] -> zqzqo[zqzqn] }
loss zqzqp = softmax_cross_entropy(zqzqo[0], t) when zqzqd < 5
loss zqzqq = mean(zqzqm) * zqzqd
metric zqzqr = mean(zqzqo[1])
output zqzqs = argmax(zqzqm, axis=1)
optimizer zqzqt = Adam(alpha=0.1) owns zqzqg, zqzqj, zqzqk[0]
step zqzqu { update zqzqt for zqzqp when zqzqd < 3 }
step zqzqw on the same batch { update zqzqt for zqzqq }
next zqzqd after zqzqu = zqzqd * 0.5 + zqzqp
schedule zqzqt.alpha = 0.1 * (1 - progress)
'''
LETTERS = 'abcdefghijklmnopqrstuw'
TAKEN = [
    'self', 'chainer', 'numpy', 'models', 'exec', 'eval', 'print', 'globals', 'super', 'F', 'L', 'runtime', 'data',
    'math', 'batch', 'draw', 'losses', 'numbers', 'optimizers', 'update_core', 'make_models', 'evaluate', 'predict',
    'reported', 'class', 'def', 'None', 'True', 'lambda', 'async', 'await', 'match', 'yield', 'del', 'nonlocal',
    'type', 'case', 'i', 'x', 'y', 'forward', '_', '_a', 'a_', 'self_', 'F_', 'xp', 'params', 'children', 'add_link',
    'init_scope', 'update', 'namedparams', 'within_init_scope', 'cleargrads', 'weights', 'gradients', 'range', 'len',
    'sum', 'epoch', 'iteration', 'INPUTS', 'REPORTS', 'TRAIN', 'stop', 'Linear', 'relu', 'Chain', 'Parameter',
    'runtime_', 'k' * 10_000,
]
DUNDERS = ['__class__', '__import__', '__init__', '__name__', '__builtins__', '__call__', '__debug__', '__']


@functools.lru_cache(maxsize=None)
def harmless_names():
    return ast.parse(translate(Source(NAMES)).module.text)


def assert_same_with_name(place, name):
    """Writes a name in one place, and nothing else may change but the identifiers and names made of it."""
    benign = f'zqzq{place}'
    text = NAMES.replace(benign, name)
    try:
        found = translate(Source(text)).module.text
    except GraphError as error:
        assert {d.code for d in error.diagnostics if d.severity == 'error'} & {
            'G001', 'G101', 'G102', 'G103', 'G107', 'G108', 'G109', 'G302', 'G306', 'G312'}, error
        return
    for kind, field, a, b in pairs(harmless_names(), ast.parse(found)):
        if a != b and not (name == a and b == f'{a}_'):      # a function of the module's own makes way
            assert isinstance(a, str) and folded(benign) in folded(a), (a, b)
            assert folded(b) == folded(a).replace(folded(benign), folded(name))
            if kind != 'Constant':
                assert b.isidentifier() and not b.startswith('__')
    compile(found, 'module', 'exec')


def folded(text):
    """A name without what makes it differ from others: an underscore, a number, its case."""
    return re.sub(r'[_\d]', '', text).casefold()


@pytest.mark.parametrize('name', TAKEN + DUNDERS, ids=lambda name: name[:20])
def test_names_stay_names(name):
    for place in LETTERS[len(name) % 3::3]:
        assert_same_with_name(place, name)


@pytest.mark.parametrize('name', ['self', 'chainer', 'models', 'class', 'F', 'None', 'exec', 'super', 'batch', 'range'])
def test_a_graph_of_such_names_runs(name):
    """A value, a model and an optimizer may all be called so, and an iteration computes what it should."""
    text = f'''
        input {name}: float32[2], t: int32
        model {name} = Linear(3)
        {name} -> {name} -> y
        loss a = softmax_cross_entropy(y, t)
        optimizer {name} = SGD(lr=0.1) owns {name}
    '''
    graph = graphdsl.compile(text)
    assert list(graph.models) == [name] and list(graph.optimizers) == [name]


@pytest.mark.parametrize('name', DUNDERS)
@pytest.mark.parametrize('place', LETTERS)
def test_names_of_python_are_refused(name, place):
    with pytest.raises(GraphError):
        translate(Source(NAMES.replace(f'zqzq{place}', name)))


@pytest.mark.parametrize('name', ['ｍodel', 'ﬁ', 'é', 'ª', 'ⅷ', 'а', '𝐱', 'x\u200b', 'x\u0301', 'x\u202e', '\u00b5',
                                  'x y', 'x"', "x'", 'x\n+y', 'x#', 'x;import os', '1x', 'x.y', 'x`', 'x\\', 'x\0'])
def test_identifiers_are_ascii(name):
    """What Python would take for another name, or for the same as another, is none."""
    with pytest.raises(GraphError):
        translate(Source(NAMES.replace('zqzql', name)))


@pytest.mark.parametrize('keyword', ['class', 'lambda', 'None', '__class__', 'self', 'import_'])
def test_keywords_of_python_as_names_of_arguments(keyword):
    text = STRINGS.replace('TEXT', '"b"').replace('kind=s', f'{keyword}=s')
    try:
        found = module(text)
    except GraphError:
        return
    ast.parse(found)


def known_names(text):
    """Returns the identifiers that a graph file has, and those that a module makes of them."""
    words = {token.string for token in tokenize.generate_tokens(io.StringIO(text.replace('->', ' ')).readline)
             if token.type == tokenize.NAME}
    return words


def test_every_name_is_known():
    """Names and attributes of a module are Chainer's, the runtime's, the module's own, or made of the file's."""
    found = ast.parse(translate(Source(NAMES)).module.text)
    bound = {node.id for node in ast.walk(found) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(found) if isinstance(node, ast.arg)}
    bound |= {node.name for node in ast.walk(found) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    imported = {alias.asname or alias.name for node in ast.walk(found)
                if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
    assert imported <= {'chainer', 'F', 'L', 'runtime', 'math', 'data'}
    words = known_names(NAMES)
    for node in ast.walk(found):
        assert type(node).__name__ in NODES
        if isinstance(node, ast.Name):
            assert node.id in bound | imported | BUILTINS
        elif isinstance(node, ast.Attribute):
            stem = re.sub(r'_\d+$', '', node.attr)       # of a part without a name: `linear_1`
            assert node.attr == '__init__' or not node.attr.startswith('_')
            assert {node.attr, stem} & {*words, 'linear', 'means'} or belongs(node), ast.dump(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert node.value.split('[')[0] in words or is_own(node.value), node.value


def belongs(node):
    """Says whether an attribute is one that the modules or objects of the runtime have."""
    import chainer
    import chainer.functions
    import chainer.links

    import graphdsl.runtime
    owners = [list, chainer, chainer.functions, chainer.links, graphdsl.runtime, chainer.Chain, chainer.Optimizer, dict,
              chainer.Variable, chainer.optimizers, chainer.initializers, chainer.reporter]
    from graphdsl.runtime.draws import Draws
    return any(hasattr(owner, node.attr) for owner in (*owners, Draws))


def is_own(text):
    """Says whether a string is the module's own: a docstring, a piece of ``f'y[{i}]'``, a name of the runtime's."""
    return text.endswith('.') or text.strip('[], ') == '' or text.split('.')[0] in known_names(NAMES) or text in {
        '__main__', 'main', '<graph>', 'float32', 'int32', 'normal', 'batch_size', 'iteration', 'epoch', 'progress'}


@pytest.mark.parametrize('emit', ['tree', 'graph', 'plan', 'python'])
@pytest.mark.parametrize('text', HOSTILE[:24], ids=[repr(text)[:30] for text in HOSTILE[:24]])
def test_no_phase_prints_control_characters(emit, text):
    written = STRINGS.replace('TEXT', quoted(text)).replace('import toys from "lab"\n', '').replace('toys', 'npz')
    written = written.replace('kind=s, kinds=[s, TEXT]', 'u="b"').replace(f'kind=s, kinds=[s, {quoted(text)}]', 'u="b"')
    found = phase(Source(written), emit)
    assert all(c.isprintable() or c == '\n' for c in found)


@pytest.mark.parametrize('text', [
    'output o = y  # \u202e evil \u2066\n', 'param p = "\x1b[31m" + 1\n', 'output \x1b[2J = y\n', 'x -> "\x07" -> y\n',
    'data d { train = csv("\x9b31m", x="\x7f") }\n', 'import x from "\x1b]0;evil\x07"\n', 'output \u202eo = y\n'])
def test_messages_show_control_characters(text, tmp_path, command):
    path = tmp_path / 'a.graph'
    path.write_bytes(text.encode())
    status, out, err = command('check', path)
    assert status == 1
    assert all(c.isprintable() or c == '\n' for c in out + err)


SENTINEL = '''import pathlib
pathlib.Path(__file__).with_suffix('.ran').touch()
def f(v):
    return v
class a:
    f = f
'''


@pytest.mark.parametrize('module_name, allowed, runs', [
    ('sentinel', (), False), ('sentinel', ('other',), False), ('sentinel', ('sentinel.nets',), False),
    ('sentinel', ('sent', 'sentinels', 'SENTINEL', ''), False), ('sentinel', ('sentinel',), True),
    ('.sentinel', ('sentinel', '.sentinel'), False), ('sentinel.a', ('sentinel',), False),
    ('sentinel:f', ('sentinel', 'sentinel:f'), False), ('sentinel\n', ('sentinel',), False),
    ('sentinel as os', ('sentinel',), False), ('./sentinel', ('sentinel', './sentinel'), False),
    ('sentinel.py', ('sentinel', 'os'), False), ('sentinel;import os', ('sentinel',), False),
])
def test_nothing_is_imported_that_was_not_allowed(module_name, allowed, runs, tmp_path):
    import sys
    (tmp_path / 'sentinel.py').write_text(SENTINEL)
    path = tmp_path / 'a.graph'
    path.write_text(f'import f from {quoted(module_name)}\n' + NAMES.replace('mean(zqzqm)', 'mean(f(zqzqm))'))
    try:
        graphdsl.compile_file(path, allow_imports=allowed)
    except GraphError as error:
        assert not runs and {d.code for d in error.diagnostics} & {'G121', 'G123'}
    finally:
        sys.modules.pop('sentinel', None)
    assert (tmp_path / 'sentinel.ran').exists() == runs


def test_modules_beside_the_file_do_not_stand_in_for_others(tmp_path):
    """What an allowed module imports is not taken from the folder of a graph that somebody sent."""
    import sys
    (tmp_path / 'lab_of_ours.py').write_text('import beside_it\nimport colorsys\ndef f(v):\n    return v\n')
    (tmp_path / 'beside_it.py').write_text('')
    (tmp_path / 'colorsys.py').write_text(SENTINEL)
    sys.modules.pop('colorsys', None)
    path = tmp_path / 'a.graph'
    path.write_text('import f from "lab_of_ours"\n' + NAMES.replace('mean(zqzqm)', 'mean(f(zqzqm))'))
    try:
        translate(Source(path.read_text()), folder=str(tmp_path), allow_imports=['lab_of_ours'])
    finally:
        for name in ('lab_of_ours', 'beside_it', 'colorsys'):
            sys.modules.pop(name, None)
    assert not (tmp_path / 'colorsys.ran').exists()
