"""Every pass leaves results equal: whatever is switched off, models move alike and reports say the same."""
from pathlib import Path

import chainer
import numpy
import pytest
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator

import graphdsl
from graphdsl.options import PASS_NAMES
from graphdsl.plan.passes import PASSES

ROOT = Path(__file__).resolve().parents[2]
# Chainer's Bilinear, in links.graph, has single precision only.
GRAPHS = sorted(path for folder in ('examples', 'tests/phases') for path in (ROOT / folder).glob('*.graph')
                if path.stem != 'links')
ITERATIONS = 3


@pytest.fixture(autouse=True)
def float64():
    with chainer.using_config('dtype', numpy.float64):
        yield


def minibatches(graph):
    """Iterators over a graph's own data, or over made-up values where it has none."""
    datasets = {stream: entries['train'] for stream, entries in graph.datasets().items()}
    if not datasets:
        random = numpy.random.RandomState(1)
        datasets = {'main': TupleDataset(*(
            random.rand(24, *i.shape).astype(i.dtype) if (i.dtype or '').startswith('float') else
            random.randint(0, 2, (24, *i.shape)).astype(i.dtype or 'int32') for i in graph.inputs))}
    return {stream: dataset.iterator(8, True) if hasattr(dataset, 'iterator')
            else SerialIterator(dataset, 8, shuffle=False) for stream, dataset in datasets.items()}


def trained(path, folder, without):
    """Trains a graph for some iterations; returns all arrays, and what each iteration reported."""
    copy = folder / path.name
    copy.write_text(path.read_text(encoding='utf-8').replace('float32', 'float64'), encoding='utf-8')
    numpy.random.seed(0)
    graph = graphdsl.compile_file(copy, no_passes=without)
    updater = graph.updater(minibatches(graph), length=(ITERATIONS, 'iteration'))
    numpy.random.seed(1)
    reports = []
    for _ in range(ITERATIONS):
        observation = {}
        with chainer.Reporter().scope(observation):
            updater.update()
        reports.append({name: float(getattr(value, 'array', value)) for name, value in observation.items()})
    arrays = {}
    for name, model in graph.models.items():
        model.serialize(chainer.serializers.DictionarySerializer(arrays, f'{name}/'))
    return arrays, reports


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A copy of the examples' data, beside which graphs can be written."""
    path = tmp_path_factory.mktemp('graphs')
    for source in (ROOT / 'examples').iterdir():
        if source.suffix in ('.npz', '.txt'):
            (path / source.name).write_bytes(source.read_bytes())
    return path


@pytest.fixture(scope='module')
def optimized(folder):
    """What each graph comes to with all passes, computed once."""
    found = {}

    def run(path):
        if path not in found:
            found[path] = trained(path, folder, ())
        return found[path]

    return run


@pytest.mark.parametrize('without', [*([name] for name in PASSES), list(PASSES)], ids='-'.join)
@pytest.mark.parametrize('path', GRAPHS, ids=lambda path: path.stem)
def test_results_are_equal(path, without, folder, optimized):
    arrays, reports = trained(path, folder, without)
    expected_arrays, expected_reports = optimized(path)
    assert set(arrays) == set(expected_arrays)
    for name, array in expected_arrays.items():
        numpy.testing.assert_allclose(arrays[name], array, rtol=1e-6, atol=1e-9, err_msg=name)
    for ours, theirs in zip(reports, expected_reports):
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name


def test_the_command_line_knows_all_passes():
    assert PASS_NAMES == tuple(PASSES)


def test_a_pass_that_does_not_exist():
    with pytest.raises(ValueError, match="there is no pass 'inlining': passes are joint, "):
        graphdsl.compile((ROOT / 'examples' / 'vae.graph').read_text(), no_passes=['inlining'])


def test_a_loss_of_two_names_under_a_condition():
    """What moves by either name needs the history, whenever that is."""
    text = """
input x: float64[3]
model a = Linear(3)
model b = Linear(3)
y = b(a(x))
loss l = mean(y ** 2)
loss al = l
optimizer oa = SGD(lr=0.1) owns a minimizes 0.5 * l
optimizer ob = SGD(lr=0.1) owns b minimizes al
step s { UPDATES }
"""
    for updates in ('update ob; update oa when iteration % 2 == 1', 'update oa; update ob when iteration % 2 == 1'):
        found = []
        for no_passes in [], ['cut']:
            numpy.random.seed(0)
            graph = graphdsl.compile(text.replace('UPDATES', updates), no_passes=no_passes)
            random = numpy.random.RandomState(0)
            updater = graph.updater(SerialIterator(TupleDataset(random.randn(8, 3)), 4, shuffle=False))
            for _ in range(4):
                updater.update()
            found.append([parameter.array for model in graph.models.values() for parameter in model.params()])
        for ours, theirs in zip(*found):
            numpy.testing.assert_allclose(ours, theirs, rtol=1e-12)
