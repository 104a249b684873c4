"""What each phase makes of a graph, as text, and that the end of it runs."""
import ast
from pathlib import Path

import chainer
import numpy
import pytest
from chainer.datasets import TupleDataset
from chainer.iterators import SerialIterator

import graphdsl

HERE = Path(__file__).parent
GRAPHS = [HERE.parent.parent / 'examples' / 'strips.graph', *sorted(HERE.glob('*.graph'))]
PHASES = {'tree': 'tree.txt', 'graph': 'graph.txt', 'plan': 'plan.json', 'python': 'module.txt'}

each_graph = pytest.mark.parametrize('path', GRAPHS, ids=lambda path: path.stem)


@each_graph
@pytest.mark.parametrize('phase', PHASES)
def test_what_a_phase_prints(path, phase, command, golden):
    status, out, err = command('compile', f'--emit={phase}', path)
    assert (status, err) == (0, '')
    golden(out, HERE / 'expected' / path.stem / PHASES[phase])


def test_nothing_is_expected_of_a_graph_that_is_gone():
    assert {folder.name for folder in (HERE / 'expected').iterdir()} == {path.stem for path in GRAPHS}


@each_graph
def test_there_is_nothing_to_warn_of(path):
    assert graphdsl.compile_file(path).warnings == ()


@each_graph
def test_no_text_of_the_file_becomes_code(path):
    """Beyond names and literals a module consists of what the compiler itself writes."""
    tree = ast.parse(graphdsl.compile_file(path).source)
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
                for alias in node.names]
    assert set(imported) <= {'chainer', 'chainer.functions', 'chainer.links', 'math', 'runtime', 'data'}
    assert not any(isinstance(node, (ast.Lambda, ast.Try, ast.Global, ast.Await)) for node in ast.walk(tree))


@each_graph
def test_two_iterations(path):
    numpy.random.seed(0)
    graph = graphdsl.compile_file(path)
    updater = graph.updater({stream: SerialIterator(examples(graph.inputs, 8, stream), 4) for stream in graph.streams})
    owned = {name: [parameter for parameter in optimizer.target.params() if parameter.array is not None]
             for name, optimizer in graph.optimizers.items()}
    before = {name: [parameter.array.copy() for parameter in parameters] for name, parameters in owned.items()}
    for _ in range(2):
        updater.update()
    for name, parameters in owned.items():
        assert all(numpy.isfinite(parameter.array).all() for parameter in parameters)
        assert any((parameter.array != old).any() for parameter, old in zip(parameters, before[name])), name


@each_graph
def test_evaluation_and_prediction(path):
    graph = graphdsl.compile_file(path)
    batch = {i.name: column for i, column in zip(graph.inputs, columns_of(graph.inputs, 3)) if i.name != '_'}
    with chainer.using_config('train', False):
        values = graph.reports(batch)
        graph.outputs(batch)
    assert set(graph.losses) <= set(values)
    assert all(numpy.shape(chainer.as_array(value)) == () for value in values.values())


def examples(inputs, count, stream):
    return TupleDataset(*columns_of([i for i in inputs if i.stream == stream], count))


def columns_of(inputs, count):
    random = numpy.random.RandomState(1)
    return [random.rand(count, *i.shape).astype(i.dtype) if i.dtype.startswith('float')
            else random.randint(0, 2, (count, *i.shape)).astype(i.dtype or 'int32') for i in inputs]
