"""Ctrl-C that lets the epoch at work finish, so that nothing computed is lost."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType


class PatientInterrupt:
    """While entered, the first Ctrl-C only sets ``pending``; the second ends the program at once.

    ``notify`` is called on the first. Signals reach the main thread alone, so elsewhere it does
    nothing.
    """

    def __init__(self, notify: Callable[[], None] | None = None) -> None:
        self.pending = False
        self._notify = notify
        self._watching = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> "PatientInterrupt":
        if self._watching:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watching:
            # A handler from outside Python cannot be put back.
            signal.signal(signal.SIGINT, self._before or signal.SIG_DFL)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.pending:
            raise KeyboardInterrupt
        self.pending = True
        if self._notify is not None:
            # The signal may have come in the middle of a write to the same stream.
            with suppress(RuntimeError):
                self._notify()
