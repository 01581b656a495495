"""The work of priors over codes, the plain way and ours."""

from functools import partial
from itertools import count
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from benchmarks.reference import model as plain_model
from benchmarks.reference import priors as plain
from benchmarks.timing import Work
from twincode.data import Dataset
from twincode.evaluate.generation.frechet import frechet_distance
from twincode.nets import count_downsamplings
from twincode.priors import (
    PRIORS,
    AutoregressivePrior,
    Grids,
    IterativeSampling,
    Prior,
    critic,
    prior,
)
from twincode.priors.decoding import Logits
from twincode.quantize import Grid, Layout
from twincode.randomness import drawing_weights
from twincode.recipes import recipe
from twincode.train import fit
from twincode.train.loop import train_epoch
from twincode.train.prior_task import PriorTask

BATCH, CLASSES, CODES = 128, 2, 32
HEIGHT = 5
SAMPLES, STEPS, TEMPERATURE = 256, 10, 10.0
DOUBTED = 64  # samples of the enhanced scheme, which takes long
FEATURES = (4500, 128)
# Lengths whose grids, so many columns wide, have 40 and 200 tokens.
LENGTHS = {40: (140, 8), 200: (320, 40)}


def walks(length: int) -> Tensor:
    """Random walks (BATCH, 1, length)."""
    x = torch.randn(BATCH, 1, length, generator=torch.Generator().manual_seed(0)).cumsum(-1)
    return (x - x.mean()) / x.std()


def our_prior_step(tokens: int, precision: str) -> Work:
    """One step of a masked prior on codes that were made once."""
    length, width = LENGTHS[tokens]
    data = Dataset.from_arrays(walks(length).numpy(), np.arange(BATCH) % CLASSES)
    config = recipe("vqvae", epochs=0, evaluations=0, downsampled_width=width)
    settings = prior("masked", steps=10**6, held_out=0, precision=precision)
    task, epochs = PriorTask(settings, fit(config, data), data), count(1)
    assert task.tokens.shape[1] == tokens
    return lambda: train_epoch(task, next(epochs))


def plain_prior_step(tokens: int) -> Work:
    """The textbook's, which encodes the batch anew."""
    length, width = LENGTHS[tokens]
    x, y = walks(length), torch.arange(BATCH) % CLASSES
    tokenizer = plain_model.VQVAE(length, count_downsamplings(length // 2 + 1, width)).eval()
    model = plain.Prior(tokens, CODES, CLASSES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)

    def work() -> None:
        with torch.no_grad():
            codes = tokenizer.encode(x).flatten(1)
        withheld = torch.where(torch.rand(BATCH) < 0.2, CLASSES, y)
        loss = plain.prior_loss(model, codes, plain.masked(codes, CODES), withheld)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return work


def sampling(ours: bool) -> Work:
    """Series of 40 tokens drawn by iterative decoding, with labels and without guidance."""
    y = torch.arange(SAMPLES) % CLASSES
    if not ours:
        model = plain.Prior(40, CODES, CLASSES).eval()
        return lambda: plain.sample(model, y, STEPS, TEMPERATURE)
    found, how = untrained("masked"), IterativeSampling(decoding_steps=STEPS)
    return lambda: found.sample(y, how, 0)


def continuing(ours: bool) -> Work:
    """Series of 40 tokens drawn one token after another, with a cache and without."""
    found, y = untrained("autoregressive"), torch.arange(SAMPLES) % CLASSES
    if ours:
        return lambda: found.sample(y, found.sampling(), 0)
    u = torch.rand(SAMPLES, 40, generator=torch.Generator().manual_seed(0))
    return lambda: plain.continue_without_cache(partial(causal_logits, found, y), u)


def causal_logits(found: Prior, y: Tensor, tokens: Tensor) -> Tensor:
    """Logits (B, N, K) of an autoregressive prior, from tokens (B, N) in its order."""
    assert isinstance(found, AutoregressivePrior)
    network = found.network
    begin = torch.full((len(y), 1), network.mask)
    logits: Tensor = network(torch.cat([begin, tokens[:, :-1]], 1), y, 0, causal=True)
    return logits


def doubting(ours: bool) -> Work:
    """The enhanced sampling scheme, and as many passes as N (1 + S - t*) + 2 S of each series."""
    found, y = untrained("masked"), torch.arange(DOUBTED) % CLASSES
    found.stand_for((torch.randn(CODES, 64, generator=torch.Generator().manual_seed(0)),))
    how = IterativeSampling(decoding_steps=STEPS, sampling_scheme="ess")
    if ours:
        return lambda: found.sample(y, how, 0)
    turns: list[Tensor] = []

    def turning(
        tokens: Tensor, confidence: Tensor, left: Tensor, logits: Logits, distance: critic.Distance
    ) -> Tensor:
        turns.append(real(tokens, confidence, left, logits, distance))
        return turns[-1]

    real = critic.turning_steps
    with patch.object(critic, "turning_steps", turning):
        tokens = found.sample(y, how, 0)
    N = tokens.shape[1]
    passes = round(float((N * (1 + STEPS - turns[0]) + 2 * STEPS).double().mean()))
    hidden = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(0)) < 0.5

    def work() -> None:
        for _ in range(passes):
            found.log_probabilities(tokens, hidden, y)

    return work


def distance(ours: bool) -> Work:
    """FID of so many features."""
    generator = np.random.default_rng(0)
    a, b = (generator.normal(size=FEATURES) for _ in range(2))
    return partial(frechet_distance if ours else plain.frechet_distance, a, b)


def untrained(kind: str) -> Prior:
    """A prior over one grid of 40 tokens, whose weights say something."""
    grids = Grids.of(Layout((Grid("", 40 // HEIGHT, CODES),)), HEIGHT)
    with drawing_weights(0):
        found = PRIORS.build(prior(kind), grids, CLASSES)
        with torch.no_grad():
            for parameter in found.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
    return found.eval()
