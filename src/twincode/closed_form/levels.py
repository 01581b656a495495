"""What a quantised level costs: probabilities of levels, by the ratio of spread to step.

All components share one set of tables. A component whose standard deviation is r steps reads the
row of the bucket of log2 r; so a few hundred series fill the tables of any number of components,
modes and rates. Frequencies are whole numbers, so that every machine codes alike.
"""

import torch

FREQUENCY_BITS = 20  # the frequencies of a row sum to 2^20
WIDTH = 257  # absolute levels with a frequency of their own
LOWEST, HIGHEST, PER_OCTAVE = -3.0, 3.75, 4  # buckets of log2 r
UNITS = 16  # log2 r is held in whole sixteenths
CONTEXTS = int((HIGHEST - LOWEST) * PER_OCTAVE) + 1
COUNTED = 8  # levels below it are counted, the tail keeps its parametric shape


def contexts(ratio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The table row and the number of raw low bits for ``ratio``, log2 r in sixteenths.

    Row 0 is silent: a component that far below the step is always zero and costs nothing.
    Beyond the highest bucket the density is flat over neighbouring levels, so low bits are
    stored as they are and the rest is coded at the coarser step.
    """
    lowest, highest = int(LOWEST * UNITS), int(HIGHEST * UNITS)
    shift = ((ratio - highest + UNITS - 1) >> 4).clamp(min=0)
    row = (ratio - (shift << 4) - lowest + 2) >> 2
    return torch.where(ratio < lowest, 0, row + 1), shift


def largest_level(ratio: torch.Tensor) -> torch.Tensor:
    """The largest absolute level (odd) a component of ``ratio`` may take: 32 deviations."""
    return 2 * (8 * torch.exp2(ratio / UNITS)).ceil().to(ratio.dtype) + 3


def scale_mixture(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scales (k,) and weights (k,) of zero-mean Gaussians that together fit ``values`` (n,), by EM.

    Heavy tails are a mixture of scales; the scales are octaves and only the weights are fitted.
    """
    scales = 2.0 ** torch.arange(-3, 6, dtype=torch.float64)
    weights = torch.full_like(scales, 1 / len(scales))
    log_density = -0.5 * (values.double()[:, None] / scales).square() - scales.log()
    for _ in range(50):
        weights = torch.softmax(log_density + (weights + 1e-12).log(), 1).mean(0)
    return scales, (weights + 1e-5) / (weights + 1e-5).sum()


def level_prior(values: torch.Tensor) -> torch.Tensor:
    """Probabilities (2, contexts, width) of absolute levels, were ``values`` (deviations) rounded.

    A level above zero stands for two signs.
    """
    scales, weights = scale_mixture(values)
    k = torch.arange(WIDTH, dtype=torch.float64)
    ratio = 2.0 ** (LOWEST + torch.arange(CONTEXTS, dtype=torch.float64) / PER_OCTAVE)
    tables = []
    for quantiser in (0, 1):
        point = 2 * k - quantiser * (k > 0)
        edge = (point[1:] + point[:-1]) / 2
        within = edge[None, :, None] / (ratio[:, None, None] * scales)
        beyond = 2 * (torch.special.ndtr(-within) * weights).sum(-1)
        upper = torch.cat([torch.ones(CONTEXTS, 1, dtype=torch.float64), beyond], 1)
        lower = torch.cat([beyond, torch.zeros(CONTEXTS, 1, dtype=torch.float64)], 1)
        tables.append(upper - lower)
    table = torch.stack(tables) + 1e-9
    return table / table.sum(-1, keepdim=True)


def level_frequencies(
    prior: torch.Tensor, counts: torch.Tensor, strength: float = 30.0
) -> torch.Tensor:
    """Whole-number frequencies (2, contexts, width): ``counts`` smoothed towards ``prior``.

    Counts of neighbouring buckets are lent to each other; ``strength`` is the number of
    observations the prior is worth.
    """
    rows = counts.double().transpose(1, 2)  # (2, width, contexts)
    lent = torch.nn.functional.pad(rows, (2, 2))
    kernel = (0.25, 0.5, 1.0, 0.5, 0.25)
    smooth = sum(w * lent[..., i : i + CONTEXTS] for i, w in enumerate(kernel))
    smooth = torch.as_tensor(smooth).transpose(1, 2)
    table = (smooth + strength * prior) / (smooth.sum(-1, keepdim=True) + strength)
    tail = table[..., COUNTED:].sum(-1, keepdim=True)
    shape = prior[..., COUNTED:] / prior[..., COUNTED:].sum(-1, keepdim=True)
    table[..., COUNTED:] = tail * shape
    return whole_frequencies(table)


def signed_shares(frequencies: torch.Tensor, where: torch.Tensor, largest: int) -> torch.Tensor:
    """Probabilities (m, 2 largest + 1) of the levels -largest .. largest.

    ``where`` (3, m) are the quantiser, and the row and the number of low bits of ``contexts``, for
    whole-number ``frequencies`` (2, contexts, width).
    """
    quantiser, row, shift = where
    size = torch.arange(largest + 1)
    symbol = size >> shift[:, None]
    known = frequencies[quantiser, (row - 1).clamp(min=0)].double() / (1 << FREQUENCY_BITS)
    share = known.gather(1, symbol.clamp(max=WIDTH - 1)) * (symbol < WIDTH)
    share = share / (1 << shift[:, None])
    share[row == 0] = (size == 0).double()
    halves = share[:, 1:] / 2
    return torch.cat([halves.flip(1), share[:, :1], halves], 1)


def whole_frequencies(probability: torch.Tensor) -> torch.Tensor:
    """Rows of ``probability`` as whole numbers of at least 1 that sum to 2^20 exactly."""
    total = 1 << FREQUENCY_BITS
    share = probability / probability.sum(-1, keepdim=True)
    whole = (share * (total - share.shape[-1])).floor().long() + 1
    most = whole.argmax(-1, keepdim=True)
    return whole.scatter_add(-1, most, total - whole.sum(-1, keepdim=True))


def bits_of(frequencies: torch.Tensor) -> torch.Tensor:
    """Bits of each symbol, float32."""
    return (FREQUENCY_BITS - frequencies.double().log2()).float()


def level_costs(frequencies: torch.Tensor) -> torch.Tensor:
    """Bits (2, 1 + contexts, width) of absolute levels: one more for the sign of all but zero."""
    costs = bits_of(frequencies)
    costs[..., 1:] += 1
    silent = torch.full((2, 1, WIDTH), 1e6)
    silent[..., 0] = 0
    return torch.cat([silent, costs], 1)
