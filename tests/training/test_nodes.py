"""Exactly which function nodes an iteration executes, against a walk over the graph that Chainer recorded."""
from collections import Counter
from unittest import mock

import chainer
import pytest

import graphdsl
from handwritten import in_order, strips

NINE_NODES = """
param count = 1
input x: float64[1, 8, 8 * count], t: int32[count]
model trunk = Convolution2D(2, ksize=3, pad=1) -> relu -> max_pooling_2d(2)
           -> Convolution2D(2, ksize=3, pad=1) -> relu -> max_pooling_2d(2) -> Linear(8) -> relu
x -> trunk -> h
for i in 0..count {
    model head[i] = Linear(10)
    h -> head[i] -> y[i]
    loss digit[i] = softmax_cross_entropy(y[i], t[:, i])
    metric accuracy[i] = accuracy(y[i], t[:, i])
    metric confidence[i] = mean(max(softmax(y[i]), axis=1))
    output label[i] = argmax(y[i], axis=1)
    optimizer SGD(lr=0.1) owns head[i]
}
optimizer SGD(lr=0.1) owns trunk
"""

TWO_OWNERS = """
input x: float64[1, 8, 8], t: int32[1]
model trunk = Linear(8) -> tanh
model head = Linear(10)
model other = Linear(10)
x -> trunk -> h
h -> head -> y
h -> other -> z
loss a = softmax_cross_entropy(y, t[:, 0])
loss b = softmax_cross_entropy(z, t[:, 0])
"""
ADVERSARIES = """
input x: float64[1, 8, 8], t: int32[1]
model generator = Linear(8) -> tanh
model critic = Linear(8) -> tanh -> Linear(1)
x -> generator -> fake
noise = x[:, 0, 0]
fake -> critic -> p
noise -> critic -> q
loss fool = mean(softplus(-p))
loss judge = mean(softplus(p) + softplus(-q))
optimizer SGD(lr=0.1) owns generator minimizes fool
optimizer SGD(lr=0.1) owns critic minimizes judge
"""
# The passes that each graph needs: which losses are differentiated, and by the parameters of which models.
ROUTES = {
    'the trunk minimizes both': (TWO_OWNERS + """
        optimizer SGD(lr=0.1) owns trunk
        optimizer SGD(lr=0.1) owns head
        optimizer SGD(lr=0.1) owns other""", [('ab', ['trunk', 'head', 'other'])]),
    'the trunk minimizes one': (TWO_OWNERS + """
        optimizer SGD(lr=0.1) owns trunk, head minimizes a
        optimizer SGD(lr=0.1) owns other minimizes b""", [('a', ['trunk', 'head']), ('b', ['other'])]),
    'the trunk minimizes one and half of the other': (TWO_OWNERS + """
        optimizer SGD(lr=0.1) owns trunk minimizes a, 0.5 * b
        optimizer SGD(lr=0.1) owns head, other minimizes a, b""", [('ab', ['trunk']), ('ab', ['head', 'other'])]),
}
pytestmark = pytest.mark.usefixtures('float64')


class Recorder(chainer.FunctionHook):
    """Records what runs forward, what runs backward, and which functions these backward runs call."""

    name = 'Recorder'

    def __init__(self):
        self.forward, self.backward, self.derivatives = [], [], []

    def forward_postprocess(self, function, in_data):
        (self.derivatives if self.backward else self.forward).append(function)

    def backward_preprocess(self, function, in_data, out_grad):
        self.backward.append(function)


def record(text, no_passes=('stacking',), **params):
    """Runs one iteration; returns the graph, what ran in it, and its losses with their history."""
    graph = graphdsl.compile(text, params=params, no_passes=no_passes)
    updater = graph.updater(in_order(strips(params.get('count', 1))))
    reporter, observation = chainer.Reporter(), {}
    differentiated = []

    def grad(outputs, *args, **options):
        differentiated.extend(outputs)
        return chainer.function_node.grad(outputs, *args, **options)

    with Recorder() as recorder, reporter.scope(observation), mock.patch.object(chainer, 'grad', grad):
        updater.update()
    losses = {name: next((loss for loss in differentiated if loss.array is observation[name]), None)
              for name in graph.losses}
    return graph, recorder, losses


def differentiable(losses, models):
    """The nodes on a path from a parameter of some models to some losses, found by walking the recorded graph."""
    parameters = {parameter.node for model in models for parameter in model.params()}
    depends = {}

    def visit(function):
        if function not in depends:
            below = [visit(x.creator_node) for x in function.inputs if x.creator_node is not None]
            depends[function] = any(below) or not parameters.isdisjoint(function.inputs)
        return depends[function]

    for loss in losses:
        visit(loss.creator_node)
    return [function for function, does in depends.items() if does]


def labels(functions):
    return Counter(function.label for function in functions)


@pytest.mark.parametrize('count', [1, 2, 5, 16])
def test_every_node_is_visited_backward_once(count):
    """Whatever the number of heads: 9 nodes of the trunk and 2 of each head, none of a metric or of a slice."""
    graph, ran, losses = record(NINE_NODES, count=count)
    assert Counter(ran.backward) == Counter(differentiable(losses.values(), graph.models.values()))
    assert len(ran.backward) == 9 + 2 * count
    trunk = Counter({'Convolution2DFunction': 2, 'ReLU': 3, 'MaxPoolingND': 2, 'Reshape': 1, 'LinearFunction': 1})
    assert labels(ran.backward) == trunk + Counter({'LinearFunction': count, 'SoftmaxCrossEntropy': count})


@pytest.mark.parametrize('count', [2, 5, 16])
def test_stacked_heads_are_two_nodes(count):
    """Whatever the number of heads: 9 nodes of the trunk, one of all heads and one of all losses."""
    _, ran, losses = record(NINE_NODES, no_passes=(), count=count)
    assert len(losses) == count and len(ran.backward) == len(set(ran.backward)) == 9 + 2
    ran = labels(ran.forward)
    assert ran['LinearFunction'] == ran['StackedLinear'] == ran['StackedSoftmaxCrossEntropy'] == 1


@pytest.mark.parametrize('count', [1, 5])
def test_every_value_is_computed_once(count):
    """The trunk, and each head, loss and metric, run forward once; outputs don't run in training."""
    _, ran, _ = record(NINE_NODES, count=count)
    ran = labels(ran.forward)
    assert sum(ran.values()) == 9 + (2 + 1 + 3) * count
    assert ran['Convolution2DFunction'] == 2 and ran['LinearFunction'] == 1 + count
    assert ran['Accuracy'] == ran['Softmax'] == ran['Max'] == count and not ran['ArgMax']


def test_metrics_leave_no_history():
    """What is computed for reports alone keeps no graph."""
    _, ran, _ = record(NINE_NODES, count=2)
    for_reports = [function for function in ran.forward if function.label in ('Accuracy', 'Softmax', 'Max')]
    assert len(for_reports) == 6 and all(function.inputs is None for function in for_reports)


def test_evaluation_computes_every_value_once_and_keeps_no_history():
    graph = graphdsl.compile(NINE_NODES)
    evaluator = graph.evaluator(chainer.iterators.SerialIterator(strips(1), 8, repeat=False, shuffle=False))
    with Recorder() as ran:
        evaluator.evaluate()
    minibatches = len(strips(1)) // 8
    assert len(ran.forward) == (9 + 2 + 1 + 3) * minibatches and not ran.backward
    assert all(function.inputs is None for function in ran.forward)


@pytest.mark.parametrize('text, passes', ROUTES.values(), ids=ROUTES)
def test_a_pass_visits_only_what_its_parameters_need(text, passes):
    """Where losses cannot share a pass, each visits the paths to its own parameters and nothing else."""
    graph, ran, losses = record(text)
    expected = Counter()
    for names, models in passes:
        expected += Counter(differentiable([losses[n] for n in names], [graph.models[n] for n in models]))
    assert Counter(ran.backward) == expected


def test_adversaries_compute_no_gradient_of_the_other():
    """The generator's pass crosses the critic without its weights' gradients; the critic's ends at its input."""
    graph, ran, losses = record(ADVERSARIES)
    expected = Counter(differentiable([losses['fool']], [graph.models['generator']]))
    expected += Counter(differentiable([losses['judge']], [graph.models['critic']]))
    assert Counter(ran.backward) == expected
    # One for the generator's layer; two for each of the critic's layers, which run on two arrays.
    assert labels(ran.derivatives)['LinearGradWeight'] == 1 + 2 * 2
