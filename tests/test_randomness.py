from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from conftest import seeded_tokenizer, tiny
from torch import nn

from twincode.errors import TwincodeError
from twincode.quantize import GaussianBottleneck, GaussianSettings
from twincode.randomness import drawing_weights, noise_stream, stream_seed

CPU = torch.device("cpu")

# By what they are called: what a part may draw when it is made.
DRAWN = {
    "layer": lambda: nn.Conv2d(2, 3, 4).weight,
    "attention": lambda: nn.MultiheadAttention(4, 2).in_proj_weight,
    "recurrent": lambda: nn.LSTM(3, 4).weight_hh_l0,
    "orthogonal": lambda: nn.init.orthogonal_(torch.empty(3, 3)),
    "truncated": lambda: nn.init.trunc_normal_(torch.empty(3)),
    "normal": lambda: torch.normal(0.0, 1.0, (3,)),
    "like": lambda: torch.randn_like(torch.empty(3)),
    "whole numbers": lambda: torch.randint(99, (3,)),
    "order": lambda: torch.randperm(9),
    "flags": lambda: torch.empty(9).bernoulli_(0.5),
}


def drawn_plainly(seed, draw):
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(stream_seed(seed, "weights"))
        return [draw().detach().clone() for _ in range(2)]


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_weights_are_those_of_the_seeded_global_stream_which_is_not_touched(draw):
    before = torch.get_rng_state()
    with drawing_weights(3):
        found = [draw().detach() for _ in range(2)]
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, found, drawn_plainly(3, draw)))
    assert not torch.equal(*found)


def test_a_generator_that_is_given_is_used():
    with drawing_weights(0):
        found = torch.rand(3, generator=torch.Generator().manual_seed(7))
    assert torch.equal(found, torch.rand(3, generator=torch.Generator().manual_seed(7)))


def test_threads_draw_weights_that_do_not_depend_on_each_other():
    def draw(seed):
        states = [seeded_tokenizer(tiny("vqvae", seed=seed)).state_dict() for _ in range(5)]
        return [torch.cat([each.flatten() for each in state.values()]) for state in states]

    alone = [draw(seed)[0] for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(draw, (0, 1)))
    assert all(torch.equal(alone[seed], each) for seed in (0, 1) for each in together[seed])


def test_noise_follows_seed_and_epoch_and_leaves_the_global_stream_alone():
    layer, z = GaussianBottleneck(GaussianSettings(), 2).train(), torch.zeros(3, 2, 1, 4)

    def noise(seed, epoch):
        with noise_stream(seed, epoch, CPU):
            return layer(z).latents

    before = torch.get_rng_state()
    assert torch.equal(noise(0, 1), noise(0, 1))
    assert not torch.equal(noise(0, 1), noise(0, 2))
    assert not torch.equal(noise(0, 1), noise(1, 1))
    assert torch.equal(before, torch.get_rng_state())


def test_a_seed_is_not_negative():
    with pytest.raises(TwincodeError, match="seed must be a whole number of at least 0"):
        stream_seed(-1, "weights")
