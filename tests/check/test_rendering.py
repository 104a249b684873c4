"""What a diagnostic looks like on a terminal: checked against the columns that a terminal emulator would use."""
import unicodedata

import pytest

from graphdsl.diagnostics import Diagnostic, Place, Source, Span, render


def shown(text, word, reason='here', **details):
    start = text.index(word)
    return render(Diagnostic('G101', 'wrong', Span(start, start + len(word)), reason, **details), Source(text, 'f'))


def columns(text):
    """Columns of a text, tabs to every eighth column; by the Unicode standard's width of each character."""
    column = 0
    for c in text:
        if c == '\t':
            column += 8 - column % 8
        elif not unicodedata.combining(c):
            column += 2 if unicodedata.east_asian_width(c) in 'WF' else 1
    return column


@pytest.mark.parametrize('line', [
    'abc = wrong + d', '\twrong', 'a\t\tb = wrong', '"日本語" + wrong', '"ｆｕｌｌ" -> wrong -> y',
    '"e\u0301a\u0308" + wrong',
    '\t"漢字"\t+ wrong', '"\U0001f600" wrong'])
@pytest.mark.parametrize('newline', ['\n', '\r\n', '\r'])
def test_underlines_stand_below_what_is_wrong(line, newline):
    excerpt, underline = shown(newline.join(['first', line, 'last']), 'wrong').splitlines()[3:5]
    assert excerpt == f'2 | {line}'
    assert columns(excerpt.split('wrong')[0]) == columns(underline.split('^')[0])
    assert underline.endswith('^^^^^ here')


def test_wide_characters_are_underlined_whole():
    underline = shown('x = "漢字"', '"漢字"').splitlines()[4]
    assert underline.count('^') == 6


def test_labels_of_a_line_share_its_excerpt():
    text = 'a b\nc\nd\ne f\n'
    lines = shown(text, 'f', places=(Place(Span(0, 1), 'one'), Place(Span(2, 3), 'two'), Place(Span(8, 9), 'three')))
    assert lines.splitlines()[3:] == [
        '1 | a b', '  | - one', '  |   - two', ' ...', '4 | e f', '  | - three', '  |   ^ here']


def test_of_a_long_line_the_surroundings_are_shown():
    text = 'a' * 5000 + ' wrong ' + 'b' * 5000
    excerpt, underline = shown(text, 'wrong').splitlines()[3:5]
    assert len(excerpt) < 250 and excerpt.startswith('1 | ...a') and excerpt.endswith('b...')
    assert excerpt.index('wrong') == underline.index('^')


def test_nothing_moves_the_cursor():
    text = 'a\x1b[31m\u202e wrong\x00\x7f'
    assert all(c.isprintable() or c == '\n' for c in shown(text, 'wrong', '\x07', help='\x1b', notes=('\u2066',)))


def test_notes_come_before_the_help():
    assert shown('wrong', 'wrong', help='h', notes=('n', 'm')).splitlines()[-3:] == [
        '  = note: n', '  = note: m', '  = help: h']
