"""Small grids, priors of them with arbitrary weights, and a quick way to train one."""

import torch

from twincode.priors import PRIORS, Grids, prior
from twincode.quantize import Grid, Layout
from twincode.randomness import drawing_weights

# K, H, W and N all differ, and there are two grids, of codebooks of two sizes.
TWO = Grids.of(Layout((Grid("top", 2, 4), Grid("bottom", 4, 5))), 3)
# One row, whose columns have codebooks of their own.
ROW = Grids.of(Layout((Grid("step", 1, 7), Grid("mode", 2, 2), Grid("level", 3, 4))), 1)
SMALL = {"model_width": 8, "layers": 1, "heads": 2, "feedforward": 1}
CLASSES = 2
NETWORKS = ("masked", "autoregressive")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def made(kind, grids=TWO, classes=CLASSES, scale=1.0, seed=0, **settings):
    """A prior whose weights are noise, so that every input has a say."""
    small = SMALL if kind in NETWORKS else {}
    with drawing_weights(seed):
        found = PRIORS.build(prior(kind, **{**small, **settings}), grids, classes)
    noise = generator(seed)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=noise))
    if kind not in NETWORKS:
        found.start(linked_tokens(grids, 200, seed), labels(200, classes, seed))
    return found


def linked_tokens(grids, n, seed=0):
    """Each like the one before it, most of the time."""
    sizes, noise = grids.places().size, generator(seed)
    shared, own = torch.rand(2, n, len(sizes), generator=noise)
    turns = torch.rand(n, len(sizes), generator=noise) < 0.2
    turns[:, 0] = True
    since = torch.where(turns, torch.arange(len(sizes)), 0).cummax(1).values
    return ((shared.gather(1, since) + 0.1 * own) / 1.1 * sizes).long()


def tokens_of(grids, n, seed=0):
    sizes = grids.places().size
    return (torch.rand(n, len(sizes), generator=generator(seed)) * sizes).long()


def neighbourly(N, K, seed=0):
    """Logits (B, N, K) that lean on every visible token, by fixed random weights."""
    weight = 3 * torch.randn(N, K, N, K, generator=generator(seed), dtype=torch.float64)

    def logits(tokens, hidden):
        seen = torch.nn.functional.one_hot(tokens, K).double() * ~hidden[..., None]
        return torch.einsum("bnk,nkml->bml", seen, weight)

    return logits


def labels(n, classes=CLASSES, seed=0):
    """Of every class, and none."""
    return torch.randint(classes + 1, (n,), generator=generator(seed))


def trained(kind, grids, tokens, y, steps, rate=1e-2, **settings):
    """A small prior after some steps on batches of tokens."""
    found = made(kind, grids, int(y.max()) + 1, scale=0.0, **settings)
    found.start(tokens, y)
    optimizer = torch.optim.AdamW(found.parameters(), fused=True)
    noise = generator(1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / steps)
        rows = torch.randint(len(tokens), (128,), generator=noise)
        loss = found.loss(tokens[rows], y[rows], noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found
