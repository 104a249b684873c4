"""Exceptions while a graph runs: where they are told, with what, and whose they are."""
import chainer
import chainer.functions as F
import numpy
import pytest
from chainer.datasets import TupleDataset, TransformDataset
from chainer.iterators import MultithreadIterator, SerialIterator
from chainer.training import Trainer

import graphdsl
from graphdsl.runtime.origin import EndOfData

TEXT = '''import f, g from "lab"
input x: float32[4], t: int32
model m = Linear(3) -> relu
x -> m -> y
loss kl = f(y, t)
metric size = g(y)
optimizer first = SGD(lr=0.1) owns m
'''


def data(rows=30):
    return TupleDataset(numpy.ones((rows, 4), 'f'), numpy.arange(rows).astype('i') % 3)


def is_trial(v):
    return len(v) == 2


def failing(error):
    """Makes a loss that fails once it sees more than the two examples of the trial."""
    def f(y, t):
        if not is_trial(y):
            raise error
        return F.softmax_cross_entropy(y, t)
    return f


def compiled(text=TEXT, f=F.softmax_cross_entropy, g=F.mean, **bind):
    return graphdsl.compile(text, bind={'f': f, 'g': g, **bind})


def told(run):
    with pytest.raises(graphdsl.GraphError) as error:
        run()
    diagnostic, = error.value.diagnostics
    return diagnostic, error.value.source[diagnostic.span], error.value.__cause__


def update(graph, dataset=None, **options):
    return graph.updater(SerialIterator(dataset or data(), 10, shuffle=False), **options).update


# Code of users

def test_their_own_code():
    diagnostic, shown, cause = told(update(compiled(f=failing(ValueError('no')))))
    assert (diagnostic.code, shown, diagnostic.reason) == ('G737', 'f(y, t)', 'no')
    assert type(cause) is ValueError
    own, shapes = diagnostic.notes
    assert own.startswith('it was raised in ') and own.endswith(', in `f`: raise error') and 'test_failures.py' in own
    assert shapes == '`y` is float32[10, 3], `t` is int32[10] with values from 0 to 2'


def test_their_own_code_calls_chainer():
    def f(y, t):
        return F.mean(y) if is_trial(y) else F.mean(F.matmul(y, y))

    diagnostic, shown, cause = told(update(compiled(f=f)))
    assert (diagnostic.code, shown) == ('G737', 'f(y, t)') and type(cause) is chainer.utils.type_check.InvalidType
    assert diagnostic.notes[0].startswith('it comes from ')


def test_their_own_link():
    class Picky(chainer.Chain):

        def forward(self, x):
            if not is_trial(x):
                raise KeyError('picky')
            return x

    text = TEXT.replace('import f', 'import Picky, f').replace('-> relu', '-> Picky()')
    diagnostic, shown, _ = told(update(compiled(text, Picky=Picky)))
    assert (diagnostic.code, shown) == ('G737', 'Picky()') and diagnostic.message.startswith('KeyError')
    assert [(place.text) for place in diagnostic.places] == ['called from here']
    assert diagnostic.notes[1] == 'float32[10, 3] arrives here'


def test_a_function_that_ends_the_program():
    diagnostic, shown, _ = told(update(compiled(f=failing(SystemExit(0)))))
    assert (diagnostic.code, shown) == ('G737', 'f(y, t)') and 'SystemExit' in diagnostic.message


@pytest.mark.parametrize('error', [KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_what_is_no_mistake_passes(error):
    with pytest.raises(type(error)):
        update(compiled(f=failing(error)))()


def test_a_hook_of_theirs():
    class Hook:
        name, call_for_each_param, timing = 'Hook', False, 'pre'

        def __call__(self, optimizer):
            if optimizer.t > 0:
                raise RuntimeError('enough')

    for owners in ('optimizer first = SGD(lr=0.1) owns m {\n    hook Hook()\n}',
                   'optimizer first = SGD(lr=0.1) owns m {\n    hook Hook()\n}\nstep s { update first when 1 > 0 }'):
        text = TEXT.replace('import f', 'import Hook, f').replace('optimizer first = SGD(lr=0.1) owns m', owners)
        graph = compiled(text, Hook=Hook)
        updater = graph.updater(SerialIterator(data(), 10))
        updater.update()
        diagnostic, shown, _ = told(updater.update)
        assert diagnostic.code == 'G738' and shown.startswith('optimizer first = SGD')
        assert diagnostic.reason == 'enough' and diagnostic.notes[0].endswith("raise RuntimeError('enough')")


def test_a_backward_pass():
    class Back(chainer.FunctionNode):

        def forward(self, inputs):
            return inputs[0] + 0,

        def backward(self, indexes, gradients):
            if not is_trial(gradients[0]):
                raise RuntimeError('no way back')
            return gradients

    text = TEXT.replace('loss kl = f(y, t)', 'loss other = mean(y ** 2)\nloss kl = f(g(y), t)') \
        .replace('metric size = g(y)\n', '') + 'step one { update first }\n'
    diagnostic, shown, _ = told(update(compiled(text, g=lambda y: Back().apply((y,))[0])))
    assert diagnostic.code == 'G736' and shown.startswith('loss ')
    assert 'it was in the backward pass of Back' in diagnostic.notes


def test_evaluation_and_prediction():
    graph = compiled(f=failing(ValueError('no')))
    evaluator = graph.evaluator(SerialIterator(data(), 10, repeat=False))
    for run in (evaluator.evaluate, lambda: graph.reports({'x': numpy.ones((5, 4), 'f'), 't': numpy.zeros(5, 'i')})):
        diagnostic, shown, _ = told(run)
        assert (diagnostic.code, shown) == ('G737', 'f(y, t)')


# Memory

class OutOfMemoryError(Exception):
    """What CuPy raises where there is no CuPy."""


@pytest.mark.parametrize('error', [MemoryError(), OutOfMemoryError('Out of memory allocating 8 bytes')], ids=repr)
def test_out_of_memory(error):
    diagnostic, shown, _ = told(update(compiled(f=failing(error))))
    assert (diagnostic.code, shown, diagnostic.reason) == ('G735', 'f(y, t)', str(error))
    assert '`y` is float32[10, 3]' in diagnostic.notes[1] and '`batch`' in diagnostic.help


def test_out_of_memory_says_what_was_asked_for():
    def f(y, t):
        return F.mean(y) if is_trial(y) else numpy.ones((2 ** 29, 2 ** 29), 'f')

    diagnostic, _, _ = told(update(compiled(f=f)))
    assert diagnostic.code == 'G735' and '(536870912, 536870912)' in diagnostic.reason


# Data

def torn(i):
    x, t = data()[i] if isinstance(i, int) else i
    if t == 2:
        raise OSError('torn')
    return x, t


@pytest.mark.parametrize('iterator', [SerialIterator, MultithreadIterator])
def test_an_example_that_cannot_be_read(iterator):
    graph = compiled()
    updater = graph.updater(iterator(TransformDataset(data(), torn), 10, shuffle=False))
    diagnostic, shown, _ = told(updater.update)
    assert (diagnostic.code, shown, diagnostic.reason) == ('G522', 'x: float32[4]', 'torn')
    assert diagnostic.message == 'OSError while reading a minibatch'
    if iterator is SerialIterator:
        assert diagnostic.notes[0] == 'it was example 2 of the dataset, counted from 0'
    assert any(note.endswith("in `torn`: raise OSError('torn')") for note in diagnostic.notes)


def test_an_example_of_the_test_data_that_cannot_be_read():
    evaluator = compiled().evaluator(SerialIterator(TransformDataset(data(), torn), 10, repeat=False))
    diagnostic, shown, _ = told(evaluator.evaluate)
    assert (diagnostic.code, shown) == ('G522', 'x: float32[4]')
    assert diagnostic.message == 'OSError while reading a minibatch for `validation`'


def test_test_data_that_does_not_fit():
    wide = TupleDataset(numpy.ones((30, 5), 'f'), numpy.zeros(30, 'i'))
    diagnostic, shown, _ = told(compiled().evaluator(SerialIterator(wide, 10, repeat=False)).evaluate)
    assert (diagnostic.code, shown) == ('G511', 'x: float32[4]')


def test_a_converter_that_fails():
    def convert(batch, device):
        raise TypeError('not these')

    diagnostic, shown, _ = told(update(compiled(), converter=convert))
    assert (diagnostic.code, shown, diagnostic.reason) == ('G522', 'x: float32[4]', 'not these')


def test_nothing_to_read():
    class Nothing(SerialIterator):

        def __next__(self):
            return []
        next = __next__

    diagnostic, shown, _ = told(compiled().updater(Nothing(data(), 10)).update)
    assert (diagnostic.code, shown) == ('G522', 'x: float32[4]')


def test_data_that_ends():
    updater = compiled().updater(SerialIterator(data(), 10, repeat=False))
    for _ in range(3):
        updater.update()
    diagnostic, shown, cause = told(updater.update)
    assert (diagnostic.code, shown) == ('G520', 'x: float32[4]')
    assert diagnostic.reason == '3 minibatches were drawn, and there is no further one'
    with pytest.raises(StopIteration) as error:        # as of any iterator
        updater.update()
    assert type(error.value) is EndOfData and isinstance(error.value, graphdsl.GraphError)


def test_one_of_two_streams_that_ends():
    graph = graphdsl.compile('''data a { train = iris() }
data b { train = iris() }
input x: float32[4], _ from a
input u: float32[4], _ from b
model m = Linear(1)
loss p = mean(m(x) ** 2)
loss q = mean(m(u) ** 2)
optimizer SGD(lr=0.1) owns m
''')
    updater = graph.updater({'a': SerialIterator(data(), 10), 'b': SerialIterator(data(10), 5, repeat=False)})
    updater.update()
    updater.update()
    diagnostic, shown, _ = told(updater.update)
    assert shown == 'u: float32[4]' and '`b`' in diagnostic.message and diagnostic.reason.startswith('2 minibatches')


def test_a_trainer_passes_them_on(tmp_path):
    updater = compiled(f=failing(ValueError('no'))).updater(SerialIterator(data(), 10))
    trainer = Trainer(updater, (3, 'iteration'), out=str(tmp_path))
    diagnostic, _, _ = told(lambda: trainer.run(show_loop_exception_msg=False))
    assert diagnostic.code == 'G737'


# Mistakes of our own

@pytest.mark.parametrize('error', [NameError, AssertionError, NotImplementedError])
def test_mistakes_of_ours_are_not_the_lines(error, monkeypatch):
    graph = compiled()
    # A function that looks as if it stood in our own folder.
    code = compile('def convert_batch(*_):\n    raise E("ours")\n', graphdsl.__file__.replace('__init__', 'mistake'),
                   'exec')
    namespace = {'E': error}
    exec(code, namespace)
    monkeypatch.setattr('graphdsl.runtime.updater.convert_batch', namespace['convert_batch'])
    with pytest.raises(error):
        update(graph)()


def test_names_that_generated_code_lacks_are_our_mistake():
    graph = compiled()
    updater = graph.updater(SerialIterator(data(), 10))
    graph._module['f'] = graph._module['chainer']       # an error at the line, and no name is missing
    diagnostic, _, _ = told(updater.update)
    assert diagnostic.code == 'G701'
    del graph._module['f']
    with pytest.raises(NameError):
        updater.update()


def test_zeros_warn_of_nothing():
    """NumPy warns of what the trial on zeros leads to, and a warning is an error here."""
    graphdsl.compile('input x: float32[4], _\nmodel m = Linear(3)\nx -> m -> y\n'
                     'loss a = mean(log(y ** 2)) + mean(1 / y)\noptimizer SGD() owns m\n')
