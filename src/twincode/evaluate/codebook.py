"""How a codebook is used, and how alike its codes are."""

from statistics import fmean

import torch
from torch import Tensor

from twincode.evaluate.metric import Evaluator, Judged, Metric
from twincode.quantize import Layout


class Codebook(Evaluator):
    """How the codes of train and test together are used, and how alike the code vectors are.

    Several codebooks are measured one by one; each number is the mean over them.
    """

    metrics = (
        Metric("perplexity", "Perplexity"),
        Metric("used_codes", "Used codes"),
        Metric("dead_codes", "Dead codes"),
        Metric("codebook_cosine", "Codebook cosine"),
    )

    def measure(self, judged: Judged) -> dict[str, float]:
        """All four; the last only where codes have vectors, nothing where there are no codes."""
        if judged.train.codes is None or judged.test.codes is None:
            return {}
        layout = judged.tokenizer.layout
        codes = torch.cat([judged.train.codes, judged.test.codes])
        measures = measure_codes(code_counts(codes, layout.codebook_size), layout)
        codebooks = judged.tokenizer.quantizer.codebooks()
        if codebooks:
            measures["codebook_cosine"] = fmean(map(mean_absolute_cosine, codebooks))
        return measures


def measure_codes(counts: Tensor, layout: Layout) -> dict[str, float]:
    """Perplexity, used and dead codes of the counts (K,) of all codes of a layout.

    With several codebooks each is measured by itself and the mean is given: a perplexity, say,
    stays comparable with that of a model with one codebook of the same size.
    """
    parts = counts.split(list(layout.codebook_sizes))
    measures = {"perplexity": perplexity, "used_codes": used_codes, "dead_codes": dead_codes}
    return {name: fmean(measure(part) for part in parts) for name, measure in measures.items()}


def code_counts(codes: Tensor, codebook_size: int) -> Tensor:
    """How often each code occurs: int64 codes of any shape, each in 0 .. K-1 -> int64 (K,)."""
    won = codes.flatten()
    # Not bincount, which waits for the largest code on an accelerator.
    return won.new_zeros(codebook_size).scatter_add_(0, won, torch.ones_like(won))


def perplexity(counts: Tensor) -> float:
    """exp of the entropy of the codes' frequencies: K when all are used alike, 1 when one is.

    0 where nothing was counted.
    """
    used = counts[counts > 0].to(torch.float64)
    if used.numel() == 0:
        return 0.0
    frequencies = used / used.sum()
    return float(torch.exp(-(frequencies * frequencies.log()).sum()))


def used_codes(counts: Tensor) -> int:
    """Number of codes that occur at all."""
    return int((counts > 0).sum())


def dead_codes(counts: Tensor) -> int:
    """Number of codes that never occur."""
    return counts.numel() - used_codes(counts)


def mean_absolute_cosine(codebook: Tensor) -> float:
    """Mean of |cos| over all pairs of different codes of a codebook (K, D).

    0 for orthogonal codes and for K = 1; 1 for parallel ones. A code of length zero has no
    direction and counts as orthogonal to every other.
    """
    K = codebook.shape[0]
    if K < 2:
        return 0.0
    codes = codebook.detach().to(torch.float64)
    lengths = codes.norm(dim=1, keepdim=True)
    directions = codes / torch.where(lengths > 0, lengths, 1.0)
    cosines = (directions @ directions.T).abs().clamp(max=1.0)
    return float((cosines.sum() - cosines.diagonal().sum()) / (K * (K - 1)))
