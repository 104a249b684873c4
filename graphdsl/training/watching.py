"""What a run shows of itself, and what it writes for people: the log and lines on the terminal."""
from __future__ import annotations

import contextlib
import sys
from typing import Iterator

from chainer.training import Trainer, extensions

from graphdsl.options import Run
from graphdsl.runtime.program import Program
from graphdsl.training import live
from graphdsl.training.ending import Regularly
from graphdsl.training.progress import PrintProgress
from graphdsl.training.record import Record, WriteRecord
from graphdsl.training.statistics import Statistics
from graphdsl.training.tensorboard import WriteEvents


def extend(trainer: Trainer, program: Program, run: Run, regularly: Regularly) -> None:
    """Adds the extensions that log and show.

    Args:
        trainer: What is extended.
        program: The graph.
        run: What is asked of the run.
        regularly: Makes triggers that also fire where the run ends.
    """
    record = WriteRecord(Record.of(program, run, regularly.length))
    trainer.extend(record)
    statistics = Statistics(program.models, program.optimizers) if run.statistics else None
    trainer.extend(extensions.LogReport(trigger=regularly(program.settings.log), postprocess=statistics))
    if run.tensorboard:
        trainer.extend(WriteEvents())
    if run.progress is True and live.is_possible(sys.stdout):
        trainer.extend(live.LiveView(program.name, regularly.length))
    elif run.progress:
        trainer.extend(PrintProgress())
    if run.report:
        from graphdsl.training.report import WriteReport    # not every run needs what this imports
        trainer.extend(WriteReport(program, record))


def is_live(trainer: Trainer) -> bool:
    """Says whether the run is drawn in place."""
    try:
        return trainer.get_extension('LiveView') is not None
    except ValueError:
        return False


@contextlib.contextmanager
def attended(trainer: Trainer) -> Iterator[None]:
    """Ends the live view and writes the report after what happens within, even where another extension failed to end.

    Args:
        trainer: That runs within.
    """
    try:
        yield
    finally:
        for name in ('LiveView', 'WriteReport'):
            with contextlib.suppress(ValueError):       # there is no such extension
                trainer.get_extension(name).finalize()
