"""Exactly which functions an iteration of each example runs, forward and backward, against a walk over the graph that
Chainer recorded."""
from __future__ import annotations

import functools
from collections import Counter
from typing import Any, Callable, NamedTuple

import chainer
import numpy
import pytest
from chainer.datasets import SubDataset, TupleDataset
from sklearn.datasets import load_digits

from compare import EXAMPLES, compile_float64, digits, in_order
from handwritten_char_lm import lanes
from handwritten_dcgan import DCGANUpdater
from recorded import Recording, derivatives, labels, needed, on_a_path, recording, repeated, with_history


class Pass(NamedTuple):
    """Losses that are differentiated together, in every run or over all runs, and the models that move by them."""

    losses: str
    models: str
    over_all_runs: bool = False


class Case(NamedTuple):
    """An example, what the optimizers of its file minimize, and what it is run on."""

    name: str
    passes: tuple[Pass, ...]
    params: dict[str, Any] = {}
    streams: Callable[[], Any] = lambda: in_order(digits())
    no_passes: tuple[str, ...] = ()


def strips(count: int) -> TupleDataset:
    bunch = load_digits()
    images = (bunch.images[:32 * count] / 16).reshape(32, count, 8, 8).transpose(0, 2, 1, 3).reshape(32, 1, 8, -1)
    return TupleDataset(images, bunch.target[:32 * count].reshape(32, count).astype(numpy.int32))


def other_digits() -> SubDataset:
    """None of those in the first minibatches of `digits`."""
    return SubDataset(digits(64), 32, 64)


def of_strips(count: int) -> Case:
    losses = ' '.join(f'digit[{i}]' for i in range(count))
    models = ' '.join(f'head[{i}]' for i in range(count))
    # One by one: what heads share when they are stacked is counted below.
    return Case('strips', (Pass(losses, f'trunk {models}'),), {'count': count}, lambda: in_order(strips(count)),
                no_passes=('stacking',))


KL = Pass('kl', 'trunk head')
CASES = {
    'strips, 2 heads': of_strips(2),
    'strips, 5 heads': of_strips(5),
    'vae': Case('vae', (Pass('reconstruction kl', 'encoder decoder'),)),
    'dcgan': Case('dcgan', (Pass('judgement', 'critic'), Pass('fool', 'generator'))),
    'wgan_gp': Case('wgan_gp', (Pass('distance penalty', 'critic'), Pass('fool', 'generator')), {'n_critic': 2}),
    'began': Case('began', (Pass('balance', 'critic'), Pass('fake_error', 'generator'))),
    'cyclegan': Case(
        'cyclegan', (Pass('fool_x fool_y cycle_x cycle_y', 'to_x to_y'), Pass('judged_x judged_y', 'judge_x judge_y')),
        streams=lambda: {'images': in_order(digits()), 'negatives': in_order(other_digits())}),
    'dann': Case('dann', (Pass('label domain', 'trunk reader judge'),),
                 streams=lambda: {'labelled': in_order(digits()), 'shifted': in_order(other_digits())}),
    'mean_teacher': Case('mean_teacher', (Pass('label consistency', 'student'),),
                         streams=lambda: {'unlabelled': in_order(other_digits()), 'labelled': in_order(digits())}),
    'distill': Case('distill', (Pass('soft hard', 'student'),)),
    'teacher': Case('teacher', (Pass('kl', 'teacher'),)),
    'finetune, frozen': Case('finetune', (Pass('kl', 'head'),), {'thaw': 1000}),
    'finetune, thawed': Case('finetune', (KL,), {'thaw': 0}),
    'pretrain': Case('pretrain', (KL,), streams=lambda: in_order(
        [(image, label % 8) for image, label in digits()])),
    'feature_matching': Case('feature_matching', (
        Pass('reconstruction judgement', 'trunk decoder'), Pass('judgement', 'critic'), Pass('matching', 'generator'))),
    'char_lm': Case('char_lm', (Pass('nats', 'reader', over_all_runs=True),), {'characters': 40, 'units': 12}, lanes),
    'resnet': Case('resnet', (Pass('kl', 'net'),), {'depth': 2, 'width': 4}),
}


@pytest.fixture(autouse=True)
def setting(monkeypatch):
    """Double precision, in which no two values are equal by chance; paths of the examples start at their folder."""
    monkeypatch.chdir(EXAMPLES)
    with chainer.using_config('dtype', numpy.float64):
        yield


@functools.lru_cache(maxsize=None)
def run(name: str) -> tuple[Recording, list]:
    """Records an iteration of an example; returns the record and the differentiations that its file asks for."""
    case = CASES[name]
    graph = compile_float64(case.name, case.no_passes, **case.params)
    record = second_iteration(graph.updater(case.streams(), seed=0, length=(10, 'iteration')))
    return record, list(differentiations(record, case.passes, graph.models))


def second_iteration(updater) -> Recording:
    """Records an iteration that has a state, momentum and progress, which the first has not."""
    with chainer.Reporter().scope({}):
        updater.update()
        with recording() as record:
            updater.update()
    return record


def differentiations(record: Recording, passes, models):
    """Yields losses and the parameters that move by them."""
    for one in passes:
        parameters = [parameter for name in one.models.split() for parameter in models[name].params()]
        runs = list(record.losses(*one.losses.split()))
        for losses in [sum(runs, ())] if one.over_all_runs else runs:
            yield losses, parameters


def visits(wanted) -> Counter:
    """Returns how often backward passes have to visit each function."""
    return sum((Counter(list(on_a_path(*one))) for one in wanted), Counter())


def cases(waste: dict[str, str] = {}):
    """Parametrizes a test by the examples, some of which are known to waste something."""
    return pytest.mark.parametrize('name', [
        pytest.param(name, marks=[pytest.mark.xfail(strict=True, reason=waste[name])] if name in waste else [])
        for name in CASES])


@cases()
def test_what_runs_is_of_use(name):
    """Every function leads to a loss, to a report, or into a pool."""
    record, _ = run(name)
    found = needed(record.forward, [value for _, value in record.reported] + record.pooled)
    assert not labels(call.function for i, call in enumerate(record.forward) if i not in found)


@cases()
def test_no_value_is_computed_twice(name):
    """Within a run and from one step to the next."""
    record, _ = run(name)
    assert not repeated(record.forward)


@cases({'feature_matching': 'mean(h, axis=0) in `matching`, which moves the generator alone'})
def test_history_is_kept_of_what_is_differentiated(name):
    """History is memory: none that leads to parameters is kept where no gradient flows."""
    record, wanted = run(name)
    assert not labels(with_history(record.forward).difference(visits(wanted), visits(record.asked)))


@cases()
def test_backward_passes_visit_paths(name):
    """A pass visits the functions between its losses and the parameters that move by them, each once."""
    record, wanted = run(name)
    ran = Counter(visit.function for visit in record.visits if not visit.is_forward)
    for difference in (ran - visits(wanted), visits(wanted) - ran):
        assert not labels(difference.elements())


@cases()
def test_gradients_as_values_visit_paths(name):
    """So does `grad` of the language, between its value and its point."""
    record, _ = run(name)
    ran = Counter(visit.function for visit in record.visits if visit.is_forward)
    for difference in (ran - visits(record.asked), visits(record.asked) - ran):
        assert not labels(difference.elements())
    assert len(record.asked) == (2 if name == 'wgan_gp' else 0)


@cases()
def test_no_gradient_is_taken_twice(name):
    """Where two passes visit a function, they bring it different gradients."""
    record, _ = run(name)
    assert max(Counter((visit.function, visit.gradients) for visit in record.visits).values()) == 1


@cases()
def test_gradients_are_taken_of_inputs_on_a_path(name):
    """Such as none of the weights of the critic, where the generator learns."""
    record, wanted = run(name)
    ran = labels(call.function for call in record.derivatives)
    assert ran == sum((derivatives(*one) for one in wanted), Counter())


@pytest.mark.parametrize('count', [2, 5])
def test_stacked_heads_share_what_they_run(count):
    """Of all heads, one function for their layers and one for their losses, forward and backward."""
    separate, _ = run(f'strips, {count} heads')
    stacked = second_iteration(compile_float64('strips', count=count).updater(in_order(strips(count)), seed=0))
    heads = Counter({'LinearFunction': count, 'SoftmaxCrossEntropy': count})
    as_one = Counter({'StackedLinear': 1, 'StackedSoftmaxCrossEntropy': 1})
    assert labels(call.function for call in stacked.forward) == \
        labels(call.function for call in separate.forward) - heads + as_one
    assert labels(visit.function for visit in stacked.visits) == \
        labels(visit.function for visit in separate.visits) - heads + as_one
    assert not repeated(stacked.forward)


def test_the_count_finds_waste():
    """What a careful updater by hand costs: its generator step takes gradients of the critic's weights, too."""
    updater = DCGANUpdater(in_order(digits()))
    record = second_iteration(updater)
    wanted = list(differentiations(record, CASES['dcgan'].passes, updater.models))
    ran = labels(call.function for call in record.derivatives)
    needless = ran - sum((derivatives(*one) for one in wanted), Counter())
    assert needless['LinearGradWeight'] == 1 and needless['Convolution2DGradW'] == 3
    generator = {'LinearFunction': 1, 'Reshape': 1, 'BatchNormalization': 2, 'ReLU': 2, 'Deconvolution2DFunction': 2,
                 'Sigmoid': 1}
    assert repeated(record.forward) == generator
