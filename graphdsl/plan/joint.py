"""Joint backward: losses share one differentiation wherever no parameter would notice."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping

from graphdsl.semantics.computation import Key
from graphdsl.semantics.graph import Unit
from graphdsl.plan.plan import NEVER, BackwardPass, Guard, WeightedLoss, either


@dataclass(frozen=True)
class Demand:
    """What an optimizer asks of a run: the gradient of some losses with respect to what it owns.

    Attributes:
        guard: When it is updated.
        losses: With their weights, each with when the optimizer needs it.
    """

    optimizer: str
    owns: tuple[Unit, ...]
    guard: Guard
    losses: tuple[WeightedLoss, ...]


def joint_passes(demands: Iterable[Demand], reached: Mapping[Key, set[Key]]) -> tuple[BackwardPass, ...]:
    """Groups optimizers so that each group takes its gradients from one backward pass.

    An optimizer may join a group if the losses that the others add depend on none of its models: the gradient
    of the larger sum is then, for its parameters, the gradient of its own. Where a loss is absent or an optimizer
    left out, the same holds of the rest.

    Args:
        demands: Of the optimizers, in order.
        reached: The models that each loss depends on, losses in the order of the file.
    """
    reaching: dict[Key, list[Key]] = {}
    for loss, models in reached.items():
        for model in models:
            reaching.setdefault(model, []).append(loss)
    groups: list[_Group] = []
    for demand in demands:
        depending = {loss for unit in demand.owns for loss in reaching.get(unit.model, ())}
        own = {term.loss: term for term in demand.losses if term.loss in depending}
        if not own:
            continue
        group = next((group for group in groups if group.admits(own, depending, reached)), None)
        if group is None:
            group = _Group()
            groups.append(group)
        group.add(demand, own)
    order = {loss: i for i, loss in enumerate(reached)}
    return tuple(group.as_pass(order) for group in groups)


class _Group:
    """Optimizers that share a backward pass, and the sum of losses that it differentiates."""

    def __init__(self) -> None:
        self.demands: list[Demand] = []
        self.losses: dict[Key, WeightedLoss] = {}
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
        return not any(reached[loss] & self.owned for loss in own if loss not in self.losses)

    def add(self, demand: Demand, own: Mapping[Key, WeightedLoss]) -> None:
        self.demands.append(demand)
        self.owned.update(unit.model for unit in demand.owns)
        for loss, term in own.items():
            before = self.losses[loss].guard if loss in self.losses else NEVER
            self.losses[loss] = term._replace(guard=either(before, term.guard))

    def as_pass(self, order: Mapping[Key, int]) -> BackwardPass:
        losses = sorted(self.losses, key=order.__getitem__)
        return BackwardPass(tuple(self.losses[loss] for loss in losses),
                            tuple((demand.optimizer, demand.guard) for demand in self.demands),
                            tuple(demand.owns for demand in self.demands))
