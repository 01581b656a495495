"""The short-time Fourier transform and its exact inverse, as two small linear maps.

The windows of interest are tiny (8 samples in the thesis), so the transform is a strided product
with a fixed basis: one kernel launch, exact gradients, the same code on every device.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from twincode.errors import TwincodeError, unknown_name
from twincode.precision import in_full_precision

WINDOWS: dict[str, Callable[..., Tensor]] = {
    "rectangular": torch.ones,
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
}

# Below this the inverse would divide by next to nothing and amplify rounding errors.
_SMALLEST_ENVELOPE = 1e-3


class STFT(nn.Module):
    """Short-time Fourier transform of series of one length, centred, with reflect padding.

    ``forward`` maps x (B, C, L) to u (B, 2C, F, T): the C real parts, then the C imaginary parts,
    with F = n_fft / 2 + 1 and T = L // hop_length + 1. ``inverse`` maps u back to exactly (B, C, L)
    for every L >= n_fft / 2 + 1, even or odd, by windowed overlap-add (Griffin and Lim, 1984).
    The numbers are those of ``torch.stft`` and ``torch.istft`` with ``normalized=False``.
    """

    def __init__(
        self, length: int, n_fft: int = 8, hop_length: int = 2, window: str = "rectangular"
    ) -> None:
        super().__init__()
        check_transform(n_fft, hop_length, window)
        if length < n_fft // 2 + 1:
            raise TwincodeError(
                f"series of {length} steps are too short for n_fft {n_fft}: at least "
                f"{n_fft // 2 + 1} steps are needed; use longer series or a smaller n_fft"
            )
        self.length = length
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.frequencies = n_fft // 2 + 1
        self.frames = length // hop_length + 1
        self.size = (self.frequencies, self.frames)
        taper = WINDOWS[window](n_fft, dtype=torch.float64)
        analysis, synthesis = _bases(taper)
        envelope = self._overlap_add((taper**2).repeat(self.frames, 1).T[None])
        if envelope.min() < _SMALLEST_ENVELOPE:
            raise TwincodeError(
                f"a {window} window of {n_fft} with hop {hop_length} cannot be inverted; "
                "use a smaller hop_length or the rectangular window"
            )
        self.analysis: Tensor
        self.synthesis: Tensor
        self.register_buffer("analysis", analysis.float(), persistent=False)
        self.register_buffer("synthesis", synthesis.float(), persistent=False)
        self.register_buffer("envelope", envelope[0].float(), persistent=False)
        self.envelope: Tensor

    @in_full_precision
    def forward(self, x: Tensor) -> Tensor:
        """The transform u (B, 2C, F, T) of x (B, C, L)."""
        B, C, L = x.shape
        if self.length != L:
            raise TwincodeError(f"this transform is of {self.length} steps, and series have {L}")
        padding = self.n_fft // 2
        padded = F.pad(x, (padding, padding), mode="reflect")
        pieces = padded.unfold(-1, self.n_fft, self.hop_length)  # (B, C, T, n_fft)
        u = torch.matmul(self.analysis, pieces.transpose(-1, -2))  # (B, C, 2F, T)
        u = u.view(B, C, 2, self.frequencies, self.frames)  # (B, C, real/imaginary, F, T)
        return u.transpose(1, 2).reshape(B, 2 * C, self.frequencies, self.frames)

    @in_full_precision
    def inverse(self, u: Tensor) -> Tensor:
        """The series (B, C, L) of u (B, 2C, F, T)."""
        B, C = u.shape[0], u.shape[1] // 2
        u = u.view(B, 2, C, self.frequencies, self.frames).transpose(1, 2)
        spectra = u.reshape(B * C, 2 * self.frequencies, self.frames)
        pieces = torch.matmul(self.synthesis.T, spectra)  # (B C, n_fft, T)
        return (self._overlap_add(pieces) / self.envelope).view(B, C, self.length)

    def _overlap_add(self, pieces: Tensor) -> Tensor:
        """Sum pieces (n, n_fft, T), each ``hop_length`` after the one before, into (n, L)."""
        total = self.n_fft + self.hop_length * (self.frames - 1)
        summed = F.fold(pieces, (1, total), (1, self.n_fft), stride=(1, self.hop_length))
        start = self.n_fft // 2
        return summed[:, 0, 0, start : start + self.length]


def check_transform(n_fft: int, hop_length: int, window: str) -> None:
    """Raise TwincodeError for settings that no transform has, whatever the length of series."""
    if n_fft < 2 or n_fft % 2:
        raise TwincodeError(f"n_fft must be even and at least 2, not {n_fft}")
    if not 1 <= hop_length <= n_fft // 2:
        raise TwincodeError(
            f"hop_length must lie between 1 and n_fft / 2 = {n_fft // 2}, not {hop_length}"
        )
    if window not in WINDOWS:
        raise unknown_name("window", window, WINDOWS)


def _bases(taper: Tensor) -> tuple[Tensor, Tensor]:
    """Windowed Fourier basis (2F, n_fft) and its inverse (2F, n_fft), in float64."""
    n_fft = len(taper)
    frequency = torch.arange(n_fft // 2 + 1, dtype=torch.float64)
    angle = 2 * math.pi / n_fft * frequency[:, None] * torch.arange(n_fft, dtype=torch.float64)
    waves = torch.cat([torch.cos(angle), -torch.sin(angle)])
    # Every frequency but the first and the last stands for itself and its mirror image.
    share = torch.full_like(frequency, 2.0)
    share[0] = share[-1] = 1.0
    inverse = waves * share.repeat(2)[:, None] / n_fft
    return waves * taper, inverse * taper
