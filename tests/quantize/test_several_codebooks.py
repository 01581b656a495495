import equations
import numpy as np
import pytest
import torch
from conftest import seeded_quantizer as build
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError

UPDATES = ("gradient", "ema")


def latents(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def vectors(z):
    return z.movedim(1, -1).flatten(0, -2).double().numpy()


@given(
    grid=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)),
    K=st.integers(1, 5),
    D=st.integers(1, 4),
    depth=st.integers(1, 3),
    update=st.sampled_from(UPDATES),
)
def test_residual_codes_are_those_of_algorithm_1(grid, K, D, depth, update):
    B, H, W = grid
    fields = {"codebook_size": K, "quantizer_depth": depth, "codebook_update": update}
    quantizer, z = build("residual", D, **fields), latents(B, D, H, W)
    z_q, codes, loss = quantizer(z)
    assert codes.shape == (B, H, W * depth)
    assert quantizer.layout(W).codebook_sizes == (K,) * depth
    books = [book.double().numpy() for book in quantizer.codebooks()]
    found = [part.flatten().numpy() for part in quantizer.layout(W).split(codes)]
    weight = 2 if update == "gradient" else 1
    total = 0.0
    for row, vector in enumerate(vectors(z)):
        expected, residuals = equations.residual_codes(vector, books)
        assert [part[row] for part in found] == expected
        total += weight * sum(np.mean(residual**2) for residual in residuals)
    assert loss.item() == pytest.approx(total / (B * H * W), rel=1e-4)
    torch.testing.assert_close(quantizer.lookup(codes), z_q.detach())


@given(
    grid=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)),
    K=st.integers(1, 5),
    width=st.integers(1, 3),
    groups=st.integers(1, 3),
    update=st.sampled_from(UPDATES),
)
def test_product_codes_are_nearest_group_by_group(grid, K, width, groups, update):
    B, H, W = grid
    D = width * groups
    fields = {"codebook_size": K, "codebook_groups": groups, "codebook_update": update}
    quantizer, z = build("product", D, **fields), latents(B, D, H, W)
    z_q, codes, loss = quantizer(z)
    books = [book.numpy() for book in quantizer.codebooks()]
    found = [part.flatten() for part in quantizer.layout(W).split(codes)]
    for row, vector in enumerate(vectors(z)):
        for part, piece, book in zip(found, np.split(vector, groups), books, strict=True):
            assert part[row] == equations.nearest_code(piece, book)
    weight = 2 if update == "gradient" else 1
    expected = weight * equations.mean_squared_error(z, z_q.detach())
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(quantizer.lookup(codes), z_q.detach())


@pytest.mark.parametrize(
    ("name", "setting"), [("residual", "quantizer_depth"), ("product", "codebook_groups")]
)
def test_one_part_is_plain_vector_quantisation(name, setting):
    plain, z = build("vq"), latents(3, 4, 2, 5)
    several = build(name, **{setting: 1})
    for quantizer in (plain, several):
        quantizer.initialise(z, torch.Generator().manual_seed(1))
        quantizer.update(z, quantizer(z).codes)
    for ours, expected in zip(several(z), plain(z), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("name", ["residual", "product"])
def test_every_codebook_follows_the_latents_it_was_given(name):
    quantizer, z = build(name, codebook_size=5), latents(3, 4, 2, 6)
    codes = quantizer(z).codes
    given_to = z.chunk(2, dim=1)
    if name == "residual":
        given_to = (z, z - quantizer.parts[0].lookup(codes[..., :6]))
    before = [
        [t.numpy().copy() for t in (part.codebook, part.counts, part.sums)]
        for part in quantizer.parts
    ]
    quantizer.update(z, codes)
    for part, old, own, mine in zip(
        quantizer.parts, before, given_to, quantizer.layout(6).split(codes), strict=True
    ):
        rows = own.movedim(1, -1).flatten(0, -2).numpy()
        expected, _, _ = equations.ema_codebook(*old, rows, mine.flatten().numpy(), 0.8, 1e-5)
        np.testing.assert_allclose(part.codebook, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["residual", "product"])
def test_gradient_passes_straight_through_and_reaches_every_codebook(name):
    quantizer = build(name, codebook_update="gradient", commitment_weight=0.0)
    z, weights = latents(2, 4, 3, 5).requires_grad_(), latents(2, 4, 3, 5, seed=1)
    z_q, _, loss = quantizer(z)
    ((z_q * weights).sum() + loss).backward()
    torch.testing.assert_close(z.grad, weights)
    assert all(part.codebook.grad.abs().sum() > 0 for part in quantizer.parts)


def test_a_deeper_residual_quantiser_is_closer():
    z = latents(8, 4, 3, 5)
    errors = []
    for depth in (1, 2, 3):
        quantizer = build("residual", quantizer_depth=depth, codebook_size=8)
        quantizer.initialise(z, torch.Generator().manual_seed(0))
        errors.append((quantizer(z).latents - z).square().mean().item())
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("residual", {"quantizer_depth": 0}, "quantizer_depth must be at least 1"),
        ("residual", {"distance": "cosine"}, "needs distance=euclidean"),
        ("product", {"codebook_groups": 3}, "codebook_groups must divide"),
        ("product", {"codebook_groups": 0}, "codebook_groups must be at least 1"),
    ],
)
def test_settings_that_make_no_several_codebooks_are_errors(name, fields, message):
    with pytest.raises(TwincodeError, match=message):
        build(name, **fields)
