"""Judging a frozen tokenizer."""

from twincode.evaluate.evaluator import (
    Measurement,
    Split,
    check_evaluation,
    evaluate_tokenizer,
    prepare,
)
from twincode.evaluate.exhibits import augmentation_exhibit, make_exhibits

__all__ = [
    "Measurement",
    "Split",
    "augmentation_exhibit",
    "check_evaluation",
    "evaluate_tokenizer",
    "make_exhibits",
    "prepare",
]
