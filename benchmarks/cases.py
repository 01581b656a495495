"""What is compared: for each case the plain way, ours, and what both must do at least."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks import floor
from benchmarks.reference import augment as plain_augment
from benchmarks.reference import losses as plain_losses
from benchmarks.reference import model as plain
from benchmarks.timing import Work
from twincode.config import EvaluationConfig
from twincode.losses import barlow_twins_loss, vicreg_loss
from twincode.nets import count_downsamplings
from twincode.recipes import recipe
from twincode.train.loop import Learner, build_learner

BATCH = 128
WIDTH = 4096


@dataclass(frozen=True)
class Case:
    """One row of the table. ``wanted`` is the ratio to reach; ``precision`` is ours."""

    name: str
    plain: Work
    ours: Work
    wanted: float
    precision: str = "float32"
    least: floor.Work | None = None
    rounds: int = 5
    warm: bool = True


CaseMaker = Callable[[], Case]
TwinLoss = Callable[[Tensor, Tensor], Tensor]


def series(length: int, n: int = BATCH, device: str = "cpu") -> Tensor:
    """Random walks, standardised."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 1, length, generator=generator).cumsum(-1)
    return ((x - x.mean()) / x.std()).to(device)


def twin_loss_case(name: str, plain_loss: TwinLoss, our_loss: TwinLoss, device: str) -> Case:
    """A loss alone, forward and backward."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(BATCH, WIDTH, generator=generator).to(device) for _ in range(2))
    a, b = a.requires_grad_(), b.requires_grad_()

    def run(loss: TwinLoss) -> Work:
        def work() -> None:
            a.grad = b.grad = None
            loss(a, b).backward()

        return work

    return Case(
        f"{name}, P {WIDTH}",
        run(plain_loss),
        run(our_loss),
        wanted=20,
        least=floor.twin_loss(BATCH, WIDTH),
        rounds=9,
    )


def step_case(name: str, length: int, wanted: float, precision: str, device: str = "cpu") -> Case:
    """One training step on a full batch; ``name`` is the recipe."""
    twin = name == "bt-vqvae"
    least = floor.twin_step(length, BATCH) if twin else floor.naive_step(length, BATCH)
    return Case(
        f"{'BT-VQVAE' if twin else 'VQ-VAE'} step, L {length}",
        plain_step(length, twin, device),
        our_step(length, name, precision, device),
        wanted,
        precision,
        least,
    )


def our_step(
    length: int, name: str, precision: str, device: str = "cpu", n: int = BATCH, **changes: object
) -> Work:
    """One step of twincode's own loop, on a batch of n."""
    x = series(length, n, device)
    config = recipe(name, **{"epochs": 1000, "precision": precision, **changes})
    learner: Learner = build_learner(config, x, torch.device(device))
    epochs = iter(range(1, 1000))
    return lambda: learner.train_epoch(x, next(epochs))


def plain_step(length: int, twin: bool, device: str = "cpu") -> Work:
    """One step of the textbook's."""
    x = series(length, device=device)
    halvings = count_downsamplings(length // 2 + 1, 8)
    model = plain.VQVAE(length, halvings).to(device)
    projector = plain.Projector(64, WIDTH).to(device)
    parameters = [*model.parameters(), *(projector.parameters() if twin else ())]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-3)
    generator = np.random.default_rng(0)

    def view() -> Tensor:
        return torch.from_numpy(plain_augment.augment_batch(x.cpu().numpy(), generator)).to(device)

    def work() -> None:
        if twin:
            loss, z, codes = plain_losses.twin_losses(model, projector, view(), view())
        else:
            loss, z, codes = plain_losses.naive_losses(model, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.quantizer.update(z.detach(), codes)
        loss.item()

    return work


def encode_case(length: int, wanted: float, device: str = "cpu") -> Case:
    """Series to codes, a thousand at a time."""
    from twincode.evaluate.evaluator import embed

    x = series(length, 1024, device)
    model = plain.VQVAE(length, count_downsamplings(length // 2 + 1, 8)).to(device).eval()
    tokenizer = build_learner(recipe("vqvae"), x[:BATCH], torch.device(device)).tokenizer

    @torch.no_grad()
    def plain_work() -> None:
        torch.cat([model.encode(part) for part in x.split(BATCH)])

    return Case(
        f"encode, L {length}",
        plain_work,
        lambda: embed(tokenizer, x),
        wanted,
        least=floor.encoding(length, len(x)),
    )


def probe_case(wanted: float = 8) -> Case:
    """All probes on codes of 1000 + 4000 series: 32 codes of 64 channels on a grid of 40."""
    from benchmarks.reference import probes as plain_probes
    from twincode.evaluate.probes import probe

    features, labels = quantised_features(5000)
    parts = (features[:1000], labels[:1000], features[1000:], labels[1000:])
    config = EvaluationConfig()
    # What a first call imports is no part of what probes cost.
    probe(features[:50], labels[:50], features[50:99], labels[50:99], config, n_classes=5)
    return Case(
        "all probes, 1000 + 4000 x 2560",
        lambda: plain_probes.probe(*parts),
        lambda: probe(*parts, config, n_classes=5),
        wanted,
        rounds=1,
        warm=False,
    )


def quantised_features(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 2560) like flattened codes of five overlapping classes."""
    generator = np.random.default_rng(0)
    codebook = generator.normal(size=(32, 64))
    labels = generator.integers(5, size=n)
    prototypes = generator.integers(32, size=(5, 40))
    noise = generator.integers(32, size=(n, 40))
    codes = np.where(generator.random((n, 40)) < 0.15, prototypes[labels], noise)
    return codebook[codes].reshape(n, -1).astype(np.float32), labels


def augmentation_case(length: int = 140, device: str = "cpu") -> Case:
    """Five augmentations, two views of a batch."""
    x = series(length, device=device)
    learner = build_learner(recipe("bt-vqvae", projector_width=8), x, torch.device(device))
    generator, torch_generator = np.random.default_rng(0), torch.Generator(device)

    def plain_work() -> None:
        for _ in range(2):
            torch.from_numpy(plain_augment.augment_batch(x.cpu().numpy(), generator)).to(device)

    return Case(
        "augmentation, two views",
        plain_work,
        lambda: learner.augmenter(torch.cat([x, x]), torch_generator),
        wanted=10,
        rounds=9,
    )


def all_cases(device: str) -> Iterator[CaseMaker]:
    """Every row of the table, made one at a time to keep memory low."""
    yield lambda: twin_loss_case("twin loss", plain_losses.barlow_twins, barlow_twins_loss, device)
    yield lambda: twin_loss_case("VICReg loss", plain_losses.vicreg, vicreg_loss, device)
    yield lambda: augmentation_case(device=device)
    for precision in ("bfloat16", "float32"):
        for name, length, wanted in (
            ("bt-vqvae", 140, 4),
            ("bt-vqvae", 500, 3),
            ("vqvae", 140, 2),
            ("vqvae", 1024, 2),
        ):
            yield partial(step_case, name, length, wanted, precision, device)
    yield lambda: encode_case(140, 3, device)
    if device == "cpu":
        yield probe_case
