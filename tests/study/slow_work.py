"""A tiny study whose runs are slow enough to be caught in the act. Workers import it by name."""

import os
import time
from dataclasses import dataclass

from twincode.study import Study
from twincode.study.work import Work

STEP_SECONDS = 0.15
STUDY = Study(
    datasets=("ItalyPowerDemand",),
    recipes=("bt-vqvae",),
    seeds=1,
    settings={
        "latent_channels": 4,
        "residual_blocks": 1,
        "codebook_size": 6,
        "projector_width": 8,
        "batch_size": 16,
        "kmeans_fits": 1,
        "evaluations": 2,
        "epochs": 8,
    },
)


@dataclass(frozen=True)
class SlowWork(Work):
    """Work that waits at every record, saves after every epoch and leaves its process's number."""

    step_seconds: float = STEP_SECONDS

    def __call__(self, run, watch=None):
        def slowly(record):
            if watch is not None:
                watch(record)
            time.sleep(self.step_seconds)

        run.folder.mkdir(parents=True, exist_ok=True)
        with (run.folder / "pids").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return super().__call__(run, slowly)
