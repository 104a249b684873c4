"""What a run saves, to go on from and to use."""
from __future__ import annotations

from chainer.training import Trainer, extensions

from graphdsl.runtime.program import Program
from graphdsl.training import best, snapshots
from graphdsl.training.ending import Regularly
from graphdsl.training.stopping import SavingTrigger, Stop


def extend(trainer: Trainer, program: Program, regularly: Regularly, stop: Stop) -> None:
    """Adds the extensions that save.

    Args:
        trainer: What is extended.
        program: The graph.
        regularly: Makes triggers that also fire where the run ends.
        stop: Knows whether the run is to stop, and so is saved.
    """
    best.extend(trainer, program, regularly)
    trainer.extend(stop)
    trainer.extend(extensions.snapshot(writer=snapshots.Writer(), n_retains=program.settings.keep),
                   trigger=SavingTrigger(regularly(program.settings.snapshot), stop))
