"""The plain way and ours compute the same: without this no ratio of times means anything."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cases import our_probes, quantised_features
from benchmarks.floor import Machine, decoder_operations, encoder_operations, twin_step
from benchmarks.priors import causal_logits, untrained
from benchmarks.reference import augment as plain_augment
from benchmarks.reference import closed_form as plain_closed
from benchmarks.reference import losses as plain_losses
from benchmarks.reference import model as plain
from benchmarks.reference import priors as plain_priors
from benchmarks.reference import probes as plain_probes
from twincode.augment import Augmenter
from twincode.closed_form import ComponentCoder, MixtureCoder
from twincode.evaluate.generation.frechet import frechet_distance
from twincode.losses import barlow_twins_loss, vibcreg_loss, vicreg_loss
from twincode.nets import count_downsamplings
from twincode.priors.prior import uniform
from twincode.randomness import drawing_weights, stream
from twincode.recipes import recipe
from twincode.spectral import STFT
from twincode.tokenizers import build_tokenizer
from twincode.train.objective import Objective


def twins(length, channels=16, width=32):
    """Ours and the plain one, with the same weights."""
    config = recipe("bt-vqvae", latent_channels=channels, projector_width=width)
    with drawing_weights(0):
        ours = build_tokenizer(config.tokenizer, config.quantizer, 1, length).train()
        objective = Objective(config.twin_loss, channels).train()
    model = plain.VQVAE(length, count_downsamplings(length // 2 + 1, 8), channels).train()
    model.load_state_dict(ours.state_dict())
    projector = plain.Projector(channels, width)
    projector.load_state_dict(objective.projector.state_dict())
    return ours, objective, model, projector


def views(length, batch=6):
    generator = torch.Generator().manual_seed(length)
    x = torch.randn(batch, 1, length, generator=generator)
    return x, x + 0.3 * torch.randn(x.shape, generator=generator)


@pytest.mark.parametrize("length", [24, 33, 140])
def test_a_step_has_the_same_loss_gradients_codes_and_codebook(length):
    ours, objective, model, projector = twins(length)
    upper, lower = views(length)
    output = ours(upper, lower)
    loss = objective.total(objective(output))
    plain_loss, z, codes = plain_losses.twin_losses(model, projector, upper, lower)
    assert loss.item() == pytest.approx(plain_loss.item(), rel=1e-5)
    assert torch.equal(output.codes.flatten(), codes)
    loss.backward()
    plain_loss.backward()
    pairs = [(ours, model), (objective.projector, projector)]
    for one, other in pairs:
        named = dict(other.named_parameters())
        for name, parameter in one.named_parameters():
            torch.testing.assert_close(
                parameter.grad, named[name].grad, atol=2e-5, rtol=2e-3, msg=lambda m, n=name: n + m
            )
    ours.quantizer.update(output.latents.detach(), output.codes)
    model.quantizer.update(z.detach(), codes)
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("length", [24, 33, 140])
def test_encoding_gives_the_same_codes(length):
    ours, _, model, _ = twins(length)
    x, _ = views(length, 20)
    with torch.no_grad():
        assert torch.equal(ours.encode(x), model.eval().encode(x))


PAIRS = {
    "barlow_twins": (barlow_twins_loss, plain_losses.barlow_twins),
    "vicreg": (vicreg_loss, plain_losses.vicreg),
    "vibcreg": (vibcreg_loss, plain_losses.vibcreg),
}


@given(
    name=st.sampled_from(sorted(PAIRS)),
    batch=st.integers(2, 16),
    width=st.integers(2, 48),
    seed=st.integers(0, 99),
)
def test_the_twin_losses_have_the_same_value_and_gradient(name, batch, width, seed):
    generator = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(batch, width, generator=generator, dtype=torch.float64) for _ in range(2))
    gradients = []
    for loss in PAIRS[name]:
        c, d = (t.clone().requires_grad_() for t in (a, b))
        value = loss(c, d)
        value.backward()
        gradients.append((value.detach(), c.grad, d.grad))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_the_twin_losses_agree_to_five_digits_where_features_outnumber_series(name):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(128, 1024, generator=generator) for _ in range(2))
    results = []
    for loss in PAIRS[name]:
        c = a.clone().requires_grad_()
        value = loss(c, b)
        value.backward()
        results.append((value, c.grad))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-5, atol=0)
    difference = (results[0][1] - results[1][1]).norm() / results[1][1].norm()
    assert difference < 1e-5


def test_augmentations_have_the_same_strength():
    """Not the same draws, but the same spread of what they change."""
    x = torch.randn(1, 1, 64, generator=stream(0, "exhibit")).expand(2000, 1, 64)
    augmenter = Augmenter(recipe("thesis-bt-vqvae").augmentations, STFT(64))
    ours = augmenter(x, stream(0, "views")) - x
    plainly = plain_augment.augment_batch(x.numpy(), np.random.default_rng(0)) - x.numpy()
    assert ours.std().item() == pytest.approx(plainly.std(), rel=0.03)
    assert ours.mean().item() == pytest.approx(plainly.mean(), abs=0.02)


def test_probes_give_the_same_numbers():
    features, labels = quantised_features(300)
    parts = (features[:100, :320], labels[:100], features[100:, :320], labels[100:])
    expected = plain_probes.probe(*parts, fits=4)
    assert our_probes(*parts, fits=4) == pytest.approx(expected, abs=1e-4)


def test_operations_are_counted_as_torch_counts_them():
    from torch.utils.flop_counter import FlopCounterMode

    config = recipe("vqvae")
    for length in (140, 500):
        tokenizer = build_tokenizer(config.tokenizer, config.quantizer, 1, length).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            z = tokenizer.encoder(torch.zeros(1, 2, 5, length // 2 + 1))
            encoder = counter.get_total_flops()
            tokenizer.decoder(z)
        assert encoder_operations(length) == pytest.approx(encoder, rel=1e-6)
        decoder = counter.get_total_flops() - encoder
        # A transposed convolution's padding cuts a little off what is counted.
        assert decoder_operations(length) == pytest.approx(decoder, rel=0.02)


def test_the_floor_is_the_time_the_machine_would_take():
    machine = Machine(float32=100, bfloat16=200, copy=10)
    work = twin_step(140, 128)
    expected = work.operations / 100e9 + work.bytes / 10e9
    assert work.floor(machine, "float32") == pytest.approx(expected)
    assert work.floor(machine, "bfloat16") < expected


def walks(n, length=40, seed=0):
    x = torch.randn(n, 1, length, generator=torch.Generator().manual_seed(seed)).cumsum(2)
    return x / x.std()


def test_components_are_fitted_as_well_as_by_scikit_learn():
    x = walks(400)
    coder = ComponentCoder.fit(x, 40, torch.Generator().manual_seed(0), beam=1, copies=0)
    error = float((coder.decode(coder.encode(x)) - x).square().mean())
    plain_error = np.square(plain_closed.fit_components(x[:, 0].numpy(), 40) - x[:, 0].numpy())
    assert error == pytest.approx(plain_error.mean(), rel=0.06)


@pytest.mark.parametrize("modes", [1, 8])
def test_closed_forms_find_the_codes_that_the_plain_way_finds(modes):
    x, fresh = walks(300), walks(12, seed=1)
    coders = [
        (ComponentCoder.fit(x, 33, torch.Generator(), copies=0), plain_closed.encode_components),
        (
            MixtureCoder.fit(x, 80, torch.Generator(), rate="average", window=14, modes=modes),
            plain_closed.encode_mixture,
        ),
    ]
    for coder, encode in coders:
        codes = torch.from_numpy(encode(coder, fresh.double().numpy()))
        ours = coder.encode(fresh)
        assert (codes == ours).float().mean() > 0.98  # near ties round either way
        errors = [float((coder.decode(each) - fresh).square().mean()) for each in (codes, ours)]
        assert errors[0] == pytest.approx(errors[1], rel=0.01)
        bits = [float(coder.bits_of(each).mean()) for each in (codes, ours)]
        assert bits[0] == pytest.approx(bits[1], rel=0.005)


def test_a_prior_and_a_textbooks_have_the_same_logits_and_loss():
    ours, N, K = untrained("masked"), 40, 32
    network = ours.network
    model = plain_priors.Prior(N, K, 2, dropout=0.0).eval()
    places = network.books.weight[0] + network.rows(network.row) + network.time
    bias = torch.randn(N, K, generator=stream(0, "noise"))
    with torch.no_grad():
        network.bias.copy_(bias.expand_as(network.bias))  # a textbook's is that of all classes
    parts = {
        "codes.weight": network.codes.weight, "classes.weight": network.classes.weight,
        "places": places, "head.weight": network.weight, "bias": bias,
        "encoder.norm.weight": network.transformer.norm.weight,
        "encoder.norm.bias": network.transformer.norm.bias,
    }  # fmt: skip
    names = {
        "self_attn.in_proj_": "attention.project.", "self_attn.out_proj.": "attention.out.",
        "linear1.": "widen.", "linear2.": "narrow.", "norm1.": "first_norm.",
        "norm2.": "second_norm.",
    }  # fmt: skip
    for i, block in enumerate(network.transformer.blocks):
        own = dict(block.named_parameters())
        for theirs, name in names.items():
            for kind in ("weight", "bias"):
                parts[f"encoder.layers.{i}.{theirs}{kind}"] = own[name + kind]
    model.load_state_dict(parts)
    tokens = torch.randint(K, (6, N), generator=stream(0, "order"))
    y, seen = torch.arange(6) % 3, plain_priors.masked(tokens, K)
    hidden = seen == K
    assert set(hidden.any(1).tolist()) == {True}
    log_p = ours.log_probabilities(tokens, hidden, y)
    loss = plain_priors.prior_loss(model, tokens, seen, y)
    assert loss.item() == pytest.approx(-log_p[hidden].mean().item(), rel=1e-4)
    drawn = plain_priors.sample(model, y, 4, 10.0)
    assert drawn.max() < K


def test_without_a_cache_the_same_tokens_are_drawn():
    ours, y = untrained("autoregressive"), torch.tensor([0, 1, 2])
    u = uniform(stream(0, "sampling"), torch.zeros(3, 40))
    drawn = plain_priors.continue_without_cache(lambda t: causal_logits(ours, y, t), u)
    assert torch.equal(ours.sample(y, ours.sampling(), 0)[:, ours.order], drawn)


def test_fid_is_that_of_scipys_root():
    a, b = np.random.default_rng(0).normal(size=(2, 300, 8))
    expected = plain_priors.frechet_distance(a, 2 * b)
    assert frechet_distance(a, 2 * b) == pytest.approx(expected, rel=1e-6)
