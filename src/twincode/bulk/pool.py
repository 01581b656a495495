"""Several processes that convert files, each with its share of the cores."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

import torch

from twincode.bulk.job import Job, Piece
from twincode.bulk.parquet import Tell
from twincode.devices import cores
from twincode.errors import TwincodeError
from twincode.model import Model, load_bare_model

POLL_SECONDS = 0.2


def convert_in_processes(
    model_folder: Path, job: Job, pieces: Sequence[Piece], workers: int, device: str, tell: Tell
) -> None:
    """Convert every piece; ``tell`` is called in this process. Raises what a conversion raises.

    Then, and on Ctrl-C, the others stop after the part they are at, and leave no litter.
    """
    context = multiprocessing.get_context("spawn")
    done, stop = context.Value("q", 0), context.Event()
    threads = max(1, cores() // workers)
    beginning = (model_folder, job, device, threads, done, stop)
    told = 0
    with ProcessPoolExecutor(workers, context, _begin, beginning) as pool:
        running = {pool.submit(_convert, piece) for piece in pieces}
        try:
            while running:
                over, running = wait(running, POLL_SECONDS, FIRST_EXCEPTION)
                for each in over:
                    each.result()
                now = done.value
                if now > told:
                    tell(now - told)
                    told = now
        except BrokenProcessPool as error:
            raise TwincodeError(
                "a worker process has died, perhaps for want of memory; run the same command "
                "again, with fewer workers"
            ) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Worker:
    """What a process needs for every file."""

    model: Model
    job: Job
    done: "Synchronized[int]"
    stop: Event

    def tell(self, rows: int) -> None:
        """Count rows for the driver, and stop where it says so."""
        with self.done.get_lock():
            self.done.value += rows
        if self.stop.is_set():
            raise TwincodeError("stopped")


_worker: _Worker | None = None


def _begin(
    folder: Path, job: Job, device: str, threads: int, done: "Synchronized[int]", stop: Event
) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver to pass on
    threading.Thread(target=_end_with_driver, daemon=True).start()
    torch.set_num_threads(threads)
    _worker = _Worker(load_bare_model(folder, device), job, done, stop)


def _end_with_driver() -> None:
    """Without a driver there is nobody to work for; the pool itself would wait for ever."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    connection.wait([driver.sentinel])
    os._exit(1)


def _convert(piece: Piece) -> None:
    assert _worker is not None
    _worker.job.convert(_worker.model, piece.source, piece.target, piece.note, _worker.tell)
