"""Training: objective, loop, checkpoints, log and results."""

from twincode.train.run import fit, run_id

__all__ = ["fit", "run_id"]
