"""Closed forms as one would first write them: scikit-learn to fit, one series at a time to encode.

Encoders read the parts of a fitted coder, so that both find codes of the same books.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from twincode.closed_form import ComponentCoder, MixtureCoder
from twincode.closed_form.calibration import WEIGHT
from twincode.closed_form.components import split_bits
from twincode.closed_form.levels import contexts, largest_level, level_costs
from twincode.closed_form.trellis import NEXT_STATE

Floats = NDArray[np.float64]


def fit_components(x: NDArray, bits: int, bits_per_token: int = 5, group_size: int = 8) -> Floats:
    """The series x (n, D) as principal components and residual product k-means decode them."""
    components = PCA().fit(x)
    z = components.transform(x).astype(np.float64)
    left = z.copy()
    for size in split_bits(bits, bits_per_token):
        variance = np.square(left).mean(0)
        order = np.argsort(-variance)[:group_size]
        wide = 1
        while wide < len(order):
            above = variance[order[:wide]] / variance[order[wide]]
            if np.log2(above).sum() / 2 >= np.log2(size):
                break
            wide += 1
        group = order[:wide]
        means = KMeans(size, n_init=1, random_state=0).fit(left[:, group])
        left[:, group] -= means.cluster_centers_[means.labels_]
    decoded: Floats = components.inverse_transform(z - left)
    return decoded


def encode_components(coder: ComponentCoder, x: NDArray) -> NDArray[np.int64]:
    """Codes (n, tokens) of x (n, C, L), the ``beam`` best partial codes of a series kept."""
    mean, components = coder.mean.double().numpy(), coder.components.double().numpy()
    tokens = [
        (group.numpy(), book.double().numpy())
        for group, book in zip(coder.groups, coder.codebooks, strict=True)
    ]
    rows = []
    for series in x:
        start = components @ (series.ravel() - mean)
        beam: list[tuple[float, Floats, list[int]]] = [(float(start @ start), start, [])]
        for group, book in tokens:
            longer = []
            for _, left, codes in beam:
                for code, word in enumerate(book):
                    after = left.copy()
                    after[group] -= word
                    longer.append((float(after @ after), after, [*codes, code]))
            beam = sorted(longer, key=lambda each: each[0])[: coder.beam]
        rows.append(beam[0][2])
    return np.array(rows)


def encode_mixture(coder: MixtureCoder, x: NDArray) -> NDArray[np.int64]:
    """Codes (n, tokens) of x (n, 1, L) at an average rate: modes window by window, then levels by
    the Viterbi algorithm, one after another."""
    modes, step = coder._modes, 2.0**coder.log2_step
    noise = 0.3 * step * step
    mean, basis = modes.mean.double().numpy(), modes.basis.double().numpy()
    noisy = modes.variance.numpy() + noise
    naming = -modes.transition_prior.log().numpy()
    cost = level_costs(coder.level_frequencies).double().numpy()
    rows = []
    for series in x:
        t = coder.windows_of(series.shape[1])
        missing = t * coder.window - series.shape[1]
        windows = np.pad(series[0], (0, missing), mode="edge").reshape(t, coder.window)
        chosen, z = [], []
        previous = len(mean)
        for window in windows:
            price = []
            for mode in range(len(mean)):
                left = window - mean[mode]
                own = left @ basis[mode]
                inside = np.square(own).sum()
                outside = (np.square(left).sum() - inside) / noise
                within = (np.square(own) / noisy[mode]).sum() + np.log(noisy[mode]).sum()
                price.append((outside + within) / 2 + naming[previous, mode])
            previous = int(np.argmin(price))
            chosen.append(previous)
            z.append((window - mean[previous]) @ basis[previous])
        ratio = coder.ratio[chosen].T.flatten()
        row, shift = (each.tolist() for each in contexts(ratio))
        largest = largest_level(ratio).tolist()
        y = (np.array(z).T.flatten() / step).tolist()
        levels = _viterbi(y, row, shift, largest, cost)
        shifted = np.array(levels) + coder._largest.repeat_interleave(t).numpy()
        rows.append([*chosen, *shifted])
    return np.array(rows)


def _viterbi(
    y: list[float], row: list[int], shift: list[int], largest: list[int], cost: Floats
) -> list[int]:
    """The levels with the least squared error and price of bits over all paths of four states."""
    following = NEXT_STATE.tolist()
    paths: dict[int, tuple[float, list[int]]] = {0: (0.0, [])}
    for value, context, low, top in zip(y, row, shift, largest, strict=True):
        reached: dict[int, tuple[float, list[int]]] = {}
        for state, (total, levels) in paths.items():
            quantiser, size = state >> 1, abs(value)
            exact = (size + quantiser) / 2
            even = min(2 * round(exact / 2), top - 1)
            odd = min(2 * max(round((exact - 1) / 2), 0) + 1, top)
            for level in {0, even, odd}:
                symbol = level >> low
                bits = cost[quantiser, context, symbol] + low + (low > 0 and symbol == 0)
                point = 2 * level - quantiser * (level > 0)
                price = total + (size - point) ** 2 + WEIGHT * bits
                after = following[state][level & 1]
                if after not in reached or price < reached[after][0]:
                    reached[after] = (price, [*levels, level if value >= 0 else -level])
        paths = reached
    return min(paths.values(), key=lambda each: each[0])[1]
