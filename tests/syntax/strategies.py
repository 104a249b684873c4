"""Hypothesis strategies: random syntax trees of every construct, and random ways to write them down."""
from __future__ import annotations

import re

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from graphdsl.diagnostics import Span
from graphdsl.syntax import nodes
from graphdsl.syntax.format import print_tree

RESERVED = frozenset('if else for in and or not true false none import'.split())
KEYWORDS = tuple('''
    param data input noise model block layer weight frozen loss metric output optimizer step state next schedule
    train falling batch from like follows decay every iteration iterations load at partly pad of when owns
    minimizes except hook skip nonfinite on the same repeat accumulate unroll update after epochs seed epoch
    evaluate log snapshot keep best stop stalls evaluation evaluations'''.split())


def node(node_type, *fields, **named):
    return st.builds(node_type, st.just(Span(0, 0)), *fields, **named)


def several(items, least=1, most=3):
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def optional(strategy):
    return st.none() | strategy


# Expressions

words = (st.sampled_from(KEYWORDS) | st.sampled_from(('h', 'x', 'trunk', 'a_rather_long_name_of_a_value', '_'))
         | st.from_regex(r'[A-Za-z_][A-Za-z0-9_]{0,5}', fullmatch=True).filter(lambda word: word not in RESERVED))
names = node(nodes.Name, words)
numbers = st.sampled_from(('0', '1', '2', '007', '1_000', '1.0', '1.5', '2.5E2', '1e-3', '1e5')).map(
    lambda text: nodes.Number(Span(0, 0), float(text) if set(text) & set('.eE') else int(text), text))
strings = node(nodes.String, st.text(max_size=6) | st.sampled_from(('"', "'", '#', '\\', 'lab.nets', '\ud800')))
constants = node(nodes.Constant, st.sampled_from((True, False, None)))

atoms = names | numbers | strings | constants


def keywords(inner):
    return node(nodes.Keyword, words, inner)


def slices(inner):
    return node(nodes.Slice, optional(inner), optional(inner), optional(inner))


def ranges(inner):
    return node(nodes.Range, inner, inner)


def subscripts(inner):
    return several(inner | slices(inner) | ranges(inner) | node(nodes.All), 1, 2)


def comparisons(inner):
    operators = st.sampled_from(('<', '<=', '>', '>=', '==', '!=', 'in', 'not in'))
    return several(st.tuples(operators, inner), 1, 2).flatmap(lambda rest: node(
        nodes.Comparison, inner, st.just(tuple(o for o, _ in rest)), st.just(tuple(e for _, e in rest))))


def compounds(inner):
    """Expressions of every kind that has parts, made of others."""
    return st.one_of(
        node(nodes.Attribute, inner, words),
        node(nodes.Call, inner, several(inner, 0), several(keywords(inner), 0, 2)),
        node(nodes.Index, inner, subscripts(inner)),
        node(nodes.List, several(inner, 0)),
        node(nodes.Tuple, several(inner, 0)),
        node(nodes.Unary, st.sampled_from(('-', '+', 'not')), inner),
        node(nodes.Binary, inner, st.sampled_from('+ - * / // % ** and or'.split()), inner),
        comparisons(inner),
        node(nodes.Conditional, inner, inner, inner))


expressions = atoms
for _ in range(3):
    expressions = atoms | compounds(expressions)

simple = atoms | compounds(atoms)
targets = names | node(nodes.Index, names, subscripts(simple))
results = names | node(nodes.Index, names, several(simple | ranges(simple), 1, 2))
paths = names
for _ in range(2):
    paths = st.one_of(names, node(nodes.Attribute, paths, words), node(nodes.Index, paths, subscripts(simple)))
invocations = node(nodes.Call, paths, several(simple, 0), several(keywords(simple), 0, 2))


# Statements

def braces(items):
    """Braces with `for` and `if` among the items that they hold."""
    body = node(nodes.Braces, several(items, 0))
    for _ in range(2):
        loops = node(nodes.For, names, simple | ranges(simple), body)
        last = node(nodes.If, simple, body, optional(body))
        branches = node(nodes.If, simple, body, body | last)
        body = node(nodes.Braces, several(st.one_of(items, items, items, loops, last, branches), 0))
    return body


array_types = node(nodes.ArrayType, names, several(optional(expressions), 0))
column_types = st.tuples(st.none(), st.none()) | st.tuples(array_types, optional(expressions))
columns = column_types.flatmap(lambda pair: node(nodes.Column, names, st.just(pair[0]), st.just(pair[1])))
setting_lines = node(nodes.Setting, st.sampled_from(('batch', 'epochs', 'iterations', 'seed')), expressions)
datasets = node(nodes.Dataset, names, expressions)
data_items = {'dataset': datasets, 'setting': setting_lines}

owned = node(nodes.Owned, paths, several(paths, 0, 2))
optimizer_items = {
    'owns': node(nodes.Owns, several(owned)), 'minimizes': node(nodes.Minimizes, several(expressions)),
    'hook': node(nodes.Hook, invocations), 'skip nonfinite': node(nodes.SkipNonfinite),
}
updates = node(nodes.Update, several(paths), several(expressions, 0), optional(expressions))
train_items = {
    'setting': setting_lines,
    'every': node(nodes.Every, st.sampled_from(('evaluate', 'log', 'snapshot')), expressions,
                  st.sampled_from(('epoch', 'iteration'))),
    'keep': node(nodes.Every, st.just('snapshot'), expressions, st.sampled_from(('epoch', 'iteration')), expressions),
    'keep best': node(nodes.KeepBest, several(expressions)),
    'stop when': node(nodes.StopWhen, expressions), 'stalls': node(nodes.StopStalls, expressions, expressions),
}
run_kinds = st.just((None, None)) | st.tuples(st.sampled_from(('repeat', 'accumulate', 'unroll')), expressions)
steps = run_kinds.flatmap(lambda kind: node(
    nodes.Step, targets, st.sampled_from((None, 'batch', 'data')), optional(expressions), st.just(kind[0]),
    st.just(kind[1]), braces(updates)))

chains = node(nodes.Chain, several(expressions))
loads = node(nodes.Load, expressions, optional(expressions), st.booleans())
losses = optional(expressions).flatmap(lambda value: node(
    nodes.Loss, several(targets), st.just(value), st.none() if value is None else optional(expressions)))
parameters = node(nodes.Parameter, names, optional(expressions))


def any_of(strategies):
    return st.one_of(list(strategies.values()))


def statements(definitions):
    """Strategies for the statements of a file, by name; the models and blocks are defined by the one given."""
    return {
        'param': node(nodes.Param, names, expressions, several(expressions, 0)),
        'import': node(nodes.Import, several(names), strings),
        'data': node(nodes.Data, names, braces(any_of(data_items))),
        'input': node(nodes.Input, several(columns), optional(names)),
        'noise': node(nodes.Noise, targets, optional(array_types), invocations, optional(names)),
        'model': node(nodes.Model, targets, definitions, st.booleans(), optional(loads)),
        'model like': node(nodes.ModelLike, targets, paths),
        'model follows': node(nodes.ModelFollows, targets, paths, st.sampled_from(('decay', 'every')),
                              expressions),
        'block': node(nodes.Block, names, several(parameters, 0), definitions),
        'layer': node(nodes.Layer, targets, expressions),
        'weight': node(nodes.Weight, targets, array_types, expressions),
        'frozen': node(nodes.Frozen, paths),
        'edge': node(nodes.Edge, expressions, several(expressions), several(results)),
        'value': node(nodes.Value, several(results), expressions),
        'loss': losses,
        'metric': node(nodes.Metric, several(targets), optional(expressions), st.booleans()),
        'output': node(nodes.Output, several(targets), optional(expressions)),
        'optimizer': node(nodes.Optimizer, optional(results), invocations, several(owned, 0),
                          several(expressions, 0), optional(braces(any_of(optimizer_items)))),
        'step': steps,
        'state': node(nodes.State, targets, expressions),
        'next': node(nodes.Next, targets, optional(paths), expressions),
        'schedule': node(nodes.Schedule, paths, expressions),
        'train': node(nodes.Train, braces(any_of(train_items))),
    }


def alone(item):
    return node(nodes.Braces, st.tuples(item))


inner_braces = braces(any_of(statements(chains)))
STATEMENTS = statements(chains | node(nodes.Body, several(names, 0), several(names), inner_braces))
trees = braces(any_of(STATEMENTS))
# Statements of each kind by name, the items of braces each alone in them.
KINDS = {
    **STATEMENTS,
    'for': node(nodes.For, names, simple | ranges(simple), inner_braces),
    'if': node(nodes.If, simple, inner_braces, optional(inner_braces)),
    **{f'data {name}': node(nodes.Data, names, alone(item)) for name, item in data_items.items()},
    **{f'train {name}': node(nodes.Train, alone(item)) for name, item in train_items.items()},
    **{f'optimizer {name}': node(nodes.Optimizer, st.none(), invocations, several(owned, 0), st.just(()),
                                 alone(item)) for name, item in optimizer_items.items()},
}


class Program:
    """A tree and its text. Of a failure it shows the text only: for the tree, Hypothesis would take minutes."""

    def __init__(self, tree):
        self.tree = tree
        self.text = print_tree(tree)

    def __repr__(self) -> str:
        return f'<<<\n{self.text}>>>'


def examples(count):
    """Settings for tests of programs, with the same examples in each run."""
    return settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def programs(draw, kind=None):
    """Programs of all kinds of statements, or of a single statement of one kind."""
    if kind is None:
        tree = draw(trees)
    else:
        tree = nodes.Braces(Span(0, 0), (draw(KINDS[kind]),))
    return Program(tree)


# Texts

_TOKEN = re.compile(r'''
    "(?:[^"\\]|\\.)*" | [A-Za-z_][A-Za-z0-9_]* | [0-9][0-9_]*(?:\.[0-9][0-9_]*)?(?:[eE][+-]?[0-9]+)?
    | -> | \.\. | \*\* | // | [<>=!]= | \n | [^ ]''', re.VERBOSE)
_GOES_ON = frozenset('-> , = + - * / // % ** < <= > >= == != in and or not if else'.split())


def tokens(text):
    """Splits what `print_tree` has printed; a newline is a token where it ends a statement or stands at a brace.

    Returns:
        List of pairs of a token and whether a newline before it is free.
    """
    found = _TOKEN.findall(text)
    tight = _on_one_line(found)
    depth = 0
    kept = []
    for i, token in enumerate(found):
        previous = kept[-1][0] if kept else '\n'
        following = found[i + 1] if i + 1 < len(found) else ''
        star = previous == '*' and depth and token in ',]'      # an operator otherwise
        goes_on = depth > 0 or (previous in _GOES_ON and not star)
        if token == '\n' and (goes_on or following in ('->', 'else')):
            continue
        kept.append((token, (goes_on or token in ('->', 'else')) and not tight[i]))
        depth += (token in '([') - (token in ')]')
    return kept


def _on_one_line(found):
    """Says of each token whether it stands within braces on one line."""
    tight = [False] * len(found)
    opened = []
    for i, token in enumerate(found):
        if token == '{':
            opened.append(i)
        elif token == '}':
            start = opened.pop()
            if '\n' not in found[start:i]:
                tight[start + 1:i + 1] = [True] * (i - start)
    return tight


def relayout(text, random, commented=False):
    """Writes a text that `print_tree` has printed in another layout.

    Args:
        text: The text.
        random: A `random.Random`. (Draws of Hypothesis would take minutes here.)
        commented: Whether to put in blank lines and comments, too. These are marked by numbers in angle quotes.

    Returns:
        The new text and the number of comments in it.
    """
    count = 0

    def newline():
        nonlocal count
        end = random.choice(['\n', '\n', '\n    ', '\r\n', '\r', ' ;\n', '\t\n;'])
        if not commented:
            return end
        for _ in range(random.choice([0, 0, 0, 0, 1, 1, 2])):
            count += 1
            before = random.choice(['', ' ', '\n', '\n\n  ', '; '])
            comment = random.choice(['#', '# ', '##', '#!', '#  "', "#\t'", '# -> {('])
            end = f'{before}{comment}«{count}» ' + end.replace(';', '')
        return end + random.choice(['', '', '\n', '\n \n\n'])

    parts = []
    last = ''
    for token, free in tokens(text):
        if token == '\n':
            parts.append(newline())
        else:
            space = ' ' if re.match(r'\w', token) and re.match(r'\w', last[-1:]) else ''
            if free and random.random() < 0.3:
                parts.append(newline().replace(';', ' '))
            else:
                parts.append(random.choice([space, ' ', ' ', '  \t']))
            parts.append(token)
        last = token
    return ''.join(parts), count
