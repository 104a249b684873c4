"""The commands predict, evaluate and weights: what they write, and what they say of bad input."""
import csv
import json
import os
from pathlib import Path

import chainer
import numpy
import pytest

import graphdsl

EXAMPLES = Path(__file__).parents[2] / 'examples'
GRAPH = '''
param width = 4
data flowers {
    train = iris(split="train")
    test = iris(split="test")
}
input x: float32[4], t: int32 from flowers
noise z: float32[2] ~ normal(0, 1)
model net = Linear(width) -> Linear(3)
model dream = Linear(3)
x -> net -> y
z -> dream -> d
loss kl = softmax_cross_entropy(y, t)
loss size = mean(d ** 2)
metric accuracy = accuracy(y, t)
output score = y
output label = argmax(y, axis=1)
output file = d
output total = mean(y)
optimizer Adam() owns net, dream
train { batch 16 }
'''
SHORT = '''
input x: float32[4]
model net = Linear(2)
x -> net -> y
loss cost = mean(y ** 2)
optimizer SGD() owns net
'''


def read(path):
    with numpy.load(path) as file:
        return dict(file)


@pytest.fixture(scope='module')
def graph():
    numpy.random.seed(3)
    return graphdsl.compile(GRAPH)


@pytest.fixture
def folder(tmp_path, monkeypatch, graph):
    monkeypatch.chdir(tmp_path)
    Path('flowers.graph').write_text(GRAPH)
    Path('short.graph').write_text(SHORT)
    graph.save_weights('all.npz')
    for name in graph.models:
        graph.save_weights(f'{name}.npz', name)
    random = numpy.random.RandomState(0)
    numpy.savez('data.npz', x=random.randn(50, 4), t=random.randint(3, size=50), rest=numpy.zeros(7))
    return tmp_path


def data():
    return {name: array for name, array in read('data.npz').items() if name != 'rest'}


def table(text):
    header, *rows = csv.reader(text.splitlines())
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


# What is written

def test_predictions_of_a_file(folder, graph, command):
    status, out, err = command('predict', 'flowers.graph', '--weights', 'all.npz', '--data', 'data.npz', '-o', 'o.npz')
    assert (status, err) == (0, '')
    assert 'score: float32[50, 3]' in out and 'total: float32\n' in out
    found, expected = read('o.npz'), graph.predict({'x': data()['x']})
    assert list(found) == ['score', 'label', 'file', 'total']
    for name, value in found.items():
        numpy.testing.assert_array_equal(value, expected[name])
        assert value.dtype == expected[name].dtype


def test_predictions_of_an_entry_in_minibatches(folder, graph, command):
    status, out, err = command('predict', 'flowers.graph', '--weights', 'all.npz', '-o', 'o.npz', '--batch', '5',
                               '--seed', '9', '--entry', 'train', '--output', 'score', '--output', 'file')
    assert (status, err) == (0, '')
    found, expected = read('o.npz'), graph.predict(entry='train', batch=5, seed=9)
    assert list(found) == ['score', 'file']
    for name in found:
        numpy.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize('target', ['-', 'o.csv'])
def test_a_table_of_predictions(folder, graph, command, target):
    status, out, err = command('predict', 'flowers.graph', '--weights', 'all.npz', '--data', 'data.npz', '-o', target,
                               '--output', 'score', '--output', 'label')
    assert (status, err) == (0, '')
    found = table(out if target == '-' else Path(target).read_text())
    expected = graph.predict({'x': data()['x']})
    assert list(found) == ['score[0]', 'score[1]', 'score[2]', 'label']
    for i in range(3):      # every digit is there
        numpy.testing.assert_array_equal(numpy.array(found[f'score[{i}]'], 'f'), expected['score'][:, i])
    assert found['label'] == [str(label) for label in expected['label']]


def test_noise_alone(folder, graph, command):
    status, out, err = command('predict', 'flowers.graph', '--weights', 'all.npz', '--output', 'file', '--rows', '40',
                               '-o', '-')
    assert (status, err) == (0, '') and len(table(out)['file[0]']) == 40


def test_a_table_of_data(folder, graph, command):
    x, t = data()['x'].astype('f'), data()['t']
    with open('data.csv', 'w') as file:
        file.write('name,a,x[2],x[0],x[1],x[3],t\n')
        file.writelines(f'flower,{a},{x2},{x0},{x1},{x3},{t}\n' for (x0, x1, x2, x3), t, a in zip(x, t, x[:, 0] * 2))
    line = ['--weights', 'all.npz', '--output', 'score', '-o', 'o.npz', 'flowers.graph']
    assert command('predict', '--data', 'data.csv', *line)[0] == 0
    numpy.testing.assert_array_equal(read('o.npz')['score'], graph.predict({'x': x})['score'])
    assert command('predict', '--data', 'data.csv', '--column', 'x=a,x[1],x[2],x[3]', *line)[0] == 0
    x[:, 0] *= 2
    numpy.testing.assert_array_equal(read('o.npz')['score'], graph.predict({'x': x})['score'])
    numpy.savez('named.npz', images=x)
    assert command('predict', '--data', 'named.npz', '--column', 'x=images', *line)[0] == 0
    numpy.testing.assert_array_equal(read('o.npz')['score'], graph.predict({'x': x})['score'])


def test_what_a_table_shows_can_be_read_again(folder, command):
    Path('square.graph').write_text(SHORT.replace('[4]', '[2, 2]').replace('loss', 'output same = x\nloss'))
    graphdsl.compile_file('square.graph').save_weights('square.npz')
    numpy.savez('x.npz', x=numpy.random.RandomState(0).randn(5, 2, 2).astype('f'))
    line = ['square.graph', '--weights', 'square.npz', '--output', 'same']
    assert command('predict', *line, '--data', 'x.npz', '-o', 'o.csv')[0] == 0
    assert Path('o.csv').read_text().startswith('"same[0,0]","same[0,1]","same[1,0]","same[1,1]"\n')
    Path('x.csv').write_text(Path('o.csv').read_text().replace('same', 'x'))
    assert command('predict', *line, '--data', 'x.csv', '-o', 'o.npz')[0] == 0
    numpy.testing.assert_array_equal(read('o.npz')['same'], read('x.npz')['x'])


def test_evaluations(folder, graph, command):
    status, out, err = command('evaluate', 'flowers.graph', '--weights', 'all.npz')
    assert (status, err) == (0, '')
    expected = graph.evaluate()
    assert out.splitlines() == [f'  {name} = {value:.5g}' for name, value in expected.items()]
    for arguments, values in [([], expected), (['--entry', 'train'], graph.evaluate(entry='train')),
                              (['--data', 'data.npz'], graph.evaluate(data()))]:
        status, out, err = command('evaluate', 'flowers.graph', '--weights', 'all.npz', '--format', 'json', *arguments)
        assert (status, err, json.loads(out)) == (0, '', values)


def test_an_evaluation_that_is_not_finite_is_json(folder, command):
    graph = graphdsl.compile(GRAPH)
    graph.models['net'].linear_1.W.array[...] = numpy.nan
    graph.save_weights('nan.npz')
    status, out, _ = command('evaluate', 'flowers.graph', '--weights', 'nan.npz', '--format', 'json')
    assert status == 0 and json.loads(out, parse_constant=pytest.fail)['kl'] == 'nan'


def test_what_was_left_out_is_told(folder, command):
    numpy.savez('z.npz', z=numpy.zeros((5, 2)))
    status, out, err = command('predict', 'flowers.graph', '--weights', 'all.npz', '--data', 'z.npz', '-o', 'o.npz')
    assert (status, err) == (0, 'left out: `score`, `label`, `total` need `x`\n')
    assert list(read('o.npz')) == ['file']
    numpy.savez('x.npz', x=numpy.zeros((5, 4)))
    Path('flowers.graph').write_text(GRAPH.replace('metric', 'metric twice = 2.0 * width\nmetric', 1))
    status, out, err = command('evaluate', 'flowers.graph', '--weights', 'all.npz', '--data', 'x.npz')
    assert (status, err) == (0, 'left out: `kl`, `size`, `accuracy` need `t`\n') and out == '  twice = 8\n'


@pytest.mark.parametrize('weights', [['net=net.npz', 'dream=dream.npz'], ['all.npz', 'net=all.npz'],
                                     ['dream=all.npz', 'net=net.npz'], ['odd=name.npz']])
def test_weights_of_each_model(folder, graph, command, weights):
    os.rename('all.npz', 'odd=name.npz')
    graph.save_weights('all.npz')
    arguments = [part for one in weights for part in ('--weights', one)]
    status, out, err = command('weights', 'flowers.graph', *arguments, '-o', 'o.npz')
    assert (status, out, err) == (0, '', '')
    before, after = read('all.npz'), read('o.npz')
    assert list(before) == list(after) and all((before[name] == after[name]).all() for name in before)


def test_models_without_weights_are_told(folder, command):
    lines = {command('predict', 'flowers.graph', '--weights', 'net=net.npz', '-o', '-', '--output', 'file')
             for _ in range(2)}
    (status, _, err), = lines       # the initial ones are the same every time
    assert (status, err) == (0, 'no weights are given for `dream`: initial ones are taken\n')


def test_weights_out_of_a_run(folder, command):
    assert command('compile', '--run', 'flowers.graph', '--iterations', 3, '--set', 'width=5')[0] == 0
    line = ['weights', 'flowers.graph', '--set', 'width=5', '--weights', 'result/snapshot_iter_3', '-o', 'o.npz']
    assert command(*line, '--model', 'net') == (0, '', '')
    net = chainer.Chain(linear_1=chainer.links.Linear(4, 5), linear_2=chainer.links.Linear(5, 3))
    chainer.serializers.load_npz('o.npz', net)
    snapshot = read('result/snapshot_iter_3')
    numpy.testing.assert_array_equal(net.linear_2.b.array, snapshot['updater/model:net/linear_2/b'])
    assert command(*line) == (0, '', '')
    expected = {name: f'validation/{name}' for name in ('kl', 'accuracy')}
    reported = json.loads(Path('result/log').read_text())[-1]
    _, out, _ = command('evaluate', 'flowers.graph', '--set', 'width=5', '--weights', 'o.npz', '--format', 'json')
    assert {name: json.loads(out)[name] for name in expected} == {n: reported[r] for n, r in expected.items()}


# What is wrong

def lines(*, command='predict', weights='all.npz', target='-o o.npz', file='flowers.graph', rest=''):
    return f'{command} {file} --weights {weights} {target} {rest}'


WRONG = [
    (lines(file='nothing.graph'), 1, 'nothing.graph cannot be read'),
    (lines(weights='nothing.npz'), 1, 'there is no nothing.npz; name a file of weights, or a snapshot of a run'),
    (lines(weights='flowers.graph'), 1, 'flowers.graph is no npz file'),
    (lines(weights='.'), 1, '. cannot be read: Is a directory'),
    (lines(weights='half.npz'), 1, 'half.npz is no npz file'),
    (lines(weights='data.npz'), 1, "data.npz does not fit: `net` is not in it; `dream` is not in it; at the top it has "
     "'rest', 't', 'x'"),
    (lines(weights='net.npz'), 1, "it is the file of a single model, such as 'net': say which"),
    (lines(weights='dream=net.npz'), 1, "`dream` has 'linear_2/W', 'linear_2/b' there, and not in the graph"),
    (lines(weights='trunk=net.npz'), 1, "there is no model 'trunk'; there are 'net', 'dream'"),
    (lines(weights='=net.npz'), 2, "'=net.npz' is neither FILE nor MODEL=FILE"),
    (lines(weights='all.npz', rest='--set width=9'), 1, 'is it of a run with other params?'),
    ('predict flowers.graph -o o.npz', 2, "Missing option '--weights'"),
    (lines(target=''), 2, "Missing option '-o'"),
    (lines(target='-o o.txt'), 2, 'o.txt ends neither in .npz nor in .csv'),
    (lines(target='-o no/o.npz'), 1, 'no/o.npz cannot be written: there is no folder'),
    (lines(target='-o .'), 2, 'is a directory'),
    (lines(target='-o /dev/full', command='weights'), 2, 'does not end in .npz'),
    (lines(command='weights', target='-o o.npz', rest='--model trunk'), 1, "there is no model 'trunk'"),
    (lines(rest='--data nothing.npz'), 1, 'there is no nothing.npz; name a file of data'),
    (lines(rest='--data flowers.graph'), 1, 'flowers.graph ends neither in .npz nor in .csv'),
    (lines(rest='--data half.npz'), 1, 'half.npz is not an npz file'),
    (lines(rest='--data objects.npz'), 1, 'holds Python objects'),
    (lines(rest='--data data.npz --entry test'), 2, 'give --data or --entry'),
    (lines(rest='--column x=y'), 2, '--column goes with --data'),
    (lines(rest='--data data.npz --column x'), 2, "'x' is not of the form INPUT=NAME"),
    (lines(rest='--data data.npz --column y=x'), 1, "there is no input 'y'; there are 'x', 't', 'z'"),
    (lines(rest='--data data.npz --column x=y'), 1, "has no array 'y'; it has 'x', 't', 'rest'"),
    (lines(rest='--data data.npz --column x=x,t'), 1, "'x' is read from one array of an npz file"),
    (lines(rest='--data all.npz'), 1, 'all.npz has nothing that the graph reads'),
    (lines(rest='--data wide.npz'), 1, "'x' is declared as float32[4], and an example of the data has the shape [5]"),
    (lines(rest='--data floats.npz', command='evaluate', target=''), 1, "'t' is declared as int32"),
    (lines(rest='--data lengths.npz', command='evaluate', target=''), 1, "numbers of rows: 5 of 'x', 6 of 't'"),
    (lines(rest='--data text.csv'), 1, "text.csv, line 2, column 'x[0]': 'a' is not a finite number"),
    (lines(rest='--data hole.csv'), 1, "hole.csv has columns for 2 elements of 'x', which make no whole array"),
    (lines(rest='--data empty.csv'), 1, 'empty.csv is empty'),
    (lines(rest='--data scalar.csv'), 1, "'x' has the shape [4] of a single example"),
    (lines(rest='--entry valid'), 1, "no data block has an entry 'valid'; there are 'train', 'test'"),
    (lines(rest='--output lable'), 1, "there is no output 'lable'; there are 'score', 'label', 'file', 'total'"),
    (lines(rest='--batch 0'), 2, '--batch'),
    (lines(rest='--device @nowhere'), 2, "'@nowhere' cannot be used here"),
    (lines(target='-o o.csv --output total'), 1, "'total' cannot be a column: it has no rows"),
    (lines(target='-o o.csv --output score --output file', rest='--data data.npz'), 1,
     "the outputs have different numbers of rows: 50 of 'score', 16 of 'file'"),
    (lines(file='short.graph', weights='short.npz', rest='--data data.npz'), 1,
     'the graph has no outputs; write `output NAME = EXPRESSION`'),
    (lines(file='short.graph', weights='short.npz', command='evaluate', target=''), 1,
     'no data is given; give --data FILE'),
    (lines(file='train.graph', command='evaluate', target=''), 1,
     'no data is given; give --data FILE, or --entry train'),
    (lines(file='short.graph', weights='short.npz', command='evaluate', target='', rest='--entry test'), 1,
     "no data block has an entry 'test'; the graph has no data block: give it data"),
]


@pytest.mark.parametrize('line, status, message', WRONG, ids=[f'{line}' for line, _, _ in WRONG])
def test_what_is_wrong_is_told_in_words(folder, command, line, status, message):
    Path('half.npz').write_bytes(Path('all.npz').read_bytes()[:500])
    numpy.savez('objects.npz', x=numpy.array([{}, None]))
    numpy.savez('wide.npz', x=numpy.zeros((5, 5)))
    numpy.savez('floats.npz', x=numpy.zeros((5, 4)), t=numpy.zeros(5))
    numpy.savez('lengths.npz', x=numpy.zeros((5, 4)), t=numpy.zeros(6, int))
    Path('text.csv').write_text('x[0],x[1],x[2],x[3]\na,1,2,3\n')
    Path('hole.csv').write_text('x[0],x[2]\n1,2\n')
    Path('empty.csv').write_text('')
    Path('scalar.csv').write_text('x\n1\n2\n3\n4\n')
    Path('train.graph').write_text(GRAPH.replace('    test = iris(split="test")\n', ''))
    graphdsl.compile(SHORT).save_weights('short.npz')
    before = set(os.listdir())
    found, out, err = command(*line.split())
    assert (found, message in err) == (status, True), err
    assert 'Traceback' not in err and 'bug' not in err and set(os.listdir()) == before
    assert len([one for one in err.splitlines() if 'rror' in one]) == 1 and out == ''


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='there is no full disk')
def test_a_full_disk(folder, command):
    os.symlink('/dev/full', 'full.npz')
    os.symlink('/dev/full', 'full.csv')
    for line in (lines(target='-o full.npz'), lines(target='-o full.csv --output score'),
                 lines(command='weights', target='-o full.npz')):
        status, _, err = command(*line.split())
        assert status == 1 and 'cannot be written: No space left on device' in err and 'Traceback' not in err
