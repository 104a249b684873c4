"""The update plan: what an iteration computes, differentiates and updates, and nothing of how."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from graphdsl.semantics.graph import Assignment, Graph, Key


class WeightedLoss(NamedTuple):
    """A loss and what it is multiplied by."""

    loss: Key
    weight: float


@dataclass(frozen=True)
class BackwardPass:
    """One differentiation of a sum of losses.

    Attributes:
        losses: What is summed.
        optimizers: Whose parameters get this gradient.
        models: The models that these own.
    """

    losses: tuple[WeightedLoss, ...]
    optimizers: tuple[str, ...]
    models: tuple[Key, ...]


@dataclass(frozen=True)
class Step:
    """One run: a draw, a forward pass, backward passes, and then updates.

    Attributes:
        draws: Streams that give a minibatch.
        forward: What the losses need, in the order of computation.
        metrics: What is computed on top, without history, for reports alone.
        backward: All of them take their gradients before the first update.
        updates: Optimizers, in the order of the file.
        reports: Losses and metrics.
    """

    name: str
    draws: tuple[str, ...]
    forward: tuple[Assignment, ...]
    metrics: tuple[Assignment, ...]
    backward: tuple[BackwardPass, ...]
    updates: tuple[str, ...]
    reports: tuple[Key, ...]


@dataclass(frozen=True)
class Computation:
    """Values that are computed without training, and the inputs that they need."""

    inputs: tuple[str, ...]
    forward: tuple[Assignment, ...]
    results: tuple[Key, ...]


@dataclass(frozen=True)
class Plan:
    """What a training run does.

    Attributes:
        graph: What was planned.
        steps: In the order in which an iteration runs them.
        evaluation: Losses and metrics.
        prediction: Outputs.
    """

    graph: Graph
    steps: tuple[Step, ...]
    evaluation: Computation
    prediction: Computation

    def as_dict(self) -> dict[str, Any]:
        """Returns the plan as plain lists and dictionaries, for JSON."""
        return {'steps': [_step(step) for step in self.steps],
                'evaluation': _computation(self.evaluation), 'prediction': _computation(self.prediction)}


def _step(step: Step) -> dict[str, Any]:
    return {
        'name': step.name,
        'draws': list(step.draws),
        'forward': _names(step.forward),
        'metrics': _names(step.metrics),
        'backward': [{'losses': [{'loss': str(loss), 'weight': weight} for loss, weight in one.losses],
                      'optimizers': list(one.optimizers), 'models': list(map(str, one.models))}
                     for one in step.backward],
        'updates': list(step.updates),
        'reports': list(map(str, step.reports)),
    }


def _computation(computation: Computation) -> dict[str, Any]:
    return {'inputs': list(computation.inputs), 'forward': _names(computation.forward),
            'results': list(map(str, computation.results))}


def _names(assignments: tuple[Assignment, ...]) -> list[str]:
    return [', '.join(map(str, assignment.results)) for assignment in assignments]
