"""Training: one loop for whatever trains, checkpoints, log and results."""

from twincode.train.fitting import fit, fit_prior, run_id

__all__ = ["fit", "fit_prior", "run_id"]
