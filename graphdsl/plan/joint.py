"""Joint backward: losses share one differentiation wherever no parameter would notice."""
from __future__ import annotations

from typing import Iterable, Mapping

from graphdsl.semantics.graph import Key, Optimizer
from graphdsl.plan.plan import BackwardPass, WeightedLoss


def joint_passes(optimizers: Iterable[Optimizer], reached: Mapping[Key, set[Key]]) -> tuple[BackwardPass, ...]:
    """Groups optimizers so that each group takes its gradients from one backward pass.

    An optimizer may join a group if the losses that the others add depend on none of its models: the gradient
    of the larger sum is then, for its parameters, the gradient of its own.

    Args:
        optimizers: With the losses that each minimizes.
        reached: The models that each loss depends on, losses in the order of the file.
    """
    reaching: dict[Key, list[Key]] = {}
    for loss, models in reached.items():
        for model in models:
            reaching.setdefault(model, []).append(loss)
    groups: list[_Group] = []
    for optimizer in optimizers:
        depending = {loss for model in optimizer.owns for loss in reaching.get(model, ())}
        own = {term.loss: term.weight for term in optimizer.terms if term.loss in depending}
        if not own:
            continue
        group = next((group for group in groups if group.admits(own, depending, reached)), None)
        if group is None:
            group = _Group()
            groups.append(group)
        group.add(optimizer, own)
    order = {loss: i for i, loss in enumerate(reached)}
    return tuple(group.as_pass(order) for group in groups)


class _Group:
    """Optimizers that share a backward pass, and the sum of losses that it differentiates."""

    def __init__(self) -> None:
        self.optimizers: list[Optimizer] = []
        self.weights: dict[Key, float] = {}
        self.owned: set[Key] = set()

    def admits(self, own: Mapping[Key, float], depending: set[Key], reached: Mapping[Key, set[Key]]) -> bool:
        """Says whether the gradients stay exact when an optimizer joins.

        Args:
            own: The losses that it minimizes, with their weights.
            depending: All losses that depend on its models.
            reached: The models that each loss depends on.
        """
        if any(loss in self.weights and own.get(loss) != self.weights[loss] for loss in depending):
            return False
        return not any(reached[loss] & self.owned for loss in own if loss not in self.weights)

    def add(self, optimizer: Optimizer, own: Mapping[Key, float]) -> None:
        self.optimizers.append(optimizer)
        self.weights.update(own)
        self.owned.update(optimizer.owns)

    def as_pass(self, order: Mapping[Key, int]) -> BackwardPass:
        losses = sorted(self.weights, key=order.__getitem__)
        return BackwardPass(tuple(WeightedLoss(loss, self.weights[loss]) for loss in losses),
                            tuple(optimizer.name for optimizer in self.optimizers),
                            tuple(key for optimizer in self.optimizers for key in optimizer.owns))
