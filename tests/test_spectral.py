import equations
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.spectral import STFT, WINDOWS


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("window", sorted(WINDOWS))
@pytest.mark.parametrize("length", [5, 12, 31])
def test_equals_the_plain_restatement(window, length):
    x = noise(2, 3, length)
    u = STFT(length, 8, 2, window)(x).double().numpy()
    taper = WINDOWS[window](8, dtype=torch.float64).numpy()
    for b in range(2):
        for c in range(3):
            expected = equations.stft(x[b, c], 8, 2, taper)
            np.testing.assert_allclose(u[b, c], expected.real, atol=1e-5)
            np.testing.assert_allclose(u[b, 3 + c], expected.imag, atol=1e-5)


@given(
    length=st.integers(17, 200),
    n_fft=st.sampled_from([2, 4, 8, 16, 32]),
    share=st.sampled_from([4, 8]),
    window=st.sampled_from(sorted(WINDOWS)),
    channels=st.integers(1, 3),
)
def test_equals_torch_and_inverts_exactly(length, n_fft, share, window, channels):
    hop = max(1, n_fft // share)
    x = noise(2, channels, length, seed=length)
    stft = STFT(length, n_fft, hop, window)
    u = stft(x)
    assert u.shape == (2, 2 * channels, stft.frequencies, stft.frames)
    expected = torch.stft(
        x.reshape(-1, length), n_fft, hop, window=WINDOWS[window](n_fft), return_complex=True
    ).unflatten(0, (2, channels))
    torch.testing.assert_close(u[:, :channels], expected.real, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(u[:, channels:], expected.imag, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(stft.inverse(u), x, atol=1e-5, rtol=1e-5)


def test_identity_for_every_length_of_the_thesis_setting():
    for length in range(5, 201):
        stft, x = STFT(length), noise(1, 1, length)
        torch.testing.assert_close(stft.inverse(stft(x)), x, atol=1e-5, rtol=0)


def test_inverse_is_that_of_torch_for_spectra_no_series_has():
    stft, u = STFT(41), noise(2, 2, 5, 21)
    expected = torch.istft(torch.complex(u[:, 0], u[:, 1]), 8, 2, window=torch.ones(8), length=41)
    torch.testing.assert_close(stft.inverse(u)[:, 0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((4, 8, 2), "series of 4 steps are too short for n_fft 8: at least 5"),
        ((50, 7, 2), "n_fft must be even"),
        ((50, 8, 5), "hop_length must lie between 1 and n_fft / 2 = 4"),
        ((50, 8, 0), "hop_length must lie between"),
        ((50, 8, 2, "rectangul"), "did you mean 'rectangular'"),
        ((63, 64, 32, "hann"), "cannot be inverted; use a smaller hop_length"),
    ],
)
def test_sizes_that_cannot_work_are_explained(sizes, message):
    with pytest.raises(TwincodeError, match=message):
        STFT(*sizes)


def test_series_of_another_length_are_refused():
    """Even such as have as many frames."""
    transform = STFT(96)
    with pytest.raises(TwincodeError, match="is of 96 steps, and series have 97"):
        transform(torch.zeros(1, 1, 97))
