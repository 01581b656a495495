"""A tokenizer and a prior over its codes together: likelihood, new series, gaps and surprise.

Series are scaled tensors (n, C, L) here; ``Model`` takes and gives them in their units.
"""

from twincode.generate.exhibits import make_exhibits
from twincode.generate.gaps import Filling, impute
from twincode.generate.judging import Judged, Sampler, check_judged, judge
from twincode.generate.likelihood import bits
from twincode.generate.stages import Stages, sample_tokens
from twincode.generate.surprise import WINDOWS, surprise_along, surprise_threshold

__all__ = [
    "WINDOWS",
    "Filling",
    "Judged",
    "Sampler",
    "Stages",
    "bits",
    "check_judged",
    "impute",
    "judge",
    "make_exhibits",
    "sample_tokens",
    "surprise_along",
    "surprise_threshold",
]
