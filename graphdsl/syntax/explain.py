"""Says in the language's words why a statement cannot be read."""
from __future__ import annotations

from typing import Optional

from graphdsl.diagnostics import Diagnostic, Edit, Span
from graphdsl.syntax import words
from graphdsl.syntax.build import RESERVED, reserved
from graphdsl.syntax.habits import foreign_statement
from graphdsl.syntax.misspelled import wrong_word
from graphdsl.syntax.reading import Reading
from graphdsl.syntax.signs import foreign

_MOST_CHOICES = 4
# What can follow any value, or starts one, is not worth a word.
_USUAL = frozenset('( [ . ? * ** .. and or not in if true false none'.split())


def explain(reading: Reading) -> Diagnostic:
    """Returns the syntax error of a statement."""
    rules = (foreign, foreign_statement, _reserved, _result, _lonely_else, _two_statements, wrong_word, _braces, _comma,
             _after_word)
    return next(filter(None, (rule(reading) for rule in rules)), None) or _in_general(reading)


def _reserved(reading: Reading) -> Optional[Diagnostic]:
    """Finds a reserved word where something is named: `param in = 3`, `f(not=3)`."""
    names_statement = reading.at == 2 and reading.first.text in words.KEYWORDS
    names_argument = reading.at > 1 and reading.text == '=' and reading.tokens[reading.at - 2].text in ('(', ',')
    if reading.before not in RESERVED or not (names_statement or names_argument):
        return None
    return reserved(reading.before, reading.previous.span)


def _result(reading: Reading) -> Optional[Diagnostic]:
    """Finds an arrow without a stage or name behind it."""
    if reading.before != '->':
        return None
    if reading.first.text in ('model', 'block') and reading.is_keyword:
        what = 'a stage' if 'NUMBER' in reading.accepted else 'the name of an output'
        return reading.wrong('G024', f'expected {what} after `->`', reason=reading.found(), help=reading.form())
    if reading.token is None or reading.text == '}':
        return reading.wrong('G024', 'expected a name for the result after `->`', reason=reading.found(),
                             help='end the edge with a name, such as `-> h`')
    return reading.wrong('G024', 'expected a stage or a name for the result after `->`', reason=reading.found())


def _two_statements(reading: Reading) -> Optional[Diagnostic]:
    """Finds a second statement on the line of the first."""
    token = reading.token
    if token is None or 'END' not in reading.accepted or token.kind != 'word':
        return None
    following = reading.tokens[reading.at + 1] if reading.at + 1 < len(reading.tokens) else None
    starts = words.form(token.text, reading.braces) and following is not None and (
        following.is_name or following.kind == 'number' or following.text == '{')
    if not starts and not (reading.before == '}' and token.is_name):
        return None
    start = Span(token.start, token.start)
    return reading.wrong('G026', 'two statements stand on one line', reason='the second starts here',
                         help='put it on a line of its own, or `;` before it', edits=(Edit(start, '; '),))


def _lonely_else(reading: Reading) -> Optional[Diagnostic]:
    if reading.first.text != 'else' or reading.at > 1:
        return None
    return reading.wrong('G001', 'this `else` belongs to no `if`', help='write `if CONDITION { ... } else { ... }`')


def _braces(reading: Reading) -> Optional[Diagnostic]:
    if '{' not in reading.accepted or 'END' in reading.accepted:
        return None
    if reading.text == '{':
        return reading.wrong('G025', 'a `{` stands on the line of its statement',
                             help=f'move it to the end of the line before, after `{reading.before}`')
    if reading.token is None:
        return reading.wrong('G025', f'expected `{{` after `{reading.before}`', reason=reading.found(),
                             help=reading.form())
    return None


def _comma(reading: Reading) -> Optional[Diagnostic]:
    """Finds two values side by side in a list."""
    token, previous = reading.token, reading.previous
    others = {'->'} if reading.depth else {'->', ':'}
    if token is None or ',' not in reading.accepted or not others.isdisjoint(reading.accepted) or not (
            previous.ends_operand and token.starts_operand):
        return None
    return reading.wrong('G020', f'a comma is missing between `{previous.text}` and `{token.text}`',
                         Span(previous.start, token.end), help=f'write `{previous.text}, {token.text}`'
                         if previous.text not in ')]' else '')


def _after_word(reading: Reading) -> Optional[Diagnostic]:
    """Finds what must come after a word or operator, and doesn't."""
    what = words.after(reading.first.text if reading.is_keyword else '', reading.before)
    wants_value = not reading.accepted.isdisjoint(('NAME', 'NUMBER', 'STRING'))
    if not what or not (wants_value or what.strip('`').split('`')[0] in reading.accepted):
        return None
    return reading.wrong(_code(reading), f'expected {what} after `{reading.before}`', reason=reading.found(),
                         help=reading.form())


def _in_general(reading: Reading) -> Diagnostic:
    choices = _choices(reading)
    expected = 'expected ' + ' or '.join(choices) if choices else ''
    if reading.token is None:
        message = f'{expected} after `{reading.before}`' if expected else f'the {reading.end} ends too early'
        return reading.wrong('G002', message, reason=reading.found(), help=reading.form())
    return reading.wrong('G001', f'`{reading.text}` cannot stand here', reason=expected, help=reading.form())


def _code(reading: Reading) -> str:
    return 'G001' if reading.token else 'G002'


def _choices(reading: Reading) -> list[str]:
    """Returns what could have come, as far as that is short enough to be of help."""
    accepted = reading.accepted
    usual = _USUAL if len(accepted) > 1 else ()
    literals = sorted(word for word in accepted.difference(usual) if not word.isupper() and not word.startswith('_'))
    choices = []
    if 'NAME' in accepted:
        choices.append('a value' if 'NUMBER' in accepted else 'a name')
        literals = [word for word in literals if not word.isalpha()]
    elif 'STRING' in accepted:
        choices.append('a string in quotes')
    choices += [f'`{word}`' for word in literals if word != ';'] if len(literals) <= _MOST_CHOICES else []
    if 'END' in accepted and reading.token is not None:
        choices.append('the end of the line')
    return choices[:_MOST_CHOICES]
