"""Right programs with something changed at random: fine or refused, never a mistake of ours."""
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import translate

TESTS = Path(__file__).parents[1]
PROGRAMS = [path.read_text(encoding='utf-8') for folder in (TESTS / 'phases', TESTS.parent / 'examples')
            for path in sorted(folder.glob('*.graph'))]
PIECES = (
    '_', 'none', 'true', '0', '-1', '1.5', '2', '7', '"s"', 'y', 'x', 'h', 'h[*]', 'h[0]', '[x]', '(x, y)', 'relu',
    'Linear', 'Linear(2)', 'Normal()', 'split_axis(2, axis=1)', 'detach', 'batch_size', 'epoch', 'self', 'class',
    'len', 'super', 'sum', 'max', '[1, 2]', '(2 if true else 3)', 'detach(x)', 'grad(y, x)', 'history(x)', 'eval(m)',
    'quiet(m)', 'm.linear_1', 'shape(x, 1)', 'x > 0', 'where(x > 0, x, 0)', 'iteration', 'progress', 'z', 'k',
    'LSTM(2)', 'StatefulGRU(2, 2)', 'ones_like', 'one_hot(t, 3)', 'net.stem', 'x when epoch > 1', 'a, b')
LINES = (
    'state k = 0.0', 'next k = k + 1', 'next k = cost', 'noise z ~ uniform(0, 1)', 'noise z: float32[3] ~ normal(0, 1)',
    'model n like m', 'model n follows trunk decay 0.9', 'model n follows trunk every k iterations', 'frozen trunk',
    'frozen net.stem', 'schedule adam.alpha = k', 'step s { }', 'step s on the same batch when k > 1 { update adam }',
    'step s repeat k { update sgd for a when z }', 'step s unroll 3 { update adam, sgd }',
    'step s accumulate 2 { update adam }', 'optimizer o = Adam() owns trunk except trunk.linear_1 { skip nonfinite }',
    'weight w: float32[3] = 0', 'loss l = z when z', 'metric q = grad(cost, x)',
    'train { iterations 3; stop when k > 1 }',
    'if epoch > 1 {', '}', 'for i in 0..2 {')
TOKEN = re.compile(r'#[^\n]*|"[^"\n]*"|[A-Za-z_]\w*|\d+(?:\.\d+)?|->|\.\.|\*\*|//|\n|\s+|.')
NAME = re.compile(r'[A-Za-z_]\w*$|\d+$')


@st.composite
def mutants(draw):
    text = draw(st.sampled_from(PROGRAMS))
    for _ in range(draw(st.integers(1, 3))):
        text = draw(st.sampled_from((rename, replace, drop, move, add)))(draw, text)
    return text


def names_of(text):
    tokens = TOKEN.findall(text)
    return tokens, [i for i, token in enumerate(tokens) if NAME.match(token)] or [0]


def rename(draw, text):
    tokens, places = names_of(text)
    tokens[draw(st.sampled_from(places))] = tokens[draw(st.sampled_from(places))]
    return ''.join(tokens)


def replace(draw, text):
    tokens, places = names_of(text)
    tokens[draw(st.sampled_from(places))] = draw(st.sampled_from(PIECES))
    return ''.join(tokens)


def drop(draw, text):
    lines = text.split('\n')
    del lines[draw(st.integers(0, len(lines) - 1))]
    return '\n'.join(lines) or '\n'


def move(draw, text):
    lines = text.split('\n')
    other = draw(st.sampled_from(PROGRAMS)).split('\n')
    lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(other)))
    return '\n'.join(lines)


def add(draw, text):
    lines = text.split('\n')
    lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(LINES)))
    return '\n'.join(lines)


@settings(max_examples=100, deadline=None)
@given(mutants())
def test_a_mutant_is_fine_or_refused(text):
    try:
        compilation = translate(Source(text))
    except GraphError as error:
        assert any(d.severity == 'error' for d in error.diagnostics) and str(error)
        assert list(error.diagnostics) == sorted(error.diagnostics, key=lambda d: d.span.start)
    else:
        compile(compilation.module.text, 'module', 'exec')
