"""A plan as a table: for each optimizer its losses, its parameters, and the function nodes that they take."""
from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple, Optional

from graphdsl.compiled import CompiledGraph
from graphdsl.semantics.computation import Key
from graphdsl.runtime.counting import Nodes
from graphdsl.plan.plan import BackwardPass, Plan, Step
from graphdsl.tools.explain import Explanation
from graphdsl.tools.families import base_of

_WIDTH = 110

Counts = Mapping[Any, Nodes]


class Size(NamedTuple):
    """Parameters of an optimizer: arrays, elements, bytes."""

    arrays: int
    elements: int
    bytes: int


class Row(NamedTuple):
    """One or several optimizers of a family that take their gradients from one pass.

    Attributes:
        step (str): The step.
        number (int): Which of its backward passes.
        optimizers: Their names.
        losses: What they minimize in this step.
        size: Of each of them.
        forward: Nodes of the whole step; None in all of its rows but the first.
        backward: Nodes of the whole pass; None likewise.
    """

    step: str
    number: int
    optimizers: tuple[str, ...]
    losses: tuple[Key, ...]
    size: Size
    forward: Optional[int]
    backward: Optional[int]


def sizes_of(graph: CompiledGraph) -> dict[str, Size]:
    """Returns what each optimizer owns."""
    found = {}
    for name, optimizer in graph.optimizers.items():
        arrays = [parameter.array for parameter in optimizer.target.params()]
        found[name] = Size(len(arrays), sum(a.size for a in arrays), sum(a.nbytes for a in arrays))
    return found


def rows(plan: Plan, sizes: Mapping[str, Size], counts: Counts) -> Iterator[Row]:
    """Yields the rows of the table.

    Args:
        plan: The plan.
        sizes: What each optimizer owns.
        counts: Function nodes by step and pass.
    """
    terms = {optimizer.name: [term.loss for term in optimizer.terms] for optimizer in plan.graph.optimizers}
    for step in plan.steps:
        forward: Optional[int] = counts.get((step.name, None), Nodes()).forward
        reported = {report.key for report in step.reports}
        for number, one in enumerate(step.backward):
            backward: Optional[int] = counts.get((step.name, number), Nodes()).backward
            for group in _families(one, sizes):
                losses = dict.fromkeys(loss for name in group for loss in terms[name] if loss in reported)
                yield Row(step.name, number + 1, group, tuple(losses), sizes[group[0]], forward, backward)
                forward = backward = None


def _families(one: BackwardPass, sizes: Mapping[str, Size]) -> list[tuple[str, ...]]:
    """Returns the optimizers of a pass, those of a family together that own equally much."""
    groups: dict[tuple[str, Size], list[str]] = {}
    for name, _ in one.optimizers:
        groups.setdefault((base_of(name), sizes[name]), []).append(name)
    return [tuple(names) for names in groups.values()]


def as_dict(graph: CompiledGraph) -> dict[str, Any]:
    """Returns the plan with sizes, ways and counts as plain lists and dictionaries, for JSON."""
    sizes, counts = sizes_of(graph), graph.count_nodes()
    explanation = Explanation(graph.plan, graph.origin.source)
    plan = graph.plan.as_dict()
    for step, planned in zip(plan['steps'], graph.plan.steps):
        step['nodes'] = counts.get((step['name'], None), Nodes())._asdict()
        for number, (one, backward) in enumerate(zip(step['backward'], planned.backward)):
            one['through'] = explanation.path(planned, backward)
            one['nodes'] = counts.get((step['name'], number), Nodes())._asdict()
            for owner in one['optimizers']:
                owner['parameters'] = sizes[owner['optimizer']]._asdict()
    return plan


def render(graph: CompiledGraph) -> str:
    """Writes the plan of a graph in words and as a table, as wide as the terminal if there is one."""
    from rich.console import Console
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    explanation = Explanation(graph.plan, graph.origin.source)
    with console.capture() as capture:
        for step in graph.plan.steps:
            console.print(explanation.heading(step), style='bold', markup=False)
            console.print(_words(explanation, step))
            console.print()
        console.print(_table(explanation, list(rows(graph.plan, sizes_of(graph), graph.count_nodes()))))
    return '\n'.join(line.rstrip() for line in capture.get().splitlines()) + '\n'


def _words(explanation: Explanation, step: Step):
    from rich.table import Table
    from rich.text import Text
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style='dim')
    table.add_column()
    for name, text in explanation.lines(step):
        table.add_row(Text(f'  {name}'), Text(text))
    return table


def _table(explanation: Explanation, found: list[Row]):
    from rich import box
    from rich.table import Table
    from rich.text import Text
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption_justify='left',
                  caption='Function nodes that run in iteration 0, on two examples: forward those of the step, '
                          'backward those of the pass.')
    for name in ('step', 'pass', 'optimizer', 'losses'):
        table.add_column(name, justify='right' if name == 'pass' else 'left', overflow='fold')
    for name in ('parameters', 'bytes', 'forward', 'backward'):
        table.add_column(name, justify='right', no_wrap=True)
    for row in found:
        times = f'{len(row.optimizers)} x ' if len(row.optimizers) > 1 else ''
        table.add_row(*map(Text, (
            row.step if row.forward is not None else '', str(row.number) if row.backward is not None else '',
            explanation.optimizers(row.optimizers), explanation.values(row.losses),
            f'{times}{row.size.elements:,}', f'{times}{row.size.bytes:,}', _count(row.forward), _count(row.backward))))
    return table


def _count(number: Optional[int]) -> str:
    return '' if number is None else str(number)
