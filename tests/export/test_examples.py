"""Every example with outputs gives the same in onnxruntime as in Chainer."""
from __future__ import annotations

import re
from pathlib import Path

import chainer
import chainer.links as L
import numpy
import onnxruntime
import pytest

import graphdsl

EXAMPLES = Path(__file__).parents[2] / 'examples'
FILES = sorted(path.stem for path in EXAMPLES.glob('*.graph') if re.search(r'^ *output ', path.read_text(), re.M))


@pytest.fixture
def in_examples(monkeypatch):
    monkeypatch.chdir(EXAMPLES)


def test_there_are_examples():
    assert {'strips', 'vae', 'cyclegan', 'resnet'} <= set(FILES) and len(FILES) >= 12


def compiled(name: str) -> graphdsl.CompiledGraph:
    """Compiles an example; what labels are the greatest of is an output too."""
    text = (EXAMPLES / f'{name}.graph').read_text()
    for i, value in enumerate(re.findall(r'^ *output .* = argmax\((\w+(?:\[i\])?), axis=1\)', text, re.M)):
        text += f'\noutput values_{i} = {value.replace("[i]", "[2]")}\n'
    numpy.random.seed(0)
    graph = graphdsl.compile(text)
    random = numpy.random.RandomState(1)
    for model in graph.models.values():
        for link in model.links():
            if isinstance(link, L.BatchNormalization):
                link.avg_mean[...] = random.normal(size=link.avg_mean.shape)
                link.avg_var[...] = random.uniform(0.5, 2, size=link.avg_var.shape)
                link.gamma.array[...] = random.uniform(0.5, 2, size=link.gamma.shape)
                link.beta.array[...] = random.normal(size=link.beta.shape)
    return graph


@pytest.mark.parametrize('name', FILES)
def test_same_outputs(name, in_examples, tmp_path):
    graph = compiled(name)
    graph.export(tmp_path / 'model.onnx')
    session = onnxruntime.InferenceSession(str(tmp_path / 'model.onnx'))
    random = numpy.random.RandomState(2)
    names = [port.name for port in session.get_outputs()]
    for count in (1, 2, 9, 33):
        given = {port.name: random.normal(size=(count, *port.shape[1:])).astype('f') for port in session.get_inputs()}
        if 'gaussian.1' in given:       # outside of training, random functions draw the same every time
            given['gaussian.1'] = numpy.random.RandomState(0).normal(size=given['gaussian.1'].shape).astype('f')
        computed = dict(zip(names, session.run(names, given)))
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            wanted = graph.outputs({name: array for name, array in given.items() if name != 'gaussian.1'})
        assert set(computed) == set(wanted)
        for output, value in wanted.items():
            assert computed[output].shape == value.shape and computed[output].dtype == value.dtype
            if value.dtype.kind == 'i':
                assert (computed[output] == value.array).all()
            else:
                numpy.testing.assert_allclose(computed[output], value.array, rtol=1e-5, atol=1e-5)
