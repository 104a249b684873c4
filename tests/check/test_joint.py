"""Joint backward passes: exact for every optimizer, and as few as can be found without searching."""
import itertools

from hypothesis import given
from hypothesis import strategies as st

from graphdsl.semantics.computation import Key
from graphdsl.semantics.graph import Unit
from graphdsl.plan.demands import Demand, passes_by_loss
from graphdsl.plan.passes.joint import joined
from graphdsl.plan.plan import ALWAYS, NEVER, WeightedLoss, both, either

WEIGHTS = st.sampled_from([1.0, 1.0, 1.0, 0.5, -2.0])
CONDITIONS = 3
GUARDS = st.sampled_from([ALWAYS, ALWAYS, *(frozenset([frozenset([i])]) for i in range(CONDITIONS))])


def demand(name, owns, terms, updated=ALWAYS, present=None):
    """What an optimizer asks for that minimizes some losses, each where it is present."""
    losses = tuple(WeightedLoss(loss, weight, both(updated, (present or {}).get(loss, ALWAYS)))
                   for loss, weight in terms.items())
    guard = NEVER
    for loss in losses:
        guard = either(guard, loss.guard)
    return Demand(name, tuple(Unit(model) for model in owns), guard, losses)


def joint_passes(demands, reached):
    """A pass for each loss, and then as few as are right."""
    return joined(passes_by_loss(demands, reached, {}), reached, {one.optimizer: i for i, one in enumerate(demands)})


@st.composite
def games(draw, guards=st.just(ALWAYS)):
    """Who owns which models, what each loss depends on, who minimizes what, and when."""
    models = [Key('m', (i,)) for i in range(draw(st.integers(1, 6)))]
    losses = [Key('l', (i,)) for i in range(draw(st.integers(1, 6)))]
    reached = {loss: set(draw(st.lists(st.sampled_from(models), unique=True))) for loss in losses}
    present = {loss: draw(guards) for loss in losses}
    shuffled = draw(st.permutations(models))
    cuts = sorted(draw(st.lists(st.integers(0, len(models)), max_size=3)))
    groups = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(models)])]
    demands = []
    for i, owns in enumerate(group for group in groups if group):
        chosen = draw(st.lists(st.sampled_from(losses), unique=True))
        terms = {loss: draw(WEIGHTS) for loss in chosen}
        demands.append(demand(str(i), owns, terms, draw(guards), present))
    return demands, reached


def owned(one):
    return [unit.model for unit in one.owns]


def wanted(one, model, reached, holds=lambda guard: True):
    """The gradient of a model's parameters by law: its owner's losses that depend on it and are there."""
    return {term.loss: term.weight for term in one.losses if model in reached[term.loss] and holds(term.guard)}


def given_to(name, model, passes, reached, holds=lambda guard: True):
    """The losses whose gradient a model gets, None where its optimizer is in no pass."""
    mine = [p for p in passes if any(optimizer == name and holds(guard) for optimizer, guard in p.optimizers)]
    return {term.loss: term.weight for p in mine for term in p.losses
            if model in reached[term.loss] and holds(term.guard)}


@given(games())
def test_every_model_gets_the_gradient_of_its_owners_losses_and_nothing_else(game):
    demands, reached = game
    passes = joint_passes(demands, reached)
    for one in demands:
        for model in owned(one):
            assert given_to(one.optimizer, model, passes, reached) == wanted(one, model, reached)


@given(games(GUARDS))
def test_the_same_holds_whatever_conditions_do(game):
    demands, reached = game
    passes = joint_passes(demands, reached)
    for values in itertools.product([False, True], repeat=CONDITIONS):
        def holds(guard):
            return any(all(values[i] for i in case) for case in guard)

        for one in demands:
            for model in owned(one) if holds(one.guard) else ():
                assert given_to(one.optimizer, model, passes, reached, holds) == wanted(one, model, reached, holds)


@given(games(GUARDS))
def test_every_optimizer_that_minimizes_something_is_in_one_pass(game):
    demands, reached = game
    passes = joint_passes(demands, reached)
    names = [name for p in passes for name, _ in p.optimizers]
    assert len(names) == len(set(names))
    assert set(names) == {o.optimizer for o in demands if any(wanted(o, model, reached) for model in owned(o))}
    for p in passes:
        assert p.losses and len(p.units) == len(p.optimizers)
        of = {one.optimizer: one for one in demands}
        assert all(of[name].owns == units for (name, _), units in zip(p.optimizers, p.units))
        assert [term.loss for term in p.losses] == sorted(term.loss for term in p.losses)


@given(games())
def test_one_pass_wherever_one_sum_is_right_for_all(game):
    demands, reached = game
    mine = {one.optimizer: [wanted(one, model, reached) for model in owned(one)] for one in demands}
    active = [one for one in demands if any(mine[one.optimizer])]
    total = {loss: weight for one in active for terms in mine[one.optimizer] for loss, weight in terms.items()}
    is_right_for_all = all(
        terms == {loss: weight for loss, weight in total.items() if model in reached[loss]}
        for one in active for model, terms in zip(owned(one), mine[one.optimizer]))
    passes = joint_passes(demands, reached)
    assert (len(passes) == min(len(active), 1)) == is_right_for_all


def test_the_founding_example_needs_one_pass():
    heads = [Key('head', (i,)) for i in range(5)]
    losses = [Key('digit', (i,)) for i in range(5)]
    reached = {loss: {head, Key('trunk')} for loss, head in zip(losses, heads)}
    demands = [demand(str(head), (head,), {loss: 1.0}) for head, loss in zip(heads, losses)]
    demands.append(demand('trunk', (Key('trunk'),), dict.fromkeys(losses, 1.0)))
    only, = joint_passes(demands, reached)
    assert len(only.losses) == 5 and len(only.units) == 6


def test_a_game_of_two_needs_two_passes():
    generator, critic = Key('g'), Key('c')
    reached = {Key('real'): {critic}, Key('fake'): {critic, generator}, Key('fool'): {critic, generator}}
    demands = [demand('g', (generator,), {Key('fool'): 1.0}),
               demand('c', (critic,), {Key('real'): 1.0, Key('fake'): 1.0})]
    passes = joint_passes(demands, reached)
    assert [[str(term.loss) for term in p.losses] for p in passes] == [['fool'], ['real', 'fake']]
