"""Explains words of the language that are misspelled or stand in the wrong braces."""
from __future__ import annotations

from typing import Optional

from graphdsl.diagnostics import Diagnostic, Edit, Place, Span
from graphdsl.syntax import words
from graphdsl.syntax.reading import Reading

_LIMIT = 3


def wrong_word(reading: Reading) -> Optional[Diagnostic]:
    """Explains a wrong word; None if the mistake is another."""
    rules = (_misplaced, _first_word, _clause, _setting_sign)
    return next(filter(None, (rule(reading) for rule in rules)), None)


def _misplaced(reading: Reading) -> Optional[Diagnostic]:
    """Finds statements that stand in braces of another kind."""
    word, braces = reading.first.text, reading.braces
    places = (Place(reading.opening.span, f'in the braces of this `{reading.opening.text}`'),) \
        if reading.opening and braces else ()
    if not braces:
        wanted = words.home(word, braces)
        if not wanted or reading.at != 1 or reading.token is None or not _is_operand(reading):
            return None
        return reading.wrong('G022', f'`{word}` belongs in the braces of {_ARTICLE[wanted]}', reading.first.span,
                             help=f'write `{_AROUND[wanted].format(words.form(word, wanted))}`')
    names_something = braces == 'data' and reading.at == 1 and reading.after in ('=', ':', '{', '->', ',')
    if reading.at and not names_something:
        return None
    wanted = words.home(word, braces)
    if wanted:
        return reading.wrong('G022', f'`{word}` belongs in the braces of {_ARTICLE[wanted]}', reading.first.span,
                             places=places, help=f'in those of `{braces}` stand {words.BRACES[braces]}')
    if word in words.FORMS['']:
        return reading.wrong('G022', f'`{word}` cannot stand in the braces of `{braces}`', reading.first.span,
                             places=places, reason='it stands outside of them',
                             help=f'in these braces stand {words.BRACES[braces]}')
    return None


_ARTICLE = {'train': '`train`', 'optimizer': 'an `optimizer`', 'step': 'a `step`'}
_AROUND = {'train': 'train {{ {} }}', 'optimizer': 'optimizer Adam() {{ {} }}', 'step': 'step NAME {{ {} }}'}


def _is_operand(reading: Reading) -> bool:
    return reading.token.kind in ('word', 'number', 'string')


def _first_word(reading: Reading) -> Optional[Diagnostic]:
    """Finds a first word that is no keyword, though a name or braces come after it."""
    first, braces = reading.first, reading.braces
    if first.kind != 'word' or words.form(first.text, braces) or reading.at > (1 if braces in ('', 'data') else 0):
        return None
    if braces:
        close = words.closest(first.text, [*words.FORMS[braces], *words.ANYWHERE])
        following = reading.tokens[1].text if len(reading.tokens) > 1 else ''
        if following in ('=', ':') or not close and (braces == 'data' or following in ('->', '[', ',')):
            return None
        return _no_statement(reading, close, f'in the braces of `{braces}` stand {words.BRACES[braces]}',
                             Place(reading.opening.span, 'in these braces') if reading.opening else None)
    if reading.token is None or not (_is_operand(reading) or reading.text == '{'):
        return None
    close = words.closest(first.text, [*words.ANYWHERE, *(word for kind in words.FORMS.values() for word in kind)])
    wanted = words.home(close, braces)
    if wanted:
        return _no_statement(reading, '', f'did you mean `{close}`, in the braces of {_ARTICLE[wanted]}?', None)
    return _no_statement(reading, close, 'an edge is written `x -> m -> y`, a value `y = m(x)`', None)


def _no_statement(reading: Reading, close: str, otherwise: str, place: Optional[Place]) -> Diagnostic:
    first = reading.first
    return reading.wrong('G021', f'no statement starts with `{first.text}`' if not reading.braces else
                         f'no line of `{reading.braces}` starts with `{first.text}`', first.span,
                         places=(place,) if place else (),
                         help=f'did you mean `{close}`?' if close else otherwise,
                         edits=(Edit(first.span, close),) if close else ())


def _clause(reading: Reading) -> Optional[Diagnostic]:
    """Finds a misspelled word within a statement."""
    if reading.token is None or reading.token.kind != 'word' or len(reading.text) < _LIMIT or not reading.at:
        return None
    close = words.closest(reading.text, [word for word in reading.accepted if word.isalpha() and word.islower()])
    if not close or close == reading.text:
        return None
    whole = f' of `{reading.first.text}`' if reading.is_keyword else ''
    return reading.wrong('G021', f'`{reading.text}` is no word{whole}', help=f'did you mean `{close}`?',
                         edits=(Edit(reading.span, close),))


def _setting_sign(reading: Reading) -> Optional[Diagnostic]:
    """Finds `batch = 64` in the braces of `train`, and `lr = 0.1` in those of an optimizer."""
    tokens, braces = reading.tokens, reading.braces
    if not braces or len(tokens) < 2 or reading.at > 1:
        return None
    if tokens[1].text in ('=', ':') and tokens[0].text in words.FORMS[braces]:
        return reading.wrong('G021', f'`{tokens[0].text}` takes its value without `{tokens[1].text}`', tokens[1].span,
                             help=f'write `{words.form(tokens[0].text, braces)}`',
                             edits=(Edit(Span(tokens[0].end, tokens[1].end), ''),)
                             if len(tokens) > 2 and tokens[2].start > tokens[1].end else ())
    if tokens[1].text == '=' and braces == 'optimizer':
        return reading.wrong('G022', 'hyperparameters stand among the arguments of an optimizer', tokens[0].span,
                             help=f'write `optimizer Adam({tokens[0].text}=...) owns ...`')
    if braces != 'data' and tokens[0].kind == 'word' and tokens[1].text in ('=', '->', '[', ':', ','):
        return reading.wrong('G022', f'values are not computed in the braces of `{braces}`', tokens[0].span,
                             help=f'in these braces stand {words.BRACES[braces]}; put it outside of them')
    return None
