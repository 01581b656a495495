"""Slow, plain restatements of the equations, in float64 NumPy loops or one-liners."""

import numpy as np


def mean_squared_error(x, x_hat):
    """Eq. 4.11."""
    x, x_hat = np.asarray(x, np.float64).ravel(), np.asarray(x_hat, np.float64).ravel()
    return sum((a - b) ** 2 for a, b in zip(x, x_hat, strict=True)) / len(x)


def cross_correlation(a, b, epsilon):
    """The P x P matrix of eq. 4.16, each projection standardised over the batch."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    a = (a - a.mean(0)) / np.sqrt(a.var(0) + epsilon)
    b = (b - b.mean(0)) / np.sqrt(b.var(0) + epsilon)
    return a.T @ b / len(a)


def barlow_twins(a, b, off_diagonal_weight, epsilon):
    """Eq. 4.17, entry by entry."""
    C = cross_correlation(a, b, epsilon)
    P = len(C)
    total = 0.0
    for i in range(P):
        for j in range(P):
            total += (1 - C[i, i]) ** 2 if i == j else off_diagonal_weight * C[i, j] ** 2
    return total / P


def variance_term(a, epsilon=1e-4):
    """VICReg, equation 1: how far each feature's spread falls short of 1, feature by feature."""
    a = np.asarray(a, np.float64)
    short = [max(0.0, 1 - np.sqrt(np.var(column, ddof=1) + epsilon)) for column in a.T]
    return sum(short) / len(short)


def off_diagonal_squares(C):
    """The sum of the squares of everything off the diagonal, entry by entry."""
    P = len(C)
    return sum(C[i, j] ** 2 for i in range(P) for j in range(P) if i != j)


def vicreg(a, b, weights):
    """VICReg, equation 6 in the form of algorithm 1."""
    P = np.asarray(a).shape[1]
    covariances = [np.cov(np.asarray(x, np.float64).T).reshape(P, P) for x in (a, b)]
    terms = (
        mean_squared_error(a, b),
        variance_term(a) + variance_term(b),
        sum(off_diagonal_squares(C) / P for C in covariances),
    )
    return float(np.dot(weights, terms))


def vibcreg(a, b, weights, epsilon):
    """VIbCReg: the same with correlations in place of covariances, averaged over P x P."""
    P = np.asarray(a).shape[1]
    terms = (
        mean_squared_error(a, b),
        variance_term(a) + variance_term(b),
        sum(off_diagonal_squares(cross_correlation(x, x, epsilon)) / P**2 for x in (a, b)),
    )
    return float(np.dot(weights, terms))


def cosine(x, y):
    """The cosine of the angle between two vectors."""
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def nt_xent(a, b, temperature):
    """SimCLR, equation 1, averaged over all 2B views, pair by pair."""
    views = np.concatenate([np.asarray(a, np.float64), np.asarray(b, np.float64)])
    B, total = len(a), 0.0
    for i, view in enumerate(views):
        twin = (i + B) % (2 * B)
        others = [np.exp(cosine(view, views[k]) / temperature) for k in range(2 * B) if k != i]
        total -= np.log(np.exp(cosine(view, views[twin]) / temperature) / sum(others))
    return total / (2 * B)


def info_nce(query, key, queue, temperature):
    """MoCo, equation 1, averaged over the batch."""
    total = 0.0
    for q, k in zip(np.asarray(query, np.float64), np.asarray(key, np.float64), strict=True):
        own = np.exp(cosine(q, k) / temperature)
        total -= np.log(own / (own + sum(np.exp(cosine(q, n) / temperature) for n in queue)))
    return total / len(query)


def byol(prediction, target):
    """BYOL, equation 2: the squared distance between the two vectors at length 1."""
    rows = zip(np.asarray(prediction, np.float64), np.asarray(target, np.float64), strict=True)
    units = [(p / np.linalg.norm(p), t / np.linalg.norm(t)) for p, t in rows]
    return float(np.mean([np.sum((p - t) ** 2) for p, t in units]))


def whiten(x, epsilon):
    """x (B, P) times the inverse root of its covariance, by its eigenvectors."""
    x = np.asarray(x, np.float64)
    centred = x - x.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x) + epsilon * np.eye(x.shape[1]))
    return centred @ (vectors / np.sqrt(values)) @ vectors.T


def newton_whiten(x, epsilon, iterations):
    """The same by a few steps of Newton's iteration (Huang et al., 2019, algorithm 1)."""
    x = np.asarray(x, np.float64)
    centred = x - x.mean(0)
    S = centred.T @ centred / len(x) + epsilon * np.eye(x.shape[1])
    R = np.eye(len(S))
    for _ in range(iterations):
        R = 0.5 * (3 * R - R @ R @ R @ S / np.trace(S))
    return centred @ R / np.sqrt(np.trace(S))


def nearest_code(vector, codebook):
    """The arg min that defines z_q (thesis section 4.2.2)."""
    return min(range(len(codebook)), key=lambda k: np.linalg.norm(vector - codebook[k]))


def kl_to_uniform_prior(posterior):
    """Eq. 4.8 before it is simplified: KL(q || uniform), with 0 log 0 = 0."""
    K = len(posterior)
    return sum(q * np.log(q / (1 / K)) for q in posterior if q > 0)


def stft(x, n_fft, hop, window):
    """Centred short-time Fourier transform of one channel, frame by frame, bin by bin."""
    pad = n_fft // 2
    padded = np.pad(np.asarray(x, np.float64), pad, mode="reflect")
    frames = len(x) // hop + 1
    u = np.zeros((n_fft // 2 + 1, frames), complex)
    for t in range(frames):
        piece = padded[t * hop : t * hop + n_fft] * window
        for f in range(len(u)):
            u[f, t] = sum(piece[n] * np.exp(-2j * np.pi * f * n / n_fft) for n in range(n_fft))
    return u


def ema_codebook(codebook, counts, sums, vectors, codes, decay, epsilon):
    """One step of the moving averages of van den Oord et al. (2017), appendix A.1."""
    counts, sums = counts.astype(np.float64).copy(), sums.astype(np.float64).copy()
    K = len(codebook)
    for k in range(K):
        mine = vectors[codes == k]
        counts[k] = decay * counts[k] + (1 - decay) * len(mine)
        sums[k] = decay * sums[k] + (1 - decay) * mine.sum(0)
    total = counts.sum()
    smoothed = [(counts[k] + epsilon) / (total + K * epsilon) * total for k in range(K)]
    return np.stack([sums[k] / smoothed[k] for k in range(K)]), counts, sums


def residual_codes(vector, codebooks):
    """Algorithm 1 of Zeghidour et al. (2021): the codes, and what is left after each."""
    codes, residuals = [], []
    for codebook in codebooks:
        codes.append(nearest_code(vector, codebook))
        vector = vector - codebook[codes[-1]]
        residuals.append(vector)
    return codes, residuals


def lloyd(vectors, centres, rounds):
    """K-means by Lloyd's algorithm; a centre without vectors stays."""
    centres = np.array(centres, np.float64)
    for _ in range(rounds):
        codes = np.array([nearest_code(vector, centres) for vector in vectors])
        for k in range(len(centres)):
            if (codes == k).any():
                centres[k] = vectors[codes == k].mean(0)
    return centres


def unit(vector):
    """A vector scaled to length 1."""
    return vector / np.linalg.norm(vector)


def finite_scalar(z, levels, margin=1e-3):
    """The bounded value of appendix A.1 of Mentzer et al. (2023), channel by channel."""
    bounded = []
    for value, L in zip(z, levels, strict=True):
        half_range = (L - 1) * (1 - margin) / 2
        offset = 0.0 if L % 2 else 0.5
        bounded.append(np.tanh(value + np.tan(offset / half_range)) * half_range - offset)
    return bounded


def normal_log_density(value, mean, variance):
    """Log of the density of N(mean, variance)."""
    return -((value - mean) ** 2 / variance + np.log(2 * np.pi * variance)) / 2


def kl_to_standard_normal(mean, variance):
    """KL(N(mean, variance) || N(0, 1)): the expectation of the log ratio, by numerical integral."""
    deviations = np.linspace(-12, 12, 20001)
    value = mean + np.sqrt(variance) * deviations
    log_q = normal_log_density(value, mean, variance)
    integrand = np.exp(log_q) * (log_q - normal_log_density(value, 0.0, 1.0))
    return float((integrand[1:] + integrand[:-1]) @ np.diff(value)) / 2
