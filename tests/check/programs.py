"""Small programs for the tests of the checker."""
from graphdsl.semantics.checker import check as check_tree
from graphdsl.semantics.imports import Allowed
from graphdsl.diagnostics import Source
from graphdsl.limits import Limits
from graphdsl.syntax.parse import parse

BASE = """
input x: float32[3], t: int32
model m = Linear(2)
x -> m -> y
loss a = softmax_cross_entropy(y, t)
optimizer SGD(lr=0.1) owns m
"""

TWO = """
input x: float32[3]
model left = Linear(2)
model right = Linear(2)
x -> left -> h
h -> right -> y
loss a = mean(h)
loss b = mean(y)
"""


def check(text, params=(), bind=(), limits=Limits()):
    """Checks a program as it stands; returns the graph, or None, and the diagnostics."""
    found, diagnostics, _ = check_tree(parse(Source(text)), dict(params), Allowed(dict(bind)), limits)
    return found, diagnostics


def graph(more='', **options):
    """Checks what is added to a program that is right; returns the graph."""
    found, diagnostics = check(BASE + more, **options)
    assert found is not None, [(d.code, d.message) for d in diagnostics]
    return found


def diagnostics(more='', **options):
    """Checks what is added to a program that is right; returns pairs of code and underlined text."""
    source = Source(BASE + more)
    return [(d.code, source[d.span]) for d in check(source.text, **options)[1]]


def codes(more='', **options):
    return [code for code, _ in diagnostics(more, **options)]
