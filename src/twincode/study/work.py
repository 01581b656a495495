"""One run of a study carried out, wherever that is."""

import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from twincode.errors import TwincodeError, first_line
from twincode.files import LOCK, write_text
from twincode.memory import return_freed_memory
from twincode.study.runs import PlannedRun
from twincode.train import fit
from twincode.train.log import Watch
from twincode.train.run import CHECKPOINT_SECONDS

FAILURE = "failure.txt"

# How long a worker that was told to die, with its driver or its node, may take over it.
PREDECESSOR_SECONDS = 30.0

_EXPECTED = (TwincodeError, MemoryError)  # what a person can mend


@dataclass(frozen=True)
class Work:
    """How the runs of a study are carried out; call it with a run. It can be sent to a worker."""

    device: str = "auto"
    command: Sequence[str] = ()
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    def __call__(self, run: PlannedRun, watch: Watch | None = None) -> str | None:
        """Carry out ``run``, its priors too; None when that went well, else the reason in one line.

        What nobody foresaw is kept at full length in ``failure.txt`` in the run's folder.
        """
        try:
            _await_predecessor(run.folder)
            (run.folder / FAILURE).unlink(missing_ok=True)
            dataset = run.data.load()
            if run.second_stage is not None:
                run.second_stage.check(dataset)
            told = (watch, self.command, self.checkpoint_seconds)
            model = fit(run.config, dataset, run.folder, self.device, *told)
            if run.second_stage is not None:
                run.second_stage.carry_out(model, dataset, run.folder, *told)
        except _EXPECTED as error:
            return first_line(error) or type(error).__name__
        except Exception as error:
            with suppress(TwincodeError):
                write_text(run.folder / FAILURE, traceback.format_exc())
            return f"{type(error).__name__}: {first_line(error)}"
        finally:
            return_freed_memory()
            if torch.cuda.is_initialized():
                torch.cuda.empty_cache()  # for other workers on the same GPU
        return None


def _await_predecessor(folder: Path) -> None:
    """Let a worker that dies in this folder release it first; ``fit`` says so if it does not."""
    if folder.exists():
        with suppress(Timeout, OSError), FileLock(folder / LOCK, timeout=PREDECESSOR_SECONDS):
            pass
