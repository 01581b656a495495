"""What codes cost, and the least error that so many bits allow.

Cover and Thomas, *Elements of Information Theory* (2006): rate distortion of Gaussian vectors,
10.3.3; arithmetic coding and cross-entropy, 13.3. Codes are whole numbers (n, tokens).
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from twincode.errors import TwincodeError
from twincode.evaluate.metric import Evaluator, Judged, Metric
from twincode.quantize import Layout

Floats = npt.NDArray[np.floating]
Codes = npt.NDArray[np.integer]


class Rate(Evaluator):
    """Bits that test series take, what they could be entropy coded in, and the bound at these bits.

    Without codes there is no rate and no bound, but still the size of the model.
    """

    metrics = (
        Metric("bits", "Bits a series"),
        Metric("bits_per_step", "Bits a step"),
        Metric("entropy_bits", "Cross-entropy, bits"),
        Metric("bound", "Gaussian bound, NMSE"),
        Metric("model_bytes", "Bytes of the model"),
    )

    def measure(self, judged: Judged) -> dict[str, float]:
        """All five; ``bound`` only where test series vary."""
        tokenizer, x = judged.tokenizer, judged.split.x_test
        state = tokenizer.state_dict().values()
        told = {"model_bytes": float(sum(v.numel() * v.element_size() for v in state))}
        train, test = judged.train.codes, judged.test.codes
        if train is None or test is None:
            return told
        bits = float(tokenizer.bits_of(test).double().mean())
        layout = tokenizer.layout
        sizes = np.repeat(layout.codebook_sizes, layout.widths).tolist() * test.shape[1]
        entropy = cross_entropy_bits(_tokens(test, layout), _tokens(train, layout), sizes)
        told |= {
            "bits": bits,
            "bits_per_step": bits / x[0].numel(),
            "entropy_bits": float(entropy.mean()),
        }
        bound = bound_nmse(x.cpu().numpy(), bits)
        return told if math.isnan(bound) else {**told, "bound": bound}


def _tokens(codes: Tensor, layout: Layout) -> Codes:
    """Codes (n, H, W) as tokens (n, H * W), each counted from 0 in its own codebook."""
    return np.concatenate([part.numpy() for part in layout.split(codes)], axis=2).reshape(
        len(codes), -1
    )


def cross_entropy_bits(
    codes: Codes, learnt: Codes, codebook_sizes: Sequence[int], smoothing: float = 0.5
) -> Floats:
    """Bits (n,) of each row of ``codes`` (n, N) under the frequencies of its places in ``learnt``.

    ``smoothing`` is added to every count (Krichevsky and Trofimov, 1981, for 0.5), so that a code
    that was not learnt has a finite cost.
    """
    _check_codes(codes, codebook_sizes)
    _check_codes(learnt, codebook_sizes)
    bits = np.zeros(len(codes))
    for own, known, size in zip(codes.T, learnt.T, codebook_sizes, strict=True):
        # Codebooks may be far larger than what is met of them.
        met, counts = np.unique(known, return_counts=True)
        place = np.searchsorted(met, own).clip(max=len(met) - 1)
        count = np.where(met[place] == own, counts[place], 0) + smoothing
        bits -= np.log2(count / (len(known) + smoothing * size))
    return bits


def _check_codes(codes: Codes, codebook_sizes: Sequence[int]) -> None:
    if codes.ndim != 2 or codes.shape[1] != len(codebook_sizes):
        raise TwincodeError(f"codes must be (n, {len(codebook_sizes)}), not {tuple(codes.shape)}")
    if codes.size and (codes.min() < 0 or (codes.max(0) >= np.asarray(codebook_sizes)).any()):
        raise TwincodeError("a code lies outside its codebook")


def nmse(x: Floats, x_hat: Floats) -> float:
    """Mean squared error over the variance of all values of ``x``; NaN where x is constant."""
    x, x_hat = np.asarray(x, np.float64), np.asarray(x_hat, np.float64)
    variance = float(x.var())
    return float(np.square(x - x_hat).mean()) / variance if variance > 0 else math.nan


def gaussian_bound(eigenvalues: Floats, bits: float) -> float:
    """The least squared error a series of a Gaussian source coded in ``bits``: reverse
    water-filling over ``eigenvalues`` (d,) of its covariance.

    At the water level w, the error is sum min(ev, w) and the rate sum max(0, log2(ev / w) / 2).
    No bits give the whole variance; a source without variance needs none.
    """
    values = np.sort(np.asarray(eigenvalues, np.float64))[::-1]
    if bits < 0:
        raise TwincodeError(f"a rate cannot be negative, but is {bits}")
    positive = values[values > max(values[0], 0.0) * 1e-15]
    if not len(positive):
        return 0.0
    # With the k largest under water, the level is their geometric mean times 2^(-2 bits / k).
    k = np.arange(1, len(positive) + 1)
    log_level = (np.cumsum(np.log2(positive)) - 2 * bits) / k
    following = np.append(np.log2(positive[1:]), -np.inf)
    first = int(np.argmax(log_level >= following))
    level = 2.0 ** min(log_level[first], math.log2(positive[0]))
    return float(np.minimum(np.maximum(values, 0), level).sum())


def bound_nmse(x: Floats, bits: float) -> float:
    """``gaussian_bound`` of series ``x`` (n, ...) from their own covariance, as an NMSE."""
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    n, d = flat.shape
    centred = flat - flat.mean(0)
    # Products of series have the eigenvalues of the covariance but zeros, and may be far fewer.
    products = centred @ centred.T if n < d else centred.T @ centred
    variance = float(flat.var())
    if not variance:
        return math.nan
    return gaussian_bound(np.linalg.eigvalsh(products / n), bits) / d / variance
