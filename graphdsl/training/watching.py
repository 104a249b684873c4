"""What a run shows of itself, and what it writes for people: the log and lines on the terminal."""
from __future__ import annotations

from chainer.training import Trainer, extensions

from graphdsl.options import Run
from graphdsl.runtime.program import Program
from graphdsl.training.ending import Regularly
from graphdsl.training.progress import PrintProgress


def extend(trainer: Trainer, program: Program, run: Run, regularly: Regularly) -> None:
    """Adds the extensions that log and show.

    Args:
        trainer: What is extended.
        program: The graph.
        run: What is asked of the run.
        regularly: Makes triggers that also fire where the run ends.
    """
    interval = program.settings.log
    trainer.extend(extensions.LogReport(trigger=regularly(interval)))
    if run.progress:
        trainer.extend(PrintProgress(), trigger=regularly(interval))
