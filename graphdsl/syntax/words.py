"""The words of the language: which statements there are, where each stands, and what follows its words."""
from __future__ import annotations

import difflib
from typing import Iterable

# The kinds of braces, with what stands in them; '' is the top level, and the body of a model or block.
BRACES = {
    '': 'statements',
    'data': '`NAME = SOURCE` and `batch SIZE`',
    'optimizer': '`owns`, `minimizes`, `hook` and `skip nonfinite`',
    'step': 'lines `update OPTIMIZER`',
    'train': '`batch`, `epochs`, `iterations`, `seed`, `evaluate`, `log`, `snapshot`, `keep` and `stop`',
}

# How each statement is written, by its first word, within each kind of braces.
FORMS = {
    '': {
        'param': 'param NAME = VALUE', 'import': 'import NAME from "MODULE"',
        'data': 'data NAME { train = SOURCE }', 'input': 'input NAME: float32[SHAPE]',
        'noise': 'noise NAME: float32[SHAPE] ~ normal(0, 1)', 'model': 'model NAME = LINK -> FUNCTION -> LINK',
        'block': 'block NAME(HYPERPARAMETER) = LINK -> FUNCTION', 'layer': 'layer NAME = LINK',
        'weight': 'weight NAME: float32[SHAPE] = 0.0', 'frozen': 'frozen MODEL', 'loss': 'loss NAME = EXPRESSION',
        'metric': 'metric NAME = EXPRESSION', 'output': 'output NAME = EXPRESSION',
        'optimizer': 'optimizer Adam() owns MODEL', 'step': 'step NAME { update OPTIMIZER }',
        'state': 'state NAME = NUMBER', 'next': 'next STATE = EXPRESSION',
        'schedule': 'schedule OPTIMIZER.HYPERPARAMETER = EXPRESSION', 'train': 'train { epochs 20 }',
    },
    'data': {'batch': 'batch SIZE'},
    'optimizer': {'owns': 'owns MODEL', 'minimizes': 'minimizes LOSS', 'hook': 'hook WeightDecay(1e-4)',
                  'skip': 'skip nonfinite'},
    'step': {'update': 'update OPTIMIZER'},
    'train': {'batch': 'batch SIZE', 'epochs': 'epochs COUNT', 'iterations': 'iterations COUNT', 'seed': 'seed NUMBER',
              'evaluate': 'evaluate every 1 epoch', 'log': 'log every 100 iterations',
              'snapshot': 'snapshot every 1 epoch', 'keep': 'keep best validation/NAME', 'stop': 'stop when CONDITION'},
}
# How models and blocks with a body are written.
BODIES = {'model': 'model NAME(INPUT) -> OUTPUT { ... }',
          'block': 'block NAME(HYPERPARAMETER) (INPUT) -> OUTPUT { ... }'}
# How they are written with a certain word in them.
_WITH = {
    ('model', 'like'): 'model NAME like MODEL', ('model', 'follows'): 'model NAME follows MODEL decay 0.999',
    ('model', 'every'): 'model NAME follows MODEL every 1000 iterations',
    ('model', 'load'): 'model NAME = LINK load "FILE"', ('param', 'of'): 'param NAME = VALUE of VALUE, VALUE',
    ('input', 'from'): 'input NAME: float32[SHAPE] from DATA', ('input', 'pad'): 'input NAME: int32[?] pad -1',
    ('noise', 'from'): 'noise NAME: float32[SHAPE] ~ normal(0, 1) from DATA',
    ('optimizer', 'minimizes'): 'optimizer Adam() owns MODEL minimizes LOSS',
    ('optimizer', 'except'): 'optimizer Adam() owns MODEL except MODEL.PART',
    ('owns', 'except'): 'owns MODEL except MODEL.PART', ('step', 'on'): 'step NAME on the same batch { ... }',
    ('step', 'repeat'): 'step NAME repeat COUNT { ... }', ('step', 'accumulate'): 'step NAME accumulate COUNT { ... }',
    ('step', 'unroll'): 'step NAME unroll COUNT { ... }', ('step', 'when'): 'step NAME when CONDITION { ... }',
    ('update', 'for'): 'update OPTIMIZER for LOSS', ('update', 'when'): 'update OPTIMIZER when CONDITION',
    ('loss', 'when'): 'loss NAME = EXPRESSION when CONDITION', ('next', 'after'): 'next STATE after STEP = EXPRESSION',
    ('snapshot', 'keep'): 'snapshot every 1 epoch keep 3',
    ('stop', 'stalls'): 'stop when NAME stalls for 5 evaluations',
}
ANYWHERE = {'for': 'for NAME in 0..COUNT { ... }', 'if': 'if CONDITION { ... }'}

KEYWORDS = frozenset(FORMS['']) | ANYWHERE.keys()

# What stands after a word, by the first word of the statement and that word.
_AFTER = {
    ('param', 'of'): 'a value', ('import', 'from'): 'the name of a module in quotes',
    ('input', 'pad'): 'a number', ('input', 'from'): 'the name of a data block',
    ('noise', 'from'): 'the name of a data block', ('optimizer', 'owns'): 'a model', ('owns', 'owns'): 'a model',
    ('update', 'for'): 'a loss', ('snapshot', 'keep'): 'a number', ('keep', 'keep'): '`best`',
    ('keep', 'best'): 'a loss or metric', ('stop', 'for'): 'a number', ('model', '='): 'a link, block or function',
    ('layer', '='): 'a link', ('block', '='): 'a link, block or function',
    ('next', 'after'): 'a step', ('for', 'in'): 'a range or a list',
}
_AFTER_ANYWHERE = {
    'like': 'a model', 'follows': 'a model', 'frozen': 'a model', 'decay': 'a number', 'every': 'a number',
    'load': 'the name of a file in quotes', 'at': 'a part of the file in quotes', 'minimizes': 'a loss',
    'except': 'a part of what is owned', 'when': 'a condition', 'repeat': 'a number', 'accumulate': 'a number',
    'unroll': 'a number', 'update': 'the name of an optimizer', 'hook': 'a hook',
    'optimizer': 'an optimizer', 'schedule': 'a hyperparameter',
    'skip': '`nonfinite`', 'on': '`the same batch` or `the same data`', 'the': '`same`', 'same': '`batch` or `data`',
    'evaluate': '`every`', 'log': '`every`', 'snapshot': '`every`', 'stop': '`when`', 'stalls': '`for`',
    'batch': 'a number', 'epochs': 'a number', 'iterations': 'a number', 'seed': 'a number', 'if': 'a condition',
    'import': 'a name', '~': 'a distribution', '..': 'the end of the range',
    '=': 'a value', 'not': 'a value', 'and': 'a value', 'or': 'a value', 'in': 'a value', 'else': 'a value',
}
_OPERATORS = frozenset('+ - * / // % ** < <= > >= == !='.split())


def after(first: str, word: str) -> str:
    """Says what stands after a word of a statement; an empty string where that depends.

    Args:
        first (str): The first word of the statement.
        word (str): The word.
    """
    found = _AFTER.get((first, word)) or _AFTER_ANYWHERE.get(word)
    if found is None and word == first and first in KEYWORDS:
        return '`{`' if first == 'train' else 'a name'
    return found or ('a value' if word in _OPERATORS else '')


def form(first: str, braces: str, others: Iterable[str] = ()) -> str:
    """Returns how a statement is written, by its first word; an empty string for an edge or a value.

    Args:
        first (str): The word.
        braces (str): The kind of braces that the statement stands in.
        others: Its further words, of which the last one that has a form of its own decides.
    """
    found = ANYWHERE.get(first) or FORMS[braces].get(first, '')
    for word in others if found else ():
        found = _WITH.get((first, word), found)
    return found


def home(word: str, braces: str) -> str:
    """Returns the kind of braces in which a statement stands that some others lack, or an empty string."""
    if word in FORMS[braces] or word in ANYWHERE:
        return ''
    return next((kind for kind in ('train', 'optimizer', 'step') if word in FORMS[kind]), '')


def closest(word: str, known: Iterable[str]) -> str:
    """Returns the known word that a misspelled one is close to, or an empty string."""
    known = list(known)
    swapped = [other for other in known if sorted(other) == sorted(word.lower())]
    return next(iter(swapped or difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.7)), '')
