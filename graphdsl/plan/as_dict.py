"""A plan as plain lists and dictionaries, for JSON."""
from __future__ import annotations

from typing import Any

from graphdsl.semantics.computation import Assignment, Literal
from graphdsl.plan.plan import ALWAYS, NEVER, BackwardPass, Computation, Guard, Operation, Plan, Step


def as_dict(plan: Plan) -> dict[str, Any]:
    """Returns a plan as plain lists and dictionaries."""
    return {'steps': [_Step(step).as_dict() for step in plan.steps],
            'evaluation': list(map(_computation, plan.evaluation)),
            'prediction': list(map(_computation, plan.prediction))}


class _Step:

    def __init__(self, step: Step):
        self._step = step
        self._conditions = [condition.name for condition in step.conditions]

    def as_dict(self) -> dict[str, Any]:
        step = self._step
        return {
            'name': step.name,
            'runs': step.kind or 'once',
            **({'count': step.count.value} if isinstance(step.count, Literal) else {}),
            'always': step.condition is None,
            'draws': [{draw.kind: draw.name, **({'again': True} if draw.again else {}), **self._when(draw.guard)}
                      for draw in step.draws if draw.is_read],
            'takes over': [{'values': _names(one.operation.assignment), 'step': one.step} for one in step.reused],
            'forward': list(map(self._operation, step.forward)),
            'metrics': list(map(self._operation, step.metrics)),
            'backward': list(map(self._backward, step.backward)),
            'updates': [{'optimizer': name, **self._when(guard)} for name, guard in step.updates],
            'reports': [{'value': str(key), **self._when(guard)} for key, guard in step.reports],
            # Of models whose statistics sometimes move, `when` says when they do.
            'quiet': [{'model': str(key), **({} if guard == NEVER else self._when(guard))}
                      for key, guard in step.quiet],
            'hands on': list(map(str, step.handed)),
        }

    def _when(self, guard: Guard, name: str = 'when') -> dict[str, Any]:
        cases = [[self._conditions[i] for i in sorted(case)] for case in sorted(guard, key=sorted)]
        return {} if guard == ALWAYS else {name: cases}

    def _operation(self, one: Operation) -> dict[str, Any]:
        history = one.history[-1]
        sometimes = {} if history in (NEVER, one.guard) else self._when(history, 'history when')
        return {'values': _names(one.assignment), 'history': one.has_history, **sometimes,
                **({} if one.stack is None else {'as one': one.stack}), **self._when(one.guard)}

    def _backward(self, one: BackwardPass) -> dict[str, Any]:
        return {'losses': [{'loss': str(loss), 'weight': weight, **self._when(guard)}
                           for loss, weight, guard in one.losses],
                'optimizers': [{'optimizer': name, 'owns': list(map(str, units)), **self._when(guard)}
                               for (name, guard), units in zip(one.optimizers, one.units)],
                'unused': list(map(str, one.unused))}


def _computation(computation: Computation) -> dict[str, Any]:
    return {'sources': list(computation.sources), 'inputs': list(map(str, computation.inputs)),
            'forward': [_names(one.assignment) for one in computation.forward],
            'results': list(map(str, computation.results))}


def _names(assignment: Assignment) -> str:
    return ', '.join(map(str, assignment.results))
