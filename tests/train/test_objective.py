import pytest
import torch
from conftest import tiny

from twincode.errors import TwincodeError
from twincode.losses import TWIN_LOSSES, barlow_twins_loss
from twincode.precision import computing_in
from twincode.tokenizers import build_tokenizer
from twincode.train.objective import Objective


def build(**changes):
    config = tiny("bt-vqvae", **changes)
    torch.manual_seed(0)
    tokenizer = build_tokenizer(config.tokenizer, config.quantizer, 1, 40).train()
    D, name = tokenizer.latent_channels, tokenizer.quantizer.loss_name
    return tokenizer, Objective(config.twin_loss, D, name).train()


def views(batch=5):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 1, 40, generator=generator)
    return x, x + 0.1 * torch.randn(batch, 1, 40, generator=generator)


def test_total_is_equation_4_18():
    tokenizer, objective = build(gamma=0.7)
    output = tokenizer(*views())
    losses = objective(output)
    assert set(losses) == {
        "reconstruction_time", "reconstruction_frequency", "codebook", "barlow_twins",
    }  # fmt: skip
    # Eq. 4.9 first, then gamma times eq. 4.17 on the projections of both latents.
    vqvae = sum(
        torch.nn.functional.mse_loss(target, reconstruction)
        for target, reconstruction in output.pairs.values()
    ) + (output.vq_loss)
    a, b = (objective.projector(z) for z in (output.latents, output.twin_latents))
    twin = barlow_twins_loss(a, b, objective.settings.off_diagonal_weight)
    torch.testing.assert_close(objective.total(losses), vqvae + 0.7 * twin)


@pytest.mark.parametrize(
    ("quantizer", "names"),
    [
        ("vq", {"codebook"}), ("residual", {"codebook"}), ("product", {"codebook"}),
        ("gaussian", {"kl"}), ("fsq", set()), ("identity", set()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tokenizer", ["vqvae", "vqvae2"])
def test_the_quantisers_loss_has_its_own_name_or_is_not_there(tokenizer, quantizer, names):
    model, objective = build(tokenizer=tokenizer, quantizer=quantizer, gamma=0)
    output = model(views()[0])
    losses = objective(output)
    assert set(losses) - names == {"reconstruction_time", "reconstruction_frequency"}
    assert all(losses[name] is output.vq_loss for name in names)
    if not names:
        assert output.vq_loss == 0


def gradient(gamma):
    tokenizer, objective = build(gamma=gamma)
    losses = objective(tokenizer(*views()))
    objective.total(losses).backward()
    encoder = torch.cat([p.grad.flatten() for p in tokenizer.encoder.parameters()])
    decoder = torch.cat([p.grad.flatten() for p in tokenizer.decoder.parameters()])
    return encoder, decoder


def test_gamma_changes_the_gradient_of_the_encoder_in_proportion_and_no_other():
    (zero, still), (one, _), (two, same) = (gradient(g) for g in (1e-9, 1.0, 2.0))
    assert (one - zero).norm() > 1e-3
    torch.testing.assert_close(two - zero, 2 * (one - zero), atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(still, same)


def test_without_gamma_there_is_no_projector_and_no_twin_loss():
    tokenizer, objective = build(gamma=0)
    assert objective.projector is None
    assert not objective.encodes_twin
    assert "barlow_twins" not in objective(tokenizer(*views()))


@pytest.mark.parametrize("name", sorted(TWIN_LOSSES))
def test_every_twin_loss_teaches_the_encoder_and_not_the_decoder(name):
    tokenizer, objective = build(twin_loss=name)
    twin = objective.twin
    upper, lower = views()
    student = tokenizer(upper, lower if objective.encodes_twin else None)
    targets = [torch.randn(5, 16), torch.randn(5, 16)][: 2 if twin.symmetric else 1]
    loss = objective(student, targets if objective.needs_teacher else [])[name]
    loss.backward()
    weights = [block.convolution.weight for block in tokenizer.encoder.blocks[:1]]
    assert all(weight.grad.norm() > 0 for weight in weights)
    assert all(parameter.grad is None for parameter in tokenizer.decoder.parameters())


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("name", sorted(TWIN_LOSSES))
def test_a_twin_loss_compares_in_full_precision(name):
    tokenizer, objective = build(twin_loss=name)
    compared = []
    objective.twin.register_forward_pre_hook(lambda _, given: compared.extend(sum(given, ())))
    upper, lower = views()
    with computing_in("bfloat16", torch.device("cpu")):
        student = tokenizer(upper, lower if objective.encodes_twin else None)
        targets = [torch.randn(5, 16).bfloat16() for _ in range(2 if objective.encodes_twin else 1)]
        loss = objective(student, targets if objective.needs_teacher else [])[name]
    assert student.latents.dtype == torch.bfloat16
    assert {loss.dtype, *(each.dtype for each in compared)} == {torch.float32}


def test_a_batch_of_one_gives_finite_losses_and_gradients():
    tokenizer, objective = build()
    losses = objective(tokenizer(*views(1)))
    objective.total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    for module in (tokenizer, objective):
        assert all(p.grad is None or p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"twin_loss": "barlow_twin"}, "did you mean 'barlow_twins'"),
        ({"upper_input": "viev"}, "did you mean 'view'"),
        ({"gamma": -1}, "gamma must be at least 0"),
        ({"gamma": float("nan")}, "gamma must be a finite number"),
        ({"projector_width": 0}, "projector_width must be at least 1"),
        ({"twin_loss": "byol", "predictor_width": 0}, "predictor_width must be at least 1"),
        ({"twin_loss": "moco", "queue_size": 0}, "queue_size must be at least 1"),
        (
            {"twin_loss": "vibcreg", "whitening_iterations": 0},
            "whitening_iterations must be at least 1",
        ),
        ({"twin_loss": "vicreg", "variance_weight": -1}, "variance_weight must be at least 0"),
        (
            {"twin_loss": "simclr", "contrastive_temperature": 0},
            "contrastive_temperature must be above 0",
        ),
        (
            {"twin_loss": "moco", "teacher_momentum": 1.5},
            "teacher_momentum must lie between 0 and 1",
        ),
        ({"twin_loss": "byol", "teacher_schedule": "cosin"}, "did you mean 'cosine'"),
    ],
)
def test_settings_that_make_no_objective_are_errors(changes, message):
    with pytest.raises(TwincodeError, match=message):
        build(**changes)
