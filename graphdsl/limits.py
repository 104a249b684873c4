"""What a file may come to: no small file shall keep the compiler busy for long, or fill the memory."""
from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Mapping, Optional


def _limit(default: int, what: str, most: Optional[int] = None, why: str = '') -> Any:
    return field(default=default, metadata={'what': what, 'most': most, 'why': why})


@dataclass(frozen=True)
class Limits:
    """Limits of what a file may come to. Each is an integer, 1 at least.

    Args:
        file_size: Bytes of the file.
        depth: Levels of brackets, braces and operators in each other; calls in each other with those of blocks.
        blocks: Blocks in each other.
        statements: Statements that loops and branches unroll to, in all.
        expressions: Parts of expressions, in all statements that are unrolled and all blocks that are built.
        calls: Calls of links and functions in an iteration, those within models included.
        bits: Bits of an integer that is known while compiling.
        elements: Elements of a list, and characters of a string, that are computed while compiling.
        examples: Elements of all inputs and noises of the first iteration, which has two examples, and of each array
            that is computed in it.
        parameters: Elements of the parameters and statistics of all models.
        memory: Megabytes that a command takes before training.
        seconds: Seconds of processor time that a command takes, without the trial of a run and what follows.
        errors: Errors and warnings that a command shows.

    Raises:
        ValueError: If one is no such number, or larger than can be.

    The last three hold for the command line only.
    """

    file_size: int = _limit(500_000, 'bytes of the file')
    depth: int = _limit(100, 'levels of nesting', 1000, 'Python cannot read what is nested more deeply')
    blocks: int = _limit(40, 'blocks in each other', 1000, 'Python cannot read what is nested more deeply')
    statements: int = _limit(20_000, 'unrolled statements')
    expressions: int = _limit(100_000, 'parts of expressions, in all turns of loops')
    calls: int = _limit(10_000, 'calls of links and functions in an iteration')
    bits: int = _limit(4096, 'bits of an integer', 14_000, 'Python does not write longer integers')
    elements: int = _limit(100_000, 'elements of a computed list or string')
    examples: int = _limit(100_000_000, 'elements of inputs, noises and computed arrays, for two examples')
    parameters: int = _limit(200_000_000, 'elements of all parameters')
    memory: int = _limit(4000, 'megabytes that a command takes before training')
    seconds: int = _limit(10, 'seconds of processor time, without the trial of a run')
    errors: int = _limit(100, 'errors and warnings that are shown')

    def __post_init__(self) -> None:
        for name, about in descriptions().items():
            value, most = getattr(self, name), about['most']
            if type(value) is not int or value < 1:
                raise ValueError(f'the limit {name} is an integer from 1 upwards, not {value!r}')
            if most is not None and value > most:
                raise ValueError(f'the limit {name} is at most {most:,}: {about["why"]}')

    @classmethod
    def of(cls, given: Mapping[str, int]) -> Limits:
        """Makes limits of those that differ from the defaults.

        Raises:
            ValueError: If there is no such limit, or it cannot be set so.
        """
        unknown = next((name for name in given if name not in descriptions()), None)
        if unknown is not None:
            raise ValueError(f'there is no limit {unknown!r}; there are ' + ', '.join(descriptions()))
        return cls(**given)

    def advice(self, name: str, needed: Optional[int] = None) -> str:
        """Says what a limit is, and how to raise it.

        Args:
            name: Of the limit.
            needed: What the file came to, where that is known.
        """
        value, most = getattr(self, name), descriptions()[name]['most']
        enough = max(needed or 0, 2 * value)
        if most is not None and (value == most or (needed or 0) > most):
            return f'the limit is {value:,}, and {most:,} at most: {descriptions()[name]["why"]}'
        if enough.bit_length() > 64:
            return f'the limit is {value:,}; `--limit {name}=NUMBER` raises it'
        return f'the limit is {value:,}; `--limit {name}={min(enough, most or enough)}` raises it'


def descriptions() -> dict[str, Mapping[str, Any]]:
    """Returns of each limit what it counts (``'what'``), how large it can be (``'most'``), and why (``'why'``)."""
    return {limit.name: limit.metadata for limit in fields(Limits)}


_USUAL = Limits()
# Bytes of stack, and frames of Python, for each level of nesting.
_STACK, _FRAMES = 2 ** 19, 60


def with_room(limits: Limits, action: Callable, *arguments: Any) -> Any:
    """Calls an action with a stack that is large enough for what the limits allow.

    Args:
        limits: The limits; where they allow no more than usual, the action is just called.
        action: Function to call, in a thread of its own if need be.
        arguments: Its arguments.
    """
    levels = max(limits.depth - _USUAL.depth, limits.blocks - _USUAL.blocks, 0)
    if not levels:
        return action(*arguments)
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(action(*arguments))
        except BaseException as error:
            failure.append(error)

    before, stack = sys.getrecursionlimit(), threading.stack_size(_STACK * levels)
    sys.setrecursionlimit(before + _FRAMES * levels)
    try:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(before)
        threading.stack_size(stack)
    if failure:
        raise failure[0]
    return result[0]
