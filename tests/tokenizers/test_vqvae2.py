import pytest
import torch
from conftest import make_task, make_waves, seeded_tokenizer, tiny

from twincode.errors import TwincodeError
from twincode.evaluate.codebook import code_counts, perplexity
from twincode.train.loop import train_epoch


def build(length=40, channels=1, **changes):
    return seeded_tokenizer(tiny("vqvae2", **changes), channels, length)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("length", [6, 7, 8, 15, 40, 41])
def test_a_pass_is_the_paper_written_out(length):
    tokenizer = build(length).double().eval()
    x = noise(3, 1, length).double()
    found = tokenizer(x)

    features = tokenizer.encoder(tokenizer.stft(x))
    top = tokenizer.top_encoder(features)
    top_q = tokenizer.quantizer.parts[0](top)
    condition, merge = tokenizer.condition, tokenizer.merge
    bottom = condition.mix(torch.cat([condition.decoder(top_q.latents), features], dim=1))
    bottom_q = tokenizer.quantizer.parts[1](bottom)
    both = torch.cat([merge.decoder(top_q.latents), bottom_q.latents], dim=1)
    u_hat = tokenizer.decoder(merge.mix(both))

    torch.testing.assert_close(found.latents, torch.cat([top, bottom], dim=3))
    torch.testing.assert_close(found.pairs["frequency"][1], u_hat)
    torch.testing.assert_close(found.vq_loss, top_q.loss + bottom_q.loss)
    assert torch.equal(found.codes, torch.cat([top_q.codes, bottom_q.codes + 6], dim=2))


@pytest.mark.parametrize(
    ("length", "changes", "widths"),
    [
        (128, {}, (4, 8)),
        (128, {"downsampled_width": 16, "top_width": 2}, (2, 16)),
        (6, {}, (1, 2)),
        (11, {}, (1, 3)),
    ],
)
def test_widths_are_as_near_the_wanted_ones_as_halving_allows(length, changes, widths):
    tokenizer = build(length, **changes)
    assert tokenizer.quantizer.widths == dict(zip(("top", "bottom"), widths, strict=True))
    assert tokenizer.grid == (5, sum(widths))


def test_series_too_short_for_two_levels_are_an_error():
    with pytest.raises(TwincodeError, match="5 steps, 3 frames here, are too short for two levels"):
        build(5)
    with pytest.raises(TwincodeError, match="top_width must be at least 1"):
        build(top_width=0)


def test_bottom_codes_start_at_latents_that_know_the_placed_top_codes():
    config = tiny("vqvae2", codebook_init="data", continuous_share=0)
    task = make_task(config, make_waves(12).X_train)
    tokenizer, x = task.tokenizer.eval(), task.split.x_train
    for part, region in zip(
        tokenizer.quantizer.parts, tokenizer.quantizer.split(tokenizer.latents(x)), strict=True
    ):
        vectors = region.permute(0, 2, 3, 1).flatten(0, 2)
        distance = (part.codebook[:, None] - vectors).norm(dim=2).min(dim=1).values
        torch.testing.assert_close(distance, torch.zeros(6), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["vqvae2", "vqvae"])
def test_an_untrained_model_is_judged_with_statistics_of_the_codes_it_has(name):
    """Bottom latents were 10 long in evaluation and 3 in training, and a decoder's error 164."""
    task = make_task(tiny(name, latent_channels=16), make_waves(16, length=140).X_train)
    x = task.split.x_train
    errors = {}
    for mode in (True, False):
        output = task.tokenizer.train(mode)(x)
        errors[mode] = [
            output.latents.norm(dim=1).mean(),
            *((a - b).square().mean() for a, b in output.pairs.values()),
        ]
    for judged, trained in zip(errors[False], errors[True], strict=True):
        assert judged.item() == pytest.approx(trained.item(), rel=0.05)


def test_the_first_batch_is_spread_over_the_bottom_codes():
    """Placed by statistics from before there were top codes, it fell on two of 32."""
    sizes = {"latent_channels": 64, "residual_blocks": 4, "codebook_size": 32}
    config = tiny("vqvae2", **sizes, continuous_share=0)
    task = make_task(config, make_waves(16, length=140).X_train)
    codes = task.tokenizer.encode(task.split.x_train)
    bottom = task.tokenizer.quantizer.split_codes(codes)[1]
    assert perplexity(code_counts(bottom, 32)) > 20


def test_the_bottom_level_is_told_what_the_top_level_says():
    tokenizer = build().eval()
    x = noise(2, 1, 40)
    before = tokenizer.quantizer.split(tokenizer.latents(x))
    tokenizer.quantizer.parts[0].codebook.add_(1)
    after = tokenizer.quantizer.split(tokenizer.latents(x))
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_a_teacher_conditions_on_the_codes_of_the_student():
    task = make_task(tiny("moco-vqvae", tokenizer="vqvae2"), make_waves(12).X_train)
    train_epoch(task, 1)
    mine, theirs = (one.tokenizer.quantizer.parts[0].codebook for one in (task.teacher, task))
    assert torch.equal(mine, theirs)
