"""Following the log of a run, wherever it is carried out: every executor's way to know of it."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from twincode.study.runs import PlannedRun
from twincode.train.run import LOG


class LogTail:
    """What a run adds to its log from now on.

    Where nobody else knows when the run starts, ``worker`` is named as who started it when its log
    first changes.
    """

    def __init__(self, run: PlannedRun, worker: str | None = None) -> None:
        self.run = run
        self._worker = worker
        self._path = run.folder / LOG
        self._position = self._size()

    def news(self) -> Iterator[dict[str, Any]]:
        """The records since the last call, with the name of their ``run``."""
        size = self._size()
        if self._worker is not None and size != self._position:
            yield {"event": "started", "run": self.run.name, "worker": self._worker}
            self._worker = None
        # A run that is taken up again may first cut its log.
        self._position = min(size, self._position)
        if size == self._position:
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            added = file.read()
        whole = added[: added.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.splitlines():
            # Cut and grown again between two looks, a log may begin with half a line.
            with suppress(ValueError):
                yield {**json.loads(line), "run": self.run.name}

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0
