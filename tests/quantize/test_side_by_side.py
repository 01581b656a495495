import equations
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from twincode.config import QuantizerConfig
from twincode.errors import TwincodeError
from twincode.quantize import build_quantizer, join_codes, split_codes

UPDATES = ("gradient", "ema")


def latents(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build(name, D=4, **fields):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_quantizer(QuantizerConfig(quantizer=name, **fields), D)


def vectors(z):
    return z.movedim(1, -1).flatten(0, -2).double().numpy()


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), seed=st.integers(0, 20))
def test_grids_stand_side_by_side_with_codes_of_their_own(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    widths = torch.randint(1, 4, (len(sizes),), generator=generator).tolist()
    grids = [
        torch.randint(0, K, (2, 3, W), generator=generator)
        for K, W in zip(sizes, widths, strict=True)
    ]
    joined = join_codes(grids, sizes)
    assert joined.shape == (2, 3, sum(widths))
    assert joined[..., -1].min() >= sum(sizes[:-1])
    assert 0 <= joined.min() <= joined.max() < sum(sizes)
    again = split_codes(joined, sizes, widths)
    assert all(torch.equal(one, other) for one, other in zip(grids, again, strict=True))


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
    assert quantizer.codebook_sizes == (K,) * depth
    books = [book.double().numpy() for book in quantizer.codebooks()]
    found = [part.flatten().numpy() for part in split_codes(codes, [K] * depth, [W] * depth)]
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
    found = [part.flatten() for part in split_codes(codes, [K] * groups, [W] * groups)]
    for row, vector in enumerate(vectors(z)):
        for part, piece, book in zip(found, np.split(vector, groups), books, strict=True):
            assert part[row] == equations.nearest_code(piece, book)
    weight = 2 if update == "gradient" else 1
    expected = weight * equations.mean_squared_error(z, z_q.detach())
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(quantizer.lookup(codes), z_q.detach())


@pytest.mark.parametrize("name", ["residual", "product"])
def test_one_part_is_plain_vector_quantisation(name):
    plain, z = build("vq"), latents(3, 4, 2, 5)
    several = build(name, quantizer_depth=1, codebook_groups=1)
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
        quantizer.parts, before, given_to, split_codes(codes, [5, 5], [6, 6]), strict=True
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


@pytest.mark.parametrize("name", ["residual", "product"])
def test_codes_in_another_grids_place_are_an_error(name):
    quantizer = build(name, codebook_size=3)
    codes = quantizer(latents(1, 4, 1, 2)).codes
    with pytest.raises(TwincodeError, match="grid 1 of the codes holds a code of another"):
        quantizer.lookup(codes.flip(2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"quantizer": "residual", "quantizer_depth": 0}, "quantizer_depth must be at least 1"),
        ({"quantizer": "residual", "distance": "cosine"}, "needs distance=euclidean"),
        ({"quantizer": "product", "codebook_groups": 3}, "codebook_groups must divide"),
        ({"quantizer": "product", "codebook_groups": 0}, "codebook_groups must divide"),
    ],
)
def test_settings_that_make_no_several_codebooks_are_errors(fields, message):
    with pytest.raises(TwincodeError, match=message):
        build_quantizer(QuantizerConfig(**fields), 4)
