"""Finds the parts of models whose parameters no loss reaches, although one reaches the model."""
from __future__ import annotations

from typing import Callable, Iterable, Iterator, Sequence

from graphdsl.semantics.graph import (
    Apply, Assignment, ChainType, Construct, Expression, Key, ModelName, Part, PartName, walk)


class UsedOutputs:
    """Which results of each model flow on to where.

    Args:
        assignments: Of the graph.
    """

    def __init__(self, assignments: Sequence[Assignment]):
        # For each model its outputs by position, each with the values that it flows into.
        self._flows: dict[Key, list[tuple[int, Key]]] = {}
        for assignment in assignments:
            for stage, is_last in _stages(assignment):
                for node in walk(stage):
                    if isinstance(node, Apply) and isinstance(node.callee, ModelName):
                        flows = self._flows.setdefault(node.callee.key, [])
                        whole = not (is_last and node is stage)
                        flows.extend((-1 if whole else i, key) for i, key in enumerate(assignment.results))

    def of(self, model: Key, chain: ChainType, wanted: Callable[[Key], bool]) -> frozenset[str]:
        """Returns the outputs of a model that flow into some wanted value.

        Args:
            model: The model.
            chain: What it is made of.
            wanted: Function that says of a value whether it is.
        """
        positions = {position for position, key in self._flows.get(model, ()) if wanted(key)}
        return frozenset(chain.outputs if -1 in positions else (chain.outputs[i] for i in positions))


def unreached(chain: ChainType, outputs: frozenset[str]) -> Iterator[tuple[str, Construct]]:
    """Yields the links of a chain that some of its outputs don't depend on, each with its path.

    Args:
        chain: The chain.
        outputs: Names of the outputs.
    """
    needed = {Key(output) for output in outputs}
    used: dict[str, set[str]] = {}
    parts = {part.name: part for part in chain.parts}
    for assignment in reversed(chain.assignments):
        if not needed.intersection(assignment.results):
            continue
        for stage, is_last in _stages(assignment):
            for node in walk(stage):
                if isinstance(node, Apply) and isinstance(node.callee, PartName):
                    part = parts[node.callee.name]
                    names = _outputs(part)
                    if is_last and node is stage and len(names) == len(assignment.results):
                        names = tuple(n for n, key in zip(names, assignment.results) if key in needed)
                    used.setdefault(part.name, set()).update(names)
        needed.update(assignment.operands)
    for part in chain.parts:
        yield from _unreached_of(part, used.get(part.name, ()))


def _unreached_of(part: Part, outputs: Iterable[str]) -> Iterator[tuple[str, Construct]]:
    if isinstance(part.content, ChainType):
        for path, link in unreached(part.content, frozenset(outputs)):
            yield f'{part.name}.{path}', link
    elif not outputs and part.content.module:
        yield part.name, part.content


def _outputs(part: Part) -> tuple[str, ...]:
    return part.content.outputs if isinstance(part.content, ChainType) else ('y',)


def _stages(assignment: Assignment) -> Iterator[tuple[Expression, bool]]:
    """Yields the stages of an assignment, each with whether its results are those of the assignment."""
    last = len(assignment.stages) - 1
    return ((stage, i == last) for i, stage in enumerate(assignment.stages))
