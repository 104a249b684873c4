"""Explains statements that are written as in Python or other languages."""
from __future__ import annotations

import re
from typing import Optional

from graphdsl.diagnostics import Diagnostic, Edit, Span
from graphdsl.syntax.reading import Reading
from graphdsl.syntax.statements import extent

_BLOCK = 'a part to use again is `block NAME(x) -> y { ... }`; other functions are imported: `import f from "lab"`'
_VALUE = 'a value needs no keyword: write `NAME = EXPRESSION`'
_FOREIGN = {
    'class': 'declare a network with `model NAME(x) -> y { ... }`',
    'while': 'loops are unrolled while compiling: `for i in 0..n { ... }`; what repeats in a run is `step NAME repeat '
             'n { ... }`',
    'return': 'a body gives the outputs that are named before its braces: `model m(x) -> y { ... }`',
    'pass': 'braces may be empty: `{ }`', 'end': 'close braces with `}`',
    'switch': 'write `if a == b { ... } else if ... { ... }`', 'match': 'write `if a == b { ... } else if ... { ... }`',
    'with': 'write what it holds as it stands', 'assert': 'nothing is asserted in a graph file',
    'lambda': 'bind a name with `=`, or import a function',
    **dict.fromkeys(('def', 'function', 'func', 'fn'), _BLOCK), **dict.fromkeys(('let', 'var', 'const', 'val'), _VALUE),
}


def foreign_statement(reading: Reading) -> Optional[Diagnostic]:
    """Explains a statement of another language; None if the mistake is another."""
    return (_import(reading) or _foreign_word(reading) or _elif(reading) or _lambda(reading)
            or _optimizer(reading) or _incomplete_import(reading))


def _import(reading: Reading) -> Optional[Diagnostic]:
    """Finds `from lab.nets import Encoder`."""
    texts = [token.text for token in reading.tokens]
    if texts[0] != 'from' or 'import' not in texts:
        return None
    middle = texts.index('import')
    module, names = ''.join(texts[1:middle]), ' '.join(texts[middle + 1:]).replace(' ,', ',')
    right = f'import {names} from "{module}"'
    sure = re.fullmatch(r'\w+(, \w+)*', names) and re.fullmatch(r'\w+(\.\w+)*', module)
    return reading.wrong('G016', 'an import names first what it imports', extent(reading.tokens),
                         help=f'write `{right}`' if sure else 'write `import NAME from "MODULE"`',
                         edits=(Edit(extent(reading.tokens), right),) if sure else ())


def _incomplete_import(reading: Reading) -> Optional[Diagnostic]:
    """Finds `import lab.nets`, `import lab as l` and `import f from lab`."""
    tokens = reading.tokens
    if reading.first.text != 'import' or len(tokens) < 2 or not tokens[1].is_name:
        return None
    if reading.before == 'from' and reading.token is not None and reading.token.kind == 'word':
        module = re.match(r'\w+(\.\w+)*', ''.join(token.text for token in tokens[reading.at:]))[0]
        return reading.wrong('G016', 'the name of a module stands in quotes', help=f'write `"{module}"`')
    if reading.text in ('', '.', 'as') and 'from' in reading.accepted:
        return reading.wrong('G016', 'an import says what it takes, and from which module', help='write `import NAME '
                             'from "MODULE"`', reason=f'expected `from` after `{reading.before}`')
    return None


def _foreign_word(reading: Reading) -> Optional[Diagnostic]:
    first = reading.first
    if first.text not in _FOREIGN or reading.opening and reading.braces:
        return None
    if len(reading.tokens) > 1 and reading.tokens[1].text in ('=', '->', ',', '.', '['):
        return None
    return reading.wrong('G016', f'a graph file has no `{first.text}`', first.span, help=_FOREIGN[first.text])


def _elif(reading: Reading) -> Optional[Diagnostic]:
    token = reading.token if reading.before == '}' else reading.first
    if token is None or token.text not in ('elif', 'elsif', 'elseif'):
        return None
    return reading.wrong('G016', f'`{token.text}` is written `else if`', token.span, help='did you mean `else if`?',
                         edits=(Edit(token.span, 'else if'),))


def _lambda(reading: Reading) -> Optional[Diagnostic]:
    if reading.before != 'lambda':
        return None
    return reading.wrong('G016', 'a graph file has no `lambda`', reading.previous.span, help=_FOREIGN['lambda'])


def _optimizer(reading: Reading) -> Optional[Diagnostic]:
    """Finds `Adam() owns m`, an optimizer without its keyword."""
    if reading.text not in ('owns', 'minimizes') or reading.braces or reading.first.text == 'optimizer' \
            or reading.before != ')':
        return None
    start = reading.first.start
    return reading.wrong('G016', 'an optimizer is declared with the word `optimizer`',
                         Span(start, reading.previous.end), help='write `optimizer` before it',
                         edits=(Edit(Span(start, start), 'optimizer '),))
