import copy
import dataclasses

import pytest
import torch
from conftest import make_task, make_waves, seeded_tokenizer, tiny
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from twincode.errors import TwincodeError
from twincode.train import fit
from twincode.train.background import background_rows
from twincode.train.loop import train_epoch

CPU = torch.device("cpu")
BACKGROUND = torch.tensor([True, False, False, True, True])


def build(**changes):
    return seeded_tokenizer(tiny("contrastive-vae", **changes)).train()


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_background_series_is_decoded_from_shared_latents_and_zeros():
    tokenizer, x = build(quantizer="identity").double(), noise(5, 1, 40).double()
    output = tokenizer(x, None, BACKGROUND)
    shared, salient = tokenizer.quantizer.split(output.latents)
    salient = salient * (~BACKGROUND)[:, None, None, None]
    u_hat = tokenizer.decoder(torch.cat([shared, salient], dim=1))
    torch.testing.assert_close(output.pairs["frequency"][1], u_hat)


def test_salient_latents_of_background_series_change_nothing():
    tokenizer, x = build(quantizer="identity"), noise(5, 1, 40)
    before = tokenizer(x, None, torch.ones(5, dtype=torch.bool)).reconstruction
    for parameter in tokenizer.salient_encoder.parameters():
        parameter.data.add_(1)
    after = tokenizer(x, None, torch.ones(5, dtype=torch.bool)).reconstruction
    assert torch.equal(before, after)
    assert not torch.allclose(after, tokenizer(x, None, BACKGROUND).reconstruction)


def test_the_loss_is_both_kl_terms_of_targets_and_one_of_background_series():
    tokenizer, x = build(kl_weight=1).double(), noise(5, 1, 40).double()
    output = tokenizer(x, None, BACKGROUND)
    terms = []
    for part, z in zip(
        tokenizer.quantizer.parts, tokenizer.quantizer.split(output.latents), strict=True
    ):
        mean, log_variance = part.project(z).chunk(2, dim=1)
        posterior = Normal(mean, torch.exp(log_variance / 2))
        terms.append(kl_divergence(posterior, Normal(0.0, 1.0)).mean(dim=(1, 2, 3)))
    shared, salient = terms
    paid = shared + salient * (~BACKGROUND)
    torch.testing.assert_close(output.vq_loss, paid.mean())


def test_without_background_every_series_is_a_target():
    tokenizer, x = build(quantizer="vq"), noise(5, 1, 40)
    nobody = torch.zeros(5, dtype=torch.bool)
    one, other = tokenizer(x), tokenizer(x, None, nobody)
    assert torch.equal(one.reconstruction, other.reconstruction)
    torch.testing.assert_close(one.vq_loss, other.vq_loss)
    assert torch.equal(one.codes, other.codes)


def test_a_batch_of_background_alone_teaches_the_salient_side_nothing():
    tokenizer, x = build(), noise(3, 1, 40)
    output = tokenizer(x, None, torch.ones(3, dtype=torch.bool))
    (F.mse_loss(output.reconstruction, x) + output.vq_loss).backward()
    salient = [*tokenizer.salient_encoder.parameters(), *tokenizer.quantizer.parts[1].parameters()]
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in salient)
    assert any(parameter.grad.any() for parameter in tokenizer.shared_encoder.parameters())


@pytest.mark.parametrize("quantizer", ["vq", "residual", "product"])
def test_background_series_move_shared_codes_alone(quantizer):
    x = noise(6, 1, 40)

    def moved(background):
        tokenizer = build(quantizer=quantizer, revive_below=0.01)
        output = tokenizer(x, None, background)
        before = [codes.clone() for codes in tokenizer.quantizer.codebooks()]
        tokenizer.update(output.latents.detach(), output.codes, background)
        after = tokenizer.quantizer.codebooks()
        changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        half = len(changed) // 2
        return changed[:half], changed[half:]

    shared, salient = moved(torch.ones(6, dtype=torch.bool))
    assert all(shared)
    assert not any(salient)
    _, by_targets = moved(torch.tensor([True, True, False, True, True, False]))
    assert all(by_targets)


def test_salient_codes_follow_target_series_and_no_others():
    x, tokenizer = noise(6, 1, 40), build(quantizer="vq")
    background = torch.tensor([True, False, False, True, True, False])
    output = tokenizer(x, None, background)
    z, codes, part = tokenizer.quantizer.cut(output.latents.detach(), output.codes, 1)
    alone = copy.deepcopy(part)
    alone.update(z[~background], codes[~background])
    tokenizer.update(output.latents.detach(), output.codes, background)
    torch.testing.assert_close(part.codebook, alone.codebook)


def test_the_loop_tells_which_series_are_background():
    x = make_waves(20).X_train
    high = x[:, 0, 0] > x.mean()
    task = make_task(tiny("contrastive-vae", background_classes="1"), x, high.astype(int))
    told = []
    task.tokenizer.register_forward_pre_hook(
        lambda _, given: told.append((given[0][:, 0, 0], given[2]))
    )
    train_epoch(task, 1)
    assert torch.cat([background for _, background in told]).sum() == high.sum()
    assert all(torch.equal(first > 0, background) for first, background in told)


def test_only_the_named_classes_are_background(waves):
    config = tiny("contrastive-vae", background_classes="b")
    rows = background_rows(config.tokenizer, waves, CPU)
    assert rows.tolist() == (waves.y_train == 1).tolist()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "has to know which classes are background; name some of a, b in background_classes"),
        (("c",), "unknown class 'c'"),
        (("a", "b"), "with background_classes a,b no train series of Waves is target"),
    ],
)
def test_a_model_without_both_groups_is_an_error(waves, classes, message):
    with pytest.raises(TwincodeError, match=message):
        fit(tiny("contrastive-vae", background_classes=classes), waves)


def test_without_labels_there_is_no_background(waves):
    blind = dataclasses.replace(waves, y_train=None, y_test=None, classes=())
    with pytest.raises(TwincodeError, match="Waves has no labels"):
        fit(tiny("contrastive-vae", background_classes="a"), blind)


def test_shared_and_salient_features_come_apart(waves):
    model = fit(tiny("contrastive-vae", background_classes="a"), waves)
    whole = model.transform(waves.X_test)
    parts = [model.transform(waves.X_test, region=name) for name in ("shared", "salient")]
    D, (H, W) = model.tokenizer.latent_channels, model.tokenizer.grid
    grids = [torch.from_numpy(part).view(20, D, H, W // 2) for part in parts]
    assert torch.equal(torch.cat(grids, dim=3).flatten(1), torch.from_numpy(whole))
    with pytest.raises(TwincodeError, match="did you mean 'salient'"):
        model.transform(waves.X_test, region="sailent")
