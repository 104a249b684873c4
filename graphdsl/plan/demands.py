"""What optimizers ask of a run, and the passes that give it to them, one for each loss."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

from graphdsl.semantics.computation import Key
from graphdsl.semantics.graph import Unit
from graphdsl.plan.plan import BackwardPass, Guard, WeightedLoss, either


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

    def reached(self, reached: Mapping[Key, set[Key]]) -> tuple[WeightedLoss, ...]:
        """Returns the losses that depend on what is owned.

        Args:
            reached: The models that each loss depends on.
        """
        models = {unit.model for unit in self.owns}
        return tuple(term for term in self.losses if not models.isdisjoint(reached[term.loss]))


def passes_by_loss(demands: Iterable[Demand], reached: Mapping[Key, set[Key]],
                   owners: Mapping[Key, Sequence[tuple[str, Unit]]]) -> tuple[BackwardPass, ...]:
    """Differentiates each loss by itself, with respect to all that it depends on and that some optimizer owns.

    Args:
        demands: Of the optimizers of a step, in order.
        reached: The models that each loss depends on, losses in the order of the file.
        owners: For each model of the graph the optimizers that own it or some of it, each with what.
    """
    found: dict[tuple[Key, float], list[tuple[Demand, WeightedLoss]]] = {}
    for demand in demands:
        for term in demand.reached(reached):
            found.setdefault((term.loss, term.weight), []).append((demand, term))
    order = {loss: i for i, loss in enumerate(reached)}
    return tuple(_pass(asked, reached, owners)
                 for _, asked in sorted(found.items(), key=lambda item: order[item[0][0]]))


def _pass(asked: Sequence[tuple[Demand, WeightedLoss]], reached: Mapping[Key, set[Key]],
          owners: Mapping[Key, Sequence[tuple[str, Unit]]]) -> BackwardPass:
    loss = asked[0][1]._replace(guard=either(*(term.guard for _, term in asked)))
    names = {demand.optimizer for demand, _ in asked}
    return BackwardPass((loss,), tuple((demand.optimizer, demand.guard) for demand, _ in asked),
                        tuple(demand.owns for demand, _ in asked),
                        tuple(unit for model in sorted(reached[loss.loss]) for name, unit in owners.get(model, ())
                              if name not in names))
