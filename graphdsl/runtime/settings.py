"""What a generated module says about its inputs and its run."""
from __future__ import annotations

from typing import NamedTuple, Optional, Union


class Input(NamedTuple):
    """A column of a stream.

    Attributes:
        name: Its name, ``'_'`` for a column that is not wanted.
        dtype: Name of the dtype that arrays are cast to.
        shape: Shape of one example, without the batch axis; None for an axis of any length.
        stream: The stream it comes from, ``'main'`` in a graph without data.
        pad: What fills up the examples of a minibatch whose lengths differ.
    """

    name: str
    dtype: str
    shape: tuple[Optional[int], ...]
    stream: str
    pad: Union[int, float, None] = None


class Train(NamedTuple):
    """The settings of a run; intervals are triggers in Chainer's form, such as ``(1, 'epoch')``.

    Attributes:
        batch: Examples in a minibatch.
        length: When to stop; None if the caller has to say.
        seed: Of the order of examples, the initial weights and dropout.
        evaluate, log, snapshot: How often.
        keep: How many snapshots are kept, the last ones.
        best: Reports, each with whether it should fall, whose best weights are kept.
        stall: A report, whether it should fall, and how many evaluations it may stay without improving.
        batches: Sizes of minibatches of streams that have their own, by stream.
        streams: Names of the data blocks, in order.
        counts_epochs: Whether a step draws from the first of them.
    """

    batch: int
    length: Optional[tuple[int, str]] = None
    seed: int = 0
    evaluate: tuple[int, str] = (1, 'epoch')
    log: tuple[int, str] = (1, 'epoch')
    snapshot: tuple[int, str] = (1, 'epoch')
    keep: int = 2
    best: tuple[tuple[str, bool], ...] = ()
    stall: Optional[tuple[str, bool, int]] = None
    batches: dict[str, int] = {}
    streams: tuple[str, ...] = ()
    counts_epochs: bool = True

    def batch_of(self, stream: str) -> int:
        """Returns how many examples a minibatch of a stream has."""
        return self.batches.get(stream, self.batch)
