"""Joint backward passes: exact for every optimizer, and as few as can be found without searching."""
from hypothesis import given
from hypothesis import strategies as st

from graphdsl.semantics.graph import Construct, Key, Optimizer, Term
from graphdsl.diagnostics import Span
from graphdsl.plan.joint import joint_passes

NOWHERE = Span(0, 0)
WEIGHTS = st.sampled_from([1.0, 1.0, 1.0, 0.5, -2.0])


def optimizer(name, owns, terms):
    return Optimizer(NOWHERE, name, Construct(NOWHERE, 'optimizers', 'SGD', (), ()), owns,
                     tuple(Term(NOWHERE, loss, weight) for loss, weight in terms.items()), ())


@st.composite
def games(draw):
    """Who owns which models, what each loss depends on, and who minimizes what."""
    models = [Key('m', (i,)) for i in range(draw(st.integers(1, 6)))]
    losses = [Key('l', (i,)) for i in range(draw(st.integers(1, 6)))]
    reached = {loss: set(draw(st.lists(st.sampled_from(models), unique=True))) for loss in losses}
    shuffled = draw(st.permutations(models))
    cuts = sorted(draw(st.lists(st.integers(0, len(models)), max_size=3)))
    groups = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(models)])]
    optimizers = []
    for i, owns in enumerate(group for group in groups if group):
        chosen = draw(st.lists(st.sampled_from(losses), unique=True))
        optimizers.append(optimizer(str(i), tuple(owns), {loss: draw(WEIGHTS) for loss in chosen}))
    return optimizers, reached


def wanted(optimizer, model, reached):
    """The gradient of a model's parameters by law: its owner's losses that depend on it."""
    return {term.loss: term.weight for term in optimizer.terms if model in reached[term.loss]}


@given(games())
def test_every_model_gets_the_gradient_of_its_owners_losses_and_nothing_else(game):
    optimizers, reached = game
    passes = joint_passes(optimizers, reached)
    for one in optimizers:
        mine = [p for p in passes if one.name in p.optimizers]
        for model in one.owns:
            got = {loss: weight for p in mine for loss, weight in p.losses if model in reached[loss]}
            assert got == wanted(one, model, reached)


@given(games())
def test_every_optimizer_that_minimizes_something_is_in_one_pass(game):
    optimizers, reached = game
    passes = joint_passes(optimizers, reached)
    names = [name for p in passes for name in p.optimizers]
    assert len(names) == len(set(names))
    assert set(names) == {o.name for o in optimizers if any(wanted(o, model, reached) for model in o.owns)}
    for p in passes:
        assert p.losses and list(p.models) == [m for o in optimizers if o.name in p.optimizers for m in o.owns]
        assert [loss for loss, _ in p.losses] == sorted(loss for loss, _ in p.losses)


@given(games())
def test_one_pass_wherever_one_sum_is_right_for_all(game):
    optimizers, reached = game
    mine = {one.name: [wanted(one, model, reached) for model in one.owns] for one in optimizers}
    active = [one for one in optimizers if any(mine[one.name])]
    total = {loss: weight for one in active for terms in mine[one.name] for loss, weight in terms.items()}
    is_right_for_all = all(
        terms == {loss: weight for loss, weight in total.items() if model in reached[loss]}
        for one in active for model, terms in zip(one.owns, mine[one.name]))
    passes = joint_passes(optimizers, reached)
    assert (len(passes) == min(len(active), 1)) == is_right_for_all


def test_the_founding_example_needs_one_pass():
    heads = [Key('head', (i,)) for i in range(5)]
    losses = [Key('digit', (i,)) for i in range(5)]
    reached = {loss: {head, Key('trunk')} for loss, head in zip(losses, heads)}
    optimizers = [optimizer(str(head), (head,), {loss: 1.0}) for head, loss in zip(heads, losses)]
    optimizers.append(optimizer('trunk', (Key('trunk'),), dict.fromkeys(losses, 1.0)))
    only, = joint_passes(optimizers, reached)
    assert len(only.losses) == 5 and len(only.models) == 6


def test_a_game_of_two_needs_two_passes():
    generator, critic = Key('g'), Key('c')
    reached = {Key('real'): {critic}, Key('fake'): {critic, generator}, Key('fool'): {critic, generator}}
    optimizers = [optimizer('g', (generator,), {Key('fool'): 1.0}),
                  optimizer('c', (critic,), {Key('real'): 1.0, Key('fake'): 1.0})]
    passes = joint_passes(optimizers, reached)
    assert [[str(loss) for loss, _ in p.losses] for p in passes] == [['fool'], ['real', 'fake']]
