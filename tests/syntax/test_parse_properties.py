"""Reading any text at all: it gives a tree or says what is wrong."""
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import RESERVED, examples, programs, tokens

from graphdsl.diagnostics import GraphError, Source
from graphdsl.driver import translate
from graphdsl.syntax.parse import parse

OPERATORS = '-> .. = == ( ) [ ] { } , ; : ? * ** - not in if else ~ # " \' \\ \n \r . 1 é \0'.split(' ')


def reads_or_explains(text):
    source = Source(text)
    try:
        parse(source)
    except GraphError as error:
        assert error.diagnostics
        for diagnostic in error.diagnostics:
            assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)
            assert f'error[{diagnostic.code}]: ' in str(error)
            assert '__' not in diagnostic.message and '__' not in diagnostic.reason or '__' in text


@examples(300)
@given(st.text(max_size=40))
def test_any_text(text):
    reads_or_explains(text)


@examples(300)
@given(st.lists(st.sampled_from(OPERATORS + ['x', 'model', 'train', 'for', 'loss', 'update']), max_size=20))
def test_any_words(words):
    reads_or_explains(' '.join(words))


@examples(60)
@given(programs(), st.integers(0, 2 ** 32))
def test_programs_with_mistakes(program, seed):
    chance = random.Random(seed)
    for _ in range(3):
        words = [token for token, _ in tokens(program.text)]
        for _ in range(chance.choice([1, 1, 2, 5])):
            mutate(words, chance)
        reads_or_explains(' '.join(words))
        cut = chance.randrange(len(program.text) + 1)
        reads_or_explains(program.text[:cut])
        reads_or_explains(program.text[cut:])


@examples(25)
@given(programs())
def test_programs_without_sense(program):
    """What is well written and means nothing is refused, and nothing worse."""
    try:
        translate(Source(program.text))
    except GraphError as error:
        assert any(d.severity == 'error' for d in error.diagnostics)


def mutate(words, chance):
    start = chance.randrange(len(words) + 1)
    stop = start + chance.choice([0, 0, 1, 1, 2, 5])
    new = [chance.choice(words + OPERATORS) for _ in range(chance.choice([0, 1, 1, 2]))]
    words[start:stop] = new


@pytest.mark.parametrize('text', [
    'x = ' + '(' * 5000, 'x = ' + '(' * 5000 + 'a' + ')' * 5000, 'x = ' + '-' * 5000 + 'a',
    'x = ' + 'a + ' * 5000 + 'a', 'x = a' + '.b' * 5000, 'x = ' + '[' * 5000, 'if a { ' * 5000,
    'if a { }' + ' else if a { }' * 5000, 'x = ' + '9' * 5000,
    'x = 1e999', 'x = "' + '\\' * 5000, '#' * 5000, '\n' * 5000, '# a\n' * 500 + '->',
    'x = "\\d"', 'x = "\\\r"', 'x = "\\ud800"', 'x = "\ud800"', 'x = "\\N{none}"', '\ufeffx = 1', 'x = 1\x0c',
])
def test_extreme_texts(text):
    reads_or_explains(text)


@pytest.mark.parametrize('text, message', [
    ('x = ' + '-' * 200 + 'a', 'nested too deeply'),
    ('x = 1e999', 'too large'),
    ('x = ' + '9' * 5000, 'too large'),
    (r'x = "\d"', 'cannot be read'),
    ('\n\ny = 10epochs', '3:7'),
])
def test_what_is_said_of_them(text, message):
    with pytest.raises(GraphError, match=message):
        parse(Source(text))


@pytest.mark.parametrize('word', sorted(RESERVED))
@pytest.mark.parametrize('text', ['param {} = 3', 'x.{} -> f -> y', 'x = f({}=1)', 'import {} from "a"'])
def test_reserved_words_are_no_names(word, text):
    with pytest.raises(GraphError, match='cannot be a name'):
        parse(Source(text.format(word)))


@pytest.mark.parametrize('word', [
    'owns', 'minimizes', 'hook', 'skip', 'update', 'epochs', 'iterations', 'seed', 'evaluate', 'log', 'snapshot',
    'keep', 'stop',
])
def test_words_of_other_braces_can_start_any_statement(word):
    parse(Source(f'{word} -> f -> y\n{word} = 2\nx, {word} = g(y)'))
