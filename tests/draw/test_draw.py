"""Pictures of graphs: the boxes and arrows are compared with what a person would draw; texts with golden files."""
import functools
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import graphdsl
from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import read, translate
from graphdsl.tools.draw import LayoutError, draw, laying_out, plain

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = ROOT / 'examples'
PATHS = sorted(EXAMPLES.glob('*.graph'))
SVG = '{http://www.w3.org/2000/svg}'
PNG = b'\x89PNG\r\n\x1a\n'

BASE = '''
input x: float32[4], t: int32
noise z: float32[3] ~ normal(0, 1)
'''


def pictured(text, step=None, **options):
    return draw(translate(Source(BASE + text), **options), step).picture


@functools.lru_cache(maxsize=None)
def example(path, step=None):
    return draw(translate(read(path), folder=str(EXAMPLES)), step)


def arrows(picture):
    """Arrows as pairs of titles."""
    titles = {node.name: node.title for node in picture.nodes}
    return {(titles[edge.tail], titles[edge.head]): edge for edge in picture.edges}


def nodes(picture, *kinds):
    return {node.title: node for node in picture.nodes if node.kind in kinds}


def boxes(picture):
    return nodes(picture, 'model')


def words(svg):
    """All text of a picture, and that it is one of its own size on white ground."""
    root = ElementTree.fromstring(svg)
    assert root.tag == f'{SVG}svg' and not list(root.iter(f'{SVG}script')) and not list(root.iter(f'{SVG}image'))
    assert any('#ffffff' in (one.get('fill') or one.get('style') or '') for one in root.iter())
    return {text.text for text in root.iter(f'{SVG}text')}


@pytest.fixture
def without_graphviz(monkeypatch):
    monkeypatch.setattr(laying_out, '_graphviz', lambda format: None)


@pytest.mark.parametrize('name, step', [
    ('strips', None), ('cyclegan', None), ('mean_teacher', None), ('dcgan', None), ('dcgan', 'critic'),
    ('dcgan', 'generator')])
def test_golden(name, step, golden):
    drawing = example(EXAMPLES / f'{name}.graph', step)
    for format in ('dot', 'mmd'):
        golden(drawing.content(format).decode('utf-8'),
               HERE / 'expected' / f'{name}{f"_{step}" if step else ""}.{format}')


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_every_example_has_a_picture(path, monkeypatch):
    drawing = example(path)
    titles = {node.title for node in drawing.picture.nodes}
    assert titles <= words(drawing.svg)
    monkeypatch.setattr(laying_out, '_graphviz', lambda format: None)
    assert titles <= words(laying_out.laid_out(drawing.picture, 'svg'))



@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_without_graphviz_data_is_on_the_left_and_losses_on_the_right(path):
    views, ways = plain._laid_out(example(path).picture)
    assert not [(a.node.title, b.node.title) for i, a in enumerate(views) for b in views[:i]
                if abs(a.x - b.x) < (a.width + b.width) / 2 and abs(a.y - b.y) < (a.height + b.height) / 2]
    assert all(way.tail.x < way.head.x for way in ways)
    for view in views:
        if view.node.kind in ('input', 'noise'):
            assert view.x == min(one.x for one in views)


def test_losses_that_others_take_are_where_these_need_them():
    views, _ = plain._laid_out(example(EXAMPLES / 'began.graph').picture)
    found = {view.node.title: view.x for view in views}
    assert found['fake_error'] < found['balance'] == max(found.values())


@pytest.mark.parametrize('name, step', [('strips', None), ('dcgan', 'critic'), ('dcgan', 'generator')])
def test_pictures_of_the_documentation_are_those_of_the_examples(name, step, request):
    drawing = example(EXAMPLES / f'{name}.graph', step)
    path = ROOT / 'docs' / 'pictures' / f'{name}{f"_{step}" if step else ""}.svg'
    if request.config.getoption('--accept'):
        drawing.save(path)
    text = path.read_text(encoding='utf-8')
    assert words(text) == words(drawing.svg)            # the places are another matter, of Graphviz's version
    ways = [one for one in ElementTree.fromstring(text).iter(f'{SVG}g') if one.get('class') == 'edge']
    dashed = [one for one in ways if one.find(f'{SVG}path').get('stroke-dasharray')]
    assert len(ways) == len(drawing.picture.edges)
    assert len(dashed) == sum(edge.is_cut and edge.runs for edge in drawing.picture.edges)


# What is drawn

def test_a_family_is_one_box():
    picture = example(EXAMPLES / 'strips.graph').picture
    assert set(boxes(picture)) == {'trunk', 'head[*]'}
    assert set(arrows(picture)) == {
        ('x', 'trunk'), ('trunk', 'h [B, 256]'), ('h [B, 256]', 'head[*]'), ('head[*]', 'y[*] [B, 10]'),
        ('y[*] [B, 10]', 'digit[*]'), ('t', 'digit[*]'), ('y[*] [B, 10]', 'accuracy[*]'), ('t', 'accuracy[*]'),
        ('y[*] [B, 10]', 'label[*]')}
    assert picture.optimizers == ('head[*]: Adam', 'trunk: Adam')
    assert [boxes(picture)[name].owners for name in ('head[*]', 'trunk')] == [(0,), (1,)]


def test_members_with_owners_of_their_own_are_boxes_of_their_own():
    picture = pictured('''
for i in 0..3 { model head[i] = Linear(10)
    x -> head[i] -> y[i]
    loss a[i] = softmax_cross_entropy(y[i], t) }
optimizer first = SGD() owns head[0], head[1]
optimizer last = Adam() owns head[2]''')
    assert {title: node.owners for title, node in boxes(picture).items()} == {'head[0..2]': (0,), 'head[2]': (1,)}
    assert picture.optimizers == ('first: SGD', 'last: Adam')


def test_an_optimizer_of_a_member_and_more_is_no_member_of_its_family():
    picture = pictured('''
model trunk = Linear(4)
x -> trunk -> h
for i in 0..2 { model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss a[i] = softmax_cross_entropy(y[i], t) }
optimizer SGD() owns head[0], trunk
optimizer Adam() owns head[1]''')
    assert {title: node.owners for title, node in boxes(picture).items()} == {
        'trunk': (0,), 'head[0]': (0,), 'head[1]': (1,)}
    assert picture.optimizers == ('head[0]_trunk: SGD', 'head[1]: Adam')


def test_a_model_with_two_owners_has_the_colours_of_both():
    text = '''
model net(v) -> w {
    layer low = Linear(4)
    layer high = Linear(10)
    v -> low -> relu -> high -> w
}
x -> net -> y
loss a = softmax_cross_entropy(y, t)
optimizer low = SGD() owns net.low
optimizer high = Adam() owns net.high'''
    drawing = draw(translate(Source(BASE + text)))
    assert boxes(drawing.picture)['net'].owners == (0, 1)
    assert 'striped' in drawing.content('dot').decode('utf-8')


def test_a_model_is_one_box_unless_arrows_would_run_in_a_circle():
    assert [node.title for node in example(EXAMPLES / 'dcgan.graph').picture.nodes].count('critic') == 1
    titles = [node.title for node in example(EXAMPLES / 'cyclegan.graph').picture.nodes]
    assert sorted([titles.count('to_x'), titles.count('to_y')]) == [1, 2]


def test_models_in_a_row_fold_to_one_that_leads_to_itself(without_graphviz):
    drawing = draw(translate(Source(BASE + '''
h[0] = x
for i in 0..5 { model block[i] = Linear(4) -> relu
    h[i] -> block[i] -> h[i + 1] }
loss a = softmax_cross_entropy(h[5], t)
optimizer SGD() owns block[*]''')))
    assert ('block[*]', 'h[1..6] [B, 4]') in arrows(drawing.picture)
    assert ('h[1..6] [B, 4]', 'block[*]') in arrows(drawing.picture)
    assert 'block[*]' in words(drawing.svg)


def test_a_model_that_computes_a_family_from_itself_is_one_box():
    picture = pictured('''
model cell = Linear(4)
h[0] = x
for i in 0..2000 { h[i] -> cell -> h[i + 1] }
loss a = softmax_cross_entropy(h[2000], t)
optimizer SGD() owns cell''')
    assert {pair for pair in arrows(picture) if pair[0] != 't'} == {
        ('x', 'cell'), ('cell', 'h[1..2001] [B, 4]'), ('h[1..2001] [B, 4]', 'cell'), ('h[1..2001] [B, 4]', 'a')}


def test_functions_stand_on_the_way_to_losses_alone():
    picture = example(EXAMPLES / 'vae.graph').picture
    assert set(nodes(picture, 'function')) == {'gaussian', 'gaussian_kl_divergence'}
    assert nodes(picture, 'function')['gaussian'].detail == 'code [B, 16]'
    assert arrows(picture)['y [B, 1, 8, 8]', 'copy'].is_aside


CUT = '''
model a = Linear(4)
model b = Linear(10)
x -> a -> h
detach(h) -> b -> y
loss one = mean(h ** 2)
loss two = softmax_cross_entropy(y, t)
metric hit = accuracy(y, t)
optimizer SGD() owns a
optimizer Adam() owns b'''


@pytest.mark.parametrize('way', ['detach(h) -> b -> y', 'h -> detach -> b -> y', 'd = detach(h)\nd -> b -> y',
                                 'y = b(detach(h))'])
def test_gradients_that_are_cut(way):
    found = arrows(pictured(CUT.replace('detach(h) -> b -> y', way)))
    assert found['h [B, 4]', 'b'].is_cut and not found['h [B, 4]', 'b'].has_gradient
    for pair in (('a', 'h [B, 4]'), ('h [B, 4]', 'one')):
        assert found[pair].has_gradient and not found[pair].is_cut
    assert not found['x', 'a'].is_cut                    # there was nothing to cut
    assert found['y [B, 10]', 'hit'].is_aside and not found['y [B, 10]', 'hit'].is_cut


def test_gradients_end_where_a_line_cuts_them_further_on():
    found = arrows(pictured('''
model a = Linear(4)
model c = Linear(4)
model b = Linear(10)
x -> a -> h
loss one = mean(h ** 2)
h -> c -> detach -> b -> y
loss two = softmax_cross_entropy(y, t)
loss three = mean(c(x) ** 2)
optimizer SGD() owns a, c
optimizer Adam() owns b'''))
    assert found['h [B, 4]', 'c'].is_cut and found['h [B, 4]', 'one'].has_gradient


GAN = '''
model draw = Linear(4)
model judge = Linear(1)
z -> draw -> fake
x -> judge -> p
fake -> judge -> q
loss judged = mean(softplus(-p)) + mean(softplus(q))
loss fool = mean(softplus(-q))
optimizer judge = Adam() owns judge minimizes judged
optimizer draw = Adam() owns draw minimizes fool
step judge { update judge }
step draw on the same batch { update draw }
'''


@pytest.mark.parametrize('options', [{}, {'no_passes': ['reuse', 'cut']}])
def test_a_step(options):
    judge, draw_ = (pictured(GAN, step, **options) for step in ('judge', 'draw'))
    for pair in (('draw', 'fake [B, 4]'), ('fake [B, 4]', 'judge')):
        assert arrows(judge)[pair].is_cut and arrows(draw_)[pair].has_gradient and not arrows(draw_)[pair].is_cut
    assert [boxes(judge)[name].moves for name in ('draw', 'judge')] == [False, True]
    assert [boxes(draw_)[name].moves for name in ('draw', 'judge')] == [True, False]
    assert [nodes(judge, 'loss')[name].runs for name in ('judged', 'fool')] == [True, False]
    assert [nodes(draw_, 'loss')[name].runs for name in ('judged', 'fool')] == [False, True]
    assert not arrows(draw_)['x', 'judge'].runs and not nodes(draw_, 'input')['x'].runs
    assert not nodes(draw_, 'value')['p [B, 1]'].runs and nodes(draw_, 'value')['q [B, 1]'].runs
    whole = pictured(GAN, **options)
    assert not any(edge.is_cut for edge in whole.edges) and all(edge.runs for edge in whole.edges)
    assert not any(node.moves for node in whole.nodes)


def test_what_no_optimizer_moves():
    picture = example(EXAMPLES / 'distill.graph').picture
    assert boxes(picture)['teacher'].is_frozen and boxes(picture)['teacher'].detail == 'frozen'
    assert not boxes(picture)['student'].is_frozen
    assert boxes(example(EXAMPLES / 'mean_teacher.graph').picture)['teacher'].detail == 'follows student'


def test_shapes_that_differ_within_a_family_are_left_out():
    picture = pictured('''
for i in 0..2 { model head[i] = Linear(10 + i)
    x -> head[i] -> y[i]
    loss a[i] = softmax_cross_entropy(y[i], t) }
optimizer SGD() owns head[*]''')
    assert set(nodes(picture, 'value')) == {'y[*]'}


def test_a_wrong_shape_is_shown_as_everywhere():
    text = 'model m = Linear(2)\nx -> m -> y\nloss a = mean(y + z)\noptimizer SGD() owns m'
    with pytest.raises(GraphError, match=r'\[B, 3\]'):
        pictured(text)


# What a file can hold

@pytest.mark.parametrize('text', ['</b><script>', '$x^2$', '\\\\"];a->b[image=', '&amp;<b>', 'é\u202e\u0007',
                                  'a\\\\N', '%%{init:}', '`+click n0'])
def test_text_of_a_file_does_not_break_out_of_a_picture(text, monkeypatch):
    quoted = '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'
    graph = ('import f from "nets"\nmodel m = Linear(10)\nx -> m -> y\nv = f(y, ' + quoted + ')\n'
             'loss a = softmax_cross_entropy(v, t)\noptimizer SGD() owns m')
    drawing = draw(translate(Source(BASE + graph), bind={'f': lambda y, name: y}))
    (shown, _), = nodes(drawing.picture, 'function').items()
    assert shown.startswith('f(y, "') and shown.isprintable()
    assert shown in words(drawing.svg)
    lines = drawing.content('dot').decode('utf-8').splitlines()
    assert sum(' -> ' in line.split(' [')[0] and line.startswith('    n') for line in lines) == len(
        drawing.picture.edges)
    for line in drawing.content('mmd').decode('utf-8').splitlines():
        assert line.count('"') in (0, 2) and ';' not in line.partition('"')[0]
    monkeypatch.setattr(laying_out, '_graphviz', lambda format: None)
    assert shown in words(laying_out.laid_out(drawing.picture, 'svg'))


HEADS = '''
model trunk = Linear(8)
x -> trunk -> h
for i in 0..{count} {{ model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss a[i] = softmax_cross_entropy(y[i], t) }}
optimizer SGD() owns head[*], trunk'''


def test_a_thousand_heads(monkeypatch):
    drawing = draw(translate(Source(BASE + HEADS.format(count=1000))))
    assert [node.title for node in drawing.picture.nodes] == [
        'x', 't', 'z', 'trunk', 'head[*]', 'a[*]', 'h [B, 8]', 'y[*] [B, 10]']
    assert len(drawing.picture.optimizers[0]) < 60
    assert 'head[*]' in words(drawing.svg)
    monkeypatch.setattr(laying_out, '_graphviz', lambda format: None)
    assert 'head[*]' in words(laying_out.laid_out(drawing.picture, 'svg'))


def unfolded(count):
    return ''.join(f'model m{i} = Linear(10)\nx -> m{i} -> y{i}\nloss a{i} = softmax_cross_entropy(y{i}, t)\n'
                   for i in range(count)) + 'optimizer SGD() owns ' + ', '.join(f'm{i}' for i in range(count))


def test_what_is_too_large_is_refused(monkeypatch):
    drawing = draw(translate(Source(BASE + unfolded(120))))
    monkeypatch.setattr(laying_out, '_graphviz', lambda format: None)
    with pytest.raises(LayoutError, match="need Graphviz: pip install 'graphdsl\\[draw\\]'"):
        drawing.content('png')
    assert drawing._repr_svg_() is None
    monkeypatch.setattr(laying_out, 'MOST', 700)
    with pytest.raises(LayoutError, match='843 boxes and arrows are too many'):
        drawing.content('png')
    assert drawing.content('dot').startswith(b'digraph')


@pytest.mark.parametrize('code, said', [
    ('import time; time.sleep(60)', 'takes more than 1 s'), ('raise SystemExit(3)', 'status 3'),
    ('raise SystemExit("no such font")', 'Graphviz fails: no such font')])
def test_a_graphviz_that_fails(code, said, monkeypatch, gan, command):
    monkeypatch.setattr(laying_out, '_graphviz', lambda format: [sys.executable, '-c', code])
    monkeypatch.setattr(laying_out, 'TIME_LIMIT', 1)
    status, out, err = command('draw', 'gan.graph', '-o', 'gan.svg')
    assert (status, out) == (1, '') and said in err and err.count('\n') == 1
    assert not (gan / 'gan.svg').exists()


def test_dot_is_preferred_where_it_is_installed(tmp_path, monkeypatch):
    program = tmp_path / 'dot'
    program.write_text(f'#!{sys.executable}\nimport sys\nprint("<?xml?><svg>", *sys.argv[1:], "</svg>")\n')
    program.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    assert laying_out.laid_out(example(EXAMPLES / 'strips.graph').picture, 'svg').startswith(b'<svg> -Tsvg </svg>')


# The command line

@pytest.fixture
def gan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'gan.graph').write_text(BASE.replace(', t: int32', '') + GAN)
    return tmp_path


STARTS = {'svg': b'<svg', 'png': PNG, 'pdf': b'%PDF', 'dot': b'digraph', 'mmd': b'flowchart LR'}


@pytest.mark.parametrize('graphviz', [True, False])
@pytest.mark.parametrize('format', STARTS)
def test_command(format, graphviz, gan, command, monkeypatch):
    if not graphviz:
        monkeypatch.setattr(laying_out, '_graphviz', lambda format: None)
    assert command('draw', 'gan.graph', '--step', 'judge', '-o', f'gan.{format}') == (0, '', '')
    assert (gan / f'gan.{format}').read_bytes().startswith(STARTS[format])


@pytest.mark.parametrize('line, said', [
    ('-o gan.jpg', '.svg, .png, .pdf, .dot, .mmd'), ('-o gan', '.svg'), ('', 'Missing option'),
    ('-o gan.svg --step jugde', "there is no step 'jugde'; there are 'judge', 'draw'"),
    ('-o gan.svg --set count=1', 'count'), ('-o gan.svg --limit calls', 'NAME=NUMBER')])
def test_wrong_command_lines(line, said, gan, command):
    status, out, err = command('draw', 'gan.graph', *line.split())
    assert (status, out) == (2, '') and said in err and not list(gan.glob('gan.[!g]*'))


def test_errors_are_shown_as_by_other_commands(gan, command):
    (gan / 'wrong.graph').write_text('input x: float32[4]\nx -> m -> y\n')
    status, out, err = command('draw', 'wrong.graph', '-o', 'wrong.svg')
    assert (status, out) == (1, '') and err == command('plan', 'wrong.graph')[2] and 'wrong.graph:2' in err
    status, out, err = command('draw', 'wrong.graph', '-o', 'wrong.svg', '--format', 'json')
    assert (status, out) == (1, '') and err.startswith('{') and not (gan / 'wrong.svg').exists()


def test_a_target_that_cannot_be_written(gan, command):
    status, out, err = command('draw', 'gan.graph', '-o', 'missing/gan.svg')
    assert (status, out, err) == (1, '', 'Error: missing/gan.svg cannot be written: No such file or directory\n')


def test_params_and_limits(command, tmp_path):
    target = tmp_path / 'strips.dot'
    assert command('draw', EXAMPLES / 'strips.graph', '-o', target, '--set', 'count=64') == (0, '', '')
    assert 'float32[B, 1, 8, 512]' in target.read_text()
    status, _, err = command('draw', EXAMPLES / 'strips.graph', '-o', target, '--limit', 'statements=3')
    assert status == 1 and 'statements' in err


# Python

def test_a_compiled_graph_draws_itself(tmp_path, monkeypatch):
    graph = graphdsl.compile_file(EXAMPLES / 'dcgan.graph')
    drawing = graph.draw('critic')
    assert drawing.picture.step == 'critic' and drawing.svg == drawing._repr_svg_()
    drawing.save(tmp_path / 'critic.svg')
    assert (tmp_path / 'critic.svg').read_text(encoding='utf-8') == drawing.svg
    with pytest.raises(ValueError, match="there is no step 'cirtic'; there are 'critic', 'generator'"):
        graph.draw('cirtic')
    with pytest.raises(ValueError, match='does not end in .svg, .png'):
        drawing.save(tmp_path / 'critic.jpeg')
    assert graph._repr_svg_() == graph.draw().svg
    monkeypatch.setattr(laying_out, '_graphviz', lambda format: ['/no/such/program'])
    assert graph._repr_svg_() is None


def test_drawing_leaves_no_trace_in_a_graph():
    import numpy
    graph = graphdsl.compile_file(EXAMPLES / 'dcgan.graph')
    numpy.random.seed(3)
    before = {name: [p.array.copy() for p in model.params()] for name, model in graph.models.items()}
    graph.draw()
    assert numpy.random.rand() == numpy.random.RandomState(3).rand()
    for name, model in graph.models.items():
        assert all((p.array == old).all() for p, old in zip(model.params(), before[name]))


def test_importing_the_command_line_imports_no_library_of_drawing():
    code = 'import sys, graphdsl.cli; print({"grandalf", "matplotlib", "chainer"} & set(sys.modules) or "none")'
    assert subprocess.check_output([sys.executable, '-c', code], text=True) == 'none\n'
