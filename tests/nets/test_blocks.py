import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincode.nets import Decoder, Encoder, Projector, count_downsamplings, grid_width
from twincode.nets.blocks import ResidualBlock, ViewBatchNorm


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def buffers(module):
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


@given(
    batch=st.integers(1, 4), frequencies=st.integers(1, 5), frames=st.integers(2, 130),
    width=st.integers(1, 40), channels=st.integers(1, 3),
)  # fmt: skip
def test_grid_is_known_at_construction(batch, frequencies, frames, width, channels):
    halvings = count_downsamplings(frames, width)
    encoder = Encoder(2 * channels, 4, halvings, 1)
    decoder = Decoder(2 * channels, 4, halvings, 1, (frequencies, frames))
    z = encoder(noise(batch, 2 * channels, frequencies, frames))
    assert z.shape == (batch, 4, frequencies, grid_width(frames, halvings))
    assert z.shape[-1] >= 1
    assert decoder(z).shape == (batch, 2 * channels, frequencies, frames)


@pytest.mark.parametrize(
    ("frames", "width", "halvings"), [(71, 8, 3), (251, 8, 5), (16, 8, 1), (5, 8, 1), (3, 1, 1)]
)
def test_halvings_bring_the_grid_nearest_to_the_wanted_width(frames, width, halvings):
    assert count_downsamplings(frames, width) == halvings


@pytest.mark.parametrize("build", [lambda: Encoder(2, 8, 2, 2), lambda: Projector(2, 8)])
def test_two_views_in_one_pass_equal_two_passes(build):
    """Values, gradients and running statistics."""
    torch.manual_seed(0)
    together = build().train()
    apart = copy.deepcopy(together)
    views = [noise(6, 2, 5, 20, seed=s) for s in (1, 2)]
    one = together(torch.cat(views), views=2)
    two = torch.cat([apart(view) for view in views])
    torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5)
    weights = noise(*one.shape, seed=3)
    (one * weights).sum().backward()
    (two * weights).sum().backward()
    for ours, exact in zip(together.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, exact.grad, atol=1e-4, rtol=1e-4)
    for ours, exact in zip(together.buffers(), apart.buffers(), strict=True):
        torch.testing.assert_close(ours, exact)


def test_batch_statistics_of_one_view_ignore_the_other():
    norm = ViewBatchNorm(3).train()
    a, b = noise(4, 3, 2, 2), 100 + noise(4, 3, 2, 2, seed=1)
    torch.testing.assert_close(norm(torch.cat([a, b]), views=2)[:4], norm(a))


def test_a_single_value_per_channel_uses_and_keeps_the_running_statistics():
    norm = ViewBatchNorm(3).train()
    before = buffers(norm)
    assert norm(noise(1, 3)).isfinite().all()
    assert norm(noise(2, 3), views=2).isfinite().all()
    assert all(torch.equal(before[name], buffer) for name, buffer in norm.named_buffers())


def test_residual_block_does_not_change_its_input():
    x = noise(2, 4, 3, 5)
    before = x.clone()
    ResidualBlock(4)(x)
    assert torch.equal(x, before)


def test_layers_are_those_of_the_method():
    encoder, decoder = Encoder(2, 64, 3, 4), Decoder(2, 64, 3, 4, (5, 71))
    down = encoder.blocks[0].convolution
    assert (down.kernel_size, down.stride, down.padding) == ((3, 4), (1, 2), (1, 1))
    assert down.padding_mode == "replicate"
    assert len(encoder.blocks) == 3 + 4
    assert len(decoder.blocks) == 4 + 3
    linears = [m for m in Projector(64, 4096).modules() if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linears] == [
        (64, 4096), (4096, 4096), (4096, 4096),
    ]  # fmt: skip
