"""Finds the parts of models whose parameters no loss reaches, although one reaches the model."""
from __future__ import annotations

from typing import Callable, Iterator, Sequence, Union

from graphdsl.semantics.computation import (
    Apply, Assignment, ChainType, Construct, Expression, Key, ModelName, Part, PartName, Weight, walk)


class UsedOutputs:
    """Which results of each model flow on to where.

    Args:
        assignments: Of the graph.
    """

    def __init__(self, assignments: Sequence[Assignment]):
        # For each model its outputs by position, each with the values that it flows into.
        self._flows: dict[Key, list[tuple[int, Key]]] = {}
        self._parts: dict[Key, list[tuple[tuple[str, ...], Key]]] = {}
        for assignment in assignments:
            for stage, is_last in _stages(assignment):
                for node in walk(stage):
                    if isinstance(node, Apply) and isinstance(node.callee, ModelName):
                        self._add(node, assignment, is_whole=not (is_last and node is stage))

    def _add(self, node: Apply, assignment: Assignment, is_whole: bool) -> None:
        model, path = node.callee.key, node.callee.path
        if path:
            self._parts.setdefault(model, []).extend((path, key) for key in assignment.results)
        else:
            flows = self._flows.setdefault(model, [])
            flows.extend((-1 if is_whole else i, key) for i, key in enumerate(assignment.results))

    def parts_of(self, model: Key, wanted: Callable[[Key], bool]) -> set[tuple[str, ...]]:
        """Returns the paths of a model's parts that are called on their own and flow into some wanted value."""
        return {path for path, key in self._parts.get(model, ()) if wanted(key)}

    def of(self, model: Key, chain: ChainType, wanted: Callable[[Key], bool]) -> frozenset[str]:
        """Returns the outputs of a model that flow into some wanted value.

        Args:
            model: The model.
            chain: What it is made of.
            wanted: Function that says of a value whether it is.
        """
        positions = {position for position, key in self._flows.get(model, ()) if wanted(key)}
        return frozenset(chain.outputs if -1 in positions else (chain.outputs[i] for i in positions))


def unreached(chain: ChainType, outputs: frozenset[str]
              ) -> Iterator[tuple[tuple[str, ...], Union[Construct, Weight]]]:
    """Yields the links and arrays of a chain that some of its outputs don't depend on, each with its path.

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
        if isinstance(part.content, Weight):
            if part.content.key not in needed:
                yield (part.name,), part.content
        elif isinstance(part.content, ChainType):
            for path, leaf in unreached(part.content, frozenset(used.get(part.name, ()))):
                yield (part.name, *path), leaf
        elif part.name not in used and part.content.module:
            yield (part.name,), part.content


def _outputs(part: Part) -> tuple[str, ...]:
    return part.content.outputs if isinstance(part.content, ChainType) else ('y',)


def _stages(assignment: Assignment) -> Iterator[tuple[Expression, bool]]:
    """Yields the stages of an assignment, each with whether its results are those of the assignment."""
    last = len(assignment.stages) - 1
    return ((stage, i == last) for i, stage in enumerate(assignment.stages))
