"""Hypothesis strategies that spoil programs: by characters, tokens, lines, numbers, names."""
from __future__ import annotations

import re

from hypothesis import strategies as st

from fuzz.programs import Program, programs
from fuzz.writer import Chance

TOKEN = re.compile(r'#[^\n]*|"[^"\n]*"|[A-Za-z_]\w*|\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?|->|\.\.|\*\*|//'
                   r'|[<>=!]=|\n|[ \t]+|.')
NAME = re.compile(r'[A-Za-z_]\w*$')
NUMBER = re.compile(r'\d[\d_.e+-]*$')
DTYPES = (
    'float16', 'float32', 'float64', 'int8', 'int16', 'int32', 'int64', 'uint8', 'bool', 'complex64', 'float', 'str')
NUMBERS = (
    '0', '1', '2', '3', '7', '-1', '1.5', '-0.5', '10', '1e3', '1e-30', '1e308', '1e999', '2 ** 10', '10 ** 9',
    '2 ** 40', '10 ** 30', '10 ** 10 ** 10', '1000000', '999999999999999999999', '0 ** -1', '1 // 0', '1 % 0', '1 / 0',
    '0.0', '1_0', '2 ** 0.5', '(-8) ** 0.5', 'batch_size', 'iteration', 'none', 'true', '"3"', '[1, 2]')
CHARACTERS = (
    '(', ')', '[', ']', '{', '}', '"', "'", '#', '\\', '\n', '\r', '\r\n', ' ', '\t', ';', ',', '.', ':', '=', '-',
    '>', '*', '/', '%', '~', '?', '@', '$', '&', '|', '^', '`', '!', '\0', '\x0c', '\x85', '\u2028', '\ufeff', 'é',
    'ｘ', '漢', '\u202e', 'ſ', '²', '١', '0', '9', 'e', '_', 'a', 'İ')
EXPRESSIONS = (
    'x', 'y', 't', 'h', 'v', 'z', 'k', '_', 'none', 'true', '"s"', '""', '0', '-1', '1.5', 'x > 0', '-x', 'x + 1',
    '[x]', '(x, y)', '[1, 2]', '(2 if true else 3)', 'detach(x)', 'grad(y, x)', 'history(x)', 'history(x, size=0)',
    'eval(net)', 'quiet(net)', 'net.linear_1', 'shape(x, 1)', 'shape(x, 9)', 'where(x > 0, x, 0)', 'iteration',
    'epoch', 'progress', 'batch_size', 'one_hot(t, 3)', 'one_hot(x, 3)', 'ones_like(x)', 'zeros_like(t)',
    'ones_like(x, dtype="int8")', 'arange(3)', 'arange(k)', 'x[:, 0]', 'x[0]', 'x[::0]', 'x[-9:9]', 'x[none]', 'x[t]',
    'x[x]', 'x[:, :, :, 0]', 'y[0]', 'y[*]', 'p[0:]', 'argmax(x, axis=1)', 'argmax(x)', 'sum(x)', 'sum(x, axis=7)',
    'sum([x, t])', 'mean([])', 'max(x, 0)', 'max(k, 1)', 'min(x)', 'concat([x, x], axis=3)', 'stack([x, y])',
    'reshape(x, (-1, 0))', 'reshape(x, (7, 7))', 'reshape(x, -1)', 'cast(x, "int32")', 'cast(x, "wrong")', 'exp(1000)',
    'exp(x * 1000)', 'log(0)', 'log(x - x)', 'sqrt(-1)', '1 / 0', '0 ** -1', 'x / 0', 'k / 0', '2 ** x', 'x ** 0.5',
    't ** -1', 't // 0', 'floor(x)', 'gaussian(x, x)', 'dropout(x, 1)', 'dropout(x, 2)', 'transpose(x)',
    'transpose(x, (3, 1))', 'broadcast_to(x, (2, 2))', 'squeeze(x)', 'expand_dims(x, 9)', 'get_item(x, 1)',
    'separate(x)', 'split_axis(x, 2, axis=1)', 'embed_id(t, x)', 'linear(x, x)', 'accuracy(x, t)',
    'softmax(x, axis=5)', 'pad(x, 1, "wrong")', 'reverse_gradient(x, 0)', 'reverse_gradient(t, 1)', 'net(x)',
    'net(x, y)', 'net()', 'x if k > 0 else y', 'x if x > 0 else y', 'not x')
CALLEES = (
    'relu', 'sum', 'mean', 'max', 'detach', 'reverse_gradient', 'history', 'net', 'Linear', 'Linear(0)', 'Linear(-1)',
    'Linear(2.5)', 'Convolution2D', 'Convolution2D(3, 3)', 'Convolution2D(2, ksize=9)', 'EmbedID', 'EmbedID(1, 2)',
    'LSTM(2)', 'BatchNormalization(3)', 'BatchNormalization', 'NStepLSTM', 'Inception', 'Classifier', 'Parameter',
    'Bilinear', 'Maxout', 'separate', 'squeeze', 'flatten', 'transpose', 'softmax', 'argmax', 'argsort', 'where',
    'concat', 'stack', 'matmul', 'batch_l2_norm_squared', 'cross_covariance', 'cumsum', 'det', 'erf', 'fft', 'fmod',
    'gumbel_softmax', 'hinge', 'inv', 'logsumexp', 'normalize', 'prelu', 'rrelu', 'scatter_add', 'selu', 'vstack',
    'zoneout', 'gaussian', 'contrastive', 'triplet', 'ctc', 'softmax_cross_entropy', 'sigmoid_cross_entropy',
    'accuracy', 'Adam', 'SGD', 'WeightDecay', 'GradientNoise', 'Clip', 'normal', 'uniform', 'permutation', 'bernoulli',
    'categorical', 'digits', 'iris', 'sequence', 'npz', 'csv', 'text', 'images', 'mnist_', 'ones_like', 'one_hot',
    'arange', 'shape', 'grad', 'abs', 'floor', 'min', 'len', 'print')
WORDS = (
    '_', 'none', 'true', 'false', '0', '-1', '1.5', '"s"', 'y', 'x', 'h[*]', 'h[0]', '[x]', '(x, y)', '[]', '()',
    'relu', 'Linear', 'Linear(2)', 'Normal()', 'split_axis(2, axis=1)', 'detach', 'batch_size', 'epoch', 'self',
    'class', 'len', 'super', 'sum', 'max', '[1, 2]', '(2 if true else 3)', 'grad(y, x)', 'history(x)', 'eval(m)',
    'quiet(m)', 'net.linear_1', 'shape(x, 1)', 'x > 0', 'where(x > 0, x, 0)', 'iteration', 'progress', 'LSTM(2)',
    'ones_like', 'one_hot(t, 3)', 'x when epoch > 1', 'a, b', '__class__', '__import__("os")', 'chainer', 'print',
    'forget', 'VGG16Layers()', 'NStepLSTM', 'not', 'in', 'and', 'if', 'else', 'for', 'import', '->', '=', '..', '*',
    '**', '?', 'except', 'load "x.npz"', 'frozen', 'falling', 'dropout', 'gaussian', 'x[:, 0]', 'x[::0]', 'x[0]',
    'x[-9:9]', 'x[none]', 'y[0, 0]', 'Adam()', 'h[10 ** 9]', 'BatchNormalization(3)', 'EmbedID(2, 3)', 'Inception',
    'lambda', 'f"{x}"', "'''", 'argmax', 'accuracy(x, x)', 'transpose', 'reshape((-1, 0))', 'reshape((7, 7))',
    'broadcast_to', 'concat', 'separate', 'get_item', 'identity', 'cast(x, "int32")')
LINES = (
    'state k = 0.0', 'next k = k + 1', 'next k = cost', 'noise z ~ uniform(0, 1)',
    'noise z: float32[3] ~ normal(0, 1)', 'noise z: int32[2 ** 30] ~ categorical(3)', 'model n like net',
    'model n follows net decay 0.9', 'model n follows trunk every 10 ** 9 iterations', 'frozen net',
    'frozen net.linear_1', 'schedule adam.alpha = k', 'step s { }',
    'step s on the same batch when k > 1 { update adam }', 'step s repeat k { update slow for cost when z }',
    'step s unroll 3 { update adam, slow }', 'step s accumulate 2 { update judges }',
    'step s repeat 0 { update adam }', 'optimizer o = Adam() owns net except net.linear_1 { skip nonfinite }',
    'optimizer Adam() owns net, trunk, head, critic', 'weight w: float32[3] = 0', 'loss l = cost when z',
    'metric q = grad(cost, x)', 'output o = x', 'metric cost', 'train { iterations 3; stop when k > 1 }',
    'train { batch 0; seed -1 }', 'data d { }', 'data d { train = digits(limit=-1) }', 'if epoch > 1 {', '}',
    'for i in 0..2 {', 'for i in 0..10 ** 9 { }', 'for i in [1, "a", none] { }', 'import a from "os"',
    'import system from "os"', 'param p = 1 of 2, 3', 'param q = [1, [2]]', 'param width = width',
    'input x: float32[?]', 'input x: float32[2 ** 40]', 'input x: float32[-1]', 'block b(n) = b(n)',
    'block b = b -> relu', 'model n = relu', 'x -> x -> x', 'x -> net -> net -> again', 'y = y', 'a = b; b = a',
    '\ufeff', '\t', ';', '->', 'else { }', 'loss cost = cost', 'v = x + t', 'v = concat(x)', 'v = x @ x',
    'v = sum([])', 'v = mean(h[*])', 'model net = net')


@st.composite
def mutants(draw) -> Program:
    """Programs with some things changed at random."""
    program = draw(programs())
    chance = Chance(draw)
    other = draw(programs()).text if chance.seldom() else program.text
    return Program(spoiled(chance, program.text, other), program.real, program.runs)


def spoiled(chance: Chance, text: str, other: str) -> str:
    """Changes some things: most often such that are not told by their syntax."""
    mutations = SYNTAX if chance.seldom() else MEANING
    for _ in range(chance.number(1, 3)):
        text = chance.pick(mutations)(chance, text, other)
    return text


def places(text: str, wanted=lambda token: not token.isspace()) -> tuple[list[str], list[int]]:
    """Returns the tokens of a text, and where those stand that are wanted."""
    tokens = TOKEN.findall(text) or ['']
    return tokens, [i for i, token in enumerate(tokens) if wanted(token)] or [0]


def rename(chance: Chance, text: str, other: str) -> str:
    tokens, found = places(text, lambda token: bool(NAME.match(token)))
    tokens[chance.pick(found)] = tokens[chance.pick(found)]
    return ''.join(tokens)


def replace(chance: Chance, text: str, other: str) -> str:
    tokens, found = places(text)
    tokens[chance.pick(found)] = chance.pick(WORDS + ('a' * 5000, 'N' * 30))
    return ''.join(tokens)


def replace_name(chance: Chance, text: str, other: str) -> str:
    tokens, found = places(text, lambda token: bool(NAME.match(token)))
    tokens[chance.pick(found)] = chance.pick(WORDS)
    return ''.join(tokens)


def take(chance: Chance, text: str, other: str) -> str:
    """Puts a token of the other program in."""
    tokens, found = places(text)
    words, there = places(other)
    tokens[chance.pick(found)] = words[chance.pick(there)]
    return ''.join(tokens)


def renumber(chance: Chance, text: str, other: str) -> str:
    tokens, found = places(text, lambda token: bool(NUMBER.match(token)))
    tokens[chance.pick(found)] = chance.pick(NUMBERS)
    return ''.join(tokens)


def retype(chance: Chance, text: str, other: str) -> str:
    tokens, found = places(text, lambda token: token in DTYPES)
    tokens[chance.pick(found)] = chance.pick(DTYPES)
    return ''.join(tokens)


def reshape(chance: Chance, text: str, other: str) -> str:
    """Changes the shape after a dtype."""
    return re.sub(r'((?:float|int)\d\d)(\[[^\]]*\])?', lambda match: match[1] + chance.pick(
        [match[2] or '', match[2] or '', '', '[0]', '[3]', '[2, 2]', '[?]', '[1, 1, 1]', '[5, 0]', '[1] pad 0']), text)


def drop_token(chance: Chance, text: str, other: str) -> str:
    tokens, found = places(text)
    del tokens[chance.pick(found)]
    return ''.join(tokens)


def double_token(chance: Chance, text: str, other: str) -> str:
    tokens, found = places(text)
    tokens[chance.pick(found)] *= 2
    return ''.join(tokens)


def swap_tokens(chance: Chance, text: str, other: str) -> str:
    tokens, found = places(text)
    a, b = chance.pick(found), chance.pick(found)
    tokens[a], tokens[b] = tokens[b], tokens[a]
    return ''.join(tokens)


def characters(chance: Chance, text: str, other: str) -> str:
    place = chance.number(0, len(text))
    return text[:place] + chance.pick(CHARACTERS) + text[place + chance.number(0, 1):]


def cut(chance: Chance, text: str, other: str) -> str:
    place = chance.number(0, len(text))
    return text[:place] if chance.half() else text[place:]


def statements(text: str) -> list[str]:
    """Splits a program into its statements, those in braces apart."""
    return re.split(r'\n(?=[^\s}])', text)


def drop_statement(chance: Chance, text: str, other: str) -> str:
    found = statements(text)
    del found[chance.number(0, len(found) - 1)]
    return '\n'.join(found)


def move_statement(chance: Chance, text: str, other: str) -> str:
    """Puts a statement of the other program in."""
    found = statements(text)
    found.insert(chance.number(0, len(found)), chance.pick(statements(other)))
    return '\n'.join(found)


def swap_statements(chance: Chance, text: str, other: str) -> str:
    """Exchanges a statement for one of the other program."""
    found, others = statements(text), statements(other)
    found[chance.number(0, len(found) - 1)] = chance.pick(others)
    return '\n'.join(found)


def add_statement(chance: Chance, text: str, other: str) -> str:
    found = statements(text)
    found.insert(chance.number(0, len(found)), chance.pick(LINES))
    return '\n'.join(found)


def drop_line(chance: Chance, text: str, other: str) -> str:
    lines = text.split('\n')
    del lines[chance.number(0, len(lines) - 1)]
    return '\n'.join(lines)


def move_line(chance: Chance, text: str, other: str) -> str:
    lines = text.split('\n')
    lines.insert(chance.number(0, len(lines)), chance.pick(other.split('\n')))
    return '\n'.join(lines)


def nest(chance: Chance, text: str, other: str) -> str:
    """Nests a name, or everything, deeply."""
    depth = chance.pick([3, 30, 90, 101, 400, 3000])
    if chance.seldom():
        before = chance.pick(['if true {\n', 'for i in 0..1 { ', '{', 'if false { } else { '])
        return before * depth + text + '\n}' * depth
    tokens, found = places(text, lambda token: bool(NAME.match(token)))
    place = chance.pick(found)
    before, after = chance.pick([
        ('(', ')'), ('relu(', ')'), ('[', ']'), ('-', ''), ('x + ', ''), ('not ', ''), ('(1, ', ')'), ('', '[0]'),
        ('', '.a'), ('2 ** ', ''), ('1 if true else ', ''), ('a -> ', '')])
    tokens[place] = before * depth + tokens[place] + after * depth
    return ''.join(tokens)


def rename_all(chance: Chance, text: str, other: str) -> str:
    """Gives everything of one name another."""
    tokens, found = places(text, lambda token: bool(NAME.match(token)))
    old = tokens[chance.pick(found)]
    new = chance.pick(['_', 'none', '__class__', 'self', 'chainer', 'x', 'y', 'net', 'a' * 300,
                       tokens[chance.pick(found)]])
    return ''.join(new if token == old else token for token in tokens)


def replace_argument(chance: Chance, text: str, other: str) -> str:
    """Puts another expression in the place of a number or name within brackets, or at the end of a line."""
    found = list(re.finditer(r'(?<=[(,=\[] )?\b[\w.]+(?=[,)\]\n])', text))
    if not found:
        return text
    one = chance.pick(found)
    return text[:one.start()] + chance.pick(EXPRESSIONS) + text[one.end():]


def change_callee(chance: Chance, text: str, other: str) -> str:
    """Puts another function, link, optimizer or hook in the place of one."""
    found = list(re.finditer(r'\b[A-Za-z]\w*(?=\(|\n| ->)', text))
    if not found:
        return text
    one = chance.pick(found)
    return text[:one.start()] + chance.pick(CALLEES) + text[one.end():]


#: These leave most programs without mistakes in their syntax.
MEANING = (
    rename, rename, rename_all, renumber, renumber, renumber, retype, reshape, drop_statement, drop_statement,
    move_statement, swap_statements, add_statement, add_statement, replace_argument, replace_argument, change_callee,
    change_callee)
SYNTAX = (
    rename, replace, replace_name, take, renumber, drop_token, double_token, swap_tokens, characters, characters, cut,
    drop_line, move_line, add_statement, nest)
