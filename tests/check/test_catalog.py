"""What is known of Chainer, compared with Chainer."""
import inspect

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import pytest
from programs import codes, graph

from graphdsl.semantics import catalog

SIZES = ('in_size', 'in_channels', 'n_inputs', 'in_out_size', 'left_size')
ARGUMENTS = {
    'out_size': 3, 'out_channels': 3, 'ksize': 1, 'ndim': 2, 'pool_size': 2, 'channel_multiplier': 2, 'n_units': 3,
    'right_size': 3, 'n_layers': 1, 'dropout': 0.0, 'out1': 2, 'proj3': 2, 'out3': 2, 'proj33': 2, 'out33': 2,
    'proj5': 2, 'out5': 2, 'pooltype': 'max', 'proj_pool': 2}
SPECIAL = {'MLPConvolution2D': {'out_channels': (3,)}}
IMAGE, ROW = numpy.ones((2, 4, 8, 8), 'f'), numpy.ones((2, 3), 'f')
INPUTS = {'StatelessLSTM': (None, None, ROW), 'StatelessGRU': (ROW, ROW), 'NaryTreeLSTM': (ROW,) * 5,
          'ChildSumTreeLSTM': (ROW,) * 5, 'Convolution1D': (IMAGE[:, :, 0],), 'Deconvolution1D': (IMAGE[:, :, 0],),
          'Convolution3D': (IMAGE[..., None],), 'Deconvolution3D': (IMAGE[..., None],)}


def sized_links():
    return {name: link for name, link in catalog.members('links').items()
            if not catalog.needs_python(name) and set(SIZES) & set(inspect.signature(link).parameters)}


def without_size(name):
    """The keyword arguments of a link, None for the size of what comes in."""
    parameters = inspect.signature(sized_links()[name]).parameters.values()
    needed = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD
              and (p.default is p.empty or p.name in ('ksize', 'out_size', 'proj_pool'))]
    return {**{n: ARGUMENTS.get(n) for n in needed}, **SPECIAL.get(name, {})}


@pytest.mark.parametrize('name', sorted(sized_links()))
def test_the_links_that_infer_their_size_are_those_that_are_listed(name):
    def run():
        link = sized_links()[name](**without_size(name))
        inputs = INPUTS.get(name, (IMAGE if 'conv' in name.lower() or 'Inception' in name else ROW,))
        with chainer.using_config('train', False):
            for _ in range(1 + catalog.is_stateful(link)):
                link(*inputs)
        assert all(parameter.is_initialized for parameter in link.params())

    if name in catalog._INFERRING_LINKS:
        run()
    else:
        with pytest.raises((TypeError, ValueError)):
            run()


def test_all_listed_links_have_a_size():
    assert catalog._INFERRING_LINKS <= set(sized_links())


@pytest.mark.parametrize('written, made', [
    ('Linear(10)', (None, 10)), ('Linear(4, 10)', (4, 10)), ('Linear(none, 10)', (None, 10)),
    ('Linear(10, nobias=true)', (None, 10)), ('Convolution2D(8, ksize=3)', (None, 8)),
    ('Linear(out_size=10)', (None,)),
    ('Convolution2D(8, 3)', (None, 8, 3)), ('Convolution2D(3, 8, 3)', (3, 8, 3)),
    ('ConvolutionND(2, 8, 3)', (2, None, 8, 3)),
    ('Linear(in_size=4, out_size=10)', ()), ('EmbedID(10, 4)', (10, 4)),
    ('NStepLSTM(1, 3, 4, 0.5)', (1, 3, 4, 0.5)),
    ('Maxout(4, pool_size=2)', (None, 4)), ('ConvolutionND(ndim=2, out_channels=8, ksize=3)', ()),
    ('StatelessLSTM(4)', (None, 4)), ('MLPConvolution2D([4, 2], ksize=1)', (None, [4, 2])),
    ('BatchNormalization(4)', (4,)),
])
def test_where_the_size_is_left_out(written, made):
    from graphdsl.semantics.expressions import plain
    from graphdsl.semantics.computation import Construct
    inputs = {'StatelessLSTM': '(y, y, y)', 'NStepLSTM': '(y, y, y)'}.get(written.split('(')[0], 'y')
    results = {'StatelessLSTM': 'o, p', 'NStepLSTM': 'o, p, q'}.get(written.split('(')[0], 'o')
    found = graph(f'model n = {written}\n{inputs} -> n -> {results}\nloss b = mean(o)\noptimizer SGD() owns n')
    (part,) = found.models[1].chain.parts
    assert isinstance(part.content, Construct)
    assert tuple(map(plain, part.content.arguments)) == made
    if 'ndim=' in written:
        assert part.content.keywords[0][0] == 'in_channels' and part.content.keywords[0][1].value is None


@pytest.mark.parametrize('written', [
    'Linear()', 'Linear(1, 2, 3, 4, 5, 6)', 'Linear(10, in_size=5)', 'Linear(units=10)', 'Convolution2D(8)',
    'Convolution2D(8, kernel=3)', 'BatchNormalization(4, epsilon=1)', 'EmbedID(10)', 'Linear(10, class=3)',
    'Linear(10, initialW=3, initialW=4)',
])
def test_arguments_that_a_link_does_not_take(written):
    assert 'G306' in codes(f'model n = {written}\ny -> n -> o')


def test_stateful_links():
    stateful = {name for name, link in catalog.members('links').items() if catalog.is_stateful(link)}
    assert stateful >= {'LSTM', 'StatefulGRU', 'GRU', 'StatefulPeepholeLSTM', 'StatefulZoneoutLSTM', 'StatefulMGU'}
    assert not stateful & {'StatelessLSTM', 'StatelessGRU', 'NStepLSTM', 'Linear', 'BatchNormalization'}
    more = 'loss b = mean(o)\noptimizer SGD() owns n'
    assert codes(f'model n = LSTM(3)\ny -> n -> o\n{more}') == []
    assert codes(f'model n = LSTM(3)\ny -> n -> n -> o\n{more}') == ['G318']
    assert codes(f'model n(v) -> w {{ layer l = StatefulGRU(2, 3); v -> l -> w }}\ny -> n -> o\n{more}') == []


def test_functions_are_functions():
    assert all(name.islower() and callable(f) and not inspect.isclass(f)
               for name, f in catalog.members('functions').items())
    assert not {'numpy', 'chainer', 'array', 'math', 'loss', 'activation'} & set(catalog.members('functions'))
    assert {'relu', 'softmax_cross_entropy', 'get_item'} <= set(catalog.members('functions'))
    assert catalog.RANDOM | catalog.REDUCTIONS <= set(catalog.members('functions'))
    assert catalog._NEEDING_PYTHON <= {*catalog.members('functions'), *catalog.members('links')}
    assert set(catalog._RESULTS) <= {*catalog.members('functions'), *catalog.members('links')}


FEW, MORE = numpy.ones((2, 4), 'f'), numpy.ones((2, 16), 'f')
LABELS = numpy.zeros(2, 'i')
CALLS = {
    'lstm': (FEW, MORE), 'slstm': (FEW, FEW, MORE, MORE), 'tree_lstm': (FEW, FEW, numpy.ones((2, 20), 'f')),
    'precision': (FEW, LABELS), 'recall': (FEW, LABELS), 'f1_score': (FEW, LABELS), 'fft': ((FEW, FEW),),
    'ifft': ((FEW, FEW),), 'classification_summary': (FEW, LABELS), 'split_axis': (FEW, 2, 1),
    'broadcast': (FEW, FEW),
    'argmax_crf1d': (numpy.ones((4, 4), 'f'), [FEW, FEW]), 'identity': (FEW, FEW), 'relu': (FEW,),
    'concat': ([FEW, FEW],),
}


@pytest.mark.parametrize('name', CALLS)
def test_how_many_results_a_function_gives(name):
    with numpy.errstate(all='ignore'):
        found = getattr(F, name)(*CALLS[name])
    count = len(found) if isinstance(found, (tuple, list)) else 1
    known = tuple(a if isinstance(a, int) else None for a in CALLS[name])
    assert catalog.result_count(name, known, ()) == count


@pytest.mark.parametrize('name, keyword', [('max_pooling_2d', 'return_indices'), ('dropout', 'return_mask'),
                                           ('gaussian', 'return_eps')])
def test_a_second_result_on_request(name, keyword):
    assert catalog.result_count(name, (None, 2), ((keyword, True),)) == 2
    assert catalog.result_count(name, (None, 2), ((keyword, False),)) == 1


@pytest.mark.parametrize('link, inputs', [
    (L.StatelessLSTM(3, 3), (None, None, ROW)), (L.NaryTreeLSTM(3, 3), (ROW,) * 5),
    (L.ChildSumTreeLSTM(3, 3), (ROW,) * 3),
    (L.NStepLSTM(1, 3, 3, 0.0), (None, None, [ROW])), (L.NStepGRU(1, 3, 3, 0.0), (None, [ROW])),
    (L.Linear(3, 3), (ROW,)),
])
def test_how_many_results_a_link_gives(link, inputs):
    found = link(*inputs)
    assert catalog.result_count(type(link).__name__, (), ()) == (len(found) if isinstance(found, tuple) else 1)
