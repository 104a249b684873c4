"""Joint backward: losses share one differentiation wherever no parameter would notice."""
from __future__ import annotations

from dataclasses import replace
from typing import Iterable, Mapping, Sequence

from graphdsl.semantics import flow
from graphdsl.semantics.computation import Key
from graphdsl.semantics.graph import Unit
from graphdsl.semantics.needs import Needs
from graphdsl.plan.demands import Demand
from graphdsl.plan.plan import BackwardPass, Guard, Plan, WeightedLoss, both, either


def joint(plan: Plan) -> Plan:
    """Joins the backward passes of each step."""
    graph = plan.graph
    needs = Needs(graph)
    reached = flow.Reach(graph.assignments, [loss.key for loss in graph.losses]).models()
    optimizers = {optimizer.name: i for i, optimizer in enumerate(graph.optimizers)}
    return replace(plan, steps=tuple(
        replace(step, backward=tuple(_without_aliases(one, needs) for one in joined(
            step.backward, reached, optimizers))) for step in plan.steps))


def joined(passes: Sequence[BackwardPass], reached: Mapping[Key, set[Key]], optimizers: Mapping[str, int]
           ) -> tuple[BackwardPass, ...]:
    """Groups optimizers so that each group takes its gradients from one backward pass.

    An optimizer may join a group if the losses that the others add depend on none of its models: the gradient
    of the larger sum is then, for its parameters, the gradient of its own. Where a loss is absent or an optimizer
    left out, the same holds of the rest.

    Args:
        passes: Of a step, one for each loss, in the order of the file.
        reached: The models that each loss depends on.
        optimizers: Names of all, each with its place in the file.
    """
    order: dict[Key, int] = {}
    for one in passes:
        for term in one.losses:
            order.setdefault(term.loss, len(order))
    reaching: dict[Key, list[Key]] = {}
    for loss in order:
        for model in reached[loss]:
            reaching.setdefault(model, []).append(loss)
    groups: list[_Group] = []
    for demand in _demands(passes, optimizers):
        depending = {loss for unit in demand.owns for loss in reaching.get(unit.model, ())}
        own = {term.loss: term for term in demand.losses}
        group = next((group for group in groups if group.admits(own, depending, reached)), None)
        if group is None:
            group = _Group()
            groups.append(group)
        group.add(demand, own)
    unused: dict[Key, dict[Unit, None]] = {}
    for one in passes:
        for loss, _, _ in one.losses:
            unused.setdefault(loss, {}).update(dict.fromkeys(one.unused))
    return tuple(group.as_pass(order, unused) for group in groups)


def _demands(passes: Sequence[BackwardPass], optimizers: Mapping[str, int]) -> Iterable[Demand]:
    """Returns what each optimizer asks for."""
    owns: dict[str, tuple[Unit, ...]] = {}
    guards: dict[str, Guard] = {}
    losses: dict[str, list[WeightedLoss]] = {}
    for one in passes:
        for (name, guard), units in zip(one.optimizers, one.units):
            owns[name], guards[name] = units, guard
            losses.setdefault(name, []).extend(
                term._replace(guard=both(term.guard, guard)) for term in one.losses)
    return [Demand(name, owns[name], guards[name], tuple(losses[name]))
            for name in sorted(owns, key=optimizers.__getitem__)]


class _Group:
    """Optimizers that share a backward pass, and the sum of losses that it differentiates."""

    def __init__(self) -> None:
        self.demands: list[Demand] = []
        self.losses: dict[Key, WeightedLoss] = {}
        self.guards: dict[Key, set[Guard]] = {}
        self.owned: set[Key] = set()

    def admits(self, own: Mapping[Key, WeightedLoss], depending: set[Key], reached: Mapping[Key, set[Key]]) -> bool:
        """Says whether the gradients stay exact when an optimizer joins.

        Args:
            own: The losses that it minimizes.
            depending: All losses that depend on its models.
            reached: The models that each loss depends on.
        """
        for loss in depending:
            if loss in self.losses and (loss not in own or own[loss].weight != self.losses[loss].weight):
                return False
        return all(reached[loss].isdisjoint(self.owned) for loss in own if loss not in self.losses)

    def add(self, demand: Demand, own: Mapping[Key, WeightedLoss]) -> None:
        self.demands.append(demand)
        self.owned.update(unit.model for unit in demand.owns)
        for loss, term in own.items():
            self.losses[loss] = term
            self.guards.setdefault(loss, set()).add(term.guard)

    def as_pass(self, order: Mapping[Key, int], unused: Mapping[Key, Iterable[Unit]]) -> BackwardPass:
        losses = sorted(self.losses, key=order.__getitem__)
        used = {unit for demand in self.demands for unit in demand.owns}
        return BackwardPass(tuple(self.losses[loss]._replace(guard=either(*self.guards[loss])) for loss in losses),
                            tuple((demand.optimizer, demand.guard) for demand in self.demands),
                            tuple(demand.owns for demand in self.demands),
                            tuple(dict.fromkeys(unit for loss in losses for unit in unused[loss] if unit not in used)))


def _without_aliases(backward: BackwardPass, needs: Needs) -> BackwardPass:
    """Adds the weights of losses that name one value, since a value is differentiated once."""
    weights: dict[tuple[Key, Guard], float] = {}
    for loss, weight, guard in backward.losses:
        root = needs.root(loss)
        weights[root, guard] = weights.get((root, guard), 0.0) + weight
    if len(weights) == len(backward.losses):
        return backward
    return replace(backward, losses=tuple(
        WeightedLoss(loss, weight, guard) for (loss, guard), weight in weights.items()))
