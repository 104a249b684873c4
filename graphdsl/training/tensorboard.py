"""Event files for TensorBoard."""
from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Mapping, Optional

from graphdsl.options import MissingPackage
from graphdsl.training.names import COUNTS
from graphdsl.training.progress import LogReader

#: Folder of the event files within that of the results.
FOLDER = 'tensorboard'


class WriteEvents(LogReader):
    """Writes every new entry of the log as an event: each value under its name, at its iteration.

    Where a run goes on from a snapshot, events of iterations that are done once more are taken back.

    Raises:
        MissingPackage: If tensorboardX is not installed.
    """

    def __init__(self):
        super().__init__()
        try:
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto import event_pb2, summary_pb2
        except ImportError:
            raise MissingPackage("--tensorboard needs tensorboardX: pip install 'graphdsl[tensorboard]'") from None
        self._open, self._events, self._summaries = EventsWriter, event_pb2, summary_pb2
        self._file: Optional[Any] = None

    def initialize(self, trainer) -> None:
        super().initialize(trainer)
        folder = Path(trainer.out) / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        iteration = trainer.updater.iteration
        # The names are in the order of time, within a second as well. SummaryWriter, with its threads, would also
        # write `digit[2]` as `digit_2_`.
        self._file = self._open(str(folder / 'events'), f'.{iteration:09d}')
        first = iteration + 1 if iteration > 0 else 0
        start = self._events.SessionLog(status=self._events.SessionLog.START)
        self._file.write_event(self._events.Event(step=first, session_log=start))
        self._file.flush()

    def read(self, entry: Mapping[str, Any]) -> None:
        values = [self._summaries.Summary.Value(tag=name, simple_value=value)
                  for name, value in entry.items() if name not in COUNTS]
        self._file.write_event(self._events.Event(step=entry['iteration'], wall_time=time.time(),
                                                  summary=self._summaries.Summary(value=values)))
        self._file.flush()

    def finalize(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
