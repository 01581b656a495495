"""The network that starts where the closed form ends."""

import math

import numpy as np
import pytest
import torch
from conftest import make_task, make_waves, seeded_tokenizer, tiny
from test_combinations import check_storage, check_use, watch_gradients

from twincode.closed_form import ComponentCoder
from twincode.errors import TwincodeError
from twincode.evaluate import reconstruction_errors
from twincode.quantize.successive import SuccessiveQuantizer
from twincode.randomness import stream
from twincode.train.held_out import hold_out
from twincode.train.loop import train_epoch

OWN = ("bits_per_token", "group_size", "beam")
SMALL = {"bits": 43, "bits_per_token": 4, "group_size": 3, "beam": 4}


def series(n, channels=1, length=33):
    return torch.from_numpy(make_waves(n, 1, channels, length).X_train)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def started(x, **changes):
    """The tokenizer before its first step, and the coder it starts at."""
    fields = {**SMALL, **changes}
    tokenizer = seeded_tokenizer(tiny("warm-vqvae", **fields), *x.shape[1:])
    tokenizer.initialise(x, seeded())
    own = [fields[name] for name in OWN]
    return tokenizer, ComponentCoder.fit(x, fields["bits"], seeded(), *own)


@pytest.mark.parametrize(
    ("n", "channels", "length"), [(60, 1, 33), (40, 3, 21), (5, 2, 9), (1, 1, 7), (30, 1, 2)]
)
def test_the_start_is_the_closed_form(n, channels, length):
    """Channels, odd lengths, few series, and fewer steps than a token could see."""
    x = series(n, channels, length)
    tokenizer, coder = started(x)
    seen = torch.cat([x, series(9, channels, length) + 0.1])
    codes = torch.cat(tokenizer.layout.split(tokenizer.encode(seen)), dim=2)[:, 0]
    assert torch.equal(codes, coder.encode(seen))
    _, reconstruction = tokenizer.reconstruct(seen)["time"]
    torch.testing.assert_close(reconstruction, coder.decode(codes), rtol=0, atol=1e-5)
    assert math.prod(tokenizer.layout.codebook_sizes) == 2 ** SMALL["bits"]


def test_constant_series_are_a_start_too():
    x = torch.ones(6, 1, 12)
    tokenizer, _ = started(x)
    torch.testing.assert_close(tokenizer.reconstruct(x)["time"][1], x)


def test_codes_are_those_of_a_search_written_out_in_float64():
    """Every partial code of every beam, one series and one token at a time."""
    generator, beam = seeded(), 3
    quantizer = SuccessiveQuantizer((4, 4, 2), 5, 2, beam)
    quantizer.groups.copy_(torch.tensor([[0, 3], [1, 5], [3, 4]]))  # 5 is no channel
    quantizer.words.copy_(torch.randn(3, 4, 2, generator=generator))
    quantizer.words[1, :, 1] = 0
    z = torch.randn(20, 5, 1, 1, generator=generator)
    books = [book.double().numpy() for book in quantizer.codebooks()]

    def total(codes):
        found = np.zeros(6)
        for group, book, code in zip(quantizer.groups.numpy(), books, codes, strict=False):
            found[group] += book[code]
        return found[:5]

    found = quantizer(z)
    for row, codes, latents in zip(
        z.double().flatten(1).numpy(), found.codes[:, 0], found.latents.flatten(1), strict=True
    ):
        kept = [()]
        for book in books:
            longer = [(*codes, code) for codes in kept for code in range(len(book))]
            kept = sorted(longer, key=lambda codes: ((row - total(codes)) ** 2).sum())[:beam]
        assert (codes - torch.tensor([0, 4, 8])).tolist() == list(kept[0])
        np.testing.assert_allclose(latents, total(kept[0]), atol=1e-6)
    assert torch.equal(quantizer.lookup(found.codes), found.latents)


def test_a_wider_beam_finds_better_codes():
    x, others = series(160).split(80)
    tokenizers = [started(x, beam=beam)[0] for beam in (1, 8)]
    errors = [reconstruction_errors(each, others)["reconstruction"] for each in tokenizers]
    assert errors[1] < errors[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_net_learns_and_the_model_comes_back(channels, tmp_path):
    x = series(40, channels, 21)
    task = make_task(tiny("warm-vqvae", held_out=0.0, **SMALL), x)
    silent = watch_gradients(task)
    for epoch in (1, 2):
        assert all(map(math.isfinite, train_epoch(task, epoch)["losses"].values()))
    assert not silent
    for part in (x, x[:1]):
        check_use(task.tokenizer, part)
    check_storage(task, x, tmp_path)


def test_the_start_is_fitted_on_all_series_that_are_learnt_from():
    """Not on those held out, and not on a batch."""
    task = make_task(
        tiny("warm-vqvae", held_out=0.25, batch_size=4, **SMALL), make_waves(80).X_train
    )
    assert len(task.x) == 60
    generator = stream(0, "codebook")
    torch.randperm(60, generator=generator)
    coder = ComponentCoder.fit(task.x, SMALL["bits"], generator, *(SMALL[name] for name in OWN))
    assert torch.equal(task.tokenizer.mean, coder.mean)


@pytest.mark.parametrize("rate", [1e-3, 1.0])
def test_what_is_kept_is_never_worse_than_the_start_on_held_out_series(rate):
    """And in the end its closed form is fitted on all series, the net behind it as it was kept."""
    changes = {"held_out": 0.25, "learning_rate": rate, "epochs": 3, **SMALL}
    task = make_task(tiny("warm-vqvae", **changes), make_waves(80).X_train)
    _, held = hold_out(80, 20, 0)
    x = task.split.x_train
    errors = [reconstruction_errors(task.tokenizer, x[held])["reconstruction_time"]]
    errors += [train_epoch(task, epoch)["held_out"] for epoch in (1, 2, 3)]
    kept = task.best.learner
    found = reconstruction_errors(kept, x[held])["reconstruction_time"]
    assert found == pytest.approx(min(errors), rel=1e-6)
    generator = stream(0, "codebook")
    torch.randperm(80, generator=generator)
    coder = ComponentCoder.fit(x, SMALL["bits"], generator, *(SMALL[name] for name in OWN))
    assert torch.equal(task.tokenizer.mean, coder.mean)
    assert not torch.equal(task.tokenizer.mean, kept.mean)
    for ours, theirs in zip(task.tokenizer.parameters(), kept.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 0}, "bits must be at least 1"),
        ({"bits_per_token": 17}, "bits_per_token must be at most 16, not 17"),
        ({"beam": 0}, "beam must be at least 1"),
        ({"context_depth": 0}, "context_depth must be at least 1"),
        ({"refinements": -1}, "refinements must be at least 0"),
    ],
)
def test_settings_that_make_no_tokenizer_are_errors(changes, message):
    with pytest.raises(TwincodeError, match=message):
        tiny("warm-vqvae", **changes)
