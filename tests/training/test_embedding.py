"""A compiled graph among a user's own iterators, converters, extensions, Trainers and Python."""
import io

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from chainer.datasets import DictDataset, TupleDataset
from chainer.iterators import MultithreadIterator, SerialIterator
from chainer.training import StandardUpdater, Trainer, extensions

import graphdsl
from graphdsl.runtime.data import Columns

GRAPH = """
param width = 6
param rate = 0.1
input x: float32[4], t: int32
model trunk = Linear(width) -> tanh
model head = Linear(3)
x -> trunk -> h
h -> head -> y
loss cost = softmax_cross_entropy(y, t)
loss small = 0.01 * mean(h * h)
metric accuracy = accuracy(y, t)
output label = argmax(y, axis=1)
optimizer Adam() owns trunk
optimizer heads = MomentumSGD(lr=rate) owns head
"""
IRIS = GRAPH.replace('input x: float32[4], t: int32', """
data flowers {
    train = iris(split="train")
    test = iris(split="test")
}
input x: float32[4], t: int32 from flowers""") + 'train {\n batch 30\n epochs 2\n}\n'
SIZE = 10


def examples(size=SIZE):
    random = numpy.random.RandomState(0)
    return TupleDataset(random.randn(size, 4).astype('f'), random.randint(3, size=size).astype('i'))


X, T = chainer.dataset.concat_examples(examples()[:])


def in_order(dataset, batch=4, **options):
    return SerialIterator(dataset, batch, shuffle=False, **options)


def compiled(text=GRAPH, seed=0, **options):
    numpy.random.seed(seed)
    return graphdsl.compile(text, **options)


def weights(graph):
    return {name + path: parameter.array.copy() for name, model in graph.models.items()
            for path, parameter in model.namedparams()}


def assert_equal(ours, theirs):
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        numpy.testing.assert_array_equal(array, theirs[name], err_msg=name)


def trained(iterator=None, iterations=3, graph=None, **options):
    """The weights after some iterations of a run of their own."""
    graph = graph or compiled()
    updater = graph.updater(iterator or in_order(examples()), **options)
    for _ in range(iterations):
        updater.update()
    return weights(graph)


# What is there

def test_compile():
    graph = compiled()
    assert isinstance(graph, graphdsl.CompiledGraph)
    assert list(graph.models) == ['trunk', 'head']
    assert all(isinstance(model, chainer.Chain) for model in graph.models.values())
    assert list(graph.optimizers) == ['trunk', 'heads']
    assert isinstance(graph.optimizers['heads'], chainer.optimizers.MomentumSGD)
    assert graph.losses == ('cost', 'small')
    step, = graph.plan.steps
    assert [name for name, _ in step.updates] == ['trunk', 'heads']
    compile(graph.source, 'module.py', 'exec')
    assert 'class Trunk(chainer.Chain)' in graph.source


def test_compile_file(tmp_path):
    """A file gives what its text gives; its own folder is where its data is."""
    numpy.savez(tmp_path / 'flowers.npz', x=numpy.zeros((5, 4), 'f'), t=numpy.zeros(5, 'i'))
    path = tmp_path / 'own.graph'
    text = IRIS.replace('iris(split="train")', 'npz("flowers.npz")')
    path.write_text(text.replace('test = iris(split="test")', ''))
    numpy.random.seed(0)
    graph = graphdsl.compile_file(path)
    assert graph.name == 'own'
    assert_equal(weights(graph), weights(compiled()))
    assert len(graph.datasets()['flowers']['train']) == 5


def test_check():
    """Errors and warnings come back as data, and nothing is raised."""
    assert graphdsl.check(GRAPH) == ()
    warning, = graphdsl.check(GRAPH + 'left_over = tanh(h)\n')
    assert warning.severity == 'warning' and 'left_over' in warning.message
    error, = graphdsl.check(GRAPH + 'optimizer SGD(lr=0.1) owns head\n')
    assert error.severity == 'error' and 'two owners' in error.message


def test_outputs_and_reports():
    graph = compiled()
    y = graph.models['head'](graph.models['trunk'](X))
    assert list(graph.outputs({'x': X})) == ['label']
    numpy.testing.assert_array_equal(graph.outputs({'x': X})['label'].array, y.array.argmax(axis=1))
    values = graph.reports({'x': X, 't': T})
    assert list(values) == ['cost', 'small', 'accuracy']
    numpy.testing.assert_allclose(values['cost'].array, F.softmax_cross_entropy(y, T).array, rtol=1e-6)


# Params

def test_params_replace_defaults():
    graph = compiled(params={'width': 2, 'rate': 1})
    assert graph.models['trunk'].linear_1.W.shape == (2, 4)
    assert graph.optimizers['heads'].lr == 1.0
    assert_equal(weights(compiled(params={'width': 6})), weights(compiled()))


@pytest.mark.parametrize('params', [{'wdith': 2}, {'width': 'two'}, {'width': 2.5}])
def test_params_that_are_wrong(params):
    with pytest.raises(graphdsl.GraphError, match='width'):
        compiled(params=params)


# The updater

def test_the_updater_is_a_standard_updater():
    updater = compiled().updater(in_order(examples()))
    assert isinstance(updater, StandardUpdater)
    assert updater.get_optimizer('main') is updater.get_optimizer('trunk')
    assert set(updater.get_all_optimizers()) == {'trunk', 'heads'}
    assert updater.get_iterator('main').batch_size == 4
    assert updater.iteration == 0


@pytest.mark.parametrize('text, name', [(GRAPH, 'main'), (IRIS, 'main'), (IRIS, 'flowers')])
def test_a_dictionary_of_iterators(text, name):
    """The key is `main` or the name of the stream; both name the same iterator afterwards."""
    iterator = in_order(examples())
    updater = compiled(text).updater({name: iterator})
    updater.update()
    assert updater.get_iterator('main') is updater.get_iterator(name) is iterator
    assert_equal(trained({name: in_order(examples())}, graph=compiled(text)), trained())


@pytest.mark.parametrize('iterators', [{}, {'leaves': None}, {'main': None, 'leaves': None}])
def test_a_dictionary_of_other_iterators(iterators):
    with pytest.raises(ValueError, match='flowers'):
        compiled(IRIS).updater(iterators)


def test_epochs():
    """10 examples in minibatches of 4: every optimizer is told of each new epoch, once."""
    updater = compiled().updater(in_order(examples()))
    told = {name: [] for name in updater.get_all_optimizers()}
    epochs, ends = [], []
    for _ in range(8):
        updater.update()
        epochs.append(updater.epoch)
        ends.append(updater.is_new_epoch)
        for name, optimizer in updater.get_all_optimizers().items():
            told[name].append(optimizer.epoch)
    assert updater.iteration == 8 and updater.epoch_detail == 3.2
    assert ends == [False, False, True, False, True, False, False, True]
    assert epochs == told['trunk'] == told['heads'] == [0, 0, 1, 1, 2, 2, 2, 3]


def test_the_end_of_an_iterator_passes():
    updater = compiled().updater(in_order(examples(), repeat=False))
    for _ in range(3):
        updater.update()
    with pytest.raises(StopIteration):
        updater.update()
    assert updater.iteration == 3


@pytest.mark.parametrize('device', [None, -1, '@numpy', chainer.get_device('@numpy')], ids=str)
def test_devices(device):
    updater = compiled().updater(in_order(examples()), device=device)
    assert updater.device == (None if device is None else chainer.get_device('@numpy'))
    assert_equal(trained(device=device), trained())


# Data

class Doubled:
    """Converters of the new style, which are given a device, and of the old, which are given its number."""

    @staticmethod
    @chainer.dataset.converter()
    def new(batch, device):
        assert isinstance(device, chainer.backend.Device)
        return chainer.dataset.concat_examples([(2 * x, t) for x, t in batch], device)

    @staticmethod
    def old(batch, device):
        assert device == -1
        return chainer.dataset.concat_examples([(2 * x, t) for x, t in batch], device)


@pytest.mark.parametrize('converter', [Doubled.new, Doubled.old])
def test_converters(converter):
    ours = trained(converter=converter, device='@numpy')
    assert_equal(ours, trained(in_order(TupleDataset(2 * X, T))))
    assert not numpy.array_equal(ours['head/linear_1/W'], trained()['head/linear_1/W'])


class Endless(chainer.dataset.Iterator):
    """A user's own iterator, with no dataset behind it."""

    epoch, epoch_detail, is_new_epoch = 0, 0.0, False

    def __init__(self):
        self.iterator = in_order(examples())

    def __next__(self):
        return self.iterator.next()


@pytest.mark.parametrize('iterator', [
    lambda: MultithreadIterator(examples(), 4, shuffle=False, n_threads=2),
    Endless,
    lambda: in_order(list(zip(X, T))),
    lambda: in_order([(x.tolist(), int(t)) for x, t in zip(X, T)]),
    lambda: in_order(TupleDataset(X, T.astype('l'))),
    lambda: in_order(DictDataset(t=T, unused=numpy.zeros(SIZE), x=X)),
    lambda: in_order(Columns({'t': T, 'x': X})),
], ids=['threads', 'own', 'tuples', 'numbers', 'other dtype', 'dictionaries by name', 'columns by name'])
def test_iterators_and_datasets(iterator):
    """However the same examples come, the same weights come out."""
    iterator = iterator()
    assert_equal(trained(iterator), trained())
    iterator.finalize()


@pytest.mark.parametrize('dataset, found', [
    (TupleDataset(numpy.zeros((4, 5), 'f'), numpy.zeros(4, 'i')), {'x: float32[4]': "'x' is declared as float32[4]"}),
    (TupleDataset(numpy.zeros((4, 4), 'f'), numpy.zeros(4, 'f')), {'t: int32': "'t' is declared as int32"}),
    (TupleDataset(numpy.zeros((4, 5), 'f'), numpy.zeros((4, 2), 'f')),
     {'x: float32[4]': "'x' is declared as float32[4]", 't: int32': 'the shape [2]'}),
    (TupleDataset(numpy.zeros((4, 4), 'f')), {'x: float32[4]': '1 column,'}),
    (DictDataset(x=numpy.zeros((4, 4), 'f')), {'t: int32': "no column 't'"}),
    (DictDataset(y=numpy.zeros((4, 4), 'f')), {'x: float32[4]': "no column 'x'", 't: int32': "no column 't'"}),
])
def test_data_that_does_not_fit(dataset, found):
    """The error says what is wrong with which columns, each at its place."""
    with pytest.raises(graphdsl.GraphError) as error:
        trained(in_order(dataset))
    assert [error.value.source[diagnostic.span] for diagnostic in error.value.diagnostics] == list(found)
    for diagnostic, message in zip(error.value.diagnostics, found.values()):
        assert message in diagnostic.message


def test_an_error_of_a_converter_is_the_cause():
    def fail(batch, device):
        raise KeyError('broken')

    with pytest.raises(graphdsl.GraphError) as error:
        trained(converter=fail)
    assert isinstance(error.value.__cause__, KeyError)
    assert error.value.source[error.value.diagnostics[0].span].startswith('x: float32[4]')


# The user's own Python in a graph

class Gate(chainer.Chain):

    def __init__(self, size):
        super().__init__()
        with self.init_scope():
            self.inner = L.Linear(None, size)

    def forward(self, x):
        return F.sigmoid(self.inner(x))


def shrink(h, by):
    return h * by


def flowers(size, shift=0.0):
    return [(x + numpy.float32(shift), t) for x, t in examples(size)]


class Halve:
    """An optimizer hook."""

    name, call_for_each_param, timing = 'Halve', True, 'pre'

    def __call__(self, rule, parameter):
        parameter.grad *= 0.5


class Slow(chainer.optimizers.SGD):
    pass


OWN = """
import Gate, shrink, flowers, Slow, Halve from "lab.nets"
data stream {
    train = flowers(20)
    test = flowers(8, shift=1.0)
}
input x: float32[4], t: int32 from stream
model gate = Gate(5) -> Linear(3)
x -> gate -> y
loss cost = softmax_cross_entropy(shrink(y, by=0.5), t)
optimizer Slow(lr=1.0) owns gate {
    hook Halve()
}
"""


def test_bind():
    """Links, functions, datasets, optimizers and hooks of one's own take part under the names of an `import`."""
    graph = compiled(OWN, bind=dict(Gate=Gate, shrink=shrink, flowers=flowers, Slow=Slow, Halve=Halve))
    data = graph.datasets()['stream']
    assert [len(data[name]) for name in ('train', 'test')] == [20, 8]
    numpy.testing.assert_allclose(data['test'][0][0], data['train'][0][0] + 1)
    assert isinstance(graph.models['gate'].gate_1, Gate)
    assert isinstance(graph.optimizers['gate'], Slow)

    by_hand = chainer.Sequential(Gate(5), L.Linear(5, 3))
    x, t = chainer.dataset.concat_examples(data['train'][:4])
    by_hand(x)
    for theirs, ours in zip(by_hand, (graph.models['gate'].gate_1, graph.models['gate'].linear_1)):
        theirs.copyparams(ours)
    graph.updater(in_order(data['train'])).update()
    by_hand.cleargrads()
    F.softmax_cross_entropy(by_hand(x) * 0.5, t).backward()
    for theirs, ours in zip(by_hand, (graph.models['gate'].gate_1, graph.models['gate'].linear_1)):
        moved = dict(ours.namedparams())
        for path, parameter in theirs.namedparams():
            expected = parameter.array - 0.5 * parameter.grad
            numpy.testing.assert_allclose(moved[path].array, expected, rtol=1e-5, atol=1e-6)


def test_an_import_that_nothing_is_bound_to():
    with pytest.raises(graphdsl.GraphError, match='Gate'):
        compiled(OWN, bind=dict(shrink=shrink, flowers=flowers, Slow=Slow, Halve=Halve))


def test_an_error_names_the_line():
    """What goes wrong in an iteration is shown at its line of the graph; the exception itself is the cause."""
    bad = []

    def fail(y):
        if bad:
            raise ZeroDivisionError('just now')
        return y

    text = 'import fail from "lab"\n' + GRAPH.replace('h -> head -> y', 'h -> head -> fail -> y')
    updater = compiled(text, bind={'fail': fail}).updater(in_order(examples()))
    updater.update()
    bad.append(True)
    with pytest.raises(graphdsl.GraphError) as error:
        updater.update()
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    diagnostic, = error.value.diagnostics
    assert 'ZeroDivisionError' in diagnostic.message and diagnostic.reason == 'just now'
    assert error.value.source[diagnostic.span] == 'fail'
    assert error.value.source.position(diagnostic.span.start) == (9, 14)
    assert '9 | h -> head -> fail -> y' in str(error.value)


def test_an_error_in_a_model_names_its_caller_too():
    def fail(y):
        raise ZeroDivisionError('just now')

    with pytest.raises(graphdsl.GraphError) as error:
        compiled('import fail from "lab"\n' + GRAPH.replace('Linear(width) -> tanh', 'Linear(width) -> fail'),
                 bind={'fail': fail})
    diagnostic, = error.value.diagnostics
    caller, = diagnostic.places
    assert error.value.source[diagnostic.span] == 'fail'
    places = [error.value.source.position(span.start) for span in (diagnostic.span, caller.span)]
    assert places == [(6, 32), (8, 6)]


# Optimizers of the user's own

class Counting:
    """Wraps an optimizer as ChainerMN's multi-node optimizer does: all but `update` is the wrapped one's."""

    def __init__(self, actual):
        super().__setattr__('actual', actual)
        super().__setattr__('updates', 0)

    def update(self, lossfun=None, *args):
        super().__setattr__('updates', self.updates + 1)
        self.actual.update(lossfun, *args)

    def __getattr__(self, name):
        return getattr(self.actual, name)

    def __setattr__(self, name, value):
        setattr(self.actual, name, value)


def test_optimizers_that_wrap_the_graphs_own():
    graph = compiled()
    wrapped = {name: Counting(optimizer) for name, optimizer in graph.optimizers.items()}
    assert_equal(trained(graph=graph, optimizers=wrapped), trained())
    assert [optimizer.updates for optimizer in wrapped.values()] == [3, 3]
    assert [optimizer.epoch for optimizer in graph.optimizers.values()] == [1, 1]


def test_other_optimizers_are_refused():
    graph = compiled()
    with pytest.raises(ValueError, match='heads'):
        graph.updater(in_order(examples()), optimizers={'trunk': graph.optimizers['trunk']})


# Saving

def test_a_run_that_is_saved_and_loaded_goes_on_as_if_nothing_had_been(tmp_path):
    """Mid-epoch, into a graph compiled with other weights: bit for bit, momentum and counters included."""
    path = tmp_path / 'updater.npz'
    first = compiled().updater(in_order(examples()))
    for _ in range(4):
        first.update()
    chainer.serializers.save_npz(path, first)
    second_graph = compiled(seed=1)
    second = second_graph.updater(in_order(examples()))
    chainer.serializers.load_npz(path, second)
    assert (second.iteration, second.epoch) == (4, 1)
    for _ in range(4):
        second.update()
    assert second.epoch_detail == 3.2
    assert_equal(weights(second_graph), trained(iterations=8))
    assert [(optimizer.t, optimizer.epoch) for optimizer in second_graph.optimizers.values()] == [(8, 3), (8, 3)]


def test_a_trainer_goes_on_from_its_snapshot(tmp_path):
    """Stopped after an epoch and resumed by another Trainer, Chainer's way."""
    def trainer(graph, epochs):
        found = Trainer(graph.updater(in_order(examples())), (epochs, 'epoch'), tmp_path)
        found.extend(extensions.snapshot(filename='snapshot', autoload=True))
        found.extend(extensions.LogReport(trigger=(1, 'epoch')))
        return found

    trainer(compiled(), 1).run()
    resumed = compiled(seed=1)
    trainer(resumed, 3).run()
    assert_equal(weights(resumed), trained(iterations=8))


# A Trainer of the user's own

def test_extensions(tmp_path):
    """Chainer's own extensions take the graph's updater, models and optimizers as they take any other's."""
    graph, printed = compiled(), io.StringIO()
    trainer = Trainer(graph.updater(in_order(examples())), (4, 'epoch'), tmp_path)
    trainer.extend(extensions.Evaluator(
        in_order(examples(), repeat=False), graph.models['trunk'],
        eval_func=lambda x, t: chainer.report({'again': graph.reports({'x': x, 't': t})['cost']})))
    trainer.extend(graph.evaluator(in_order(examples(), repeat=False), prefix='held_out'))
    trainer.extend(extensions.observe_lr('heads'))
    trainer.extend(extensions.observe_lr(), name='main_lr')
    trainer.extend(extensions.ExponentialShift('lr', 0.5, optimizer=graph.optimizers['heads']),
                   trigger=(1, 'epoch'))
    trainer.extend(extensions.ExponentialShift('alpha', 0.1), trigger=(2, 'epoch'))
    trainer.extend(extensions.ParameterStatistics(graph.models['head'], prefix='head'))
    trainer.extend(extensions.FailOnNonNumber())
    trainer.extend(extensions.LogReport(trigger=(1, 'epoch')))
    trainer.extend(extensions.PrintReport(['epoch', 'cost', 'held_out/cost'], out=printed))
    trainer.extend(extensions.snapshot(), trigger=(2, 'epoch'))
    trainer.run()

    log = trainer.get_extension('LogReport').log
    assert [entry['epoch'] for entry in log] == [1, 2, 3, 4]
    assert {'cost', 'small', 'accuracy', 'again', 'held_out/cost', 'held_out/accuracy'} <= set(log[-1])
    assert log[-1]['cost'] < log[0]['cost']
    assert graph.optimizers['heads'].lr == pytest.approx(0.1 * 0.5 ** 4)
    assert graph.optimizers['trunk'].alpha == pytest.approx(1e-3 * 0.1 ** 2)
    assert any(name.startswith('head/') and name.endswith('/W/data/mean') for name in log[-1])
    cost = graph.reports({'x': X, 't': T})['cost'].array
    numpy.testing.assert_allclose(log[-1]['held_out/cost'], cost, rtol=1e-5)
    assert printed.getvalue().count('\n') == 5
    assert {'log', 'snapshot_iter_5', 'snapshot_iter_10'} == {path.name for path in tmp_path.iterdir()}


def test_nan_stops_a_trainer(tmp_path):
    updater = compiled(params={'rate': float('inf')}).updater(in_order(examples()))
    trainer = Trainer(updater, (9, 'iteration'), tmp_path)
    trainer.extend(extensions.FailOnNonNumber(), trigger=(1, 'iteration'))
    with pytest.raises(RuntimeError, match='diverge'), numpy.errstate(all='ignore'):
        trainer.run(show_loop_exception_msg=False)


def test_the_trainer_of_the_graph(tmp_path):
    """`graph.trainer()` trains on the file's own data with what its `train` block asks for."""
    graph = compiled(IRIS)
    trainer = graph.trainer(tmp_path, progress=False)
    assert isinstance(trainer, Trainer)
    trainer.run()
    assert (trainer.updater.epoch, trainer.updater.iteration) == (2, 8)
    last = trainer.get_extension('LogReport').log[-1]
    assert {'cost', 'small', 'accuracy', 'validation/cost', 'validation/accuracy'} <= set(last)
    assert {'log', 'graph.graph', 'graph.py', 'run.json', 'snapshot_iter_4', 'snapshot_iter_8', 'weights.npz'} == {
        path.name for path in tmp_path.iterdir()}


def test_the_trainer_of_the_graph_with_other_settings(tmp_path):
    trainer = compiled(IRIS).trainer(tmp_path, length=(3, 'iteration'), device=-1, seed=5, progress=False)
    trainer.extend(extensions.observe_lr('heads'), trigger=(1, 'iteration'))
    trainer.run()
    assert trainer.updater.iteration == 3
    assert trainer.get_extension('LogReport').log[-1]['lr'] == pytest.approx(0.1)


# Its own Trainer, on the caller's data

def iris(entry):
    return compiled(IRIS).datasets()['flowers'][entry]


def log_and_weights(graph, out, **options):
    trainer = graph.trainer(out, length=(2, 'epoch'), progress=False, **options)
    trainer.run()
    log = [{name: value for name, value in entry.items() if name != 'elapsed_time'}
           for entry in trainer.get_extension('LogReport').log]
    return log, weights(graph)


@pytest.mark.parametrize('text', [IRIS, GRAPH + 'train {\n batch 30\n}\n'], ids=['data', 'no data'])
@pytest.mark.parametrize('by_stream', [False, True])
def test_own_data_instead_of_the_files(text, by_stream, tmp_path):
    """The same examples as the file's give the same run, with its order of examples, log and evaluation."""
    graph = compiled(text)
    expected = log_and_weights(compiled(IRIS.replace('flowers', graph.streams[0])), tmp_path / 'file')
    data = {entry: TupleDataset(*chainer.dataset.concat_examples(iris(entry)[:])) for entry in ('train', 'test')}
    log, arrays = log_and_weights(graph, tmp_path / 'own', data={graph.streams[0]: data} if by_stream else data)
    assert log == expected[0] and 'validation/cost' in log[-1]
    assert_equal(arrays, expected[1])
    if text == IRIS:
        assert log_and_weights(compiled(text), tmp_path / 'train', data={'train': data['train']})[0][-1].keys() == {
            name for name in log[-1] if '/' not in name}


def test_own_iterators_and_a_converter(tmp_path):
    """The graph's Trainer does what one does that is put together of the updater and Chainer's parts."""
    def iterators():
        return in_order(iris('train'), 20), SerialIterator(iris('test'), 7, repeat=False, shuffle=False)

    def doubled(batch, device):
        x, t = chainer.dataset.concat_examples(batch, device)
        return 2 * x, t

    train, test = iterators()
    log, arrays = log_and_weights(compiled(IRIS), tmp_path / 'own', data={'train': train, 'test': test},
                                  converter=doubled)
    train, test = iterators()
    graph = compiled(IRIS)
    updater = graph.updater(train, converter=doubled)
    trainer = Trainer(updater, (2, 'epoch'), tmp_path / 'mine')
    trainer.extend(graph.evaluator(test, converter=doubled))
    trainer.extend(extensions.LogReport())
    trainer.run()
    for ours, theirs in zip(log, trainer.get_extension('LogReport').log):
        assert ours == {name: theirs[name] for name in ours}
    assert_equal(arrays, weights(graph))


def test_some_streams_have_own_data(tmp_path):
    text = IRIS.replace('input x', 'data other {\n train = iris()\n}\ninput x')
    text += 'input u: float32[4], _ from other\nmetric far = mean(u * u)\n'
    ones = TupleDataset(numpy.ones((30, 4), 'f'), numpy.zeros(30, 'i'))
    log, _ = log_and_weights(compiled(text), tmp_path, data={'other': {'train': ones, 'test': ones}})
    assert log[-1]['validation/far'] == 1 and 'validation/cost' in log[-1]


@pytest.mark.parametrize('data, message', [
    ({'test': examples()}, 'nothing to train on'),
    ({'nobody': {'train': examples()}}, "no stream 'nobody'"),
    ({'train': examples(20)}, 'a minibatch takes 30'),
    ({'train': examples(30), 'test': in_order(examples())}, "the iterator for 'test' repeats"),
    ({'train': TupleDataset(numpy.zeros((30, 5), 'f'), numpy.zeros(30, 'i'))}, 'shape'),
])
def test_own_data_that_is_wrong(data, message, tmp_path):
    with pytest.raises((ValueError, graphdsl.GraphError), match=message):
        compiled(IRIS).trainer(tmp_path, data=data)


@pytest.mark.parametrize('text, message', [(GRAPH, 'length'), (IRIS.replace('epochs 2', ''), 'length'),
                                           (GRAPH + 'train {\n epochs 1\n}', 'data')])
def test_a_trainer_that_lacks_something(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        compiled(text).trainer(tmp_path)


# Hooks

TWO_STEPS = """
input x: float32[4], t: int32
model trunk = Linear(6) -> tanh
model head = Linear(3)
x -> trunk -> h
h -> head -> y
loss cost = softmax_cross_entropy(y, t)
optimizer first = SGD(lr=0.1) owns trunk
optimizer second = SGD(lr=0.1) owns head
step one { update first }
step two { update second }
"""
FAMILY = """
input x: float32[4], t: int32[2]
model trunk = Linear(6) -> tanh
x -> trunk -> h
for i in 0..2 {
    model head[i] = Linear(3)
    h -> head[i] -> y[i]
    loss cost[i] = softmax_cross_entropy(y[i], t[:, i])
    optimizer SGD(lr=0.1) owns head[i]
}
optimizer SGD(lr=0.1) owns trunk
"""


class Called(chainer.LinkHook):
    """Notes the calls of a link in training."""

    def __init__(self, notes, what):
        super().__init__()
        self.notes, self.what = notes, what

    def forward_preprocess(self, args):
        if chainer.config.train:
            self.notes.append(self.what)


def test_hooks_of_optimizers_and_links_are_called_in_their_place():
    """Gradients are there before an update, as plain Chainer computes them; what the last step moved is seen next."""
    graph = compiled(TWO_STEPS)
    notes, gradients = [], {}
    trunk, head = graph.models['trunk'], graph.models['head']
    before = weights(graph)
    copies = trunk.copy('copy'), head.copy('copy')
    for model in copies:
        model.cleargrads()
    F.softmax_cross_entropy(copies[1](copies[0](X[:4])), T[:4]).backward()

    def gradient(optimizer):
        notes.append('gradient')
        gradients.update({path: p.grad.copy() for path, p in optimizer.target.namedparams()})
        assert_equal(weights(graph), before)

    def after(optimizer):
        notes.append('moved')
        assert (trunk.linear_1.W.array != before['trunk/linear_1/W']).any()

    graph.optimizers['first'].add_hook(gradient, name='gradient')
    graph.optimizers['first'].add_hook(after, name='after', timing='post')
    trunk.add_hook(Called(notes, 'trunk'))
    graph.updater(in_order(examples())).update()
    assert notes == ['trunk', 'gradient', 'moved', 'trunk']
    for path, parameter in copies[0].namedparams():
        numpy.testing.assert_allclose(gradients[f'/trunk{path}' if f'/trunk{path}' in gradients else path],
                                      parameter.grad, rtol=1e-5)


@pytest.mark.parametrize('options', [{}, {'no_passes': ['stacking']}])
def test_hooks_of_heads_that_are_computed_together(options):
    graph = compiled(FAMILY, **options)
    notes = []
    graph.models['head[0]'].add_hook(Called(notes, 'head'))
    random = numpy.random.RandomState(0)
    data = TupleDataset(random.randn(8, 4).astype('f'), random.randint(3, size=(8, 2)).astype('i'))
    graph.updater(in_order(data)).update()
    assert notes == ['head']


def test_an_extension_sets_a_state_and_a_hook_reports(tmp_path):
    text = IRIS.replace('loss cost =', 'state k = 1.0\nloss cost = k *')
    graph = compiled(text)
    graph.optimizers['trunk'].add_hook(lambda optimizer: chainer.report({'mine': 7.0}), name='mine')
    trainer = graph.trainer(tmp_path, progress=False, length=(2, 'iteration'))

    def silence(trainer):
        graph.numbers['k'] = 0.0

    trainer.extend(silence, trigger=(1, 'iteration'))
    trainer.run()
    last = trainer.get_extension('LogReport').log[-1]
    # The first iteration has the loss, the second none; its log is their mean.
    assert last['k'] == 0.5 and last['mine'] == 7.0 and last['validation/cost'] == 0 and last['cost'] > 0
