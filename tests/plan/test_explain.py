"""What `graphdsl plan` says, and that its numbers are those of an iteration."""
import json
from pathlib import Path

import chainer
import pytest

from test_passes import ROOT, minibatches

import graphdsl
from graphdsl.plan.passes import PASSES
from graphdsl.tools.families import folded, sizes

HERE = Path(__file__).parent
GRAPHS = [*(ROOT / 'examples' / f'{name}.graph' for name in ('strips', 'dcgan', 'cyclegan', 'finetune', 'wgan_gp')),
          ROOT / 'tests' / 'phases' / 'steps.graph']
each_graph = pytest.mark.parametrize('path', GRAPHS, ids=lambda path: path.stem)


@each_graph
def test_in_words(path, command, golden):
    status, out, err = command('plan', path)
    assert (status, err) == (0, '')
    golden(out, HERE / 'expected' / f'{path.stem}.txt')


def test_in_words_without_passes(command, golden):
    options = [option for name in PASSES for option in ('--no-pass', name)]
    status, out, err = command('plan', *options, ROOT / 'examples' / 'dcgan.graph')
    assert (status, err) == (0, '')
    golden(out, HERE / 'expected' / 'dcgan_without_passes.txt')


class Nodes(chainer.FunctionHook):
    """Counts backward runs of function nodes."""

    name = 'nodes'
    backward = 0

    def backward_preprocess(self, function, in_data, out_grad):
        self.backward += 1


@each_graph
def test_numbers_are_those_of_an_iteration(path, command):
    status, out, _ = command('plan', '--json', path)
    plan = json.loads(out)
    graph = graphdsl.compile_file(path)
    updater = graph.updater(minibatches(graph), length=(3, 'iteration'))
    with Nodes() as nodes:
        updater.update()
    steps = plan['steps']
    counted = sum(step['nodes']['backward'] + sum(one['nodes']['backward'] for one in step['backward'])
                  for step in steps)
    assert status == 0 and counted == nodes.backward > 0
    owners = {owner['optimizer']: owner['parameters'] for step in steps for one in step['backward']
              for owner in one['optimizers']}
    for name, optimizer in graph.optimizers.items():
        assert owners[name]['elements'] == sum(parameter.size for parameter in optimizer.target.params())
        assert owners[name]['bytes'] == 4 * owners[name]['elements']


def test_a_history_under_a_condition_is_that_of_its_model(tmp_path, command):
    """Whatever stands between the models of an edge."""
    path = tmp_path / 'thaw.graph'
    path.write_text("""
input x: float32[4], t: int32
model trunk = Linear(4)
model head = Linear(3)
x -> relu -> trunk -> relu -> head -> y
loss kl = softmax_cross_entropy(y, t)
optimizer trunk = SGD(lr=0.1) owns trunk
optimizer head = SGD(lr=0.1) owns head
step main { update head; update trunk when iteration >= 3 or iteration == 1 }
""", encoding='utf-8')
    _, out, _ = command('plan', path)
    assert [line for line in out.splitlines() if 'history' in line] == [
        '  cut       trunk: a history only if iteration >= 3 or iteration == 1']


def test_counting_changes_nothing():
    graph = graphdsl.compile_file(GRAPHS[1])
    before = {name: [p.array.copy() for p in model.params()] for name, model in graph.models.items()}
    graph.count_nodes()
    for name, model in graph.models.items():
        assert all((p.array == old).all() for p, old in zip(model.params(), before[name]))


def test_an_unknown_pass(command):
    status, _, err = command('plan', '--no-pass', 'inlining', GRAPHS[0])
    assert status == 2 and "'inlining' is not one of 'joint', 'routing'" in err


def test_families():
    families = sizes(['a', *(f'b[{i}]' for i in range(4)), *(f'c[{i}, 0]' for i in range(3))])
    assert folded(['b[1]', 'a', 'b[2]'], families) == ['b[1..3]', 'a']
    assert folded([f'b[{i}]' for i in range(4)], families) == ['b[*]']
    assert folded(['b[0]', 'b[2]', 'c[1, 0]'], families) == ['b[0]', 'b[2]', 'c[1, 0]']
