"""The thesis's five augmentations, one series at a time in NumPy."""

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float32]


def augment(x: NDArray, generator: np.random.Generator) -> Series:
    """One view of one series (L,)."""
    if generator.random() < 0.5:
        x = x[::-1]
    x = x + generator.normal(0, 0.1, x.shape)
    x = x * (1 + generator.normal(0, 0.1))
    x = x + generator.uniform(-0.01, 0.01) * np.arange(len(x))
    return phase(x, generator).astype(np.float32)


def phase(x: NDArray, generator: np.random.Generator, n_fft: int = 8, hop: int = 2) -> NDArray:
    """Short-time Fourier transform, phase noise, overlap-add."""
    pad = n_fft // 2
    padded = np.pad(x, pad, mode="reflect")
    starts = range(0, len(x) // hop * hop + 1, hop)
    frames = np.stack([padded[start : start + n_fft] for start in starts])
    spectrum = np.fft.rfft(frames, axis=1)
    spectrum = spectrum * np.exp(1j * generator.uniform(-np.pi / 4, np.pi / 4, spectrum.shape))
    pieces = np.fft.irfft(spectrum, n_fft, axis=1)
    total, weight = np.zeros(len(padded)), np.zeros(len(padded))
    for start, piece in zip(starts, pieces, strict=True):
        total[start : start + n_fft] += piece
        weight[start : start + n_fft] += 1
    return (total / np.maximum(weight, 1))[pad : pad + len(x)]


def augment_batch(x: Series, generator: np.random.Generator) -> Series:
    """One view of each series of a batch (B, 1, L)."""
    return np.stack([augment(series[0], generator)[None] for series in x])
