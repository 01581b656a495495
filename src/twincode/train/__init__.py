"""Training: one loop for whatever trains, checkpoints, log and results."""

from twincode.train.fitting import fit, run_id

__all__ = ["fit", "run_id"]
