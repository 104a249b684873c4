"""What a run leaves for people and their tools: the log, plots, event files, statistics, the record."""
import json
import struct
import subprocess
import sys

import chainer
import numpy
import pandas
import pytest
from chainer.training import extensions
from click.testing import CliRunner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import graphdsl
from graphdsl.cli import main
from graphdsl.training import plots
from graphdsl.training.names import base_of, evaluation_of, family_of, is_statistic
from graphdsl.training.plots import Curve
from graphdsl.training.record import Record
from graphdsl.training.statistics import summary

GRAPH = """
data flowers {
    train = iris(split="train")
    test = iris(split="test")
}
input x: float32[4], t: int32 from flowers
model trunk = Linear(8) -> relu
frozen model idle = Linear(8)
x -> trunk -> h
x -> idle -> still
for i in 0..2 {
    model head[i] = Linear(3)
    h + still -> head[i] -> y[i]
    loss kl[i] = softmax_cross_entropy(y[i], t)
    metric accuracy[i] = accuracy(y[i], t)
    optimizer SGD(lr=0.1) owns head[i]
}
state k = 0.5
next k = k * 0.9
optimizer trunk = Adam(alpha=0.01) owns trunk { hook WeightDecay(0.1) }
schedule trunk.alpha = 0.01 / (1 + iteration)
train {
    batch 16
    epochs 3
    log every 2 iterations
}
"""
REPORTS = {f'{name}[{i}]' for name in ('kl', 'accuracy') for i in range(2)} | {'k', 'trunk.alpha'}
MODELS = ('trunk', 'head[0]', 'head[1]', 'idle')


def trained(out, text=GRAPH, **options):
    numpy.random.seed(0)
    graph = graphdsl.compile(text)
    trainer = graph.trainer(out, progress=False, **options)
    trainer.run()
    return graph, trainer


@pytest.fixture(scope='module')
def ran(tmp_path_factory):
    """A graph that was trained with all there is, its trainer, and the folder."""
    out = tmp_path_factory.mktemp('ran')
    return (*trained(out, statistics=True, tensorboard=True, report=True), out)


# Names

@pytest.mark.parametrize('name, family, evaluation, base', [
    ('k', 'k', '', 'k'),
    ('digit[2]', 'digit[*]', '', 'digit[2]'),
    ('head[1, 2].alpha', 'head[*].alpha', '', 'head[1, 2].alpha'),
    ('validation/digit[2]', 'validation/digit[*]', 'validation', 'digit[2]'),
    ('head[0]/weights/norm', 'head[*]/weights/norm', '', 'head[0]/weights/norm'),
])
def test_names(name, family, evaluation, base):
    assert (family_of(name), evaluation_of(name), base_of(name)) == (family, evaluation, base)
    assert is_statistic(name) == name.endswith('norm')


# The log

def test_pandas_reads_the_log(ran):
    graph, trainer, out = ran
    table = pandas.read_json(out / 'log')
    log = trainer.get_extension('LogReport').log
    assert len(table) == len(log) == 12 and list(table['iteration']) == list(range(2, 24, 2)) + [23]
    assert REPORTS | {f'validation/{name}' for name in REPORTS if '[' in name} <= set(table)
    for name in REPORTS:
        numpy.testing.assert_allclose(table[name], [entry[name] for entry in log], rtol=1e-9)
    assert table['validation/kl[1]'].notna().sum() == 3


# TensorBoard

def scalars(out):
    """The curves of event files, as TensorBoard reads them."""
    events = EventAccumulator(str(out / 'tensorboard')).Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()['scalars']}


def assert_as_logged(found, log):
    names = set().union(*log) - {'epoch', 'iteration', 'elapsed_time'}
    assert set(found) == names
    for name in names:
        expected = [(entry['iteration'], numpy.float32(entry[name])) for entry in log if name in entry]
        assert found[name] == expected, name


def test_tensorboard_reads_the_event_files(ran):
    _, trainer, out = ran
    assert_as_logged(scalars(out), trainer.get_extension('LogReport').log)


def test_event_files_of_a_run_that_goes_on(tmp_path):
    """Iterations that are done once more have one point; the curve goes on."""
    trained(tmp_path, tensorboard=True)
    graph = graphdsl.compile(GRAPH)
    trainer = graph.trainer(tmp_path, progress=False, tensorboard=True)
    graphdsl.load_snapshot(tmp_path / 'snapshot_iter_15', trainer)
    trainer.run()
    found = scalars(tmp_path)
    assert_as_logged(found, trainer.get_extension('LogReport').log)
    assert [step for step, _ in found['k']] == list(range(2, 24, 2)) + [23]


def test_event_files_of_a_new_run(tmp_path):
    """They take the place of those that were there."""
    trained(tmp_path, tensorboard=True)
    _, trainer = trained(tmp_path, tensorboard=True, length=(5, 'iteration'))
    assert_as_logged(scalars(tmp_path), trainer.get_extension('LogReport').log)


def test_without_tensorboardx(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorboardX.event_file_writer', None)
    (tmp_path / 'g.graph').write_text(GRAPH)
    result = CliRunner().invoke(main, ['compile', '--run', str(tmp_path / 'g.graph'), '--out', str(tmp_path / 'o'),
                                       '--tensorboard'])
    assert (result.exit_code, result.output) == (
        1, "Error: --tensorboard needs tensorboardX: pip install 'graphdsl[tensorboard]'\n")
    assert not (tmp_path / 'o').exists()


# Statistics

def test_statistics(ran):
    """They are those of all weights of a model together; a model that is frozen has no gradients."""
    graph, trainer, _ = ran
    last = trainer.get_extension('LogReport').log[-1]
    for name in MODELS:
        weights = numpy.concatenate([p.array.ravel() for p in graph.models[name].params()])
        assert_statistics(last, f'{name}/weights', weights)
    for name in MODELS[:3]:
        assert_statistics(last, f'{name}/gradients',
                          numpy.concatenate([p.grad.ravel() for p in graph.models[name].params()]))
    assert not any(name.startswith('idle/gradients') for name in last)


def assert_statistics(entry, prefix, values):
    expected = {'mean': values.mean(dtype='d'), 'std': values.std(dtype='d'), 'min': values.min(), 'max': values.max(),
                'norm': numpy.linalg.norm(values.astype('d'))}
    found = {name.rsplit('/', 1)[1]: value for name, value in entry.items() if name.startswith(prefix + '/')}
    assert found == pytest.approx(expected, rel=1e-6)


def test_gradients_are_those_that_the_optimizer_used(tmp_path):
    """After weight decay and before the next iteration: what SGD moved the weights by, over its rate."""
    text = GRAPH.replace('Adam(alpha=0.01) owns trunk', 'SGD(lr=0.01) owns trunk').replace(
        'schedule trunk.alpha = 0.01 / (1 + iteration)\n', '')
    numpy.random.seed(0)
    graph = graphdsl.compile(text)
    before = {name: p.array.copy() for name, p in graph.models['trunk'].namedparams()}
    trainer = graph.trainer(tmp_path, progress=False, statistics=True, length=(1, 'iteration'))
    trainer.run()
    moved = numpy.concatenate([((before[name] - p.array) / 0.01).ravel()
                               for name, p in graph.models['trunk'].namedparams()])
    entry, = trainer.get_extension('LogReport').log
    assert entry['trunk/gradients/norm'] == pytest.approx(numpy.linalg.norm(moved), rel=1e-3)


def test_statistics_change_nothing_else(ran, tmp_path):
    _, trainer, _ = ran
    _, other = trained(tmp_path)
    for with_them, without in zip(trainer.get_extension('LogReport').log, other.get_extension('LogReport').log):
        assert {name for name in with_them if is_statistic(name)}
        del with_them['elapsed_time'], without['elapsed_time']
        assert {name: value for name, value in with_them.items() if not is_statistic(name)} == without


def test_statistics_of_large_and_of_no_values():
    assert summary([]) is None
    values = numpy.full(4, 1e30, 'f')
    assert summary([values]) == pytest.approx((1e30, 0.0, 1e30, 1e30, 2e30), rel=1e-6, abs=1e22)


# Plots

def test_plots(ran):
    """PNG files with the sizes that their headers say; pyplot, whose state is the user's, is not used."""
    out = ran[-1]
    for name in ('losses', 'metrics', 'states', 'statistics'):
        content = (out / f'{name}.png').read_bytes()
        assert content[:8] == b'\x89PNG\r\n\x1a\n' and content[12:16] == b'IHDR'
        width, height = struct.unpack('>II', content[16:24])
        assert width > 400 and height > 300
    code = ('import sys, matplotlib, graphdsl.training.plots as plots; matplotlib.rcParams["lines.linewidth"] = 7\n'
            'plots.draw([plots.Panel("a", (plots.Curve("training", ((1, 2.0), (2, 3.0))),))])\n'
            'assert "matplotlib.pyplot" not in sys.modules and matplotlib.rcParams["lines.linewidth"] == 7')
    subprocess.run([sys.executable, '-c', code], check=True)


def test_what_is_plotted():
    """A picture per family, its members and their mean; training and evaluations over each other."""
    log = [{'epoch': 0, 'iteration': 10 * i, 'elapsed_time': 1.0, 'kl[0]': i, 'kl[1]': 3.0 * i, 'acc': 0.5, 'k': 1.0}
           for i in (1, 2)]
    log[1].update({'validation/kl[0]': 5.0, 'validation/kl[1]': 7.0, 'validation/acc': 0.25, 'a/weights/norm': 2.0})
    found = plots.panels(log, ['kl[0]', 'kl[1]'])
    assert {name: [panel.title for panel in panels] for name, panels in found.items()} == {
        'losses': ['kl[*]'], 'metrics': ['acc'], 'states': ['k'], 'statistics': ['weights/norm']}
    panel, = found['losses']
    assert panel.curves == (
        Curve('training', ((10, 1.0), (20, 2.0)), is_member=True),
        Curve('training', ((10, 3.0), (20, 6.0)), is_member=True),
        Curve('training', ((10, 2.0), (20, 4.0))),
        Curve('validation', ((20, 5.0),), is_member=True), Curve('validation', ((20, 7.0),), is_member=True),
        Curve('validation', ((20, 6.0),)))
    assert found['metrics'][0].curves == (Curve('training', ((10, 0.5), (20, 0.5))), Curve('validation', ((20, 0.25),)))


def test_long_logs_are_drawn_in_pieces():
    """Their mean stays what it is."""
    log = [{'iteration': i, 'kl': float(i)} for i in range(10000)]
    points = plots.panels(log, ['kl'])['losses'][0].curves[0].points
    assert len(points) == 500 and points[-1][0] == 9999
    assert sum(y for _, y in points) / len(points) == pytest.approx(sum(range(10000)) / 10000)


@pytest.mark.parametrize('values', [[float('nan')], [float('inf'), 1.0], [0.0, 1e9], [-1.0], [1e-30, 1e30]])
def test_odd_values_are_drawn(values):
    points = tuple(enumerate(values))
    png, svg = plots.draw([plots.Panel('<b>', (Curve('training', points),))] * 3)
    assert png.startswith(b'\x89PNG') and b'<b>' not in svg


# The record

def test_the_record(ran):
    """It is written before the first iteration, and read as it was."""
    graph, _, out = ran
    record = Record.of_json((out / 'run.json').read_text())
    assert (record.graph, record.module) == (GRAPH, graph.source)
    assert (out / 'graph.graph').read_text() == GRAPH and (out / 'graph.py').read_text() == graph.source
    assert (record.length, record.seed, record.before) == ((3, 'epoch'), 0, ())
    assert record.options == {'out': str(out), 'progress': False, 'statistics': True, 'tensorboard': True}
    assert record.versions['chainer'] == chainer.__version__ and record.system['device'] == '@numpy'
    assert pandas.Timestamp(record.started) <= pandas.Timestamp.now('UTC')
    assert Record.of_json(record.as_json()) == record


def test_the_record_of_a_run_that_goes_on(tmp_path):
    trained(tmp_path)
    first = Record.of_json((tmp_path / 'run.json').read_text())
    trainer = graphdsl.compile(GRAPH).trainer(tmp_path, progress=False, length=(20, 'iteration'))
    graphdsl.load_snapshot(tmp_path / 'snapshot_iter_15', trainer)
    trainer.run()
    record = Record.of_json((tmp_path / 'run.json').read_text())
    assert [tuple(run['command']) for run in record.before] == [first.command]
    assert record.before[0]['started'] == first.started and record.length == (20, 'iteration')


def test_a_new_run_takes_the_place_of_the_record(tmp_path):
    trained(tmp_path)
    other = GRAPH.replace('Linear(8)', 'Linear(9)')
    graph, _ = trained(tmp_path, other)
    record = Record.of_json((tmp_path / 'run.json').read_text())
    assert record.graph == (tmp_path / 'graph.graph').read_text() == other and record.before == ()


@pytest.mark.parametrize('name', ['nets.py', 'nets.graph'])
def test_files_of_others_are_left_alone(name, tmp_path):
    """A file that no run wrote is not written over, and the run does not begin."""
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'nets.graph').write_text(GRAPH)
    (tmp_path / name).write_text('my own')
    result = CliRunner().invoke(main, ['compile', '--run', str(tmp_path / 'a' / 'nets.graph'), '--out', str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.endswith(f'Error: {tmp_path / name} cannot be written: it is there, and not from a run; '
                                  'take it away, or choose another --out\n')
    assert (tmp_path / name).read_text() == 'my own' and not list(tmp_path.glob('snapshot*'))


def test_the_folder_of_the_graph_may_be_that_of_the_results(tmp_path):
    path = tmp_path / 'nets.graph'
    path.write_text(GRAPH)
    for _ in range(2):
        assert CliRunner().invoke(main, ['compile', '--run', str(path), '--out', str(tmp_path)]).exit_code == 0
    assert path.read_text() == GRAPH


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'nets.graph').write_text(GRAPH)
    out = tmp_path / 'file' / 'out'
    result = CliRunner().invoke(main, ['compile', '--run', str(tmp_path / 'nets.graph'), '--out', str(out)])
    assert result.exit_code == 1
    assert f'Error: {out}' in result.output and 'cannot be written: Not a directory' in result.output


# What may come and go

def test_a_run_goes_on_with_other_things_to_watch(tmp_path, capsys):
    """Snapshots have nothing of what a run shows: it may be plain at first, and more later."""
    trained(tmp_path)
    numpy.random.seed(0)
    trainer = graphdsl.compile(GRAPH).trainer(tmp_path, progress=True, tensorboard=True, statistics=True, report=True)
    graphdsl.load_snapshot(tmp_path / 'snapshot_iter_15', trainer)
    trainer.run()
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in printed if line.split()[0].isdigit()] == ['16', '18', '20', '22', '23']


def test_python_gets_a_record_and_no_plots(tmp_path):
    """What takes time to import is not imported."""
    code = (f'import graphdsl, sys\ngraphdsl.compile({GRAPH!r}).trainer({str(tmp_path)!r}, progress=False).run()\n'
            'assert not {"matplotlib", "jinja2", "tensorboardX"} & set(sys.modules)')
    subprocess.run([sys.executable, '-c', code], check=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert {'graph.graph', 'graph.py', 'run.json', 'log'} <= names and not any(n.endswith('png') for n in names)


def test_extensions_of_chainer_go_along(tmp_path):
    """Its own statistics and plots can be added."""
    graph = graphdsl.compile(GRAPH)
    trainer = graph.trainer(tmp_path, progress=False)
    trainer.extend(extensions.PlotReport(['k'], trigger=(1, 'epoch'), filename='k.png'))
    trainer.run()
    assert (tmp_path / 'k.png').exists()
    assert json.loads((tmp_path / 'log').read_text())
