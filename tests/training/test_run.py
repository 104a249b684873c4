"""`graphdsl compile --run` and the written module, from the command line to the weights."""
import json
import subprocess
import sys

import chainer
import chainer.functions as F
import numpy
import pytest
from click.testing import CliRunner

import graphdsl
from graphdsl.cli import main

pytestmark = pytest.mark.usefixtures('without_pictures')

GRAPH = """
param count = 2
data strips {
    train = digits(strip=count, split="train", examples=60)
    test = digits(strip=count, split="test", examples=25)
}
input x: float32[1, 8, 8 * count], t: int32[count] from strips
model trunk = Linear(8) -> BatchNormalization(8) -> tanh -> dropout(0.4)
x -> trunk -> h
for i in 0..count {
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    optimizer Adam(alpha=0.01) owns head[i]
}
for i in 0..count {
    metric accuracy[i] = accuracy(y[i], t[:, i])
    metric steep[i] = mean(dropout(y[i]))
}
optimizer Adam(alpha=0.01) owns trunk
train {
    batch 20
    epochs 1
}
"""
# Draws random numbers in evaluation too.
NOISY = GRAPH.replace('x -> trunk -> h', 'x -> trunk -> mu\nh = gaussian(mu, mu - 3.0)')
METRICS = GRAPH[GRAPH.index('for i in 0..count {\n    metric'):GRAPH.index('optimizer Adam(alpha=0.01) owns t')]
TEST = '    test = digits(strip=count, split="test", examples=25)\n'


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def run(path, out, *options):
    result = invoke('compile', '--run', path, '--out', out, *options)
    assert result.exit_code == 0, result.output
    return result


def snapshot(out, name='snapshot_iter_3'):
    """What a run has come to: weights, averages, states of optimizers and iterators, but no clock."""
    with numpy.load(out / name, allow_pickle=True) as file:
        return {key: file[key] for key in file.files if key.startswith('updater/')}


def equal(ours, theirs):
    return set(ours) == set(theirs) and all(numpy.array_equal(array, theirs[key]) for key, array in ours.items())


def log(out):
    return json.loads((out / 'log').read_text())


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / 'strips.graph'
    path.write_text(GRAPH)
    return path


@pytest.fixture
def written(tmp_path):
    """Writes variants of the graph and runs them."""
    def run_text(name, text, *options):
        path = tmp_path / f'{name}.graph'
        path.write_text(text)
        run(path, tmp_path / name, *options)
        return snapshot(tmp_path / name)
    return run_text


def test_a_run_leaves_a_log_and_a_snapshot(graph, tmp_path):
    """Losses and metrics stand in the log under their own names, those of the test data after `validation/`."""
    out = tmp_path / 'out'
    result = run(graph, out, '--iterations', 3)
    assert {path.name for path in out.iterdir()} == {
        'log', 'losses.png', 'metrics.png', 'report.html', 'run.json', 'snapshot_iter_3', 'strips.graph', 'strips.py',
        'weights.npz'}
    entry, = log(out)
    names = {f'{name}[{i}]' for name in ('digit', 'accuracy') for i in range(2)}
    assert names | {f'validation/{name}' for name in names} <= set(entry)
    assert (entry['iteration'], entry['epoch']) == (3, 1)
    assert f'validation/digit[1] = {entry["validation/digit[1]"]:.5g}' in result.output
    assert str(out) in result.output


def test_settings_of_the_command_line(graph, tmp_path):
    """They replace those of the file."""
    run(graph, tmp_path / 'epochs', '--epochs', 2, '--set', 'count=3', '--device', '@numpy')
    assert [entry['epoch'] for entry in log(tmp_path / 'epochs')] == [1, 2]
    assert 'digit[2]' in log(tmp_path / 'epochs')[0]
    run(graph, tmp_path / 'iterations', '--iterations', 1)
    assert [entry['iteration'] for entry in log(tmp_path / 'iterations')] == [1]


def test_the_seed_decides_everything(graph, tmp_path):
    """Weights, order of examples and dropout: equal for equal seeds, whatever was drawn before; else different."""
    outs = [tmp_path / name for name in 'abcd']
    for out, options in zip(outs, [(), ('--seed', 0), ('--seed', 1), ('--seed', 1)]):
        numpy.random.rand(7)
        run(graph, out, *options)
    default, zero, one, again = map(snapshot, outs)
    assert equal(default, zero) and equal(one, again)
    different = [key for key in zero if 'model' in key and not numpy.array_equal(zero[key], one[key])]
    assert {'updater/model:trunk/linear_1/W', 'updater/model:head[1]/linear_1/W'} <= set(different)
    assert not numpy.array_equal(zero['updater/iterator:main/order'], one['updater/iterator:main/order'])


def test_the_order_of_examples_depends_on_the_seed_and_the_stream_alone(written):
    """Another network, which draws other weights and masks, sees the same minibatches."""
    other = GRAPH.replace('Linear(8)', 'Linear(9)').replace('BatchNormalization(8)', 'BatchNormalization(9)')
    order = 'updater/iterator:main/order'
    numpy.testing.assert_array_equal(written('one', GRAPH)[order], written('other', other)[order])


def test_the_written_module_trains_the_same(graph, tmp_path):
    """`python module.py`, in a process of its own, comes to the weights of `--run`, bit for bit."""
    options = ['--iterations', '3', '--seed', '4', '--out']
    run(graph, tmp_path / 'ours', *options[:-1])
    assert invoke('compile', graph, '-o', tmp_path / 'module.py').exit_code == 0
    command = [sys.executable, '-W', 'ignore', 'module.py', *options, 'theirs']
    printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert equal(snapshot(tmp_path / 'ours'), snapshot(tmp_path / 'theirs'))
    assert 'validation/digit[*]' in printed.stdout and not printed.stderr


def test_evaluation_weighs_by_the_size_of_minibatches(tmp_path):
    """25 test strips in minibatches of 20 and 5: the average is that over all strips, not that of two averages."""
    numpy.random.seed(0)
    graph = graphdsl.compile(GRAPH)
    trainer = graph.trainer(tmp_path, progress=False)
    trainer.run()
    entry = trainer.get_extension('LogReport').log[-1]
    x, t = chainer.dataset.concat_examples(graph.datasets()['strips']['test'][:])
    with chainer.using_config('train', False):
        h = graph.models['trunk'](x)
        for i in range(2):
            y = graph.models[f'head[{i}]'](h)
            every = F.softmax_cross_entropy(y, t[:, i], reduce='no').array
            numpy.testing.assert_allclose(entry[f'validation/digit[{i}]'], every.mean(), rtol=1e-5)
            hits = y.array.argmax(axis=1) == t[:, i]
            numpy.testing.assert_allclose(entry[f'validation/accuracy[{i}]'], hits.mean(), rtol=1e-5)
            assert abs(entry[f'validation/digit[{i}]'] - (every[:20].mean() + every[20:].mean()) / 2) > 1e-4


@pytest.mark.parametrize('left_out', [[METRICS], [TEST], [METRICS, TEST]], ids=['metrics', 'test data', 'both'])
def test_what_is_only_reported_changes_nothing(left_out, written):
    """The same weights, averages and random numbers without metrics, without evaluation, without both."""
    without = NOISY
    for part in left_out:
        assert part in without
        without = without.replace(part, '')
    assert equal(written('with', NOISY), written('without', without))


def test_a_random_metric_changes_nothing(written):
    """Not even one whose dropout stands in a block."""
    metric = 'block noisy = dropout(0.5)\nmetric rough = mean(noisy(y[0]))\n'
    assert equal(written('with', GRAPH + metric), written('without', GRAPH))


@pytest.mark.parametrize('what', ['evaluate', 'log', 'snapshot'])
def test_how_often_it_is_looked_at_changes_nothing(what, written):
    often = NOISY.replace('epochs 1', f'epochs 1\n    {what} every 1 iteration')
    assert equal(written('seldom', NOISY), written('often', often))


def test_evaluation_is_the_same_every_time(tmp_path):
    """It draws random numbers of its own, and leaves averages alone."""
    trainer = graphdsl.compile(NOISY).trainer(tmp_path, progress=False)
    trainer.run()
    evaluator = trainer.get_extension('validation')
    first, second = evaluator(trainer), evaluator(trainer)
    assert first == second and len(first) == 6


@pytest.mark.parametrize('arguments, status, message', [
    (['--iterations', 1, '--epochs', 1], 2, '--epochs or --iterations'),
    (['--iterations', 0], 2, '--iterations'),
    (['-o', 'module.py'], 2, '--run goes with neither'),
    (['--set', 'count'], 2, 'NAME=VALUE'),
    (['--set', 'count=0'], 1, 'error'),
    (['--set', 'cuont=1'], 2, 'count'),
    (['--device', '@nowhere'], 2, 'nowhere'),
])
def test_a_wrong_command_line(arguments, status, message, graph, tmp_path):
    result = invoke('compile', '--run', graph, '--out', tmp_path / 'out', *arguments)
    assert (result.exit_code, message in result.output) == (status, True), result.output
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('old, new, line', [
    ('digit[i] = softmax_cross_entropy(y[i], t[:, i])', 'digit[i] = softmax_cross_entropy(y[i], t)', 13),
    ('input x: float32[1, 8, 8 * count]', 'input x: float32[1, 8, 8]', 7),
    ('examples=60', 'examples=-60', 4),
], ids=['shapes', 'input', 'source'])
def test_a_graph_that_does_not_run(old, new, line, tmp_path):
    """The exit status is 1 and the place is shown; nothing is trained."""
    path = tmp_path / 'wrong.graph'
    path.write_text(GRAPH.replace(old, new))
    result = invoke('compile', '--run', path, '--out', tmp_path / 'out')
    assert result.exit_code == 1
    assert f'{path}:{line}:' in result.output
    assert 'Traceback' not in result.output and not list(tmp_path.glob('out/snapshot*'))
