"""What a run saves, to go on from and to use."""
from __future__ import annotations

from chainer.training import Trainer, extensions

from graphdsl.options import Run
from graphdsl.runtime.program import Program
from graphdsl.training import best
from graphdsl.training.ending import Regularly


def extend(trainer: Trainer, program: Program, run: Run, regularly: Regularly) -> None:
    """Adds the extensions that save.

    Args:
        trainer: What is extended.
        program: The graph.
        run: What is asked of the run.
        regularly: Makes triggers that also fire where the run ends.
    """
    trainer.extend(extensions.snapshot(n_retains=program.settings.keep), trigger=regularly(program.settings.snapshot))
    best.extend(trainer, program, regularly)
