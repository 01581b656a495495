"""Judging a frozen tokenizer."""

from twincode.evaluate.metric import METRICS, Evaluator, Features, Judged, Measurement, Metric
from twincode.evaluate.readout import READOUTS

USUAL_METRICS = ()
__all__ = ["METRICS", "READOUTS", "Evaluator", "Features", "Judged", "Measurement", "Metric"]
