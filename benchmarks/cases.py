"""What is compared: for each case the plain way, ours, and what both must do at least."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import floor, priors
from benchmarks.reference import augment as plain_augment
from benchmarks.reference import closed_form as plain_closed
from benchmarks.reference import losses as plain_losses
from benchmarks.reference import model as plain
from benchmarks.timing import Work, WorkMaker
from twincode.augment import Augmenter
from twincode.closed_form import ComponentCoder, MixtureCoder
from twincode.data import Dataset
from twincode.evaluate import METRICS, Features
from twincode.losses import barlow_twins_loss, vibcreg_loss, vicreg_loss
from twincode.nets import count_downsamplings
from twincode.precision import computing_in
from twincode.recipes import recipe
from twincode.spectral import STFT
from twincode.tokenizers import embed
from twincode.train.loop import train_epoch
from twincode.train.tokenizer_task import TokenizerTask

BATCH = 128
WIDTH = 4096
ENCODED = 1024
LONG = 500
BITS, FITTED, CODED = 200, 500, 64  # of closed forms: bits, series to fit on, series to encode


@dataclass(frozen=True)
class Case:
    """One row of the table. ``wanted`` is the ratio to reach; ``precision`` is ours."""

    name: str
    plain: WorkMaker
    ours: WorkMaker
    wanted: float
    precision: str = "float32"
    least: floor.Work | None = None
    rounds: int = 5
    warm: bool = True


TwinLoss = Callable[[Tensor, Tensor], Tensor]


def series(length: int, n: int = BATCH, device: str = "cpu") -> Tensor:
    """Random walks, standardised."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 1, length, generator=generator).cumsum(-1)
    return ((x - x.mean()) / x.std()).to(device)


def twin_loss(loss: TwinLoss, device: str = "cpu", batch: int = BATCH, width: int = WIDTH) -> Work:
    """A loss alone, forward and backward."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(batch, width, generator=generator).to(device) for _ in range(2))
    a, b = a.requires_grad_(), b.requires_grad_()

    def work() -> None:
        a.grad = b.grad = None
        loss(a, b).backward()

    return work


def our_task(
    length: int,
    name: str,
    precision: str = "float32",
    device: str = "cpu",
    n: int = BATCH,
    **settings: object,
) -> TokenizerTask:
    """What trains the model of a recipe on n series, with those settings that the recipe has.

    Where a model is told of background, every other series is that.
    """
    data = Dataset.from_arrays(series(length, n).numpy(), np.arange(n) % 2)
    config = recipe(name)
    wanted = {"epochs": 1000, "continuous_share": 0, "precision": precision}
    wanted |= {"background_classes": "1", **settings}
    config = config.replace(**{key: value for key, value in wanted.items() if config.has(key)})
    return TokenizerTask(config, data, torch.device(device))


def our_step(length: int, name: str, precision: str = "float32", **options: Any) -> Work:
    """One step of twincode's own loop, where the batch is all of the task's series."""
    task = our_task(length, name, precision, **options)
    epochs = count(1)
    return lambda: train_epoch(task, next(epochs))


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


def plain_encoding(length: int, device: str = "cpu", n: int = ENCODED) -> Work:
    """Series to codes, a batch at a time."""
    x = series(length, n, device)
    model = plain.VQVAE(length, count_downsamplings(length // 2 + 1, 8)).to(device).eval()

    @torch.no_grad()
    def work() -> None:
        torch.cat([model.encode(part) for part in x.split(BATCH)])

    return work


def our_encoding(
    length: int, precision: str = "float32", device: str = "cpu", n: int = ENCODED
) -> Work:
    """Series to codes as a model does it."""
    tokenizer = our_task(length, "vqvae", device=device).tokenizer
    x = series(length, n, device)

    def work() -> None:
        with computing_in(precision, torch.device(device)):
            embed(tokenizer, x)

    return work


def fitting(ours: bool) -> Work:
    """Components and codebooks of series of 140 steps."""
    x = series(140, FITTED)
    if ours:
        return lambda: ComponentCoder.fit(x, BITS, torch.Generator(), copies=0)
    return lambda: plain_closed.fit_components(x[:, 0].numpy(), BITS)


def coding(kind: str, ours: bool) -> Work:
    """Series of 140 steps to codes of a fitted coder."""
    x, fresh = series(140, FITTED + CODED).split([FITTED, CODED])
    if kind == "mixture":
        mixture = MixtureCoder.fit(x, BITS, torch.Generator(), rate="average", modes=8)
        if ours:
            return lambda: mixture.encode(fresh)
        return lambda: plain_closed.encode_mixture(mixture, fresh.numpy())
    components = ComponentCoder.fit(x, BITS, torch.Generator(), copies=0)
    if ours:
        return lambda: components.encode(fresh)
    return lambda: plain_closed.encode_components(components, fresh.numpy())


def probes(ours: bool) -> Work:
    """All probes on codes of 1000 + 4000 series: 32 codes of 64 channels on a grid of 40."""
    from benchmarks.reference import probes as plain_probes

    features, labels = quantised_features(5000)
    parts = (features[:1000], labels[:1000], features[1000:], labels[1000:])
    if not ours:
        return lambda: plain_probes.probe(*parts)
    # What a first call imports is no part of what probes cost.
    our_probes(features[:50], labels[:50], features[50:99], labels[50:99])
    return lambda: our_probes(*parts)


def our_probes(
    train: np.ndarray, y_train: np.ndarray, test: np.ndarray, y_test: np.ndarray, fits: int = 15
) -> dict[str, float]:
    """All probes of features of five classes, by metric."""
    features = Features(train, test, y_train, y_test, n_classes=5)
    chosen = [METRICS.choose(name) for name in ("separability", "dimension")]
    chosen.append(METRICS.choose("clusters").replace(kmeans_fits=fits))
    return {k: v for each in chosen for k, v in METRICS.build(each).probe(features).items()}


def quantised_features(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 2560) like flattened codes of five overlapping classes."""
    generator = np.random.default_rng(0)
    codebook = generator.normal(size=(32, 64))
    labels = generator.integers(5, size=n)
    prototypes = generator.integers(32, size=(5, 40))
    noise = generator.integers(32, size=(n, 40))
    codes = np.where(generator.random((n, 40)) < 0.15, prototypes[labels], noise)
    return codebook[codes].reshape(n, -1).astype(np.float32), labels


def augmentation(ours: bool, length: int = 140, device: str = "cpu") -> Work:
    """Five augmentations, two views of a batch."""
    x = series(length, device=device)
    if ours:
        augmenter = Augmenter(recipe("thesis-bt-vqvae").augmentations, STFT(length).to(device))
        torch_generator = torch.Generator(device)
        return lambda: augmenter(torch.cat([x, x]), torch_generator)
    generator = np.random.default_rng(0)

    def work() -> None:
        for _ in range(2):
            torch.from_numpy(plain_augment.augment_batch(x.cpu().numpy(), generator)).to(device)

    return work


def _twin_loss_case(name: str, plain_loss: TwinLoss, our_loss: TwinLoss, device: str) -> Case:
    return Case(
        f"{name}, P {WIDTH}",
        partial(twin_loss, plain_loss, device),
        partial(twin_loss, our_loss, device),
        wanted=20,
        least=floor.twin_loss(BATCH, WIDTH),
        rounds=15,
    )


def _step_case(name: str, length: int, wanted: float, precision: str, device: str) -> Case:
    twin = name == "bt-vqvae"
    return Case(
        f"{'BT-VQVAE' if twin else 'VQ-VAE'} step, L {length}",
        partial(plain_step, length, twin, device),
        partial(our_step, length, name, precision, device=device),
        wanted,
        precision,
        floor.twin_step(length, BATCH) if twin else floor.naive_step(length, BATCH),
        # Long series take long: with these the whole table stays within ten minutes.
        rounds=5 if length < LONG else 3,
    )


def _encode_case(length: int, wanted: float, precision: str, device: str) -> Case:
    return Case(
        f"encode, L {length}",
        partial(plain_encoding, length, device),
        partial(our_encoding, length, precision, device),
        wanted,
        precision,
        floor.encoding(length, ENCODED),
    )


def _prior_cases() -> Iterator[Case]:
    for tokens, wanted in ((40, 2.0), (200, 1.5)):
        for precision in ("bfloat16", "float32"):
            yield Case(
                f"prior step, {tokens} tokens",
                partial(priors.plain_prior_step, tokens),
                partial(priors.our_prior_step, tokens, precision),
                wanted,
                precision,
            )
    for name, work, wanted in (
        (f"prior, {priors.SAMPLES} samples by masks", priors.sampling, 1.5),
        (f"prior, {priors.SAMPLES} samples token by token", priors.continuing, 3.0),
        # Beside the passes alone that the scheme is to need, it may take a fifth longer.
        (f"prior, {priors.DOUBTED} samples by ess, of its passes", priors.doubting, 0.83),
        ("prior, FID of 4500 x 128 features", priors.distance, 1.0),
    ):
        yield Case(name, partial(work, False), partial(work, True), wanted, rounds=3)


def all_cases(device: str) -> Iterator[Case]:
    """Every row of the table."""
    yield _twin_loss_case("twin loss", plain_losses.barlow_twins, barlow_twins_loss, device)
    yield _twin_loss_case("VICReg loss", plain_losses.vicreg, vicreg_loss, device)
    yield _twin_loss_case("VIbCReg loss", plain_losses.vibcreg, vibcreg_loss, device)
    yield Case(
        "augmentation, two views",
        partial(augmentation, False, device=device),
        partial(augmentation, True, device=device),
        wanted=10,
        rounds=15,
    )
    for precision in ("bfloat16", "float32"):
        for name, length, wanted in (
            ("bt-vqvae", 140, 4),
            ("bt-vqvae", 500, 3),
            ("vqvae", 140, 2),
            ("vqvae", 1024, 2),
        ):
            yield _step_case(name, length, wanted, precision, device)
    for precision in ("bfloat16", "float32"):
        yield _encode_case(140, 3, precision, device)
    if device == "cpu":
        name = f"fit components, {FITTED} x 140, {BITS} bits"
        yield Case(name, partial(fitting, False), partial(fitting, True), 3, rounds=3)
        for kind, wanted in (("components", 100), ("mixture", 20)):
            yield Case(
                f"encode by {kind}, {CODED} x 140, {BITS} bits",
                partial(coding, kind, False),
                partial(coding, kind, True),
                wanted,
                rounds=3,
            )
        yield from _prior_cases()
        name = "all probes, 1000 + 4000 x 2560"
        yield Case(name, partial(probes, False), partial(probes, True), 8, rounds=1, warm=False)
