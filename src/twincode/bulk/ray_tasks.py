"""Files converted on Ray: one task a file, so nothing waits for what it holds itself."""

from collections.abc import Sequence
from pathlib import Path

from twincode.bulk.job import Job, Piece
from twincode.bulk.parquet import Tell, count_rows
from twincode.cluster import connected, outcome
from twincode.errors import TwincodeError
from twincode.memory import keep_freed_memory
from twincode.model import load_bare_model

POLL_SECONDS = 0.5
LEAVE_SECONDS = 10.0
RETRIES = 2
_THREADS = {"OMP_NUM_THREADS": "1"}


def convert_on_ray(
    model_folder: Path, job: Job, pieces: Sequence[Piece], address: str, device: str, tell: Tell
) -> None:
    """Convert every piece, one core each; ``tell`` is called when a file is done.

    All paths must be the same on every node. Raises TwincodeError for a file that cannot be
    converted; then, and on Ctrl-C, the others stop.
    """
    with connected(address) as ray:
        if ray.cluster_resources().get("CPU", 0) < 1:
            raise TwincodeError("no file can be converted here: this Ray has no core to give")
        remote = ray.remote(num_cpus=1, max_retries=RETRIES, runtime_env={"env_vars": _THREADS})(
            _convert
        )
        running = {remote.remote(model_folder, job, piece, device): piece for piece in pieces}
        try:
            while running:
                over, _ = ray.wait(list(running), timeout=POLL_SECONDS)
                for reference in over:
                    piece = running.pop(reference)
                    if reason := outcome(ray, reference, RETRIES + 1):
                        raise TwincodeError(reason)
                    tell(count_rows(piece.source))
        finally:
            for reference in running:
                ray.cancel(reference)
            if running:  # so that they have time to take away what they began
                ray.wait(list(running), num_returns=len(running), timeout=LEAVE_SECONDS)


def _convert(model_folder: Path, job: Job, piece: Piece, device: str) -> str | None:
    """What runs on a node."""
    keep_freed_memory()
    try:
        model = load_bare_model(model_folder, device)
        job.convert(model, piece.source, piece.target, piece.note, lambda _rows: None)
    except TwincodeError as error:
        return str(error)
    return None
