"""Imports: what Python binds to names of the file."""
import functools

import chainer
import numpy
import pytest
from programs import codes

import graphdsl

TEXT = '''
import double from "lab.nets"
input x: float32[3]
model m = Linear(2)
x -> m -> y
loss a = mean(double(y))
optimizer SGD() owns m
'''


class Scaled(chainer.links.Linear):
    def __init__(self, size, factor=1):
        super().__init__(None, size)
        self.factor = factor

    def forward(self, x):
        return self.factor * super().forward(x)


def test_functions():
    for function in (lambda v: 2 * v, functools.partial(lambda v, k: k * v, k=2)):
        graph = graphdsl.compile(TEXT, bind={'double': function})
        y = graph.models['m'](numpy.ones((1, 3), 'f'))
        assert numpy.allclose(graph.reports({'x': numpy.ones((1, 3), 'f')})['a'].array, 2 * y.array.mean())


def test_links():
    graph = graphdsl.compile('''
        import Scaled from "lab.nets"
        input x: float32[3]
        model m(x) -> y { layer l = Scaled(4, factor=3); x -> l -> Scaled(2) -> y }
        x -> m -> y
        loss a = mean(y)
        optimizer SGD() owns m
    ''', bind={'Scaled': Scaled})
    assert isinstance(graph.models['m'].l, Scaled) and graph.models['m'].l.factor == 3


@pytest.mark.parametrize('name', [
    'chainer', 'F', 'batch', 'evaluate', 'updater', 'super', 'len', 'range', 'runtime', 'models', 'data'])
def test_names_that_the_module_needs(name):
    text = TEXT.replace('double', name) + f'{name} = {name}(y)\noutput {name}\n'
    graph = graphdsl.compile(text, bind={name: lambda v: 2 * v})
    assert set(graph.outputs({'x': numpy.ones((1, 3), 'f')})) == {name}


def test_a_dataset():
    text = '''
        import toys from "lab.data"
        data d { train = toys(4, kind="big") }
        input x: float32[3] from d
        model m = Linear(2)
        x -> m -> y
        loss a = mean(y)
        optimizer SGD() owns m
    '''
    made = []
    graph = graphdsl.compile(text, bind={'toys': lambda count, kind: made.append((count, kind)) or [0] * count})
    assert graph.datasets() == {'d': {'train': [0, 0, 0, 0]}} and made == [(4, 'big')]


@pytest.mark.parametrize('thing', [3, None, 'text', chainer.links.Linear(3), chainer.Sequential()])
def test_what_cannot_be_bound(thing):
    assert codes('import thing from "lab"\noutput o = y', bind={'thing': thing}) == ['G124']


def test_an_import_must_be_bound_and_is_never_run(tmp_path, monkeypatch):
    (tmp_path / 'lab.py').write_text('raise SystemExit("imported")')
    monkeypatch.syspath_prepend(tmp_path)
    assert codes('import thing from "lab"\noutput o = thing(y)') == ['G121']


@pytest.mark.parametrize('module', ['os; import sys', 'os\nimport sys', '', '.', 'a..b', 'a b', '1a', 'a.1', 'é'])
def test_names_of_modules(module):
    quoted = module.replace('\n', '\\n')
    assert codes(f'import f from "{quoted}"\noutput o = f(y)', bind={'f': numpy.negative}) == ['G123']


@pytest.mark.parametrize('more, code', [
    ('import class from "lab"', 'G109'), ('import m from "lab"', 'G102'), ('import f, f from "lab"', 'G102'),
    ('import f from "lab"\nblock f = relu', 'G102'), ('import f from "lab"\noutput o = f(y, class=1)', 'G306'),
    ('import f from "lab"\noutput o = f(y, y, y, y)', 'G306'), ('if true { import f from "lab" }', 'G122'),
])
def test_what_is_refused(more, code):
    bind = dict.fromkeys(['class', 'm', 'f'], lambda v, w=1: v)
    assert code in codes(more, bind=bind)
