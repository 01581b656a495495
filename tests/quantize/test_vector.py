import equations
import numpy as np
import pytest
import torch
from conftest import seeded_quantizer
from hypothesis import given
from hypothesis import strategies as st

from twincode.errors import TwincodeError
from twincode.quantize import Identity
from twincode.quantize.nearest import KMEANS_ITERATIONS, kmeans


def latents(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def quantizer(D=4, **fields):
    return seeded_quantizer("vq", D, **fields)


@given(
    grid=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 4)),
    K=st.integers(1, 9),
    seed=st.integers(0, 50),
)
def test_each_latent_goes_to_its_nearest_code(grid, K, seed):
    B, H, W = grid
    vq, z = quantizer(codebook_size=K), latents(B, 4, H, W, seed=seed)
    z_q, codes, _ = vq(z)
    assert z_q.shape == z.shape
    assert codes.shape == grid
    for b, h, w in np.ndindex(grid):
        nearest = equations.nearest_code(z[b, :, h, w].numpy(), vq.codebook.detach().numpy())
        assert codes[b, h, w] == nearest
        assert torch.equal(z_q[b, :, h, w], vq.codebook[nearest])
    assert torch.equal(vq.lookup(codes), z_q)


@pytest.mark.parametrize("update", ["gradient", "ema"])
def test_loss_is_equation_4_13(update):
    beta = 0.25
    vq = quantizer(codebook_update=update, commitment_weight=beta)
    z = latents(2, 4, 3, 5).requires_grad_()
    z_q, codes, loss = vq(z)
    distance = equations.mean_squared_error(z.detach(), vq.lookup(codes).detach())
    expected = (1 + beta) * distance if update == "gradient" else beta * distance
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    # Eq. 4.15: only the encoder feels beta; eq. 4.14: only the codebook feels the first term.
    loss.backward()
    residual = 2 * (z - z_q).detach() / z.numel()
    torch.testing.assert_close(z.grad, beta * residual)
    if update == "gradient":
        pulled = torch.zeros_like(vq.codebook)
        flat = residual.permute(0, 2, 3, 1).reshape(-1, 4)
        pulled.index_add_(0, codes.flatten(), -flat)
        torch.testing.assert_close(vq.codebook.grad, pulled)
    else:
        assert not list(vq.parameters())


@pytest.mark.parametrize("update", ["gradient", "ema"])
def test_reconstruction_gradient_passes_straight_through_to_the_latents_alone(update):
    vq, z = quantizer(codebook_update=update), latents(2, 4, 3, 5).requires_grad_()
    weights = latents(2, 4, 3, 5, seed=1)
    (vq(z).latents * weights).sum().backward()
    assert torch.equal(z.grad, weights)
    assert all(p.grad is None for p in vq.parameters())


def test_forward_in_training_mode_moves_nothing():
    for update in ("gradient", "ema"):
        vq = quantizer(codebook_update=update).train()
        before = {name: t.clone() for name, t in vq.state_dict().items()}
        vq(latents(2, 4, 3, 5))
        assert all(torch.equal(before[name], t) for name, t in vq.state_dict().items())


def test_update_follows_the_moving_averages():
    vq, z = quantizer(codebook_size=5), latents(3, 4, 2, 6)
    codes = vq(z).codes
    vectors = z.permute(0, 2, 3, 1).reshape(-1, 4).numpy()
    before = [t.numpy().copy() for t in (vq.codebook, vq.counts, vq.sums)]
    vq.update(z, codes)
    expected = equations.ema_codebook(*before, vectors, codes.flatten().numpy(), 0.8, 1e-5)
    for ours, exact in zip((vq.codebook, vq.counts, vq.sums), expected, strict=True):
        np.testing.assert_allclose(ours, exact, rtol=1e-4, atol=1e-6)


def test_codes_that_win_nothing_stay_finite_for_ever():
    vq, z = quantizer(codebook_size=4), latents(1, 4, 1, 1)
    for _ in range(2000):
        vq.update(z, vq(z).codes)
    assert vq.codebook.isfinite().all()
    torch.testing.assert_close(vq(z).latents, z, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("update", ["gradient", "ema"])
def test_data_initialisation_draws_codes_from_the_latents(update):
    vq, z = quantizer(codebook_update=update, codebook_size=8), latents(1, 4, 1, 5)
    vq.initialise(z, torch.Generator().manual_seed(0))
    vectors = z.permute(0, 2, 3, 1).reshape(-1, 4)
    assert all((code == vectors).all(dim=1).any() for code in vq.codebooks()[0])
    assert len(vq.codebooks()[0].unique(dim=0)) == 5


@given(n=st.integers(1, 12), K=st.integers(1, 8), D=st.integers(1, 3), seed=st.integers(0, 20))
def test_kmeans_is_lloyds_algorithm(n, K, D, seed):
    """Fewer vectors than codes included."""
    vectors, centres = latents(n, D, seed=seed), latents(K, D, seed=seed + 1)
    expected = equations.lloyd(vectors.double().numpy(), centres.numpy(), KMEANS_ITERATIONS)
    torch.testing.assert_close(
        kmeans(vectors.double(), centres.double()), torch.from_numpy(expected)
    )


@pytest.mark.parametrize("update", ["gradient", "ema"])
@pytest.mark.parametrize("cells", [2, 300])
def test_kmeans_initialisation_lies_closer_than_drawn_latents(update, cells):
    z, errors = latents(2, 4, 1, cells), {}
    for init in ("data", "kmeans"):
        vq = quantizer(codebook_update=update, codebook_size=8, codebook_init=init)
        vq.initialise(z, torch.Generator().manual_seed(0))
        assert vq.codebook.isfinite().all()
        errors[init] = (vq(z).latents - z).square().mean().item()
    assert errors["kmeans"] <= errors["data"] * (0.9 if cells > 8 else 1)


@given(
    grid=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)),
    K=st.integers(1, 6),
    D=st.integers(1, 4),
    update=st.sampled_from(["gradient", "ema"]),
)
def test_cosine_codes_are_those_of_the_smallest_angle(grid, K, D, update):
    B, H, W = grid
    vq = quantizer(D, codebook_size=K, distance="cosine", codebook_update=update)
    z = latents(B, D, H, W)
    z_q, codes, loss = vq(z)
    codebook = [equations.unit(code) for code in vq.codebook.detach().double().numpy()]
    total = 0.0
    for b, h, w in np.ndindex(grid):
        vector = equations.unit(z[b, :, h, w].double().numpy())
        # In one dimension many angles are equal.
        assert vector @ codebook[codes[b, h, w]] == pytest.approx(
            max(vector @ code for code in codebook), abs=1e-6
        )
        np.testing.assert_allclose(
            z_q[b, :, h, w].detach(), codebook[codes[b, h, w]], rtol=1e-5, atol=1e-6
        )
        total += np.mean((vector - codebook[codes[b, h, w]]) ** 2) / codes.numel()
    assert loss.item() == pytest.approx(total * (2 if update == "gradient" else 1), abs=1e-5)
    torch.testing.assert_close(vq.lookup(codes), z_q)


def test_cosine_codes_do_not_feel_the_length_of_latents():
    vq, z = quantizer(distance="cosine", codebook_size=5), latents(3, 4, 2, 6)
    for ours, expected in zip(vq(100 * z), vq(z), strict=True):
        torch.testing.assert_close(ours, expected)


def test_unused_cosine_codes_keep_their_direction():
    vq, z = quantizer(codebook_size=4, distance="cosine"), latents(1, 4, 1, 1)
    codes = vq(z).codes
    unused = [k for k in range(4) if k != codes.item()]
    before = vq.codebooks()[0].clone()
    for _ in range(2000):
        vq.update(z, vq(z).codes)
    lengths = vq.codebooks()[0].norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(4))
    torch.testing.assert_close(vq.codebooks()[0][unused], before[unused], atol=1e-3, rtol=1e-3)


def far(vq):
    """Put all codes but the first where no latent ever is."""
    with torch.no_grad():
        vq.codebook[1:] = 1e3
        if vq.settings.codebook_update == "ema":
            vq.sums.copy_(vq.codebook)


@pytest.mark.parametrize("update", ["gradient", "ema"])
def test_revived_codes_stay_in_use(update):
    """Of codes that win nothing, none is left after a while, and they do not fall back."""
    used = {}
    for revive_below in (0.0, 0.02):
        vq = quantizer(codebook_size=8, codebook_update=update, revive_below=revive_below)
        far(vq)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            for step in range(60):
                z = latents(4, 4, 3, 5, seed=step)
                vq.update(z, vq(z).codes)
        used[revive_below] = len(vq(latents(20, 4, 3, 5)).codes.unique())
    assert used[0.0] == 1
    assert used[0.02] == 8


def test_a_revived_code_starts_at_a_latent_with_an_even_share():
    vq, z = quantizer(codebook_size=4, revive_below=0.1, ema_decay=0.0), latents(3, 4, 2, 6)
    far(vq)
    vq.update(z, vq(z).codes)
    vectors = z.permute(0, 2, 3, 1).reshape(-1, 4)
    torch.testing.assert_close(vq.codebook[0], vectors.mean(0), rtol=1e-4, atol=1e-5)
    assert all((code == vectors).all(dim=1).any() for code in vq.codebook[1:])
    torch.testing.assert_close(vq.counts, torch.tensor([36.0, 9.0, 9.0, 9.0]))
    torch.testing.assert_close(vq.sums[1:], 9 * vq.codebook[1:])


@pytest.mark.parametrize("cells", [1, 2])
def test_revival_makes_do_with_fewer_latents_than_codes(cells):
    vq, z = quantizer(codebook_size=8, revive_below=0.1), latents(1, 4, 1, cells)
    for _ in range(20):
        vq.update(z, vq(z).codes)
    assert vq.codebook.isfinite().all()
    torch.testing.assert_close(vq(z).latents, z, atol=1e-2, rtol=1e-2)


def test_without_revival_the_codebook_keeps_nothing_more_than_before():
    names = {"ema": {"codebook", "counts", "sums"}, "gradient": {"codebook"}}
    for update, expected in names.items():
        assert set(quantizer(codebook_update=update).state_dict()) == expected
    revived = quantizer(codebook_update="gradient", revive_below=0.01)
    assert set(revived.state_dict()) == {"codebook", "counts"}


def test_uniform_initialisation_leaves_the_codes_alone():
    vq = quantizer(codebook_init="uniform")
    before = vq.codebook.clone()
    vq.initialise(latents(1, 4, 1, 5), torch.Generator())
    assert torch.equal(vq.codebook, before)


@pytest.mark.parametrize("K", [1, 2, 7])
def test_divergence_from_the_uniform_prior_is_the_constant_log_k(K):
    """Eq. 4.8: codes are a one-hot posterior, whatever the series; the prior is uniform."""
    found = quantizer(codebook_size=K)(latents(3, 4, 2, 5)).codes
    posterior = torch.nn.functional.one_hot(found, K).double().numpy()
    for own in posterior.reshape(-1, K):
        assert equations.kl_to_uniform_prior(own) == pytest.approx(np.log(K))


def test_identity_does_nothing():
    z = latents(2, 4, 3, 5)
    quantized = Identity()(z)
    assert quantized.latents is z
    assert quantized.codes is None
    assert quantized.loss == 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"codebook_size": 0}, "codebook_size must be at least 1"),
        ({"codebook_update": "em"}, "did you mean 'ema'"),
        ({"codebook_init": "dat"}, "did you mean 'data'"),
        ({"distance": "cosin"}, "did you mean 'cosine'"),
        ({"revive_below": 0.5}, "below an even share, 1 / codebook_size = 0.03125, not 0.5"),
        ({"revive_below": -0.1}, "revive_below must be at least 0"),
        ({"ema_decay": 1.0}, "ema_decay must be at least 0 and below 1"),
        ({"ema_epsilon": 0.0}, "ema_epsilon must be above 0"),
    ],
)
def test_settings_that_make_no_quantiser_are_errors(fields, message):
    with pytest.raises(TwincodeError, match=message):
        quantizer(**fields)


def test_codes_are_drawn_by_the_softmax_of_their_distances():
    quantizer, z = seeded_quantizer("vq", 3, codebook_size=5), torch.ones(1, 3, 1, 1)
    many = z.expand(1, 3, 100, 200)
    drawn = quantizer.drawn_codes(many, 0.7, torch.Generator().manual_seed(0))
    e = quantizer.codebook.detach().double()
    expected = (-(z.double().flatten() - e).square().sum(1) / 0.7).softmax(0)
    shares = torch.bincount(drawn.flatten(), minlength=5) / drawn.numel()
    assert shares.tolist() == pytest.approx(expected.tolist(), abs=0.015)
    nearest = quantizer.drawn_codes(many, 1e-6, torch.Generator().manual_seed(0))
    assert torch.equal(nearest, quantizer(many).codes)
