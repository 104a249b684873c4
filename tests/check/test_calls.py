"""What is said of calls that do not fit, and what is suggested for names that nothing has."""
import inspect
import itertools

import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from programs import diagnostics

from graphdsl.diagnostics import Mistake, Span
from graphdsl.semantics import calls, catalog, elsewhere
from graphdsl.semantics.suggestions import is_certain, meant

MODULES = ('links', 'functions', 'initializers', 'optimizers', 'optimizer_hooks')
CALLABLES = [(module, name) for module in MODULES for name in sorted(catalog.members(module))
             if not catalog.needs_python(name)]


def takes_any_keyword(module, name):
    """Only the text of such a function says which keyword arguments it takes."""
    parameters = inspect.signature(catalog.members(module)[name]).parameters.values()
    return any(p.kind is p.VAR_KEYWORD for p in parameters)


def problem(thing, count, names):
    try:
        calls.check(thing, calls.Given(Span(0, 0), count, names))
    except Mistake as error:
        return error.diagnostic
    return None


@pytest.mark.parametrize('module, name', [c for c in CALLABLES if not takes_any_keyword(*c)])
def test_a_call_is_refused_where_python_refuses_it(module, name):
    """The arguments that are tried: some by place, and some of the others by name."""
    thing = catalog.members(module)[name]
    signature = inspect.signature(thing)
    names = list(signature.parameters)
    for count in range(len(names) + 2):
        for size in range(3):
            for keywords in itertools.combinations([*names[:2], *names[-2:], 'unheard_of'], size):
                if len(set(keywords)) < size:
                    continue
                try:
                    signature.bind(*[None] * count, **dict.fromkeys(keywords))
                    fits = True
                except TypeError:
                    fits = False
                assert (problem(thing, count, keywords) is None) == fits, (count, keywords)


def test_keywords_that_chainer_hides():
    assert problem(F.dropout, 1, ['return_mask', 'mask']) is None
    assert problem(F.dropout, 1, ['foo']).message == '`dropout` takes no argument `foo`'
    assert problem(L.Convolution2D, 2, ['dilate', 'groups', 'ksize']) is None
    assert problem(L.Convolution2D, 2, ['dilation', 'ksize']).help == 'write `dilate`'
    assert problem(lambda x, **rest: x, 1, ['anything']) is None
    assert problem(numpy.add, 1, ['class']) is not None


@pytest.mark.parametrize('name, close, certain', [
    ('rellu', 'relu', True), ('Relu', 'relu', True), ('abs', 'absolute', True), ('qqq', '', False),
    ('Dropout', 'dropout', True), ('LeakyReLU', 'leaky_relu', True), ('maxPooling_2d', 'max_pooling_2d', True),
    ('cross_entropy', 'softmax_cross_entropy', True), ('mse_loss', 'mean_squared_error', True),
    ('max_pooling_4d', 'max_pooling_1d', False), ('softmax_cros_entrpy', 'softmax_cross_entropy', False),
    ('nll_loss', '', False), ('flattern', 'flatten', True),
])
def test_suggestions(name, close, certain):
    known = catalog.members('functions')
    assert meant(name, known) == close
    assert bool(close) and is_certain(name, close, known) == certain or not close


def test_names_of_other_libraries_lead_to_names_that_are_there():
    from graphdsl.semantics.builtins import DTYPES, SIGNATURES
    from graphdsl.semantics.noise import _DISTRIBUTIONS
    known = {*SIGNATURES, *DTYPES, *_DISTRIBUTIONS}.union(*map(catalog.members, MODULES))
    targets = set(itertools.chain(*elsewhere.NAMES.values()))
    assert targets <= known, targets - known
    assert not set(elsewhere.NAMES) & {*SIGNATURES, *DTYPES}
    arguments = set().union(*(inspect.signature(catalog.members(m)[n]).parameters for m, n in CALLABLES),
                            *_DISTRIBUTIONS.values(), ['dilate'])
    targets = {*itertools.chain(*elsewhere.ARGUMENTS.values()), *elsewhere.OPPOSITES.values()}
    assert targets <= arguments, targets - arguments
    needed = {needs for texts in elsewhere.ARGUMENT_ADVICE.values() for needs, _ in texts} - {''}
    assert needed <= arguments, needed - arguments
    assert not set(elsewhere.ADVICE) & {*elsewhere.NAMES, *catalog.members('functions'), *catalog.members('links')}


@pytest.mark.parametrize('line, underlined', [
    ('output o = softmax(y, axxis=1)', 'axxis'), ('output o = softmax(y, 1, 2)', '2'),
    ('output o = relu(y, x, t)', 'x'), ('y -> softmax(1, 7) -> o', '7'), ('y -> relu(x) -> o', 'x'),
    ('output o = relu()', 'relu()'), ('output o = softmax(y, x=x)', 'x'), ('output o = m(y, v=x)', 'v'),
    ('output o = m(x, y)', 'y'), ('model n = Linear(2, 3, true, none, none, 7)', '7'),
    ('model n = Convolution2D(2, kernel_size=3)', 'kernel_size'), ('optimizer Adam(lr=0.1) owns m', 'lr'),
    ('optimizer SGD(0.1, 0.2) owns m', '0.2'), ('noise z ~ normal(0, 1, 2)', '2'),
    ('noise z ~ normal(0, sigma=1)', 'sigma'), ('output o = grad(a, x, y)', 'y'),
    ('output o = ones_like(y, typ="bool")', 'typ'), ('data d { train = digits(1, splitt="test") }', 'splitt'),
    ('block b(k) = relu\ny -> b(1, 2) -> o', '2'), ('block b(k) = relu\ny -> b(kk=1) -> o', 'kk'),
    ('y -> m.linear_7 -> o', 'linear_7'), ('output o = y.shape', '.shape'),
])
def test_the_smallest_wrong_place_is_underlined(line, underlined):
    assert underlined in [text for _, text in diagnostics(line)]


def test_the_link_itself_is_no_argument_of_its_method():
    def problem(forward, count, names=()):
        try:
            calls.check(forward, calls.Given(Span(0, 0), count, names), 'm', is_method=True)
        except Mistake as error:
            return error.diagnostic.message

    assert problem(lambda self, x, y=1: x, 2) is None
    assert problem(lambda self, x, y=1: x, 3) == '`m` takes 2 arguments, and gets 3'
    assert problem(lambda self, x: x, 0) == '`m` needs a value for `x`'
    assert problem(lambda self, x: x, 1, ['self']) == '`m` takes no argument `self`'
    assert problem(lambda *args: args, 3) is None and problem(lambda self, *xs: xs, 3) is None
