"""Loops do what the lines that they stand for would do, in the same order."""
from hypothesis import given
from hypothesis import strategies as st

from graphdsl.diagnostics import Source, Span
from graphdsl.emit.layout import write_dictionary, write_wrapped
from graphdsl.emit.loops import repetitions
from graphdsl.emit.writer import Writer

# Statements that note what they were given: `{n}` counts up, `{m}` does so one later.
STATEMENTS = st.sampled_from([
    'do({n})', "do('a[{n}]', {n}, 7)", "do('{{x}} {n}', y[{n}], [{n}, {m}])", 'do(2 * {m})', 'do({m} ** 2, 1.5)',
    "do('it\\'s', {n} - 3)", 'do(y[{m}][{n}:])', "do('0{n}', '{n}.{m}')", 'do(y[-{m}])'])
SPANS = [Span(0, 1), Span(1, 2), None]


@st.composite
def programs(draw):
    """Statements with their places: some that repeat, and some that don't."""
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        body = draw(st.lists(st.tuples(STATEMENTS, st.sampled_from(SPANS)), min_size=1, max_size=3))
        start, step = draw(st.integers(0, 3)), draw(st.sampled_from([1, 1, 1, 0, 2]))
        for number in range(start, start + step * draw(st.integers(1, 6)) + (step == 0), step or 1):
            lines += [(text.format(n=number, m=number + 1), span) for text, span in body]
    return lines


def run(text):
    done = []
    exec(text, {'do': lambda *values: done.append(values), 'y': [list(range(n, n + 30)) for n in range(40)]})
    return done


@given(programs())
def test_a_loop_does_the_same(lines):
    plain, looped = Writer(Source('ab')), Writer(Source('ab'))
    for text, span in lines:
        plain.line(text, span)
    with looped.loops():
        for text, span in lines:
            looped.line(text, span)
    assert run(looped.text()) == run(plain.text())
    assert len(looped.text().splitlines()) <= len(plain.text().splitlines()) + 1


def written(*lines):
    writer = Writer(Source('a\nb'))
    with writer.loops():
        for line in lines:
            writer.line(*line)
    return writer.text(), dict(writer.spans)


def test_lines_keep_their_places():
    span, other = Span(0, 1), Span(2, 3)
    text, spans = written(*((f'{name}[{i}] = f({i})', place) for i in range(3)
                            for name, place in (('a', span), ('b', other))))
    assert text == 'for i in range(3):\n    a[i] = f(i)  # line 1\n    b[i] = f(i)  # line 2\n'
    assert spans == {2: span, 3: other}


def test_lines_from_different_places_are_no_loop():
    text, _ = written(('a[0] = 1', Span(0, 1)), ('a[1] = 1', Span(2, 3)), ('a[2] = 1', Span(0, 1)))
    assert 'for' not in text


def test_two_are_no_loop():
    assert list(repetitions(['a[0]', 'a[1]'])) == [(0, None), (1, None)]


def test_a_statement_of_several_lines_is_not_torn():
    writer = Writer(Source(''))
    with writer.loops():
        with writer.block('f('):
            for i in range(3):
                writer.line(f'a[{i}],')
        writer.line(')')
        for i in range(3):
            with writer.block(f'if c[{i}]:'):
                writer.line(f'g({i})')
    assert writer.text() == 'f(\n    a[0],\n    a[1],\n    a[2],\n)\nfor i in range(3):\n    if c[i]:\n        g(i)\n'


def test_lists_and_dictionaries():
    writer = Writer(Source(''))
    write_wrapped(writer, 'f([', [f'a[{i}]' for i in range(4)], '])')
    write_wrapped(writer, 'g(', ['h', *(f"m['a[{i + 1}]']" for i in range(4)), 'a[7]'], ')')
    write_dictionary(writer, 'x = ', [*((f'a[{i}]', f'a[{i}]', None) for i in range(3)), ('b', 'c', None)], '')
    assert writer.text() == (
        "f([a[i] for i in range(4)])\n"
        "g(h, *(m[f'a[{i}]'] for i in range(1, 5)), a[7])\n"
        "x = {\n    **{f'a[{i}]': a[i] for i in range(3)},\n    'b': c,\n}\n")

