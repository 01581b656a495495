"""Judging generated series: pure functions of two sets, and the table they make."""

from twincode.evaluate.generation.harness import (
    BITS,
    GENERATION_METRICS,
    PSEUDO_BITS,
    TRAIN,
    GenerationSettings,
    Real,
    Row,
    Score,
    judge_rows,
    make_extractors,
    some_rows,
)

__all__ = [
    "BITS",
    "GENERATION_METRICS",
    "PSEUDO_BITS",
    "TRAIN",
    "GenerationSettings",
    "Real",
    "Row",
    "Score",
    "judge_rows",
    "make_extractors",
    "some_rows",
]
